package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"parley/gateway/gatewaytest"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools"
	"parley/tools/rag"
)

// shop is a service that a tool calls; it wants the secret.
func (w *world) shop() *atomic.Int64 {
	var calls atomic.Int64
	w.Cleanup(w.net.Serve(toolHost, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.Header.Get("X-Api-Key") != toolSecret {
			http.Error(rw, "no key", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(rw, `{"order":%q,"state":"shipped","echo":%q}`, r.URL.Query().Get("order"), r.Header.Get("X-Api-Key"))
	})))
	return &calls
}

func shopTool() object {
	return object{
		"description": "Looks up an order.", "url": "http://" + toolHost + "/orders", "headers": object{"X-Api-Key": toolSecret},
		"parameters": object{"type": "object", "properties": object{"order": object{"type": "string"}}, "required": []string{"order"}},
	}
}

// useShop has the model look up an order if it is offered the tool, and tell
// what it read.
func useShop(r llmtest.Request) llmtest.Reply {
	switch {
	case r.Last().Role == "tool":
		return llmtest.Text("It says: " + r.Last().Content)
	case len(r.Tools) > 0:
		return llmtest.Use(llmtest.Call{ID: "call_1", Name: "get_order", Arguments: `{"order":"77"}`})
	}
	return llmtest.Text("I have no tools.")
}

func TestAToolIsUsedByTheNextRunOnEveryReplica(t *testing.T) {
	inBubble(t, useShop, func(w *world) {
		calls := w.shop()
		g, other := w.gate(), w.gate()
		admin, p := w.admin(g), w.guest(g)
		if a := p.say("new", "order?"); a.Answer.Content != "I have no tools." {
			t.Errorf("before, the answer is %q", a.Answer.Content)
		}
		admin.do("PUT", "/v1/tools/get_order", shopTool()).into(http.StatusOK, nil)
		for _, g := range []*gatewaytest.Gateway{g, other} {
			a := w.guest(g).say("new", "order?")
			if !strings.Contains(a.Answer.Content, `"order":"77"`) || !strings.Contains(a.Answer.Content, "shipped") {
				t.Errorf("at %s the answer is %q", g.Host, a.Answer.Content)
			}
		}
		if calls.Load() != 2 {
			t.Errorf("the service was called %d times", calls.Load())
		}
		admin.at(other).do("DELETE", "/v1/tools/get_order", nil).into(http.StatusNoContent, nil)
		if a := p.say("new", "order?"); a.Answer.Content != "I have no tools." {
			t.Errorf("after its deletion, the answer is %q", a.Answer.Content)
		}
		admin.do("DELETE", "/v1/tools/get_order", nil).problem(http.StatusNotFound, "not_found", "")
	})
}

func TestToolSecretsAreWriteOnly(t *testing.T) {
	inBubble(t, useShop, func(w *world) {
		w.shop()
		admin := w.admin(w.gate())
		put := admin.do("PUT", "/v1/tools/get_order", shopTool()) // world checks that no answer shows the secret
		put.into(http.StatusOK, nil)
		var e tools.Endpoint
		admin.get("/v1/tools/get_order").into(http.StatusOK, &e)
		if e.Headers["X-Api-Key"] != tools.Mask || e.URL != "http://"+toolHost+"/orders" {
			t.Errorf("the tool is shown as %+v", e)
		}
		changed := shopTool()
		changed["description"], changed["headers"] = "Looks up one order.", object{"X-Api-Key": tools.Mask}
		admin.do("PUT", "/v1/tools/get_order", changed).into(http.StatusOK, nil)
		var called struct {
			Content string
			Failed  bool
			Outcome tools.Outcome
		}
		admin.do("POST", "/v1/tools/get_order/call", object{"arguments": object{"order": "5"}}).into(http.StatusOK, &called)
		if called.Failed || !strings.Contains(called.Content, "shipped") || called.Outcome.Status != http.StatusOK {
			t.Errorf("with the stored secret the call got %+v", called)
		}
		changed["url"] = "http://evil.example/orders"
		admin.do("PUT", "/v1/tools/get_order", changed).problem(http.StatusUnprocessableEntity, "bad_request", "headers.X-Api-Key")
		var list struct {
			Tools []struct {
				Name    string
				Builtin bool
			}
		}
		admin.get("/v1/tools").into(http.StatusOK, &list)
		if len(list.Tools) != 1 || list.Tools[0].Name != "get_order" || list.Tools[0].Builtin {
			t.Errorf("the list is %+v", list)
		}
		admin.do("POST", "/v1/tools/get_order/call", object{"arguments": object{}}).into(http.StatusOK, &called)
		if !called.Failed || !strings.Contains(called.Content, "order") {
			t.Errorf("a call without its argument got %+v", called)
		}
		admin.do("POST", "/v1/tools/none/call", "{}").problem(http.StatusNotFound, "not_found", "")
	})
}

func TestInvalidToolsNameTheField(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		admin := w.admin(w.gate())
		for _, tt := range []struct {
			name, tool, body string
			status           int
			field            string
		}{
			{"not JSON", "t", `{`, 400, ""},
			{"null", "t", `null`, 400, ""},
			{"a list", "t", `[]`, 400, ""},
			{"another name", "t", `{"name":"u"}`, 400, "name"},
			{"a name that is no text", "t", `{"name":1}`, 400, "name"},
			{"a bad name", "a.b", `{"description":"x","url":"http://x.example/"}`, 422, "name"},
			{"no description", "t", `{"url":"http://x.example/"}`, 422, "description"},
			{"no url", "t", `{"description":"x"}`, 422, "url"},
			{"a bad url", "t", `{"description":"x","url":"file:///etc/passwd"}`, 422, "url"},
			{"an unknown field", "t", `{"description":"x","url":"http://x.example/","owner":"me"}`, 422, "owner"},
			{"a wrong type", "t", `{"description":"x","url":"http://x.example/","timeoutMs":"long"}`, 422, "timeoutMs"},
			{"bad parameters", "t", `{"description":"x","url":"http://x.example/","parameters":{"type":"string"}}`, 422, "parameters"},
		} {
			a := admin.do("PUT", "/v1/tools/"+tt.tool, tt.body)
			a.what = tt.name
			a.problem(tt.status, "bad_request", tt.field)
		}
		admin.do("PUT", "/v1/tools/t", `{"description":"`+strings.Repeat("x", 300<<10)+`"}`).problem(http.StatusRequestEntityTooLarge, "too_long", "")
		admin.get("/v1/tools/t").problem(http.StatusNotFound, "not_found", "")
	})
}

func TestDocuments(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.o.Limits.Document = 10_000
		w.o.PDFs = here{}
		g := w.gate()
		admin, p := w.admin(g), w.guest(g)
		var d rag.Document
		a := admin.do("POST", "/v1/documents?name=guide.md&source=https://docs.example/guide", "# Guide\n\nThe gearbox needs oil every spring.", "Content-Type", "text/markdown")
		a.into(http.StatusCreated, &d)
		if d.ID == "" || d.Text != "" || a.header.Get("Location") != "/v1/documents/"+d.ID {
			t.Errorf("added as %+v at %q", d, a.header.Get("Location"))
		}
		p.get("/v1/documents/"+d.ID).into(http.StatusOK, &d)
		if !strings.Contains(d.Text, "gearbox") {
			t.Errorf("a guest reads %+v", d)
		}
		retrieval := &person{w: w, host: g.Host, token: gatewaytest.RetrievalToken}
		var found rag.Answer
		retrieval.do("POST", "/v1/retrieval", object{"query": "gearbox oil"}).into(http.StatusOK, &found)
		if len(found.Passages) != 1 || found.Passages[0].Document != d.ID {
			t.Errorf("found %+v", found)
		}
		retrieval.do("POST", "/v1/retrieval", object{"query": "x", "collection": "y"}).problem(http.StatusBadRequest, "bad_request", "collection")
		p.do("POST", "/v1/retrieval", object{"query": "x"}).problem(http.StatusUnauthorized, "sign_in", "")
		for _, route := range []string{"GET /v1/documents", "GET /v1/tools", "GET /v1/conversations", "GET /v1/documents/" + d.ID} {
			method, path, _ := strings.Cut(route, " ")
			retrieval.do(method, path, nil).problem(http.StatusUnauthorized, "sign_in", "")
		}
		for _, tt := range []struct {
			name, query string
			body        []byte
			status      int
			code        string
		}{
			{"binary", "name=x.bin", []byte("\x00\x01\x02\xff\xfe\x00"), 422, "not_text"},
			{"empty", "name=x.txt", nil, 422, "no_text"},
			{"blank", "name=x.txt", []byte(" \n\n "), 422, "no_text"},
			{"no name", "", []byte("text"), 422, "bad_name"},
			{"a PDF that is damaged", "name=x.pdf", []byte("%PDF-1.7 x"), 422, "damaged"},
			{"too large", "name=x.txt", bytes.Repeat([]byte("word "), 2001), 413, "too_long"},
		} {
			a := admin.do("POST", "/v1/documents?"+tt.query, tt.body)
			a.what = tt.name
			a.problem(tt.status, tt.code, "")
		}
		var list struct{ Documents []rag.Document }
		admin.get("/v1/documents").into(http.StatusOK, &list)
		if len(list.Documents) != 1 || list.Documents[0].Text != "" {
			t.Errorf("the list is %+v", list)
		}
		admin.do("DELETE", "/v1/documents/"+d.ID, nil).into(http.StatusNoContent, nil)
		admin.do("DELETE", "/v1/documents/"+d.ID, nil).problem(http.StatusNotFound, "not_found", "")
		p.get("/v1/documents/"+d.ID).problem(http.StatusNotFound, "not_found", "")
	})
}

func TestAPDFIsFoundByItsPages(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.o.PDFs = here{}
		admin := w.admin(w.gate())
		var d rag.Document
		admin.do("POST", "/v1/documents?name=report.pdf", printed(w.T), "Content-Type", "application/pdf").into(http.StatusCreated, &d)
		var found rag.Answer
		admin.do("POST", "/v1/retrieval", object{"query": "swordfish"}).into(http.StatusOK, &found)
		if len(found.Passages) != 1 || found.Passages[0].Document != d.ID || !slices.Equal(found.Passages[0].Headings, []string{"page 2"}) {
			t.Errorf("found %+v", found)
		}
		for data, code := range map[string]string{strings.ReplaceAll(printed(w.T), "/Contents", "/Kontents"): "no_text", "no PDF": "not_text"} {
			admin.do("POST", "/v1/documents?name=x.pdf", data, "Content-Type", "application/pdf").problem(http.StatusUnprocessableEntity, code, "")
		}
	})
}

func TestAToolCallIsShown(t *testing.T) {
	inBubble(t, useShop, func(w *world) {
		w.shop()
		g := w.gate()
		w.admin(g).do("PUT", "/v1/tools/get_order", shopTool()).into(http.StatusOK, nil)
		tb := w.guest(g).open()
		c := tb.conversation()
		tb.sub(c, "")
		q := tb.say(c, "k", "order?")
		s := tb.answered(c, q.Run)
		if got, want := text(s.Messages), text(tb.history(c)); got != want {
			t.Errorf("the tab shows\n%s\nthe store has\n%s", got, want)
		}
		if len(s.Messages) != 4 || len(s.Messages[1].ToolCalls) != 1 || s.Messages[2].Role != llm.ToolRole {
			t.Fatalf("the tab shows\n%s", text(s.Messages))
		}
		call, res := s.Messages[1].ToolCalls[0], s.Messages[2]
		if call.Function.Arguments != `{"order":"77"}` || call.Metadata.Parley.Host != toolHost || res.ToolCallID != call.ID || res.Metadata.Parley.Outcome.Status != http.StatusOK {
			t.Errorf("call %+v, result %+v", call, res)
		}
	})
}
