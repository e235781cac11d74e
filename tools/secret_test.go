package tools_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"parley/tools"
)

func secretive(t *testing.T, base string) tools.Endpoint {
	basic := base64.StdEncoding.EncodeToString([]byte("me:canary-pass"))
	return endpoint(t, base, `{"name":"t","description":"d","url":"BASE/reflect","query":{"ok":"{ok}"},
	  "parameters":{"type":"object","properties":{"ok":{}}},
	  "headers":{"Authorization":"Bearer canary-token","X-Api-Key":"canary/<&\"quoted\">","X-Basic":"Basic `+basic+`","Accept":"application/json"},
	  "secretQuery":{"key":"canary?&key"}}`)
}

func TestSecretsAreInNoResult(t *testing.T) {
	base, client := nasty(t)
	for _, args := range []string{`{"ok":1}`, `{}`} {
		res := call(t, client, secretive(t, base), args)
		b, _ := json.Marshal(res)
		if strings.Contains(string(b), "canary") || strings.Contains(res.Content, base64.StdEncoding.EncodeToString([]byte("me:canary-pass"))) {
			t.Errorf("a secret is in %s", b)
		}
		mustContain(t, "the result", res.Content, tools.Mask)
		if args == `{"ok":1}` {
			mustContain(t, "the result", res.Content, "application/json")
		}
	}
}

func TestSecretThatWasCutIsGone(t *testing.T) {
	base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "your key is "+r.Header.Get("X-Api-Key"))
	}))
	e := endpoint(t, base, `{"name":"t","description":"d","url":"BASE/","headers":{"X-Api-Key":"canary-0123456789"},"maxBytes":20}`)
	if res := call(t, client, e, ""); strings.Contains(res.Content, "canary") {
		t.Errorf("half a secret is in %s", res.Content)
	}
}

func TestEndpointIsShownWithoutSecrets(t *testing.T) {
	e := secretive(t, "https://api.example")
	b, err := json.Marshal(e.Public())
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("put", "endpoint", e)
	for _, shown := range []string{string(b), fmt.Sprint(e), fmt.Sprintf("%+v", e), log.String()} {
		if strings.Contains(shown, "canary") {
			t.Errorf("a secret is in %s", shown)
		}
	}
	mustContain(t, "the endpoint", string(b), `"Accept":"application/json"`, `"X-Api-Key":"•••"`, `"key":"•••"`)
	if e.Headers["Authorization"] != "Bearer canary-token" {
		t.Error("Public changed its receiver")
	}
	steps := endpoint(t, "https://api.example", `{"name":"t","description":"d","steps":[{"id":"a","url":"BASE/","headers":{"X-Key":"canary"}}]}`)
	if b, _ := json.Marshal(steps.Public()); strings.Contains(string(b), "canary") || steps.Steps[0].Headers["X-Key"] != "canary" {
		t.Errorf("a step's secret is in %s", b)
	}
}

func TestMergeKeepsSecretsAtTheirOrigin(t *testing.T) {
	tests := map[string]struct{ old, next, want, field string }{
		"another path":             {"https://api.example/a", "https://api.example:443/b", "canary", ""},
		"the host's case":          {"https://api.example/a", "https://API.example./b", "canary", ""},
		"another host":             {"https://api.example/a", "https://evil.example/a", "", "headers.X-Key"},
		"another port":             {"https://api.example/a", "https://api.example:8443/a", "", "headers.X-Key"},
		"another scheme":           {"https://api.example/a", "http://api.example/a", "", "headers.X-Key"},
		"nothing stored":           {"", "https://api.example/a", "", "headers.X-Key"},
		"a subdomain":              {"https://api.example/a", "https://api.example.evil.example/a", "", "headers.X-Key"},
		"a user that looks a host": {"https://api.example/a", "https://api.example@evil.example/a", "", "headers.X-Key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var old tools.Endpoint
			if test.old != "" {
				old = tools.Endpoint{Name: "t", Description: "d", Request: tools.Request{URL: test.old, Headers: map[string]string{"x-key": "canary"}}}
			}
			next := tools.Endpoint{Name: "t", Description: "d", Request: tools.Request{URL: test.next, Headers: map[string]string{"X-Key": tools.Mask}}}
			got, err := tools.Merge(old, next)
			if test.field == "" {
				if err != nil || got.Headers["X-Key"] != test.want {
					t.Errorf("got %q, %v", got.Headers["X-Key"], err)
				}
				return
			}
			var fault *tools.FieldError
			if !errors.As(err, &fault) || fault.Field != test.field || strings.Contains(err.Error(), "canary") {
				t.Errorf("err %v", err)
			}
		})
	}
	t.Run("a new value at a new host", func(t *testing.T) {
		old := tools.Endpoint{Name: "t", Description: "d", Request: tools.Request{URL: "https://a.example/", Headers: map[string]string{"X-Key": "canary"}}}
		next := old
		next.URL, next.Headers = "https://b.example/", map[string]string{"X-Key": "fresh"}
		if got, err := tools.Merge(old, next); err != nil || got.Headers["X-Key"] != "fresh" {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("steps are told apart by id", func(t *testing.T) {
		old := endpoint(t, "https://a.example", `{"name":"t","description":"d","steps":[{"id":"a","url":"BASE/","headers":{"X-Key":"canary-a"}},{"id":"b","url":"https://b.example/","headers":{"X-Key":"canary-b"}}]}`)
		next := old.Public()
		next.Steps[0], next.Steps[1] = next.Steps[1], next.Steps[0]
		got, err := tools.Merge(old, next)
		if err != nil || got.Steps[0].Headers["X-Key"] != "canary-b" || got.Steps[1].Headers["X-Key"] != "canary-a" {
			t.Errorf("%v, %v", got, err)
		}
		next.Steps[0].ID, next.Steps[1].ID = "a", "b" // a's secret to b's host
		if _, err := tools.Merge(old, next); err == nil {
			t.Error("a secret went to another host")
		}
	})
}

func TestSecretInALongErrorIsGone(t *testing.T) {
	const key = "canary-0123456789"
	for filler := 270; filler < 310; filler++ {
		base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, strings.Repeat("x", filler)+r.Header.Get("X-Api-Key"))
		}))
		e := endpoint(t, base, `{"name":"t","description":"d","url":"BASE/","headers":{"X-Api-Key":"`+key+`"}}`)
		if res := call(t, client, e, ""); strings.Contains(res.Content, key[:4]) {
			t.Fatalf("half a secret is in %s", res.Content)
		}
	}
}
