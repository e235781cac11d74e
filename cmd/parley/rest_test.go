package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/cmd/parley/client"
)

const testToken = "0123456789abcdef-admin"

// A restServer notes what is asked of it and answers as Parley does.
type restServer struct {
	url  string
	seen []string
}

func newREST(t *testing.T) *restServer {
	s := &restServer{}
	srv := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *restServer) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.seen = append(s.seen, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body))
	if r.Header.Get("Authorization") != "Bearer "+testToken {
		s.problem(w, 401, "Unauthorized", "This token is not known.", "")
		return
	}
	switch route := r.Method + " " + r.URL.Path; {
	case route == "POST /v1/documents" && strings.Contains(string(body), "\x00"):
		s.problem(w, 422, "Unprocessable Entity", "it is not text", "")
	case route == "POST /v1/documents":
		w.WriteHeader(201)
		name, _, _ := strings.Cut(r.URL.Query().Get("name"), ".")
		fmt.Fprintf(w, `{"id":%q,"title":"About %s","chunks":2}`, strings.ReplaceAll(name, "/", "-"), name)
	case route == "GET /v1/documents" && r.URL.Query().Get("after") == "":
		fmt.Fprint(w, `{"documents":[{"id":"a","title":"First\u001b[2J","chunks":1,"runes":120,"addedAt":"2026-11-22T12:00:00Z"}],"next":"a"}`)
	case route == "GET /v1/documents":
		fmt.Fprint(w, `{"documents":[{"id":"b","title":"Second","chunks":12,"runes":12000,"addedAt":"2026-11-22T12:00:00Z"}]}`)
	case route == "POST /v1/retrieval" && strings.Contains(string(body), "nothing"):
		fmt.Fprint(w, `{"passages":[]}`)
	case route == "POST /v1/retrieval":
		fmt.Fprint(w, `{"passages":[{"ref":"a:1","title":"First","headings":["First","Sun"],"text":"It shines.\nA lot.","score":1.5},{"ref":"b:7","title":"Second","text":"Rain.","score":0.25}]}`)
	case route == "GET /v1/tools" && r.URL.Query().Get("q") == "zebra":
		fmt.Fprint(w, `{"tools":[],"total":0}`)
	case route == "GET /v1/tools" && r.URL.Query().Get("q") != "":
		fmt.Fprint(w, `{"tools":[{"name":"get_order","description":"Looks up one order.","effect":"safe","method":"GET","host":"shop.example","approval":"always","disabled":true,"stats":{"calls":12,"failed":1,"cached":3,"p50Ms":80.4,"p95Ms":310}},{"name":"add","fault":"url: x","stats":{}}],"total":7}`)
	case route == "GET /v1/tools":
		fmt.Fprint(w, `{"tools":[{"name":"get_order","description":"Looks up one order.","effect":"safe","method":"GET","host":"shop.example"},{"name":"date","description":"Says the date.","effect":"safe","builtin":true}]}`)
	case route == "GET /v1/tools/get_order":
		fmt.Fprint(w, `{"name":"get_order","method":"GET","parameters":{"properties":{"order":{"type":"string"},"limit":{"type":"integer"},"tags":{"type":["array","null"]}}}}`)
	case route == "PATCH /v1/tools/get_order":
		fmt.Fprintf(w, `{"name":"get_order","patched":%s}`, body)
	case route == "POST /v1/tools/draft":
		fmt.Fprint(w, `{"tool":{"name":"get_thing","description":"d","url":"https://x.example/"},"warnings":["it is\u001b[2J old"]}`)
	case route == "PUT /v1/tools/get_thing", route == "PUT /v1/tools/thing":
		w.Write(body)
	case route == "PUT /v1/tools/bad":
		s.problem(w, 422, "Unprocessable Entity", "must be an http or https URL", "url")
	case route == "PUT /v1/tools/get_order":
		w.Write(body)
	case route == "POST /v1/tools/get_order/call" && strings.Contains(string(body), "404"):
		fmt.Fprint(w, `{"content":"Error: no such order","failed":true,"outcome":{"status":404,"latencyMs":7,"failed":true,"reason":"HTTP 404"}}`)
	case route == "POST /v1/tools/get_order/call":
		fmt.Fprint(w, `{"content":"{\"total\":12}","failed":false,"outcome":{"status":200,"latencyMs":5,"cached":true}}`)
	case r.Method == "DELETE" && !strings.HasSuffix(r.URL.Path, "/gone"):
		w.WriteHeader(204)
	default:
		s.problem(w, 404, "Not Found", "There is no such thing.", "")
	}
}

func (s *restServer) problem(w http.ResponseWriter, status int, title, detail, field string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(client.Problem{Title: title, Status: status, Detail: detail, Field: field})
}

func TestDocsAndTools(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"guide.md": "# Guide", "notes.log": "plain", "broken.txt": "a\x00b", "empty.txt": "",
		"book/a.html": "<p>a", "book/deep/b.TXT": "b", "book/c.png": "no", "book/.git/x.md": "no", "other/guide.md": "# Other",
		"tool.json": `{"name":"get_order","url":"https://shop.example"}`, "bad.json": `{"name":"bad"}`, "nameless.json": `{}`, "list.json": `[]`,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const needsToken = "parley: Unauthorized: This token is not known.\nThe administrator's token is needed: give it as PARLEY_ADMIN_TOKEN or --token; the server prints it at its first start\n"
	tests := []struct {
		name, args, stdin string
		token             string
		code              int
		out, errOut       string
		seen              []string
	}{
		{
			name: "files are taken in under their names", args: "docs add guide.md notes.log empty.txt",
			out:  "guide  About guide, 2 passages\nnotes  About notes, 2 passages\nempty  About empty, 2 passages\n3 documents taken in, 6 passages\n",
			seen: []string{"POST /v1/documents?name=guide.md text/markdown # Guide", "POST /v1/documents?name=notes.log text/plain plain", "POST /v1/documents?name=empty.txt text/plain "},
		},
		{
			name: "a folder's texts under their paths in it", args: "docs add book",
			out:  "a  About a, 2 passages\ndeep-b  About deep/b, 2 passages\n2 documents taken in, 4 passages\n",
			seen: []string{"POST /v1/documents?name=a.html text/html <p>a", "POST /v1/documents?name=deep%2Fb.TXT text/plain b"},
		},
		{
			name: "one that is refused does not keep others out", args: "docs add broken.txt guide.md", code: 1,
			out: "guide  About guide, 2 passages\n1 document taken in, 2 passages\n", errOut: "parley: broken.txt: Unprocessable Entity: it is not text\n",
		},
		{name: "two files of one name", args: "docs add guide.md other", code: 1, errOut: "parley: guide.md and other/guide.md would both be called guide.md; add a folder that holds both\n"},
		{name: "no such file", args: "docs add nowhere.md", code: 1, errOut: "parley: nowhere.md: no such file or directory\n"},
		{name: "list of all pages", args: "docs list", out: "ID  TITLE     PASSAGES  CHARACTERS  ADDED\na   First[2J  1         120         2026-11-22 12:00\nb   Second    12        12000       2026-11-22 12:00\n", seen: []string{"GET /v1/documents?after=  ", "GET /v1/documents?after=a  "}},
		{name: "remove", args: "docs rm a gone b", code: 1, out: "removed a\nremoved b\n", errOut: "parley: gone: Not Found: There is no such thing.\n"},
		{
			name: "search", args: "docs search --limit 2 sun shine", out: "[a:1] First › Sun (1.50)\n    It shines.\n    A lot.\n\n[b:7] Second (0.25)\n    Rain.\n",
			seen: []string{`POST /v1/retrieval application/json {"query":"sun shine","limit":2}`},
		},
		{name: "search in vain", args: "docs search nothing", code: 1, errOut: "parley: no passage has any of these words\n"},
		{name: "without a token", args: "docs list", token: "none", code: 1, errOut: needsToken},
		{name: "tools", args: "tools list", out: "NAME       METHOD  HOST          EFFECT  POLICY  STATE     DESCRIPTION\nget_order  GET     shop.example  safe    -       on        Looks up one order.\ndate       -       -             safe    -       built in  Says the date.\n"},
		{
			name: "tools that fit, with what is counted of them", args: "tools list look up", seen: []string{"GET /v1/tools?q=look+up  "},
			out:    "NAME       METHOD  HOST          EFFECT  POLICY  STATE     CALLS  P50    P95     FAILED  CACHED  DESCRIPTION\nget_order  GET     shop.example  safe    always  disabled  12     80 ms  310 ms  1       3       Looks up one order.\nadd        -       -             -       -       broken    0      -      -       0       0       -\n",
			errOut: "the best 2 of 7; more words find fewer\n",
		},
		{name: "no tool fits", args: "tools list zebra", code: 1, errOut: "parley: no tool has any of these words\n"},
		{name: "tools for scripts", args: "tools list zebra --json", out: "{\n  \"tools\": [],\n  \"total\": 0\n}\n"},
		{name: "a tool", args: "tools show get_thing", code: 1, errOut: "parley: there is no tool named get_thing; `parley tools list` names those that there are\n"},
		{name: "no such tool", args: "tools show get_ordr", code: 1, errOut: "parley: there is no tool named get_ordr; did you mean get_order?\n", seen: []string{"GET /v1/tools/get_ordr  ", "GET /v1/tools  "}},
		{name: "a name that is escaped", args: "tools show a/b", code: 1, errOut: "parley: there is no tool named a/b; `parley tools list` names those that there are\n", seen: []string{"GET /v1/tools/a%2Fb  ", "GET /v1/tools  "}},
		{
			name: "register by flags", args: "tools add thing --url https://x.example/{id}?a=1 --param limit:integer!=how --param tags:array --header X-Key:k --secret-query t=s --method post --description About",
			out:  "registered thing\n",
			seen: []string{`PUT /v1/tools/thing application/json {"name":"thing","description":"About","parameters":{"additionalProperties":false,"properties":{"id":{"type":"string"},"limit":{"description":"how","type":"integer"},"tags":{"type":"array"}},"required":["limit","id"],"type":"object"},"method":"POST","url":"https://x.example/{id}?a=1","headers":{"X-Key":"k"},"secretQuery":{"t":"s"}}`},
		},
		{name: "register by flags without a name", args: "tools add --url https://x.example", code: 2, errOut: "parley: tools add --url needs a name, such as get_order\n"},
		{name: "register with a wrong parameter", args: "tools add t --url https://x.example --param a:date", code: 2, errOut: "parley: --param: \"a:date\" is not name:type, with a type of string, integer, number, boolean, array or object\n"},
		{name: "register nothing", args: "tools add", code: 2, errOut: "parley: tools add needs a file, --url or --curl; `parley help tools` says more\n"},
		{name: "register two", args: "tools add a b", code: 2, errOut: "parley: tools add takes one file or name, not 2; `parley help tools` says more\n"},
		{
			name: "register from curl", args: "tools add --curl -", stdin: "curl x.example", out: "registered get_thing\n", errOut: "warning: it is[2J old\n",
			seen: []string{`POST /v1/tools/draft application/json {"curl":"curl x.example"}`, `PUT /v1/tools/get_thing application/json {"description":"d","name":"get_thing","url":"https://x.example/"}`},
		},
		{
			name: "a draft of curl under another name", args: "tools add thing --curl curl --dry-run", errOut: "warning: it is[2J old\n",
			out:  "{\n  \"description\": \"d\",\n  \"name\": \"thing\",\n  \"url\": \"https://x.example/\"\n}\n",
			seen: []string{`POST /v1/tools/draft application/json {"curl":"curl"}`},
		},
		{name: "disable and enable", args: "tools disable get_order", out: "disabled get_order\n", seen: []string{`PATCH /v1/tools/get_order application/json {"disabled":true}`}},
		{name: "enable for scripts", args: "tools enable get_order --json", out: "{\n  \"name\": \"get_order\",\n  \"patched\": {\n    \"disabled\": false\n  }\n}\n"},
		{name: "enable what is not there", args: "tools enable get_ordre", code: 1, errOut: "parley: get_ordre: there is no tool named get_ordre; did you mean get_order?\n"},
		{
			name: "try with key=value", args: "tools try get_order order=7 limit=3 tags=a,b", out: "{\"total\":12}\n", errOut: "→ get_order 200 · 5 ms · cached\n",
			seen: []string{"GET /v1/tools/get_order  ", `POST /v1/tools/get_order/call application/json {"arguments":{"limit":3,"order":"7","tags":["a","b"]}}`},
		},
		{name: "try with a value of another type", args: "tools try get_order limit=many", code: 2, errOut: "parley: tools try: limit: \"many\" is no integer\n"},
		{name: "try with a parameter that is not there", args: "tools try get_order ordr=7", code: 2, errOut: "parley: tools try: get_order has no parameter ordr; it has limit, order, tags\n"},
		{name: "try with both", args: `tools try get_order {"a":1} b=2`, code: 2, errOut: "parley: tools try takes either one JSON object or key=value, not both\n"},
		{name: "try for scripts", args: `tools try get_order --json {}`, out: "{\n  \"content\": \"{\\\"total\\\":12}\",\n  \"failed\": false,\n  \"outcome\": {\n    \"status\": 200,\n    \"latencyMs\": 5,\n    \"cached\": true\n  }\n}\n"},
		{name: "register", args: "tools put tool.json", out: "registered get_order\n", seen: []string{`PUT /v1/tools/get_order application/json {"name":"get_order","url":"https://shop.example"}`}},
		{name: "register from standard input", args: "tools put -", stdin: `{"name":"get_order"}`, out: "registered get_order\n"},
		{name: "register what is wrong", args: "tools put bad.json", code: 1, errOut: "parley: Unprocessable Entity: must be an http or https URL (field url)\n"},
		{name: "register without a name", args: "tools put nameless.json", code: 1, errOut: "parley: nameless.json: name: must be set, such as \"get_order\"\n"},
		{name: "register no object", args: "tools put list.json", code: 1, errOut: "parley: list.json: it is not a JSON object with a name\n"},
		{name: "remove a tool", args: "tools rm get_order", out: "removed get_order\n"},
		{name: "call", args: `tools call get_order {"order":"7"}`, out: "{\"total\":12}\n", errOut: "→ get_order 200 · 5 ms · cached\n", seen: []string{`POST /v1/tools/get_order/call application/json {"arguments":{"order":"7"}}`}},
		{name: "call that fails", args: `tools call get_order {"order":404}`, code: 1, out: "Error: no such order\n", errOut: "→ get_order HTTP 404 · 7 ms\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TZ", "UTC")
			s := newREST(t)
			env := []string{"PARLEY_SERVER=" + s.url}
			if tt.token == "" {
				env = append(env, "PARLEY_ADMIN_TOKEN="+testToken)
			}
			r := program(t, env, tt.stdin, strings.Fields(tt.args)...)
			if tt.args == "docs search --limit 2 sun shine" && r.code != 0 {
				t.Log(s.seen)
			}
			if d := cmp.Diff(ran{tt.code, tt.out, tt.errOut}, r, cmp.AllowUnexported(ran{})); d != "" {
				t.Error(d)
			}
			if tt.seen != nil {
				if d := cmp.Diff(tt.seen, s.seen); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func TestTokenThatServeHasLeft(t *testing.T) {
	s := newREST(t)
	data := t.TempDir()
	if err := os.WriteFile(adminTokenFile(data), []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(s.url, "http://")
	if r := program(t, []string{"PARLEY_DATA=" + data, "PARLEY_ADDR=" + addr}, "", "tools", "list"); r.code != 0 {
		t.Errorf("exit %d, %q", r.code, r.errOut)
	}
	if tok := mustTarget(t, "http://chat.example", data).Token; tok != "" {
		t.Error("this machine's token would be sent to another")
	}
	if tok := mustTarget(t, "localhost:8080", data).Token; tok != testToken {
		t.Errorf("token %q", tok)
	}
}

func mustTarget(t *testing.T, server, data string) client.Target {
	t.Helper()
	a := &app{env: []string{"PARLEY_DATA=" + data}}
	to, err := a.target(clientFlags{server: server}, true)
	if err != nil {
		t.Fatal(err)
	}
	return to
}
