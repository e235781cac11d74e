package tools_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"parley/tools"
	"parley/tools/toolstest"
)

func TestEachKindIsSentInItsPlace(t *testing.T) {
	base, client := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(rw).Encode(map[string]any{
			"auth": digest(r.Header.Get("Authorization")), "key": digest(r.Header.Get("X-Api-Key")), "query": digest(strings.Join(r.URL.Query()["api key"], "|")),
			"cookie": digest(r.Header.Get("Cookie")), "echo": fmt.Sprint(r.Header, r.URL, r.URL.Query()),
		})
	}))
	for name, tt := range map[string]struct {
		c    tools.Credential
		want string
	}{
		"header":       {tools.Credential{Kind: tools.APIKey, Parameter: "x-api-key", Value: "canary-1"}, `"key":"` + digest("canary-1")},
		"query":        {tools.Credential{Kind: tools.APIKey, In: "query", Parameter: "api key", Value: "canary 1&/"}, `"query":"` + digest("canary 1&/")},
		"cookie":       {tools.Credential{Kind: tools.APIKey, In: "cookie", Parameter: "sid", Value: "canary-1"}, `"cookie":"` + digest("other=1; sid=canary-1")},
		"basic":        {tools.Credential{Kind: tools.Basic, User: "me", Password: "canary:ü"}, `"auth":"` + digest("Basic bWU6Y2FuYXJ5OsO8")},
		"key as user":  {tools.Credential{Kind: tools.Basic, User: "canary-user"}, `"auth":"` + digest("Basic Y2FuYXJ5LXVzZXI6")},
		"bearer":       {tools.Credential{Kind: tools.Bearer, Value: "canary-1"}, `"auth":"` + digest("Bearer canary-1")},
		"header named": {tools.Credential{Kind: tools.APIKey, In: "header", Parameter: "Authorization", Value: "Token canary-1"}, `"auth":"` + digest("Token canary-1")},
	} {
		t.Run(name, func(t *testing.T) {
			store := &toolstest.Credentials{}
			r := &tools.Registry{Endpoints: &toolstest.Store{}, Client: client, Credentials: &tools.Credentials{Store: store, Tokens: store, Departures: store}}
			tt.c.Name, tt.c.Origins = "c", []string{base}
			if _, err := r.Credentials.Put(t.Context(), tt.c); err != nil {
				t.Fatal(err)
			}
			// Arguments of the same names do not speak for the credential.
			e := endpoint(t, base, `{"name":"t","description":"d","url":"BASE/","auth":"c","parameters":{"type":"object","properties":{"api key":{},"X-Api-Key":{},"sid":{},"other":{}}},
			  "in":{"api key":"query","X-Api-Key":"header","sid":"cookie","other":"cookie"}}`)
			if _, err := r.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			set, err := r.Set(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			res := set.Call(t.Context(), tools.Call{Name: "t", Arguments: json.RawMessage(`{"api key":"mine","X-Api-Key":"mine","sid":"mine","other":"1"}`)})
			mustContain(t, "the answer", res.Content, tt.want)
			if strings.Contains(res.Content, "canary") || strings.Contains(res.Content, "Y2FuYXJ5") {
				t.Errorf("a secret is in %s", res.Content)
			}
		})
	}
}

// digest stands for a secret that a service was sent.
func digest(s string) string { return fmt.Sprintf("%d:%x", len(s), crc(s)) }

func crc(s string) (n uint32) {
	for _, b := range []byte(s) {
		n = n*31 + uint32(b)
	}
	return n
}

func TestACredentialStaysWithItsOrigins(t *testing.T) {
	base, client := nasty(t)
	store := &toolstest.Credentials{}
	r := &tools.Registry{Endpoints: &toolstest.Store{}, Client: client, Credentials: &tools.Credentials{Store: store, Tokens: store, Departures: store}}
	c := tools.Credential{Name: "c", Kind: tools.Bearer, Value: "canary-1", Origins: []string{"https://api.example", base}}
	if _, err := r.Credentials.Put(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	field := func(js string) string {
		_, err := r.Put(t.Context(), endpoint(t, base, js))
		var fault *tools.FieldError
		if errors.As(err, &fault) {
			return fault.Field
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	for js, want := range map[string]string{
		`{"name":"t","description":"d","url":"BASE/reflect","auth":"c"}`:                                                                      "",
		`{"name":"t","description":"d","url":"https://API.example:443/x","auth":"c"}`:                                                         "",
		`{"name":"u","description":"d","url":"http://api.example/","auth":"c"}`:                                                               "auth",
		`{"name":"u","description":"d","url":"https://api.example:444/","auth":"c"}`:                                                          "auth",
		`{"name":"u","description":"d","url":"https://api.example.evil.example/","auth":"c"}`:                                                 "auth",
		`{"name":"u","description":"d","url":"https://api.example/","auth":"none"}`:                                                           "auth",
		`{"name":"u","description":"d","url":"https://api.example/","auth":"c","headers":{"authorization":"x"}}`:                              "headers.authorization",
		`{"name":"u","description":"d","steps":[{"id":"a","url":"https://geo.example/"},{"id":"b","url":"https://geo.example/","auth":"c"}]}`: "steps[1].auth",
		`{"name":"u","description":"d","steps":[{"id":"a","url":"https://geo.example/"},{"id":"b","url":"https://api.example/","auth":"c"}]}`: "",
		`{"name":"t","description":"d","url":"BASE/reflect","auth":"c","parameters":{"type":"object","properties":{"q":{}}}}`:                 "",
	} {
		if got := field(js); got != want {
			t.Errorf("%s: the field is %q, want %q", js, got, want)
		}
	}
	// Whatever was registered: what is sent is judged when it is sent.
	c.Origins = []string{"https://api.example"}
	if err := store.PutCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Credentials.Get(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	e := endpoint(t, base, `{"name":"t","description":"d","url":"BASE/reflect","auth":"c"}`)
	if err := r.Endpoints.PutEndpoint(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []bool{false, true} {
		if gone {
			if err := r.Credentials.Delete(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
		}
		set, err := r.Set(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		res := set.Call(t.Context(), tools.Call{Name: "t", Arguments: json.RawMessage(`{}`)})
		if !res.Failed || res.Outcome.Requests > 0 || res.Outcome.Status != 0 {
			t.Errorf("deleted %v: the call came to %+v", gone, res)
		}
	}
}

func TestMaskedSecretsOfACredential(t *testing.T) {
	old := tools.Credential{
		Name: "c", Kind: tools.OAuth2, TokenURL: "https://id.example/token", ClientID: "p", ClientSecret: "canary-1",
		Origins: []string{"https://a.example", "https://b.example"},
	}
	change := func(f func(*tools.Credential)) tools.Credential {
		c := old.Public()
		c.Origins = slices.Clone(c.Origins)
		f(&c)
		return c
	}
	for name, tt := range map[string]struct {
		next  tools.Credential
		field string
	}{
		"nothing":             {change(func(*tools.Credential) {}), ""},
		"the scopes":          {change(func(c *tools.Credential) { c.Scopes = []string{"x"} }), ""},
		"an origin less":      {change(func(c *tools.Credential) { c.Origins = c.Origins[:1] }), ""},
		"an origin otherwise": {change(func(c *tools.Credential) { c.Origins[0] = "https://A.example:443/" }), ""},
		"an origin more":      {change(func(c *tools.Credential) { c.Origins = append(c.Origins, "https://evil.example") }), "clientSecret"},
		"an origin's scheme":  {change(func(c *tools.Credential) { c.Origins[0] = "http://a.example" }), "clientSecret"},
		"the token's address": {change(func(c *tools.Credential) { c.TokenURL = "https://evil.example/token" }), "clientSecret"},
		"the kind": {change(func(c *tools.Credential) {
			*c = tools.Credential{Name: "c", Kind: tools.Bearer, Value: tools.Mask, Origins: c.Origins}
		}), "value"},
		"all, with a new secret": {change(func(c *tools.Credential) {
			c.TokenURL, c.Origins, c.ClientSecret = "https://x.example", []string{"https://x.example"}, "n"
		}), ""},
		"a part of a mask": {change(func(c *tools.Credential) { c.ClientSecret = "x" + tools.Mask }), "clientSecret"},
	} {
		got, err := tools.MergeCredential(old, tt.next)
		var fault *tools.FieldError
		field := ""
		if errors.As(err, &fault) {
			field = fault.Field
		}
		if field != tt.field || err == nil && got.ClientSecret != "canary-1" && got.ClientSecret != "n" {
			t.Errorf("%s: %v, want the field %q", name, err, tt.field)
		}
	}
	if _, err := tools.MergeCredential(tools.Credential{}, old.Public()); err == nil {
		t.Error("a mask for which nothing is stored was taken")
	}
	basic := tools.Credential{Name: "c", Kind: tools.Basic, User: "canary", Origins: old.Origins}
	if got, err := tools.MergeCredential(basic, basic.Public()); err != nil || got.User != "canary" || basic.Public().User != tools.Mask {
		t.Errorf("a key as user: %q, %v", got.User, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", old, old, old, &old); strings.Contains(text, "canary") {
		t.Errorf("a secret is printed: %s", text)
	}
}

func TestWrongCredentialsNameTheField(t *testing.T) {
	const origin = `"origins":["https://a.example"]`
	const oauth = `{"name":"c","kind":"oauth2",` + origin + `,"clientId":"x","clientSecret":"canary","tokenUrl":"https://a.example/t"`
	for js, field := range map[string]string{
		`{"name":"c","kind":"bearer","value":"canary",` + origin + `}`: "",
		oauth + `}`: "",
		oauth + `,"grant":"authorization_code","authorizeUrl":"https://a.example/a?access_type=offline"}`:                    "",
		`{"name":"a b","kind":"bearer","value":"canary",` + origin + `}`:                                                     "name",
		`{"name":"callback","kind":"bearer","value":"canary",` + origin + `}`:                                                "name",
		`{"name":"c","kind":"password","value":"canary",` + origin + `}`:                                                     "kind",
		`{"name":"c","kind":"bearer","value":"canary"}`:                                                                      "origins",
		`{"name":"c","kind":"bearer","value":"canary","origins":["https://a.example/v1"]}`:                                   "origins",
		`{"name":"c","kind":"bearer","value":"canary","origins":["https://*.example"]}`:                                      "origins",
		`{"name":"c","kind":"bearer","value":"canary","origins":["https://u@a.example"]}`:                                    "origins",
		`{"name":"c","kind":"bearer","value":"canary","origins":["ftp://a.example"]}`:                                        "origins",
		`{"name":"c","kind":"bearer",` + origin + `}`:                                                                        "value",
		`{"name":"c","kind":"bearer","value":"canary\r\nX: y",` + origin + `}`:                                               "value",
		`{"name":"c","kind":"bearer","value":"canary","password":"canary",` + origin + `}`:                                   "user",
		`{"name":"c","kind":"bearer","value":"canary","owner":"me",` + origin + `}`:                                          "owner",
		`{"name":"c","kind":"bearer","value":5,` + origin + `}`:                                                              "value",
		`{"name":"c","kind":"apiKey","value":"canary",` + origin + `}`:                                                       "parameter",
		`{"name":"c","kind":"apiKey","parameter":"Host","value":"canary",` + origin + `}`:                                    "parameter",
		`{"name":"c","kind":"apiKey","in":"body","parameter":"k","value":"canary",` + origin + `}`:                           "in",
		`{"name":"c","kind":"apiKey","in":"cookie","parameter":"k","value":"canary; a=b",` + origin + `}`:                    "value",
		`{"name":"c","kind":"basic",` + origin + `}`:                                                                         "user",
		oauth + `,"grant":"password"}`:                                                                                       "grant",
		oauth + `,"grant":"authorization_code"}`:                                                                             "authorizeUrl",
		oauth + `,"grant":"authorization_code","authorizeUrl":"https://a.example/a?state=x"}`:                                "authorizeUrl",
		oauth + `,"authorizeUrl":"https://a.example/a"}`:                                                                     "authorizeUrl",
		oauth + `,"scopes":["a b"]}`:                                                                                         "scopes",
		`{"name":"c","kind":"oauth2",` + origin + `,"clientId":"x","tokenUrl":"https://a.example/t"}`:                        "clientSecret",
		`{"name":"c","kind":"oauth2",` + origin + `,"clientId":"x","clientSecret":"canary","tokenUrl":"https://u:canary@a"}`: "tokenUrl",
		`[]`: "credential",
	} {
		c, err := tools.DecodeCredential([]byte(js))
		if err == nil {
			err = c.Validate()
		}
		var fault *tools.FieldError
		got := ""
		if errors.As(err, &fault) {
			got = fault.Field
		}
		if got != field {
			t.Errorf("%s: %v, want the field %q", js, err, field)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error shows a secret: %v", js, err)
		}
	}
}

func FuzzDecodeCredential(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"name":"c","kind":"apiKey","in":"query","parameter":"k","value":"v","origins":["https://a.example"]}`, `{"origins":["https://[::1]:80"]}`, `{"kind":"oauth2","tokenUrl":"://"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := tools.DecodeCredential([]byte(s))
		if err != nil || c.Validate() != nil {
			return
		}
		shown := c.Public()
		if shown.Value != "" && shown.Value != tools.Mask || shown.Password != "" && shown.Password != tools.Mask || shown.ClientSecret != "" && shown.ClientSecret != tools.Mask {
			t.Errorf("%q shows a secret", s)
		}
		if back, err := tools.MergeCredential(c, shown); err != nil || back.Value != c.Value || back.Password != c.Password || back.User != c.User || back.ClientSecret != c.ClientSecret {
			t.Errorf("%q comes back as %+v, %v", s, back.Public(), err)
		}
		for _, o := range c.Origins {
			if u, err := url.Parse(o); err != nil || u.Host == "" {
				t.Errorf("%q has the origin %q", s, o)
			}
		}
	})
}
