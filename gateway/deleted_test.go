package gateway_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"parley/gateway/chat"
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
		polled := make(chan string, 1)
		at := a.view(q.C).at
		go func() {
			for { // the words between
				var p struct {
					At     chat.Position
					Reason string
				}
				a.do("GET", "/v1/conversations/"+q.C+"/events?wait=20s&after="+at.String(), nil, "Accept", "application/json").into(http.StatusOK, &p)
				if at = p.At; p.Reason != "" {
					polled <- p.Reason
					return
				}
			}
		}()

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
		if reason := <-polled; reason != "deleted" {
			t.Errorf("who polls is told %q", reason)
		}
		(<-awaited).problem(http.StatusNotFound, "not_found", "")
		if took := time.Since(began); took > time.Second {
			t.Errorf("all are told after %v", took)
		}
		for g.Replica.Runner.Running()+other.Replica.Runner.Running() > 0 {
			if time.Sleep(10 * time.Millisecond); time.Since(began) > 2*time.Second {
				t.Fatal("it is answered on")
			}
		}
		b.refused(object{"type": "sub", "c": q.C}, http.StatusNotFound, "not_found", "")
		a.get("/v1/conversations/"+q.C+"/events").problem(http.StatusNotFound, "not_found", "")
	})
}
