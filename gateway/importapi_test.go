package gateway_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/llm/llmtest"
	"parley/tools"
)

const shopDocument = `{
  "openapi": "3.0.3", "info": {"title": "Shop", "version": "1"},
  "servers": [{"url": "http://10.1.2.3/v1"}],
  "security": [{"key": []}],
  "paths": {
    "/orders/{order}": {"get": {"operationId": "get_order", "tags": ["orders"], "summary": "Looks up one order.",
      "parameters": [{"name": "order", "in": "path", "required": true, "schema": {"type": "string"}},
                     {"name": "fields", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "string"}}}]}},
    "/orders": {"post": {"operationId": "create_order", "tags": ["orders", "changes"], "deprecated": true,
      "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}}}},
    "/health": {"get": {"summary": "Says whether all is well.", "security": []}, "trace": {}}
  },
  "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}}}`

// imported is what tests read of an answer to an import.
type imported struct {
	Title, OpenAPI, Base, From string
	DryRun                     bool
	Counts                     map[string]int
	Warnings                   []string
	Auth                       []struct{ Scheme, Needs, In, Name string }
	Operations                 []importedLine
}

type importedLine struct {
	Operation, ID, Name, Status, Reason, Needs string
	Selected, Deprecated                       bool
	Warnings, Changes, Kept                    []string
	Tool                                       *tools.Endpoint
}

func (i imported) line(t *testing.T, operation string) importedLine {
	t.Helper()
	at := slices.IndexFunc(i.Operations, func(l importedLine) bool { return l.Operation == operation })
	if at < 0 {
		t.Fatalf("there is no %s in %+v", operation, i.Operations)
	}
	return i.Operations[at]
}

// shopService serves the document and what it describes; it wants the secret.
func (w *world) shopService(document *string) {
	w.Cleanup(w.net.Serve(toolHost, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/openapi.json":
			_, _ = rw.Write([]byte(*document))
		case r.Header.Get("X-Api-Key") != toolSecret:
			http.Error(rw, "no key", http.StatusUnauthorized)
		default:
			_, _ = rw.Write([]byte(`{"asked":"` + r.URL.RequestURI() + `","state":"shipped"}`))
		}
	})))
}

func TestToolsAreImportedByAddress(t *testing.T) {
	script := func(r llmtest.Request) llmtest.Reply {
		if r.Last().Role == "tool" {
			return llmtest.Text("It says: " + r.Last().Content)
		}
		return llmtest.Use(llmtest.Call{ID: "call_1", Name: "get_order", Arguments: `{"order":"7/7","fields":["a","b"]}`})
	}
	inBubble(t, script, func(w *world) {
		document := shopDocument
		w.shopService(&document)
		g := w.gate()
		admin := w.admin(g)
		var all imported
		admin.do("POST", "/v1/tools/import", object{"url": "http://10.1.2.3/openapi.json?token=canary"}).into(http.StatusOK, &all)
		if !all.DryRun || all.Title != "Shop" || all.Base != "http://10.1.2.3/v1" || all.From != "http://10.1.2.3/openapi.json" || len(all.Operations) != 4 {
			t.Errorf("without a selection it says %+v", all)
		}
		if l := all.line(t, "GET /health"); l.Name != "get_health" || l.Status != "available" || l.Needs != "" {
			t.Errorf("an operation is listed as %+v", l)
		}
		if l := all.line(t, "TRACE /health"); l.Status != "skipped" || l.Reason == "" {
			t.Errorf("one that tools cannot call is listed as %+v", l)
		}
		admin.get("/v1/tools/get_order").problem(http.StatusNotFound, "not_found", "")

		request := object{"url": "http://10.1.2.3/openapi.json", "select": object{"tags": []string{"orders"}}, "headers": object{"X-Api-Key": toolSecret}}
		var done imported
		admin.do("POST", "/v1/tools/import", request).into(http.StatusOK, &done)
		if l := done.line(t, "GET /orders/{order}"); l.Status != "imported" || !l.Selected || l.Needs != "" {
			t.Errorf("imported as %+v", l)
		}
		if l := done.line(t, "POST /orders"); l.Status != "available" || l.Selected {
			t.Errorf("a deprecated one is taken by its tag: %+v", l)
		}
		if a := w.guest(g).say("new", "order?"); !strings.Contains(a.Answer.Content, `/v1/orders/7%2F7?fields=a,b`) {
			t.Errorf("the answer is %q", a.Answer.Content)
		}
		request["dryRun"], request["select"] = true, object{"operations": []string{"POST /orders"}, "tags": []string{"none"}}
		admin.do("POST", "/v1/tools/import", request).into(http.StatusOK, &done)
		if l := done.line(t, "POST /orders"); l.Tool == nil || l.Tool.Headers["X-Api-Key"] != tools.Mask || l.Tool.BodyType != "json" {
			t.Errorf("a dry run shows %+v", l.Tool)
		}
		if !slices.ContainsFunc(done.Warnings, func(s string) bool { return strings.Contains(s, "tag none") }) {
			t.Errorf("a tag that nothing has is not told: %q", done.Warnings)
		}
	})
}

func TestImportingAgainKeepsWhatTheOwnerHasSet(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		document := shopDocument
		w.shopService(&document)
		admin := w.admin(w.gate())
		request := object{"url": "http://10.1.2.3/openapi.json", "select": object{"operations": []string{"get_order", "create_order"}}}
		again := object{"url": "http://10.1.2.3/openapi.json", "select": object{"registered": true}, "prefix": "other"}
		run := func(request object) (i imported) {
			admin.do("POST", "/v1/tools/import", request).into(http.StatusOK, &i)
			return i
		}
		if l := run(request).line(t, "GET /orders/{order}"); l.Status != "imported" || !strings.Contains(l.Needs, "X-Api-Key") {
			t.Errorf("without its key it is %+v", l)
		}
		var e tools.Endpoint
		admin.get("/v1/tools/get_order").into(http.StatusOK, &e)
		e.Headers, e.TimeoutMs, e.Select = map[string]string{"X-Api-Key": toolSecret}, 5000, "/state"
		admin.do("PUT", "/v1/tools/get_order", e).into(http.StatusOK, nil)
		admin.do("PATCH", "/v1/tools/get_order", object{"description": "What the owner wrote.", "approval": "ask"}).into(http.StatusOK, nil)
		if l := run(again).line(t, "GET /orders/{order}"); l.Status != "unchanged" || l.Name != "get_order" || l.Needs != "" {
			t.Errorf("what has not changed is %+v", l)
		}

		document = strings.Replace(shopDocument, `{"name": "fields", "in": "query"`, `{"name": "currency", "in": "query"`, 1)
		document = strings.Replace(document, `"/orders": {"post"`, `"/purchases": {"post"`, 1)
		i := run(again)
		l := i.line(t, "GET /orders/{order}")
		if l.Status != "changed" || !slices.Contains(l.Changes, "new parameter currency") || !slices.Contains(l.Changes, "parameter fields is gone") {
			t.Errorf("what has changed is %+v", l)
		}
		if !slices.Equal(l.Kept, []string{"description", "timeoutMs", "approval", "select", "headers"}) || slices.Contains(l.Changes, "description") {
			t.Errorf("it says that it has kept %q", l.Kept)
		}
		if l := i.line(t, "POST /orders"); l.Status != "gone" || l.Name != "create_order" {
			t.Errorf("what is gone is %+v", l)
		}
		admin.get("/v1/tools/get_order").into(http.StatusOK, &e)
		if e.Description != "What the owner wrote." || e.Approval != tools.ApprovalAsk || e.TimeoutMs != 5000 || e.Select != "/state" || e.Headers["X-Api-Key"] != tools.Mask || !bytes.Contains(e.Parameters, []byte("currency")) {
			t.Errorf("the tool is now %+v", e)
		}
		var called struct{ Content string }
		admin.do("POST", "/v1/tools/get_order/call", object{"arguments": object{"order": "5"}}).into(http.StatusOK, &called)
		if called.Content != "shipped" {
			t.Errorf("called with the key that it had, it says %q", called.Content)
		}

		document = strings.Replace(document, "http://10.1.2.3/v1", "http://evil.example/v1", 1)
		if l := run(again).line(t, "GET /orders/{order}"); l.Status != "changed" || !strings.Contains(strings.Join(l.Warnings, " "), "X-Api-Key is to be given again") {
			t.Errorf("at another host it is %+v", l)
		}
		e = tools.Endpoint{}
		admin.get("/v1/tools/get_order").into(http.StatusOK, &e)
		if e.URL != "http://evil.example/v1/orders/{order}" || len(e.Headers) != 0 {
			t.Errorf("a secret has gone to another host: %+v", e)
		}
	})
}

func TestAnUploadedDocumentIsImported(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		admin := w.admin(w.gate())
		const document = "openapi: 3.1.0\ninfo: {title: Clock, version: 2}\npaths:\n  /now/{zone}:\n    get: {operationId: now, tags: [time]}\n"
		post := func(query string) *answer {
			return admin.do("POST", "/v1/tools/import?"+query, []byte(document), "Content-Type", "application/yaml")
		}
		post("tag=time").problem(http.StatusUnprocessableEntity, "bad_request", "base")
		post("tag=time&base=clock.example").problem(http.StatusUnprocessableEntity, "bad_request", "base")
		post("tag=place&base=http://clock.example").problem(http.StatusUnprocessableEntity, "bad_request", "select")
		var i imported
		post("tag=time&base=http://clock.example/api").into(http.StatusOK, &i)
		if l := i.line(t, "GET /now/{zone}"); l.Status != "imported" || len(l.Warnings) == 0 {
			t.Errorf("imported as %+v", l)
		}
		var e tools.Endpoint
		admin.get("/v1/tools/now").into(http.StatusOK, &e)
		if e.URL != "http://clock.example/api/now/{zone}" || e.Import.From != "Clock at http://clock.example:80" {
			t.Errorf("the tool is %+v", e)
		}
		for _, kind := range []string{"application/x-www-form-urlencoded", "application/json"} {
			admin.do("POST", "/v1/tools/import?dryRun&all", shopDocument, "Content-Type", kind).into(http.StatusOK, &i)
			if i.Title != "Shop" || i.Counts["imported"] != 2 {
				t.Errorf("sent as %s it says %+v", kind, i)
			}
		}
		post("tag=time&base=http://other.example").problem(http.StatusUnprocessableEntity, "bad_request", "select")
		other := strings.Replace(document, "Clock", "Watch", 1)
		admin.do("POST", "/v1/tools/import", object{"document": other, "base": "http://watch.example", "select": object{"all": true}}).problem(http.StatusUnprocessableEntity, "bad_request", "select")
		admin.do("POST", "/v1/tools/import", object{"document": other, "base": "http://watch.example", "select": object{"all": true}, "replace": true}).into(http.StatusOK, &i)
		if l := i.line(t, "GET /now/{zone}"); l.Status != "changed" {
			t.Errorf("replaced as %+v", l)
		}
	})
}

func TestImportSaysWhatIsWrong(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.o.Limits.Import = 2000
		document := "<html>Swagger UI</html>"
		w.shopService(&document)
		g := w.gate()
		admin := w.admin(g)
		for _, tt := range []struct {
			name   string
			body   any
			status int
			code   string
			field  string
		}{
			{"nothing", object{}, 400, "bad_request", "url"},
			{"address and document", object{"url": "http://x.example", "document": "{}"}, 400, "bad_request", "url"},
			{"an unknown field", object{"uri": "http://x.example"}, 400, "bad_request", "uri"},
			{"a web page", object{"url": "http://10.1.2.3/openapi.json"}, 422, "bad_request", "document"},
			{"a private address", object{"url": "http://169.254.169.254/latest"}, 422, "bad_request", "url"},
			{"a file", object{"url": "file:///etc/passwd"}, 422, "bad_request", "url"},
			{"not there", object{"url": "http://10.1.2.3/other"}, 422, "bad_request", "url"},
			{"no document", object{"document": object{"hello": "world"}}, 422, "bad_request", "document"},
			{"too large", object{"document": strings.Repeat("x", 2001)}, 422, "bad_request", "document"},
			{"no JSON", "openapi", 422, "bad_request", "document"},
			{"half of JSON", `{"url":`, 400, "bad_request", ""},
		} {
			a := admin.do("POST", "/v1/tools/import", tt.body)
			a.what = tt.name
			a.problem(tt.status, tt.code, tt.field)
		}
		w.guest(g).do("POST", "/v1/tools/import", object{}).problem(http.StatusUnauthorized, "sign_in", "")
	})
}
