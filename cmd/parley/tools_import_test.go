package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const importAnswer = `{"title":"Petstore","version":"1.0","openapi":"3.0.3","base":"https://pets.example/v1","dryRun":%v,
"auth":[{"scheme":"key","needs":"an API key in the header X-Key"}],"warnings":["it is\u001b[2J old"],"counts":{"imported":1,"skipped":1,"available":1},
"operations":[
 {"operation":"GET /pets","name":"list_pets","tags":["pets"],"summary":"Lists pets","status":"imported","needs":"it needs a key"},
 {"operation":"GET /old","name":"old","status":"available","selected":%v,"deprecated":true,"summary":"Old","changes":["description"],"warnings":["cut"]},
 {"operation":"TRACE /pets","name":"trace_pets","status":"skipped","reason":"tools do not use TRACE"}]}`

const importTable = `Petstore 1.0 (OpenAPI 3.0.3) at https://pets.example/v1
auth key: an API key in the header X-Key
warning: it is[2J old

STATUS     NAME        OPERATION    TAGS  SUMMARY
imported   list_pets   GET /pets    pets  Lists pets
    it needs a key
available  old         GET /old           (deprecated) Old
    changed: description
    warning: cut
skipped    trace_pets  TRACE /pets
    tools do not use TRACE

1 imported, 1 available, 1 skipped`

const importSelected = `Petstore 1.0 (OpenAPI 3.0.3) at https://pets.example/v1
auth key: an API key in the header X-Key
warning: it is[2J old

STATUS    NAME        OPERATION    TAGS  SUMMARY
imported  list_pets   GET /pets    pets  Lists pets
    it needs a key
skipped   trace_pets  TRACE /pets
    tools do not use TRACE

1 imported, 1 available, 1 skipped`

func TestToolsImport(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("pets.yaml", []byte("openapi: 3.0.3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hint := "; nothing was registered (select with --tag, --path, --operation or --all, without --dry-run)\n"
	for _, tt := range []struct {
		name, stdin string
		args        []string
		sent        string // the fields that are not empty
		ran         ran
	}{
		{
			"a file with a selection", "",
			[]string{"pets.yaml", "--tag", "pets", "--tag", "cats", "--base", "https://pets.example", "--header", "X-Key: k:1", "--var", "region=eu"},
			`{"base":"https://pets.example","document":"openapi: 3.0.3\n","headers":{"X-Key":"k:1"},"select":{"tags":["pets","cats"]},"variables":{"region":"eu"}}`,
			ran{0, importSelected + "\n", ""},
		},
		{"an address, to see what is there", "", []string{"https://pets.example/openapi.json"}, `{"url":"https://pets.example/openapi.json"}`, ran{0, importTable + hint, ""}},
		{
			"standard input", "swagger: '2.0'",
			[]string{"-", "--operation", "GET /pets", "--path", "/pets/*", "--all", "--registered", "--deprecated", "--replace", "--prefix", "p", "--dry-run"},
			`{"document":"swagger: '2.0'","dryRun":true,"prefix":"p","replace":true,"select":{"all":true,"deprecated":true,"operations":["GET /pets"],"paths":["/pets/*"],"registered":true}}`,
			ran{0, importTable + hint, ""},
		},
		{"no such file", "", []string{"none.yaml"}, "", ran{1, "", "parley: none.yaml: no such file or directory\n"}},
		{"a header without a value", "", []string{"pets.yaml", "--header", "X-Key"}, "", ran{2, "", "parley: --header must be name:value\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var fields map[string]any
				if err := json.Unmarshal(body, &fields); err != nil || r.URL.Path != "/v1/tools/import" {
					t.Errorf("%s %s: %v", r.URL, body, err)
				}
				chosen := fields["select"].(map[string]any)
				for name, v := range fields {
					if m, ok := v.(map[string]any); v == "" || v == false || ok && len(m) == 0 {
						delete(fields, name)
					}
				}
				b, _ := json.Marshal(fields)
				sent = string(b)
				fmt.Fprintf(w, importAnswer, len(chosen) == 0 || fields["dryRun"] == true, len(chosen) > 2)
			}))
			defer srv.Close()
			r := program(t, []string{"PARLEY_SERVER=" + srv.URL, "PARLEY_ADMIN_TOKEN=" + testToken}, tt.stdin, append([]string{"tools", "import"}, tt.args...)...)
			if d := cmp.Diff(tt.ran, r, cmp.AllowUnexported(ran{})); d != "" {
				t.Error(d)
			}
			if sent != tt.sent {
				t.Errorf("sent %s\nwant %s", sent, tt.sent)
			}
		})
	}
}

// TestToolsImportIsFollowed has a server that is busy for a while.
func TestToolsImportIsFollowed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		states []string // that are seen, one after the other
		cancel bool     // while the last is seen
		code   int
		out    string
		err    string
	}{
		{
			"to its end",
			[]string{`"state":"queued","ahead":2`, `"state":"fetching","count":1200000,"of":2500000`, `"state":"reading"`, `"state":"building","count":4,"of":9`, `"state":"done","report":` + fmt.Sprintf(importAnswer, true, false)},
			false,
			0, "1 imported, 1 available, 1 skipped",
			"waiting, 2 before it|fetching 1.2 of 2.5 MB|reading|building 4 of 9 operations|",
		},
		{"to its failure", []string{`"state":"queued"`, `"state":"failed","problem":{"title":"Unprocessable Entity","status":422,"detail":"it is empty"}`}, false, 1, "", "queued|parley: Unprocessable Entity: it is empty"},
		{"until it is cancelled", []string{`"state":"queued"`, `"state":"reading"`}, true, 1, "", "queued|reading|parley: the import was cancelled; tools that were registered by then are still there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			seen, deleted := 0, false
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					deleted = true
					w.WriteHeader(http.StatusAccepted)
					return
				}
				if r.Method == http.MethodPost {
					w.WriteHeader(http.StatusAccepted)
				} else if r.URL.Path != "/v1/tools/imports/i1" {
					t.Errorf("it asks for %s", r.URL)
				}
				fmt.Fprintf(w, `{"id":"i1",%s}`, tt.states[min(seen, len(tt.states)-1)])
				if seen++; tt.cancel && seen > len(tt.states) {
					interrupt()
				}
			}))
			defer srv.Close()
			var out, errOut bytes.Buffer
			a := &app{
				stdin: strings.NewReader("openapi: 3.1.0"), stdout: &out, stderr: &errOut, env: []string{"HOME=" + t.TempDir(), "PARLEY_SERVER=" + srv.URL, "PARLEY_ADMIN_TOKEN=" + testToken},
				terminal: func(any) bool { return true },
			}
			code := a.run(ctx, []string{"tools", "import", "-"})
			shown := strings.TrimPrefix(strings.ReplaceAll(errOut.String(), "\r\x1b[K", "|"), "|")
			if tt.cancel {
				shown = strings.ReplaceAll(shown, "reading|reading", "reading")
			}
			if code != tt.code || !strings.Contains(out.String(), tt.out) || strings.TrimSuffix(shown, "\n") != tt.err || deleted != tt.cancel {
				t.Errorf("code %d, %q\n%s\n%q, cancelled %t", code, shown, out.String(), tt.err, deleted)
			}
		})
	}
}
