package tools_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/tools"
)

// sent is one request as a service sees it.
type sent struct {
	uri, cookie, header, media, body string
}

// wire calls the endpoint at a service and returns what was sent and the
// result.
func wire(t *testing.T, e tools.Endpoint, args string) (sent, tools.Result) {
	t.Helper()
	var got sent
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = sent{r.RequestURI, r.Header.Get("Cookie"), r.Header.Get("X-V"), r.Header.Get("Content-Type"), string(b)}
		fmt.Fprint(w, "{}")
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	e.Name, e.Description, e.URL = "t", "d", srv.URL+e.URL
	if e.Parameters == nil {
		e.Parameters = json.RawMessage(`{"type":"object","properties":{"v":{},"w":{}}}`)
	}
	tool, err := e.Tool(tools.NewClient(tools.ClientOptions{Allow: []string{host}}))
	if err != nil {
		t.Fatal(err)
	}
	res, err := tool.Call(t.Context(), tools.Call{Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	return got, res
}

// The values of the OpenAPI Specification 3.1.1, 4.8.12.4, and what it leaves
// to RFC 6570 and to the wise.
func TestStyles(t *testing.T) {
	const text, list, object = `{"v":"blue"}`, `{"v":["blue","black","brown"]}`, `{"v":{"R":100,"G":200,"B":150}}`
	for _, tt := range []struct {
		name, in string
		style    tools.Style
		args     string
		want     sent
	}{
		{"simple text", "path", tools.Style{}, text, sent{uri: "/a/blue"}},
		{"simple list", "path", tools.Style{}, list, sent{uri: "/a/blue,black,brown"}},
		{"simple object", "path", tools.Style{}, object, sent{uri: "/a/B,150,G,200,R,100"}},
		{"simple object exploded", "path", tools.Style{Explode: true}, object, sent{uri: "/a/B=150,G=200,R=100"}},
		{"a slash and a comma in a value", "path", tools.Style{}, `{"v":["a/b","c,d"]}`, sent{uri: "/a/a%2Fb,c%2Cd"}},
		{"label text", "path", tools.Style{Style: "label"}, text, sent{uri: "/a/.blue"}},
		{"label list", "path", tools.Style{Style: "label"}, list, sent{uri: "/a/.blue,black,brown"}},
		{"label list exploded", "path", tools.Style{Style: "label", Explode: true}, list, sent{uri: "/a/.blue.black.brown"}},
		{"label object", "path", tools.Style{Style: "label"}, object, sent{uri: "/a/.B,150,G,200,R,100"}},
		{"label object exploded", "path", tools.Style{Style: "label", Explode: true}, object, sent{uri: "/a/.B=150.G=200.R=100"}},
		{"matrix text", "path:color", tools.Style{Style: "matrix"}, text, sent{uri: "/a/;color=blue"}},
		{"matrix list", "path:color", tools.Style{Style: "matrix"}, list, sent{uri: "/a/;color=blue,black,brown"}},
		{"matrix list exploded", "path:color", tools.Style{Style: "matrix", Explode: true}, list, sent{uri: "/a/;color=blue;color=black;color=brown"}},
		{"matrix object", "path:color", tools.Style{Style: "matrix"}, object, sent{uri: "/a/;color=B,150,G,200,R,100"}},
		{"matrix object exploded", "path:color", tools.Style{Style: "matrix", Explode: true}, object, sent{uri: "/a/;B=150;G=200;R=100"}},
		{"form text", "query:color", tools.Style{}, text, sent{uri: "/a/x?color=blue"}},
		{"form list", "query:color", tools.Style{}, list, sent{uri: "/a/x?color=blue,black,brown"}},
		{"form list exploded", "query:color", tools.Style{Explode: true}, list, sent{uri: "/a/x?color=blue&color=black&color=brown"}},
		{"form object", "query:color", tools.Style{}, object, sent{uri: "/a/x?color=B,150,G,200,R,100"}},
		{"form object exploded", "query:color", tools.Style{Explode: true}, object, sent{uri: "/a/x?B=150&G=200&R=100"}},
		{"form empty list", "query:color", tools.Style{}, `{"v":[]}`, sent{uri: "/a/x"}},
		{"form empty text", "query:color", tools.Style{}, `{"v":""}`, sent{uri: "/a/x?color="}},
		{"spaceDelimited", "query:color", tools.Style{Style: "spaceDelimited"}, list, sent{uri: "/a/x?color=blue%20black%20brown"}},
		{"pipeDelimited", "query:color", tools.Style{Style: "pipeDelimited"}, list, sent{uri: "/a/x?color=blue%7Cblack%7Cbrown"}},
		{"tabDelimited", "query:color", tools.Style{Style: "tabDelimited"}, list, sent{uri: "/a/x?color=blue%09black%09brown"}},
		{"deepObject", "query:color", tools.Style{Style: "deepObject", Explode: true}, object, sent{uri: "/a/x?color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100"}},
		{"deepObject deeper", "query:c", tools.Style{Style: "deepObject"}, `{"v":{"a":{"b":[1,{"c":true}]},"n":null}}`, sent{uri: "/a/x?c%5Ba%5D%5Bb%5D%5B0%5D=1&c%5Ba%5D%5Bb%5D%5B1%5D%5Bc%5D=true"}},
		{"reserved characters", "query:q", tools.Style{}, `{"v":"a/b?c&d=e #+é"}`, sent{uri: "/a/x?q=a%2Fb%3Fc%26d%3De%20%23%2B%C3%A9"}},
		{"reserved characters allowed", "query:q", tools.Style{AllowReserved: true}, `{"v":"a/b?c&d=e #+é"}`, sent{uri: "/a/x?q=a/b?c%26d=e%20%23%2B%C3%A9"}},
		{"JSON in the query", "query:q", tools.Style{Content: "application/json"}, `{"v":{"a":[1,2]}}`, sent{uri: "/a/x?q=%7B%22a%22%3A%5B1%2C2%5D%7D"}},
		{"JSON text in the query", "query:q", tools.Style{Content: "application/json"}, `{"v":"a"}`, sent{uri: "/a/x?q=%22a%22"}},
		{"plain text in the query", "query:q", tools.Style{Content: "text/plain"}, `{"v":"a"}`, sent{uri: "/a/x?q=a"}},
		{"header list", "header:X-V", tools.Style{}, list, sent{uri: "/a/x", header: "blue,black,brown"}},
		{"header object", "header:X-V", tools.Style{}, object, sent{uri: "/a/x", header: "B,150,G,200,R,100"}},
		{"header object exploded", "header:X-V", tools.Style{Explode: true}, object, sent{uri: "/a/x", header: "B=150,G=200,R=100"}},
		{"cookie", "cookie:c", tools.Style{}, `{"v":"a;b"}`, sent{uri: "/a/x", cookie: "c=a%3Bb"}},
		{"cookie list", "cookie:c", tools.Style{}, list, sent{uri: "/a/x", cookie: "c=blue,black,brown"}},
		{"absent", "query:c", tools.Style{}, `{}`, sent{uri: "/a/x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := tools.Endpoint{Request: tools.Request{URL: "/a/x"}, In: map[string]string{"v": tt.in}, Style: map[string]tools.Style{"v": tt.style}}
			if kind, wire, _ := strings.Cut(tt.in, ":"); kind == "path" {
				if wire == "" {
					wire = "v"
				}
				e.URL = "/a/{" + wire + "}"
			}
			got, res := wire(t, e, tt.args)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(sent{})); d != "" {
				t.Errorf("%s%s", d, res.Content)
			}
		})
	}
}

// What a model puts into an exploded object cannot pass for another parameter
// or for the owner's key.
func TestExplodedObjectsKeepToThemselves(t *testing.T) {
	e := tools.Endpoint{
		Request: tools.Request{URL: "/a?fixed=1", SecretQuery: map[string]string{"key": "canary"}},
		In:      map[string]string{"v": "query", "w": "query:filter"}, Style: map[string]tools.Style{"v": {Explode: true}},
	}
	for _, member := range []string{"key", "fixed", "filter", "filter[a]"} {
		got, res := wire(t, e, `{"v":{"`+member+`":"x"}}`)
		if got.uri != "" || !res.Failed || !strings.Contains(res.Content, member) {
			t.Errorf("%s: sent %q, %q", member, got.uri, res.Content)
		}
	}
	if got, res := wire(t, e, `{"v":{"other":"x"}}`); got.uri != "/a?fixed=1&key=canary&other=x" || strings.Contains(res.Content, "canary") {
		t.Errorf("sent %q, %q", got.uri, res.Content)
	}
}

func TestCookiesJoinTheOwners(t *testing.T) {
	e := tools.Endpoint{Request: tools.Request{URL: "/", Headers: map[string]string{"Cookie": "session=s"}}, In: map[string]string{"v": "cookie", "w": "cookie"}}
	if got, _ := wire(t, e, `{"v":1,"w":2}`); got.cookie != "session=s; v=1; w=2" {
		t.Errorf("cookies %q", got.cookie)
	}
}

// A parameter may have the name that another has in the path.
func TestPathNamesThatCross(t *testing.T) {
	e := tools.Endpoint{Request: tools.Request{URL: "/{v}/{w}/{v}"}, In: map[string]string{"v": "path:w", "w": "path:v"}}
	if got, res := wire(t, e, `{"v":1,"w":2}`); got.uri != "/2/1/2" {
		t.Errorf("sent %q: %s", got.uri, res.Content)
	}
}

func TestBodiesInTheirTypes(t *testing.T) {
	const args = `{"v":{"a":"x y","list":[1,2],"deep":{"b":{"c":"d"}},"n":null}}`
	for _, tt := range []struct {
		name, bodyType string
		parts          map[string]tools.Style
		args           string
		want           sent
	}{
		{"JSON of another name", "application/merge-patch+json", nil, `{"v":{"a":null}}`, sent{uri: "/", media: "application/merge-patch+json", body: `{"a":null}`}},
		{"a form", "form", nil, args, sent{uri: "/", media: "application/x-www-form-urlencoded", body: "a=x+y&deep%5Bb%5D%5Bc%5D=d&list=1&list=2"}},
		{"a form with styles", "form", map[string]tools.Style{"list": {}, "deep": {Content: "application/json"}}, args, sent{uri: "/", media: "application/x-www-form-urlencoded", body: "a=x+y&deep=%7B%22b%22%3A%7B%22c%22%3A%22d%22%7D%7D&list=1,2"}},
		{"text of a type", "application/xml; charset=utf-8", nil, `{"v":"<a/>"}`, sent{uri: "/", media: "application/xml; charset=utf-8", body: "<a/>"}},
		{"no body", "multipart", nil, `{}`, sent{uri: "/"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := tools.Endpoint{Request: tools.Request{URL: "/", Method: "POST", BodyType: tt.bodyType}, In: map[string]string{"v": "body", "w": "query"}, Parts: tt.parts}
			got, res := wire(t, e, tt.args)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(sent{})); d != "" {
				t.Errorf("%s%s", d, res.Content)
			}
		})
	}
}

func TestMultipartBody(t *testing.T) {
	e := tools.Endpoint{
		Request: tools.Request{URL: "/", Method: "POST", BodyType: "multipart"}, In: map[string]string{"v": "body", "w": "query"},
		Parts: map[string]tools.Style{"file": {Content: "text/csv"}},
	}
	got, res := wire(t, e, `{"v":{"file":"a,b","note":"n","meta":{"x":1},"tag":["p","q"]}}`)
	media, params, err := mime.ParseMediaType(got.media)
	if err != nil || media != "multipart/form-data" {
		t.Fatalf("type %q, %s", got.media, res.Content)
	}
	form, err := multipart.NewReader(strings.NewReader(got.body), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string][]string{"note": {"n"}, "meta": {`{"x":1}`}, "tag": {"p", "q"}}, form.Value); d != "" {
		t.Error(d)
	}
	if f := form.File["file"]; len(f) != 1 || f[0].Filename != "file" || f[0].Header.Get("Content-Type") != "text/csv" {
		t.Errorf("file %+v", form.File)
	}
	if _, res := wire(t, e, `{"v":"no object"}`); !res.Failed {
		t.Errorf("a text was sent as a form: %s", res.Content)
	}
}

func TestStylesThatCannotBe(t *testing.T) {
	base := `"name":"t","description":"d","method":"POST","url":"https://api.example/{p}","parameters":{"type":"object","properties":{"a":{},"p":{}}}`
	for name, tt := range map[string]struct{ js, field string }{
		"of no parameter":       {`"style":{"z":{}}`, "style.z"},
		"not of this place":     {`"in":{"a":"query"},"style":{"a":{"style":"matrix"}}`, "style.a"},
		"of a body":             {`"in":{"a":"property"},"style":{"a":{"style":"form"}}`, "style.a"},
		"unknown":               {`"in":{"a":"query"},"style":{"a":{"style":"curly"}}`, "style.a"},
		"no media type":         {`"in":{"a":"query"},"style":{"a":{"content":"a\r\nb"}}`, "style.a"},
		"parts of JSON":         {`"parts":{"a":{}}`, "parts.a"},
		"parts with bad style":  {`"bodyType":"form","parts":{"a":{"style":"label"}}`, "parts.a"},
		"a cookie with a space": {`"in":{"a":"cookie:a b"}`, "in.a"},
		"a body type unknown":   {`"bodyType":"image/*"`, "bodyType"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tools.DecodeEndpoint([]byte("{" + base + "," + tt.js + "}"))
			var fault *tools.FieldError
			if !errors.As(err, &fault) || fault.Field != tt.field {
				t.Errorf("%v, want a fault of %s", err, tt.field)
			}
		})
	}
}

func TestRenewKeepsSecretsWithTheirOrigin(t *testing.T) {
	old := tools.Endpoint{
		Request:   tools.Request{URL: "https://a.example/v1/x", Headers: map[string]string{"X-Key": "k", "Accept": "text/csv"}, SecretQuery: map[string]string{"q": "s"}},
		TimeoutMs: 1000, MaxBytes: 2000, Effect: tools.Safe, Select: "/x",
	}
	next := tools.Endpoint{Request: tools.Request{URL: "https://a.example:443/v2/y"}}
	again := func() (tools.Endpoint, []string) { r := tools.Renew(old, next); return r.Endpoint, r.Lost }
	e, lost := again()
	if lost != nil || e.URL != next.URL || e.Headers["X-Key"] != "k" || e.SecretQuery["q"] != "s" || e.TimeoutMs != 1000 || e.MaxBytes != 2000 || e.Effect != tools.Safe || e.Select != "/x" {
		t.Errorf("at the same origin: %+v, lost %q", e.Request, lost)
	}
	next.URL, next.Headers = "https://b.example/v2/y", map[string]string{"x-other": "new"}
	e, lost = again()
	if d := cmp.Diff([]string{"X-Key", "q"}, lost); d != "" || e.SecretQuery != nil {
		t.Errorf("at another origin: %+v, lost %s", e.Request, d)
	}
	if d := cmp.Diff(map[string]string{"x-other": "new", "Accept": "text/csv"}, e.Headers); d != "" {
		t.Error(d)
	}
	next.Headers = map[string]string{"x-key": "again"}
	e, lost = again()
	if d := cmp.Diff([]string{"q"}, lost); d != "" || e.Headers["x-key"] != "again" || len(e.Headers) != 2 {
		t.Errorf("with a key given again: %+v, lost %s", e.Headers, d)
	}
}
