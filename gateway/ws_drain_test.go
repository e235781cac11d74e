package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/gateway/chat"
	"parley/llm/llmtest"
)

func TestBeats(t *testing.T) {
	inBubble(t, always(llmtest.Reply{Pieces: []string{"a ", "b"}, Every: 26 * time.Second}), func(w *world) {
		a := w.guest(w.gate()).open()
		idle := a.at(w.gates[0]).open()
		began := time.Now()
		q := a.say("", "k1", "slowly")
		a.sub(q.C, "")
		a.answered(q.C, q.Run)
		ended := time.Now()
		time.Sleep(50 * time.Second)
		var active, after int
		for _, f := range a.all() {
			switch {
			case f.Type != "beat":
			case f.when.Before(ended):
				active++
			default:
				after++
			}
		}
		if ended.Sub(began) < 26*time.Second || active < 5 || active > 6 || after < 3 || after > 4 {
			t.Errorf("%d beats in the %v of the answer, %d in the 50 s after", active, ended.Sub(began), after)
		}
		gap := began
		for _, f := range idle.all() {
			if f.when.Sub(gap) > 15*time.Second+time.Second {
				t.Errorf("an idle connection heard nothing for %v", f.when.Sub(gap))
			}
			gap = f.when
		}
		if n := len(idle.all()); n < 5 || n > 6 {
			t.Errorf("%d beats in %v on an idle connection", n, time.Since(began))
		}
	})
}

func TestDrain(t *testing.T) {
	inBubble(t, always(words(40, 50*time.Millisecond)), func(w *world) {
		g, other := w.gate(), w.gate()
		a := w.guest(g).open()
		q := a.say("", "k1", "hello")
		a.sub(q.C, "")
		a.until(q.C, "some words", func(s *chat.State) bool { return last(*s).ID != "" })
		g.Drain()
		if _, res, err := a.person.dial(); err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("a draining replica answered an upgrade with %v, %v", res, err)
		}
		a.get("/v1/conversations/"+q.C+"/events").problem(http.StatusServiceUnavailable, "unavailable", "")
		a.get("/readyz").problem(http.StatusServiceUnavailable, "unavailable", "")
		a.get("/healthz").into(http.StatusOK, nil)
		a.must(object{"type": "cancel", "c": q.C, "run": q.Run})
		var ok struct{ Type string }
		a.do("POST", "/v1/conversations/"+q.C+"/commands", object{"type": "send", "msg": object{"clientId": "k2", "content": "still there?"}}).into(http.StatusOK, &ok)
		if ok.Type != "ok" {
			t.Errorf("a draining replica answered send with %q", ok.Type)
		}

		began := time.Now()
		g.SendAway()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("sending one client away took %v", took)
		}
		if code := a.closed(); code != websocket.StatusServiceRestart {
			t.Errorf("the connection was closed with %d, want 1012", code)
		}
		bye := a.all()[len(a.all())-1]
		if bye.Type != "bye" || bye.Reason != "drain" || !strings.Contains(bye.raw, `"retryMs":`) {
			t.Errorf("the last frame is %s", bye.raw)
		}
		if n := g.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		b := a.at(other).open()
		if f := b.sub(q.C, a.view(q.C).at.String()); !f.Recovered {
			t.Errorf("on another replica sub behind %v got %s; before: %v", a.view(q.C).at, f.raw, a.lastFrames(6))
		}
	})
}

func TestDrainDoesNotWaitForSilentClients(t *testing.T) {
	inBubble(t, always(words(1000, 20*time.Millisecond)), func(w *world) {
		g := w.gate()
		a := w.guest(g).open()
		var tabs []*tab
		for range 5 {
			tb := a.at(g).open()
			q := tb.say("", "k"+string(rune('a'+len(tabs))), "hello")
			tb.sub(q.C, "")
			tabs = append(tabs, tb)
		}
		for _, tb := range tabs {
			tb.hold()
		}
		a.hold() // idle, and answers no close
		time.Sleep(2 * time.Second)
		began := time.Now()
		g.SendAway()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("sending silent clients away took %v", took)
		}
	})
}
