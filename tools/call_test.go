package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"parley/tools"
	"parley/tools/toolstest"
)

func TestEndpointSurvivesNastyServices(t *testing.T) {
	base, client := nasty(t)
	tests := map[string]struct {
		path   string
		failed bool
		want   []string
	}{
		"no answer":              {"/timeout", true, []string{"no whole answer within 200ms"}},
		"a dripping body":        {"/drip", true, []string{"no whole answer within 200ms"}},
		"a server fault":         {"/500", true, []string{"status 500", "KeyError", "later"}},
		"not found":              {"/status/404", true, []string{"status 404 Not Found: this is status 404", "check names and ids"}},
		"bad arguments":          {"/status/422", true, []string{"status 422", "Check the arguments"}},
		"bad credentials":        {"/status/401", true, []string{"only its owner"}},
		"too many requests":      {"/status/429", true, []string{"status 429", "wait 7 s"}},
		"a status made up":       {"/status/599", true, []string{"status 599: this"}},
		"a page":                 {"/html", false, []string{"web page", "# Bad gateway", "The upstream server & its cache", "did not answer."}},
		"a page as error":        {"/html-error", true, []string{"status 502", "Bad gateway The upstream"}},
		"JSON that is none":      {"/invalid-json", false, []string{"not valid", `{"temperature": 12, oops`}},
		"a body broken off":      {"/truncated", true, []string{"broke off"}},
		"an image":               {"/binary", true, []string{"image/png", "cannot be read as text"}},
		"nothing":                {"/empty", false, []string{"(no content)"}},
		"another alphabet":       {"/latin1", false, []string{"café"}},
		"a redirect inwards":     {"/metadata", true, []string{"another origin"}},
		"a redirect elsewhere":   {"/elsewhere", true, []string{"https://example.com:443", "another origin"}},
		"a redirect to a file":   {"/file", true, []string{"only http and https"}},
		"a redirect loop":        {"/loop", true, []string{"more than 3 redirects"}},
		"a redirect at home":     {"/moved", false, []string{`"uri":"/echo"`}},
		"endless headers":        {"/headers", true, []string{"headers are too large"}},
		"gzip not asked for":     {"/gzip", false, []string{`{"ok":true}`}},
		"gzip that is none":      {"/not-gzip", true, []string{"connection failed"}},
		"a connection torn down": {"/hangup", true, []string{"broke off"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := get(t, base, test.path)
			e.TimeoutMs = 200
			res := call(t, client, e, "")
			if res.Failed != test.failed || res.Outcome.Failed != test.failed || (res.Outcome.Reason != "") != test.failed {
				t.Errorf("failed %v, outcome %+v", res.Failed, res.Outcome)
			}
			mustContain(t, "the result", res.Content, test.want...)
			if strings.Contains(res.Content, "var secret") || strings.Contains(res.Outcome.Reason, "\n") {
				t.Errorf("content %q, reason %q", res.Content, res.Outcome.Reason)
			}
		})
	}
}

func TestEndpointCutsWhatIsTooLarge(t *testing.T) {
	base, client := nasty(t)
	for _, path := range []string{"/huge", "/huge-text", "/bomb"} {
		t.Run(path, func(t *testing.T) {
			var before, after runtime.MemStats
			_ = call(t, client, get(t, base, path), "") // the server packs its bomb
			e := get(t, base, path)
			e.MaxBytes = 10_000
			runtime.ReadMemStats(&before)
			res := call(t, client, e, "")
			runtime.ReadMemStats(&after)
			if !res.Outcome.Cut || !utf8.ValidString(res.Content) || len(res.Content) > 10_200 {
				t.Errorf("cut %v, %d bytes", res.Outcome.Cut, len(res.Content))
			}
			mustContain(t, "the result", res.Content[max(0, len(res.Content)-200):], "was cut", "first 10000 bytes")
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
		})
	}
}

func TestEndpointCannotSelectFromWhatIsCut(t *testing.T) {
	base, client := nasty(t)
	e := get(t, base, "/huge")
	e.Select = "/0"
	mustContain(t, "the result", call(t, client, e, "").Content, "larger than 262144 bytes")
}

func TestEndpointStopsWithItsCaller(t *testing.T) {
	base, client := nasty(t)
	tool, err := get(t, base, "/timeout").Tool(client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := tool.Call(ctx, tools.Call{ID: "1"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err %v", err)
	}
}

func TestEndpointRefusesPrivateHosts(t *testing.T) {
	base, _ := nasty(t)
	res := call(t, tools.NewClient(tools.ClientOptions{}), get(t, base, "/echo?token=canary"), "")
	mustContain(t, "the result", res.Content, "private", "PARLEY_EGRESS_ALLOW="+host(t, base), "tell the user")
	if strings.Contains(res.Content, "canary") {
		t.Error("the query is shown")
	}
}

const placed = `{"name":"t","description":"d","method":"METHOD","url":"BASE/v1/{city}/x?fixed=1&also={also}",
 "parameters":{"type":"object","properties":{"city":{"type":"string"},"also":{},"units":{},"ids":{"type":"array"},"filter":{"type":"object"},
   "token":{"type":"string"},"n":{"type":"integer"},"note":{"type":"string"}}},
 "in":{"units":"query:u","ids":"LIST","token":"header:X-Token"},"headers":{"X-Api-Key":"canary-1"}}`

func TestEndpointPlacesArguments(t *testing.T) {
	base, client := nasty(t)
	declare := func(method, list string) tools.Endpoint {
		return endpoint(t, base, strings.NewReplacer("METHOD", method, "LIST", list).Replace(placed))
	}
	args := `{"city":"São Paulo/../x?y#z","also":"a&b=c","units":"°C","ids":["a,b",2],"filter":{"min":1,"in":["x","y"]},"token":"tok","n":12345678901234567890,"note":"hi"}`
	t.Run("in a query", func(t *testing.T) {
		got := echoed(t, call(t, client, declare("GET", "query"), args))
		want := map[string][]string{"fixed": {"1"}, "also": {"a&b=c"}, "u": {"°C"}, "ids": {"a,b", "2"}, "filter[min]": {"1"}, "filter[in][0]": {"x"}, "filter[in][1]": {"y"}, "n": {"12345678901234567890"}, "note": {"hi"}}
		if d := cmp.Diff(want, got.Query); d != "" {
			t.Error(d)
		}
		if !strings.HasPrefix(got.URI, "/v1/S%C3%A3o%20Paulo%2F..%2Fx%3Fy%23z/x?") || got.Body != "" {
			t.Errorf("URI %s, body %s", got.URI, got.Body)
		}
		if got.Headers["X-Token"] != "tok" || got.Headers["Accept-Encoding"] != "" || got.Headers["User-Agent"] != "Parley" {
			t.Errorf("headers %v", got.Headers)
		}
	})
	t.Run("in a body", func(t *testing.T) {
		got := echoed(t, call(t, client, declare("POST", "query-list"), args))
		var body map[string]any
		if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"filter": map[string]any{"min": 1.0, "in": []any{"x", "y"}}, "n": 12345678901234567890.0, "note": "hi"}
		if d := cmp.Diff(want, body); d != "" {
			t.Error(d)
		}
		if got.Query["ids"][0] != "a,b,2" || got.Headers["Content-Type"] != "application/json" {
			t.Errorf("query %v, headers %v", got.Query, got.Headers)
		}
	})
	t.Run("absent ones are left out", func(t *testing.T) {
		got := echoed(t, call(t, client, declare("POST", "query"), `{"city":"x","also":null}`))
		if d := cmp.Diff(map[string][]string{"fixed": {"1"}}, got.Query); d != "" || got.Body != "{}" {
			t.Errorf("%s, body %s", d, got.Body)
		}
	})
	for name, args := range map[string]string{
		"no path value": `{}`, "an empty one": `{"city":""}`, "a dot": `{"city":"."}`, "two dots": `{"city":".."}`,
		"a header with a line break": `{"city":"x","token":"a\r\nX-Evil: 1"}`, "a header with NUL": `{"city":"x","token":"a\u0000"}`,
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			res := call(t, client, declare("GET", "query"), args)
			if !res.Failed || res.Outcome.Requests != 0 {
				t.Errorf("it was sent: %s", res.Content)
			}
			mustContain(t, "the result", res.Content, "Nothing was sent")
		})
	}
}

func TestEndpointBodies(t *testing.T) {
	base, client := nasty(t)
	params := `"parameters":{"type":"object","properties":{"to":{"type":"string"},"doc":{"type":"object"},"n":{}}}`
	tests := map[string]struct{ fields, args, body, query string }{
		"a template":       {`"body":{"msg":{"to":"{to}","text":"Dear {to}, {{n}} is {n}"},"all":["{n}",1]}`, `{"to":"Ada","n":2}`, `{"all":[2,1],"msg":{"text":"Dear Ada, {n} is 2","to":"Ada"}}`, ""},
		"the whole body":   {`"in":{"doc":"body"}`, `{"doc":{"a":"<b>"},"to":"x"}`, `{"a":"<b>"}`, "to=x"},
		"a form":           {`"bodyType":"form"`, `{"to":"a b","doc":{"x":{"y":[1]}}}`, `doc%5Bx%5D%5By%5D%5B0%5D=1&to=a+b`, ""},
		"text":             {`"bodyType":"text","body":"Dear {to}"`, `{"to":"Ada"}`, "Dear Ada", ""},
		"absent members":   {`"body":{"to":"{to}","text":"{n} for {to}"}`, `{"to":"Ada"}`, `{"to":"Ada"}`, ""},
		"renamed property": {`"in":{"to":"property:recipient"}`, `{"to":"Ada"}`, `{"recipient":"Ada"}`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, base, `{"name":"t","description":"d","method":"POST","url":"BASE/echo",`+params+`,`+test.fields+`}`)
			got := echoed(t, call(t, client, e, test.args))
			if got.Body != test.body || got.URI != strings.TrimSuffix("/echo?"+test.query, "?") {
				t.Errorf("body %s, URI %s", got.Body, got.URI)
			}
		})
	}
}

func TestEndpointMarksCalls(t *testing.T) {
	base, client := nasty(t)
	for method, want := range map[string]struct {
		effect tools.Effect
		key    string
	}{"GET": {tools.Safe, ""}, "PUT": {tools.Idempotent, "call-1"}, "DELETE": {tools.Idempotent, "call-1"}, "POST": {tools.Unsafe, "call-1"}, "PATCH": {tools.Unsafe, "call-1"}} {
		e := endpoint(t, base, `{"name":"t","description":"d","method":"`+method+`","url":"BASE/echo"}`)
		got := echoed(t, call(t, client, e, "{}"))
		tool, _ := e.Tool(client)
		if tool.Spec().Effect != want.effect || got.Headers["Idempotency-Key"] != want.key || got.Headers["Parley-Generation"] != "7" {
			t.Errorf("%s: effect %s, headers %v", method, tool.Spec().Effect, got.Headers)
		}
	}
	e := endpoint(t, base, `{"name":"t","description":"d","url":"BASE/echo","effect":"unsafe"}`)
	if got := echoed(t, call(t, client, e, "{}")); got.Headers["Idempotency-Key"] != "call-1" {
		t.Error("a GET that is declared unsafe has no key")
	}
}

func TestEndpointSaysWhatIsUnknown(t *testing.T) {
	base, client := nasty(t)
	e := endpoint(t, base, `{"name":"t","description":"d","method":"POST","url":"BASE/hangup"}`)
	mustContain(t, "the result", call(t, client, e, "{}").Content, "not known whether the request took effect")
	refused := call(t, tools.NewClient(tools.ClientOptions{}), e, "{}")
	if strings.Contains(refused.Content, "took effect") {
		t.Errorf("nothing was sent, yet: %s", refused.Content)
	}
	e = endpoint(t, base, `{"name":"t","description":"d","steps":[{"id":"a","method":"POST","url":"BASE/echo"},{"id":"b","method":"POST","url":"BASE/500"}]}`)
	mustContain(t, "the result", call(t, client, e, "{}").Content, "status 500", "Earlier requests of this tool have been carried out")
}

func TestEndpointArgumentErrorsCanBeRepaired(t *testing.T) {
	base, client := nasty(t)
	e := endpoint(t, base, `{"name":"t","description":"d","url":"BASE/echo","parameters":{"type":"object","required":["a"],"properties":{
	  "a":{"type":"string","enum":["x","y"]},"b":{"type":"object","properties":{"c":{"type":"array","items":{"type":"integer","maximum":9}}}}}}}`)
	tests := map[string]struct {
		args string
		want []string
	}{
		"missing":      {`{}`, []string{"missing property 'a'", `schema of a: {"type":"string","enum":["x","y"]}`}},
		"not listed":   {`{"a":"z"}`, []string{"at /a", "one of 'x', 'y'"}},
		"deep inside":  {`{"a":"x","b":{"c":[1,"2",10]}}`, []string{"at /b/c/1", "want integer", "at /b/c/2", "schema of b"}},
		"unknown":      {`{"a":"x","z":1}`, []string{`no parameter "z"`, "it takes a, b"}},
		"no JSON":      {`{"a":`, []string{"not valid JSON"}},
		"two values":   {`{"a":"x"} {}`, []string{"not valid JSON"}},
		"no object":    {`[1]`, []string{"must be a JSON object", "it takes a, b"}},
		"null":         {`null`, []string{"must be a JSON object"}},
		"deep nesting": {`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, []string{"nested deeper"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			res := call(t, client, e, test.args)
			if !res.Failed || res.Outcome.Requests != 0 {
				t.Fatalf("it was sent: %s", res.Content)
			}
			mustContain(t, "the result", res.Content, append(test.want, "corrected arguments")...)
		})
	}
}

func TestEndpointOpenSchema(t *testing.T) {
	base, client := nasty(t)
	open := `"parameters":{"type":"object","properties":{"a":{}},"additionalProperties":true}`
	got := echoed(t, call(t, client, endpoint(t, base, `{"name":"t","description":"d","url":"BASE/echo",`+open+`}`), `{"a":1,"b":"2"}`))
	if got.URI != "/echo?a=1&b=2" {
		t.Errorf("URI %s", got.URI)
	}
	got = echoed(t, call(t, client, endpoint(t, base, `{"name":"t","description":"d","method":"POST","url":"BASE/echo",`+open+`}`), `{"a":1,"b":"2"}`))
	if got.Body != `{"a":1,"b":"2"}` {
		t.Errorf("body %s", got.Body)
	}
}

// answers serves one answer.
func answers(t *testing.T, media, body string) (string, *tools.Client) {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		fmt.Fprint(w, body)
	}))
}

func TestEndpointSelects(t *testing.T) {
	base, client := answers(t, "application/json", "{ \"z\": 1, \"a/b\": [ {\"t\": \"text\"}, null, 12345678901234567890 ] }")
	for pointer, want := range map[string]string{
		"": `{"z":1,"a/b":[{"t":"text"},null,12345678901234567890]}`, "/a~1b/0": `{"t":"text"}`, "/a~1b/0/t": "text", "/a~1b/1": "null", "/a~1b/2": "12345678901234567890",
	} {
		e := get(t, base, "/")
		e.Select = pointer
		if res := call(t, client, e, ""); res.Failed || res.Content != want {
			t.Errorf("%q: %s", pointer, res.Content)
		}
	}
	e := get(t, base, "/")
	e.Select = "/a~1b/7"
	mustContain(t, "the result", call(t, client, e, "").Content, "nothing at /a/b/7")
}

func TestEndpointSources(t *testing.T) {
	base, client := answers(t, "application/json", `{"passages":[
	  {"ref":"arch:12","document":"arch","title":"Architecture","headings":["Log","Trimming"],"text":"It is trimmed.\n","start":3,"end":17},
	  {"document":"notes","text":"Untitled."}]}`)
	e := get(t, base, "/")
	e.Sources = "/passages"
	res := call(t, client, e, "")
	if want := "[arch:12] Architecture › Log › Trimming\nIt is trimmed.\n\n[2] notes\nUntitled."; res.Content != want {
		t.Errorf("content %q", res.Content)
	}
	if len(res.Sources) != 2 || res.Sources[0].Start != 3 || res.Sources[1].Ref != "2" {
		t.Errorf("sources %+v", res.Sources)
	}
	e.Sources = "/elsewhere"
	mustContain(t, "the result", call(t, client, e, "").Content, "no list of passages")
}

func TestEndpointSteps(t *testing.T) {
	base, client := nasty(t)
	e := endpoint(t, base, `{"name":"t","description":"d","parameters":{"type":"object","properties":{"who":{"type":"string"}},"required":["who"]},
	 "steps":[
	  {"id":"one","url":"BASE/echo","query":{"q":"{who}"},
	   "pick":{"found":"/query/q/0","absent":"/nothing","n":{"at":"/none","default":5},"mapped":{"at":"/method","map":{"GET":"got"}}},
	   "missing":{"found":"Nobody is called {who}."}},
	  {"id":"two","method":"POST","url":"BASE/echo/{found}","body":{"n":"{n}","gone":"{absent}","m":"{mapped}"},"headers":{"Authorization":"Bearer canary-2"}}]}`)
	got := echoed(t, call(t, client, e, `{"who":"a/b"}`))
	if got.URI != "/echo/a%2Fb" || got.Body != `{"m":"got","n":5}` || got.Headers["Idempotency-Key"] != "call-1" {
		t.Errorf("got %+v", got)
	}
	tool, _ := e.Tool(client)
	if s := tool.Spec(); s.Effect != tools.Unsafe || s.Method != "POST" || s.Host != host(t, base) {
		t.Errorf("spec %+v", s)
	}
}

func TestStepsStopWhereAPickIsMissing(t *testing.T) {
	meteo := &toolstest.OpenMeteo{}
	base, client := serve(t, meteo)
	res := call(t, client, tools.Weather(base, base), `{"place":"Nowhereville"}`)
	if !res.Failed || len(meteo.Requests()) != 1 || res.Outcome.Requests != 1 {
		t.Errorf("%d requests, %s", len(meteo.Requests()), res.Content)
	}
}
