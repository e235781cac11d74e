package gateway_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
)

// Whoever looks at a conversation when it is deleted is told, on whichever
// replica and by whichever way, and nothing more is asked of the model.
func TestDeletedInTheMidstOfAnAnswer(t *testing.T) {
	inBubble(t, always(words(1000, 50*time.Millisecond)), func(w *world) {
		g, other := w.gate(), w.gate()
		a := w.guest(g).open()
		q := a.say("", "k1", "hello")
		a.sub(q.C, "")
		begun := func(s *chat.State) bool { return last(*s).ID != "" }
		a.until(q.C, "some words", begun)
		b := a.at(other).open()
		b.sub(q.C, "")
		s := a.person.at(other).stream(q.C, "")
		s.until("some words", begun)
		awaited := make(chan *answer, 1)
		go func() {
			awaited <- a.do("POST", "/v1/conversations/"+q.C+"/messages?wait=60s", object{"content": "and then?"})
		}()
		b.until(q.C, "that another question waits", func(s *chat.State) bool { return len(s.Queued) > 0 })

		began := time.Now()
		a.person.at(other).do("DELETE", "/v1/conversations/"+q.C, nil).into(http.StatusNoContent, nil)
		gone := func(s *chat.State) bool { return s.Deleted && len(s.Messages) == 0 }
		a.until(q.C, "that it is gone", gone)
		b.until(q.C, "that it is gone", gone)
		if !slices.ContainsFunc(b.all(), func(f frame) bool { return f.Type == "snap" && f.Reason == "deleted" }) {
			t.Errorf("the page is told %v", b.lastFrames(3))
		}
		s.until("that it is gone", gone)
		if s.next() {
			t.Error("the stream goes on")
		}
		(<-awaited).problem(http.StatusNotFound, "not_found", "")
		if took := time.Since(began); took > time.Second {
			t.Errorf("all are told after %v", took)
		}
		gatewaytest.Eventually(t, time.Second, "nobody answers it", func() bool { return g.Replica.Runner.Running()+other.Replica.Runner.Running() == 0 })
		b.refused(object{"type": "sub", "c": q.C}, http.StatusNotFound, "not_found", "")
		a.get("/v1/conversations/"+q.C+"/events").problem(http.StatusNotFound, "not_found", "")
	})
}

// Whoever polls while nothing goes on is answered when it is deleted.
func TestDeletedWhileSomebodyPolls(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g, other := w.gate(), w.gate()
		p := w.guest(g)
		q := exchange(p)
		poll := func(after string) *answer {
			return p.do("GET", "/v1/conversations/"+q.Conversation+"/events?wait=60s&after="+after, nil, "Accept", "application/json")
		}
		var a struct {
			At     chat.Position
			Reason string
		}
		poll("").into(http.StatusOK, &a)
		polled := make(chan *answer, 1)
		go func() { polled <- poll(a.At.String()) }()
		synctest.Wait() // it waits
		p.at(other).do("DELETE", "/v1/conversations/"+q.Conversation, nil).into(http.StatusNoContent, nil)
		if (<-polled).into(http.StatusOK, &a); a.Reason != chat.ReasonDeleted {
			t.Errorf("who polls is told %q", a.Reason)
		}
	})
}
