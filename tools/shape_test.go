package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/tools"
)

// answering starts a service that answers everything with body.
func answering(t *testing.T, media, body string) (address string, client *tools.Client) {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		io.WriteString(w, body)
	}))
}

func TestJQMakesOfAnAnswerWhatMatters(t *testing.T) {
	const orders = `{"orders":[{"id":1,"name":"Ann","sum":2.50},{"id":12345678901234567890,"name":"Ben","sum":3}],"next":null}`
	base, client := answering(t, "application/json", orders)
	for name, test := range map[string]struct{ expr, want string }{
		"a path":                {".orders[0].name", "Ann"},
		"several values":        {".orders[].name", "Ann\nBen"},
		"objects":               {"[.orders[] | {id, name}]", `[{"id":1,"name":"Ann"},{"id":12345678901234567890,"name":"Ben"}]`},
		"numbers as written":    {".orders[1].id", "12345678901234567890"},
		"sums":                  {"[.orders[].sum] | add", "5.5"},
		"texts":                 {`.orders[] | "\(.id | tostring): \(.name)!"`, "1: Ann!\n12345678901234567890: Ben!"},
		"its own functions":     {"def f($x): . * $x + 1; .orders[1].sum | f(2)", "7"},
		"products in order":     {`[("a","b") * (1,2)]`, `["a","b","aa","bb"]`},
		"assignments":           {".orders |= map(.id) | .next = 7 | .orders[0] = 0 | tojson", `{"next":7,"orders":[0,12345678901234567890]}`},
		"deletions":             {"del(.orders, .next)", "{}"},
		"formats":               {".orders[0] | [.id, .name] | @csv", `1,"Ann"`},
		"reduce":                {"reduce .orders[] as $o (0; . + $o.sum)", "5.5"},
		"nothing":               {"empty", "(nothing of the answer matters here)"},
		"alternatives and keys": {`.missing // {"k\(.orders | length)": 1}`, `{"k2":1}`},
		"regular expressions":   {`.orders[0].name | sub("(?<x>A)"; "B") | test("^B")`, "true"},
	} {
		t.Run(name, func(t *testing.T) {
			e := get(t, base, "/")
			e.JQ = test.expr
			if res := call(t, client, e, ""); res.Failed || res.Content != test.want {
				t.Errorf("failed %v: %s, want %s", res.Failed, res.Content, test.want)
			}
		})
	}
}

func TestJQIsRefusedWhereItIsRegistered(t *testing.T) {
	for expr, want := range map[string]string{
		".a |": "no jq expression", "env": "env", "$ENV.PATH": "$ENV", "input": "input", "[inputs]": "inputs", "input_filename": "input_filename",
		"debug": "debug", `debug("x")`: "debug", "stderr": "stderr", "$__loc__": "$__loc__", "$__parley": "$__parley", "halt": "halt",
		`import "x" as x; .`: "modules", `include "x"; .`: "modules", "getpath([1]) = 1": "that it names", ".[.n] = 1": "that it names",
		".[100000000] = 1": "that it names", ".a += 1": "|=", "add(.[])": "[f] | add", `.a | join(.b)`: "quotes", `gsub("a"; .b)`: "quotes",
		"no_such": "no_such", "parley_weigh(1)": "parley_weigh", "def parley_pair(a;b;c): .; .": "cannot define", "limit(3)": "limit", "$x": "$x",
		strings.Repeat(".", 9000): "longer",
	} {
		e := tools.Endpoint{Name: "x", Description: "x", Request: tools.Request{URL: "https://example.com"}, JQ: expr}
		var field *tools.FieldError
		if err := e.Validate(); !errors.As(err, &field) || field.Field != "jq" || !strings.Contains(field.Reason, want) {
			t.Errorf("%.40s: %v", expr, err)
		}
	}
	for _, e := range []tools.Endpoint{{JQ: ".", Select: "/a"}, {JQ: ".", Sources: "/a"}} {
		e.Name, e.Description, e.URL = "x", "x", "https://example.com"
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), "together") {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestJQEndsWithAFailedResult(t *testing.T) {
	base, client := answering(t, "application/json", `{"n":1000000000000,"s":"`+strings.Repeat("x", 1000)+`"}`)
	for name, expr := range map[string]string{
		"endless lists":      "[range(.n)]",
		"endless values":     "range(.n)",
		"endless recursion":  "def f: f; f",
		"deep recursion":     "def f: 1 + f; f",
		"endless repetition": "repeat(.)",
		"a growing text":     "def f: (. + .) | f; .s | f",
		"a repeated text":    ".s * .n",
		"a growing list":     "def f: [.,.] | f; f",
		"growing objects":    "reduce range(100) as $i (.; {a: ., b: .}) | tojson",
		"interpolation":      `reduce range(100) as $i ("x"; "\(.)\(.)")`,
		"growing numbers":    "reduce range(100) as $i (9007199254740993; . * .)",
		"shared lists":       "reduce range(60) as $i (1; [.,.]) | . == .",
		"many large texts":   ".s * 10000 | [., range(100000) as $i | . + \"x\"] | length",
		"an error":           `error("no")`,
		"another type":       ".s.a",
	} {
		t.Run(name, func(t *testing.T) {
			e := get(t, base, "/")
			e.JQ = expr
			began := time.Now()
			if res := call(t, client, e, ""); !res.Failed || !strings.Contains(res.Content, "could not be shaped") {
				t.Errorf("%v: %.200s", res.Failed, res.Content)
			}
			t.Log(time.Since(began))
		})
	}
}

func TestALongListIsCutToItsFirstItems(t *testing.T) {
	var items []map[string]any
	for i := range 200 {
		items = append(items, map[string]any{"id": i, "text": strings.Repeat("word ", 20), "tags": []string{"a", "b"}})
	}
	b, _ := json.Marshal(map[string]any{"total": 200, "items": items, "last": "end"})
	base, client := answering(t, "application/json", string(b))
	e := endpoint(t, base, `{"name":"x","description":"x","url":"BASE/","maxTokens":1000,
		"parameters":{"type":"object","properties":{"limit":{"type":"integer"},"Page":{"type":"integer"},"colour":{"type":"string"}}}}`)
	res := call(t, client, e, `{}`)
	doc, note, _ := strings.Cut(res.Content, "\n\n")
	var got struct {
		Total int
		Items []any
		Last  string
	}
	if err := json.Unmarshal([]byte(doc), &got); err != nil {
		t.Fatalf("%v: %s", err, res.Content)
	}
	n := len(got.Items) - 1
	if n < 5 || got.Items[n] != fmt.Sprintf("… %d more of 200", 200-n) || got.Total != 200 || got.Last != "end" || !res.Outcome.Cut {
		t.Errorf("%d items, %+v, the last %v", n, res.Outcome, got.Items[n])
	}
	if !strings.Contains(note, "with Page, limit.") {
		t.Errorf("the note is %q", note)
	}
	if n := tools.Tokens(res.Content); n > 1000 || n < 800 {
		t.Errorf("%d tokens", n)
	}
}

func TestALongResultIsCutToItsTokens(t *testing.T) {
	for name, test := range map[string]struct{ media, body, want string }{
		"a text":             {"text/plain", strings.Repeat("All work and no play.\n", 1000), "more bytes of 22000"},
		"another script":     {"text/plain", strings.Repeat("Ωμέγα ", 2000), "more bytes"},
		"a long string":      {"application/json", `{"a":"` + strings.Repeat("long ", 5000) + `","b":1}`, `more characters)","b":1}`},
		"one deep list":      {"application/json", strings.Repeat("[", 900) + strings.Repeat("]", 900), "not whole"},
		"lists in lists":     {"application/json", "[" + strings.Repeat("["+strings.Repeat("1,", 99)+"1],", 99) + "[]]", `"… `},
		"an object as table": {"application/json", "{" + strings.Repeat(`"k":{"v":1},`, 999) + `"k":1}`, `more of 1000"}`},
		"lines of JSON":      {"application/x-ndjson", strings.Repeat(`{"a":1}`+"\n", 1000), "more bytes of 8000"},
		"a broken document":  {"application/json", "[" + strings.Repeat("1,", 5000), "more bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			base, client := answering(t, test.media, test.body)
			e := get(t, base, "/")
			e.MaxTokens = 300
			res := call(t, client, e, "")
			if n := tools.Tokens(res.Content); res.Failed || n > 330 || !strings.Contains(res.Content, test.want) || !res.Outcome.Cut {
				t.Errorf("%d tokens, %+v: %s", n, res.Outcome, res.Content)
			}
		})
	}
}

func TestAPageIsReadAsMarkdown(t *testing.T) {
	base, client := answering(t, "text/html; charset=utf-8", `<!doctype html><head><title>T</title><style>b{}</style></head><body>
		<nav><ul><li><a href="/">Home</a></ul></nav><h1>Prices</h1><p>All <b>prices</b> of <a href="https://example.com/x?a=1&b=2">today <i>&amp; yesterday</i></a>.</p>
		<script>alert("no")</script><div style="display: none">hidden<div>too</div></div>
		<table><tr><th>Fruit<th>Price</tr><tr><td>Apple<td>2 €</tr></table><ul><li>one<li>two</ul>
		<a href="javascript:alert(1)">trap</a><footer>Imprint</footer><pre>a  b</pre></body>`)
	res := call(t, client, get(t, base, "/"), "")
	for _, want := range []string{"# Prices", "[today & yesterday](https://example.com/x?a=1&b=2)", "| Apple | 2 €   |", "- one\n- two", "trap", "a  b"} {
		if !strings.Contains(res.Content, want) {
			t.Errorf("lacks %q", want)
		}
	}
	for _, bad := range []string{"Home", "alert", "hidden", "too", "b{}", "Imprint"} {
		if strings.Contains(res.Content, bad) {
			t.Errorf("has %q", bad)
		}
	}
	if t.Failed() {
		t.Log(res.Content)
	}
}

func TestHostilePagesAreReadInTime(t *testing.T) {
	for name, page := range map[string]string{
		"deep":               strings.Repeat("<div>", 100_000) + "text",
		"deep tables":        strings.Repeat("<table><tr><td>", 20_000) + "text",
		"formatting":         strings.Repeat("<b><i><a href=x><p>", 20_000) + "text",
		"links":              strings.Repeat("<a href=x><div></a>", 20_000) + "text",
		"never closed":       "<p>text<script>" + strings.Repeat("x", 200_000),
		"a sparse table":     "<table>" + strings.Repeat("<tr><td>x", 5000) + "<tr>" + strings.Repeat("<td>y", 5000) + "</table>text",
		"many lists":         strings.Repeat("<ul><li>", 5000) + "text",
		"select in select":   strings.Repeat("<select><option>", 5000) + "</select>text",
		"quotes":             strings.Repeat("<blockquote>", 250) + strings.Repeat("text<br>", 5000),
		"entities":           strings.Repeat("&amp;&#x202e;", 50_000) + "text",
		"attributes":         "<p " + strings.Repeat("a=b ", 50_000) + ">text",
		"templates and svgs": strings.Repeat("<svg><math><template>", 10_000) + "text",
	} {
		t.Run(name, func(t *testing.T) {
			base, client := answering(t, "text/html", page)
			e := get(t, base, "/")
			e.MaxBytes = tools.MaxMaxBytes
			began := time.Now()
			res := call(t, client, e, "")
			if res.Failed || tools.Tokens(res.Content) > tools.DefaultMaxTokens {
				t.Errorf("%.300s", res.Content)
			}
			t.Log(time.Since(began))
		})
	}
}

// A shelf keeps files in memory.
type shelf struct {
	files map[string]string // by name, of what media type and content
	full  error
}

func (s *shelf) PutFile(_ context.Context, person, conversation, name, media string, r io.Reader) (tools.FileRef, error) {
	b, _ := io.ReadAll(r)
	if s.full != nil {
		return tools.FileRef{}, s.full
	}
	s.files[person+"/"+conversation+"/"+name] = media + " " + string(b)
	return tools.FileRef{ID: "f1", Name: name, Media: media, Size: int64(len(b))}, nil
}

func TestAnImageIsKeptAsAFile(t *testing.T) {
	base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Content-Disposition", `inline; filename="..\\..\\chart.png"`)
		w.Write([]byte("\x89PNG\r\n\x1a\n\x00"))
	}))
	kept := &shelf{files: map[string]string{}}
	r := &tools.Registry{Endpoints: &memory{}, Client: client, Files: kept}
	if _, err := r.Put(t.Context(), get(t, base, "/chart")); err != nil {
		t.Fatal(err)
	}
	set, err := r.Set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := tools.Call{ID: "1", Name: set.Specs()[0].Name, Person: "ann", Conversation: "c1"}
	res := set.Call(t.Context(), ask)
	if res.Failed || !strings.Contains(res.Content, "an image, image/png, 9 bytes, kept as file f1") {
		t.Errorf("%+v", res)
	}
	if want := "image/png \x89PNG\r\n\x1a\n\x00"; kept.files["ann/c1/chart.png"] != want || len(res.Outcome.Files) != 1 {
		t.Errorf("kept %q, outcome %+v", kept.files, res.Outcome)
	}
	kept.full = errors.New("there is no room: delete a conversation")
	if res := set.Call(t.Context(), ask); !res.Failed || !strings.Contains(res.Content, "no room: delete a conversation") {
		t.Errorf("%+v", res)
	}
	ask.Person = ""
	if res := set.Call(t.Context(), ask); !res.Failed || !strings.Contains(res.Content, "cannot be read as text") {
		t.Errorf("for nobody: %+v", res)
	}
}

// memory is an endpoint store of one endpoint.
type memory struct {
	tools.EndpointStore
	e []tools.Endpoint
}

func (m *memory) Endpoints(context.Context) ([]tools.Endpoint, error) { return m.e, nil }
func (m *memory) Endpoint(context.Context, string) (tools.Endpoint, error) {
	return tools.Endpoint{}, nil
}

func (m *memory) PutEndpoint(_ context.Context, e tools.Endpoint) error {
	m.e = append(m.e, e)
	return nil
}

func TestFileNamesAreMadeHarmless(t *testing.T) {
	for name, want := range map[string]string{
		"photo.png": "photo.png", "../../etc/passwd": "passwd", `C:\x\y.txt`: "y.txt", "a\nb\x00c\tl.txt": "abcl.txt", "..": "", ".": "", "/": "", "": "",
		"evil\u202egnp.exe": "evilgnp.exe", "<b>.html": "_b_.html", "  two   words .txt ": "two words .txt", "\xff\xfe.bin": "bin", "Ω日本.pdf": "Ω日本.pdf",
		strings.Repeat("long", 100) + ".jpeg": strings.Repeat("long", 28) + "…" + ".jpeg", ".htaccess": "htaccess", "a\u2028b": "ab", "x/": "x",
	} {
		if got := tools.FileName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

func TestTokensAreEstimated(t *testing.T) {
	for s, want := range map[string]int{"": 0, "a": 1, "word": 1, "words": 2, "日本": 2, "été": 3} {
		if got := tools.Tokens(s); got != want {
			t.Errorf("%q has %d tokens, want %d", s, got, want)
		}
	}
}

func TestAnErrorSaysWhichFieldIsWrong(t *testing.T) {
	for body, want := range map[string]string{
		`{"title":"Bad","detail":"Invalid request","errors":[{"pointer":"#/age","detail":"must be positive"},{"field":"name","message":"is missing"}]}`: "Bad: Invalid request (#/age: must be positive; name: is missing)",
		`{"detail":[{"loc":["body","age"],"msg":"field required","type":"x"}]}`:                                                                         "(body.age: field required)",
		`{"message":"The given data was invalid.","errors":{"email":["The email is taken."]}}`:                                                          "invalid. (email: The email is taken.)",
		`{"errors":[{"source":{"pointer":"/data/age"},"detail":"is wrong"}]}`:                                                                           "is wrong (/data/age: is wrong)",
		`{"title":"Your request is not valid.","invalid-params":[{"name":"age","reason":"no"}]}`:                                                        "not valid. (age: no)",
		`{"error":"plain"}`: "plain.",
	} {
		base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(422)
			io.WriteString(w, body)
		}))
		res := call(t, client, get(t, base, "/"), "")
		if !res.Failed || !strings.Contains(res.Content, want) || !strings.Contains(res.Content, "status 422") || !strings.Contains(res.Content, "Check the arguments") {
			t.Errorf("%s became %s", body, res.Content)
		}
	}
}
