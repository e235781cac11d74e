package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"parley/gateway/chat"
	"parley/llm/llmtest"
)

// till is a service that takes money.
func (w *world) till() *atomic.Int64 {
	var calls atomic.Int64
	w.Cleanup(w.net.Serve(toolHost, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		fmt.Fprint(rw, `{"paid":true}`)
	})))
	return &calls
}

func tillTool() object {
	return object{
		"description": "Takes a payment.", "method": "POST", "url": "http://" + toolHost + "/pay",
		"parameters": object{"type": "object", "properties": object{"sum": object{"type": "number"}}, "required": []string{"sum"}},
	}
}

func usePay(r llmtest.Request) llmtest.Reply {
	if r.Last().Role == "tool" {
		return llmtest.Text("It says: " + r.Last().Content)
	}
	return llmtest.Use(llmtest.Call{ID: "call_1", Name: "pay", Arguments: `{"sum":5}`})
}

type waitingFor struct {
	posted
	Interrupts []chat.Interrupt
}

// pays asks for a payment, which waits for a person.
func (p *person) pays(conv string) (a waitingFor) {
	p.w.Helper()
	p.do("POST", "/v1/conversations/"+conv+"/messages?wait=60s", object{"content": "pay"}).into(http.StatusAccepted, &a)
	if a.Status != "waiting" || len(a.Interrupts) != 1 {
		p.w.Fatalf("got %+v", a)
	}
	return a
}

func (p *person) decides(a waitingFor, answers ...object) *answer {
	return p.do("POST", "/v1/conversations/"+a.Conversation+"/commands", object{"type": "answer", "id": "1", "answers": answers})
}

func (a waitingFor) with(payload any) object {
	return object{"interruptId": a.Interrupts[0].ID, "status": "resolved", "payload": payload}
}

func TestAnAnswerOverHTTP(t *testing.T) {
	inBubble(t, usePay, func(w *world) {
		calls := w.till()
		g, other := w.gate(), w.gate()
		w.admin(g).do("PUT", "/v1/tools/pay", tillTool()).into(http.StatusOK, nil)
		p := w.guest(g)
		a := p.pays("new")
		i := a.Interrupts[0]
		if i.Reason != "tool_call" || i.ToolCallID == "" || i.Expires.IsZero() || i.Metadata.Parley.Method != "POST" || i.Metadata.Parley.Host != toolHost || len(i.Schema) == 0 {
			t.Errorf("it asks %+v", i)
		}
		list := func() (waiting bool) {
			var page struct{ Conversations []chat.Conversation }
			p.get("/v1/conversations").into(http.StatusOK, &page)
			return page.Conversations[0].Waiting
		}
		if !list() {
			t.Error("the conversation is not marked")
		}
		var polled struct{ Snapshot chat.State }
		p.at(other).do("GET", "/v1/conversations/"+a.Conversation+"/events", nil, "Accept", "application/json").into(http.StatusOK, &polled)
		if s := polled.Snapshot; len(s.Interrupts) != 1 || s.Interrupts[0].ID != i.ID || !s.Waits() {
			t.Errorf("the snapshot is %+v", s)
		}
		var ok struct{ Type, Run string }
		p.at(other).decides(a, a.with(object{"approved": true})).into(http.StatusOK, &ok)
		if ok.Type != "ok" || ok.Run != a.Run {
			t.Errorf("got %+v", ok)
		}
		w.rest()
		p.decides(a, a.with(object{"approved": true})).into(http.StatusOK, &ok) // again is harmless
		var rec chat.RunRecord
		p.get("/v1/runs/"+a.Run).into(http.StatusOK, &rec)
		if calls.Load() != 1 || rec.Status != chat.RunDone || list() {
			t.Errorf("paid %d times, the run is %s", calls.Load(), rec.Status)
		}
		if p := p.decides(a, a.with(object{"approved": false})).problem(http.StatusConflict, "already_answered", "answers[0].interruptId"); !strings.Contains(p.Detail, "approved on") {
			t.Errorf("it says %q", p.Detail)
		}
	})
}

func TestBadAnswers(t *testing.T) {
	inBubble(t, usePay, func(w *world) {
		calls := w.till()
		g := w.gate()
		w.admin(g).do("PUT", "/v1/tools/pay", tillTool()).into(http.StatusOK, nil)
		p := w.guest(g)
		a := p.pays("new")
		yes := a.with(object{"approved": true})
		for _, tt := range []struct {
			name        string
			answers     []object
			status      int
			code, field string
		}{
			{"none", nil, 400, "bad_request", "answers"},
			{"too many", make([]object, 65), 400, "bad_request", "answers"},
			{"no id", []object{{"status": "resolved"}}, 404, "not_found", "answers[0].interruptId"},
			{"not there", []object{{"interruptId": "inone", "status": "resolved"}}, 404, "not_found", "answers[0].interruptId"},
			{"one is not there", []object{yes, {"interruptId": "inone", "status": "resolved"}}, 404, "not_found", "answers[1].interruptId"},
			{"twice", []object{yes, yes}, 400, "bad_request", "answers[1].interruptId"},
			{"no status", []object{{"interruptId": a.Interrupts[0].ID}}, 400, "bad_request", "answers[0].status"},
			{"expired by the person", []object{{"interruptId": a.Interrupts[0].ID, "status": "expired"}}, 400, "bad_request", "answers[0].status"},
			{"no payload", []object{{"interruptId": a.Interrupts[0].ID, "status": "resolved"}}, 422, "bad_request", "answers[0].payload"},
			{"a payload that is no object", []object{a.with([]int{1})}, 422, "bad_request", "answers[0].payload"},
			{"approved is no boolean", []object{a.with(object{"approved": "yes"})}, 422, "bad_request", "answers[0].payload.approved"},
			{"arguments are no object", []object{a.with(object{"approved": true, "editedArgs": "x"})}, 422, "bad_request", "answers[0].payload.editedArgs"},
			{"an unknown member", []object{a.with(object{"approved": true, "aproved": true})}, 422, "bad_request", "answers[0].payload"},
			{"arguments that do not fit", []object{a.with(object{"approved": true, "editedArgs": object{"sum": "much"}})}, 422, "bad_request", "answers[0].payload.editedArgs.sum"},
		} {
			t.Run(tt.name, func(t *testing.T) { p.decides(a, tt.answers...).problem(tt.status, tt.code, tt.field) })
		}
		w.guest(g).decides(a, yes).problem(http.StatusNotFound, "not_found", "")
		another := p.pays("new")
		p.do("POST", "/v1/conversations/"+another.Conversation+"/commands", object{"type": "answer", "answers": []object{yes}}).problem(http.StatusNotFound, "not_found", "answers[0].interruptId")
		if calls.Load() != 0 {
			t.Errorf("paid %d times", calls.Load())
		}
		w.admin(g).decides(a, yes).into(http.StatusOK, nil)
		w.rest()
		if calls.Load() != 1 {
			t.Errorf("paid %d times after the administrator allowed it", calls.Load())
		}
	})
}

// Whoever tries a tool has decided.
func TestTryingAToolAsksNobody(t *testing.T) {
	inBubble(t, usePay, func(w *world) {
		calls := w.till()
		admin := w.admin(w.gate())
		admin.do("PUT", "/v1/tools/pay", tillTool()).into(http.StatusOK, nil)
		admin.do("POST", "/v1/tools/pay/call", object{"arguments": object{"sum": 5}}).into(http.StatusOK, nil)
		if calls.Load() != 1 {
			t.Errorf("paid %d times", calls.Load())
		}
		bad := tillTool()
		bad["approval"] = "maybe"
		admin.do("PUT", "/v1/tools/pay", bad).problem(http.StatusUnprocessableEntity, "bad_request", "approval")
	})
}

func TestAnAnswerOverAWebSocket(t *testing.T) {
	inBubble(t, usePay, func(w *world) {
		w.till()
		g, other := w.gate(), w.gate()
		w.admin(g).do("PUT", "/v1/tools/pay", tillTool()).into(http.StatusOK, nil)
		p := w.guest(g)
		a := p.pays("new")
		tb := p.at(other).open()
		tb.sub(a.Conversation, "") // which shows what is asked, as long as nobody has answered
		tb.post(`{"type":"answer","id":"answer","c":"` + a.Conversation + `","answers":[{"interruptId":"` + a.Interrupts[0].ID + `","status":"resolved","payload":{"approved":true}}]}`)
		tb.wait("the answer's end", func() bool {
			var all strings.Builder
			for _, f := range tb.frames {
				all.WriteString(string(f.raw))
			}
			s := all.String()
			return strings.Contains(s, `"interrupts":[{"id":"`+a.Interrupts[0].ID) && strings.Contains(s, `"conversation.answered"`) && strings.Contains(s, `{"type":"success"}`)
		})
	})
}
