package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
)

func TestHelloSaysWhatTheServerTakes(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.o.Limits.Message = 1000
		tb := w.guest(w.gate()).open()
		f := tb.must(object{"type": "hello", "client": "test/1"})
		if f.Type != "welcome" || f.Session == "" || f.Server != "parley" || f.Build != "test" ||
			f.MaxMessage != 1000 || f.MaxFrame != 65536 || f.PingMs != 15000 || f.ResumeMs != 600000 {
			t.Errorf("welcome is %s", f.raw)
		}
		if f := tb.must(object{"type": "ping"}); f.Type != "pong" {
			t.Errorf("ping got %s", f.raw)
		}
	})
}

func TestSendBeginsAConversation(t *testing.T) {
	inBubble(t, always(llmtest.Text("Hello to you.")), func(w *world) {
		tb := w.guest(w.gate()).open()
		ok := tb.say("", "k1", "Hello?")
		if ok.C == "" || ok.MessageID == "" || ok.Run == "" {
			t.Fatalf("send got %s", ok.raw)
		}
		tb.sub(ok.C, "")
		s := tb.answered(ok.C, ok.Run)
		if len(s.Messages) != 2 || s.Messages[0].ID != ok.MessageID || s.Messages[0].Metadata.Parley.ClientID != "k1" || last(s).Content != "Hello to you." {
			t.Errorf("the tab shows\n%s", text(s.Messages))
		}
		if got, want := text(tb.history(ok.C)), text(s.Messages); got != want {
			t.Errorf("history has\n%s\nthe tab shows\n%s", got, want)
		}
	})
}

func TestTheSameMessageTwiceIsSaidOnce(t *testing.T) {
	inBubble(t, always(words(10, 50*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		b := a.at(w.gate()).open()
		one := a.say("", "k1", "Hello?")
		for i, again := range []frame{a.say("", "k1", "Hello?"), b.say("", "k1", "Hello?"), b.say(one.C, "k1", "Hello?")} {
			if again.C != one.C || again.MessageID != one.MessageID || again.Run != one.Run {
				t.Errorf("repeat %d got %s, the first %s", i, again.raw, one.raw)
			}
		}
		a.sub(one.C, "")
		a.answered(one.C, one.Run)
		if again := b.say(one.C, "k1", "Hello?"); again.Run != one.Run {
			t.Errorf("after the answer the repeat got %s", again.raw)
		}
		time.Sleep(5 * time.Second)
		if n := w.model.Count(); n != 1 {
			t.Errorf("the model was asked %d times", n)
		}
		if ms := a.history(one.C); len(ms) != 2 {
			t.Errorf("the conversation has\n%s", text(ms))
		}
	})
}

func TestSubscribe(t *testing.T) {
	inBubble(t, always(words(30, 50*time.Millisecond)), func(w *world) {
		g := w.gate()
		a := w.guest(g).open()
		one := a.say("", "k1", "one")
		time.Sleep(time.Second)
		other := a.say("", "k2", "other")
		a.sub(one.C, "")
		a.sub(other.C, "")
		full := a.answered(one.C, one.Run)
		a.answered(other.C, other.Run)
		v := a.view(one.C)

		t.Run("behind a position gets what follows", func(t *testing.T) {
			var middle chat.Position
			for _, f := range a.all() {
				if f.C == one.C && f.Type == "ev" && len(f.Items) > 0 && middle.IsZero() {
					middle = f.Items[0].At
				}
			}
			b := a.at(g).open()
			f := b.sub(one.C, middle.String())
			if !f.Recovered || f.Snapshot != nil || f.Head != v.at {
				t.Errorf("sub got %s, want recovered with head %v", f.raw, v.at)
			}
			b.wait("all that follows", func() bool { return b.views[one.C].at == v.at })
			var n int
			for _, f := range b.all() {
				n += len(f.Items)
				if f.Type == "ev" && f.Items[0].At.Compare(middle) <= 0 {
					t.Errorf("%v is not behind %v", f.Items[0].At, middle)
				}
			}
			if n == 0 {
				t.Error("nothing followed")
			}
		})
		t.Run("at the head gets nothing more", func(t *testing.T) {
			b := a.at(g).open()
			if f := b.sub(one.C, v.at.String()); !f.Recovered || f.Head != v.at {
				t.Errorf("sub got %s", f.raw)
			}
			time.Sleep(time.Second)
			for _, f := range b.all() {
				if f.Type == "ev" || f.Type == "snap" {
					t.Errorf("%s came though nothing happened", f.raw)
				}
			}
		})
		for name, after := range map[string]string{
			"with another conversation's position": a.view(other.C).at.String(),
			"with a position trimmed long ago":     "1000-5",
			"beyond the end":                       chat.Position{Generation: v.at.Generation, N: v.at.N + 1000}.String(),
			"of a generation to come":              chat.Position{Generation: v.at.Generation + 1e9, N: 3}.String(),
			"without a position":                   "",
		} {
			t.Run(name+" gets a snapshot", func(t *testing.T) {
				b := a.at(g).open()
				f := b.sub(one.C, after)
				if f.Recovered || f.Snapshot == nil {
					t.Errorf("sub got %s", f.raw)
				}
				b.until(one.C, "everything", func(s *chat.State) bool { return text(s.Messages) == text(full.Messages) })
			})
		}
		t.Run("with what is no position is refused", func(t *testing.T) {
			b := a.at(g).open()
			for _, after := range []string{"x", "1", "-", "01-1", "1-", "1--1", "99999999999999999999999-1", strings.Repeat("9", 300)} {
				b.refused(object{"type": "sub", "c": one.C, "after": after}, http.StatusBadRequest, "bad_request", "after")
			}
		})
	})
}

func TestUnsubscribedHearsNothing(t *testing.T) {
	inBubble(t, always(words(50, 50*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		one := a.say("", "k1", "one")
		a.sub(one.C, "")
		a.until(one.C, "a piece", func(s *chat.State) bool { return last(*s).Content != "" })
		if f := a.must(object{"type": "unsub", "c": one.C}); f.Type != "ok" {
			t.Errorf("unsub got %s", f.raw)
		}
		n := len(a.all())
		time.Sleep(10 * time.Second)
		for _, f := range a.all()[n:] {
			if f.Type == "ev" || f.Type == "snap" {
				t.Errorf("after unsub came %s", f.raw)
			}
		}
		a.must(object{"type": "unsub", "c": "cnever-followed"})
	})
}

func TestEverySubscribeIsAnsweredInOrder(t *testing.T) {
	inBubble(t, always(words(50, 20*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		one := a.say("", "k1", "one")
		a.at(w.gates[0]).open().sub(one.C, "")
		a.sub(one.C, "")
		var ids []string
		for range 8 {
			a.must(object{"type": "unsub", "c": one.C}) // behind its ok nothing comes, so the position stays
			a.mu.Lock()
			at := a.views[one.C].at
			a.mu.Unlock()
			ids = append(ids, a.send(object{"type": "sub", "c": one.C, "after": at.String()}), a.send(object{"type": "unsub", "c": one.C}), a.send(object{"type": "sub", "c": one.C}))
			time.Sleep(30 * time.Millisecond)
		}
		for _, id := range ids {
			a.first("answer to "+id, func(f frame) bool { return f.ID == id })
		}
		s := a.answered(one.C, one.Run)
		if got, want := text(s.Messages), text(a.history(one.C)); got != want {
			t.Errorf("the tab shows\n%s\nthe store has\n%s", got, want)
		}
	})
}

func TestCancelKeepsWhatWasSaid(t *testing.T) {
	inBubble(t, always(words(200, 50*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		b := a.at(w.gate()).open()
		one := a.say("", "k1", "count")
		a.sub(one.C, "")
		b.sub(one.C, "")
		a.until(one.C, "some words", func(s *chat.State) bool {
			return s.Active() && len(s.Clone().Messages) == 2 && last(s.Clone()).Content != ""
		})
		shown := last(a.view(one.C).state).Content
		if f := b.must(object{"type": "cancel", "c": one.C, "run": one.Run}); f.Type != "ok" {
			t.Errorf("cancel got %s", f.raw)
		}
		for _, tb := range []*tab{a, b} {
			s := tb.answered(one.C, one.Run)
			if s.Run.Status != chat.RunCancelled || last(s).Metadata.Parley.Status != "cancelled" || !strings.HasPrefix(last(s).Content, shown) || strings.Contains(last(s).Content, "word199") {
				t.Errorf("the tab shows run %+v\n%s", s.Run, text(s.Messages))
			}
			if got, want := text(s.Messages), text(a.history(one.C)); got != want {
				t.Errorf("the tab shows\n%s\nthe store has\n%s", got, want)
			}
		}
		a.must(object{"type": "cancel", "c": one.C, "run": one.Run}) // again is harmless
		a.refused(object{"type": "cancel", "c": one.C, "run": "rnever"}, http.StatusNotFound, "not_found", "")
		a.refused(object{"type": "cancel", "c": one.C}, http.StatusNotFound, "not_found", "")
	})
}

func TestRegenerate(t *testing.T) {
	script := func(r llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: []string{"answer ", string(rune('0' + r.N))}, Every: 500 * time.Millisecond}
	}
	inBubble(t, script, func(w *world) {
		a := w.guest(w.gate()).open()
		b := a.at(w.gate()).open()
		q1 := a.say("", "k1", "one")
		a.sub(q1.C, "")
		b.sub(q1.C, "")
		regenerate := func(message, client string) object {
			return object{"type": "regenerate", "c": q1.C, "messageId": message, "clientId": client}
		}
		a.until(q1.C, "the answer begins", func(s *chat.State) bool { return last(*s).ID != "" })
		a.refused(regenerate(q1.MessageID, "g0"), http.StatusConflict, "busy", "")
		a.answered(q1.C, q1.Run)
		q2 := a.say(q1.C, "k2", "two")
		a.refused(regenerate(q1.MessageID, "g1"), http.StatusConflict, "busy", "")
		old := last(a.answered(q1.C, q2.Run))
		a.refused(regenerate(q1.MessageID, "g2"), http.StatusConflict, "conflict", "")
		a.refused(regenerate("", "g2"), http.StatusConflict, "conflict", "")
		a.refused(regenerate(q2.MessageID, ""), http.StatusBadRequest, "bad_request", "clientId")

		again := a.must(regenerate(old.ID, "g3"))
		if f := b.must(regenerate(old.ID, "g3")); f.Run != again.Run {
			t.Errorf("the same clientId got %s, then %s", again.raw, f.raw)
		}
		for _, tb := range []*tab{a, b} {
			s := tb.answered(q1.C, again.Run)
			if len(s.Messages) != 4 || last(s).ID == old.ID || last(s).Content != "answer 3" {
				t.Errorf("the tab shows\n%s", text(s.Messages))
			}
			if got, want := text(s.Messages), text(a.history(q1.C)); got != want {
				t.Errorf("the tab shows\n%s\nthe store has\n%s", got, want)
			}
			tb.first("the run says what it replaces", func(f frame) bool {
				for _, e := range f.Items {
					if e.Ev.Type == chat.RunStarted && e.Ev.RunID == again.Run {
						return e.Ev.Metadata.Parley.Replaces == q2.Run
					}
				}
				return false
			})
		}
		if f := a.must(regenerate(old.ID, "g3")); f.Run != again.Run {
			t.Errorf("after its end the same clientId got %s", f.raw)
		}
	})
}

func TestRegenerateBehindAQuestionThatWaitsIsRefused(t *testing.T) {
	inBubble(t, always(words(10, 100*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		q1 := a.say("", "k1", "one")
		a.sub(q1.C, "")
		old := last(a.answered(q1.C, q1.Run))
		id := a.send(object{"type": "send", "c": q1.C, "msg": object{"clientId": "k2", "content": "two"}})
		a.refused(object{"type": "regenerate", "c": q1.C, "messageId": old.ID, "clientId": "g1"}, http.StatusConflict, "busy", "")
		q2 := a.first("the answer to send", func(f frame) bool { return f.ID == id })
		s := a.answered(q1.C, q2.Run)
		if len(s.Messages) != 4 {
			t.Errorf("the tab shows\n%s", text(s.Messages))
		}
	})
}

func TestQuestionsWaitForTheirTurn(t *testing.T) {
	inBubble(t, always(words(20, 100*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		q1 := a.say("", "k1", "one")
		a.sub(q1.C, "")
		a.until(q1.C, "the answer begins", func(s *chat.State) bool { return last(*s).ID != "" })
		q2 := a.say(q1.C, "k2", "two")
		a.until(q1.C, "the second question waits", func(s *chat.State) bool { return len(s.Queued) == 1 && s.Queued[0].ID == q2.MessageID })
		s := a.answered(q1.C, q2.Run)
		if len(s.Queued) != 0 || len(s.Messages) != 4 || s.Messages[2].ID != q2.MessageID {
			t.Errorf("the tab shows\n%s", text(s.Messages))
		}
	})
}

func TestHistoryIsPaged(t *testing.T) {
	inBubble(t, always(llmtest.Text("yes")), func(w *world) {
		a := w.guest(w.gate()).open()
		q := a.say("", "k0", "question 0")
		a.sub(q.C, "")
		a.answered(q.C, q.Run)
		for i := 1; i < 15; i++ {
			q := a.say(q.C, "k"+string(rune('a'+i)), "question")
			a.answered(q.C, q.Run)
		}
		var all []string
		before := ""
		for pages := 0; ; pages++ {
			f := a.must(object{"type": "history", "c": q.C, "before": before, "limit": 7})
			if len(f.Messages) > 7 || pages > 10 {
				t.Fatalf("page %d has %d messages", pages, len(f.Messages))
			}
			all = append([]string{text(f.Messages)}, all...)
			if before = f.Next; before == "" {
				break
			}
		}
		if got, want := strings.Join(all, "\n"), text(a.history(q.C)); got != want {
			t.Errorf("the pages are\n%s\nwant\n%s", got, want)
		}
		b := a.at(w.gates[0]).open()
		f := b.sub(q.C, "")
		got, older := text(f.Snapshot.Messages), "" // one generation may have seen all of it
		if len(f.Snapshot.Messages) < 30 {
			older = f.Snapshot.Messages[0].ID
			rest := b.must(object{"type": "history", "c": q.C, "before": older, "limit": 100})
			got = text(rest.Messages) + "\n" + got
		}
		if f.Older != older {
			t.Errorf("the snapshot of %d messages says older %q", len(f.Snapshot.Messages), f.Older)
		}
		if want := text(a.history(q.C)); got != want {
			t.Errorf("older and snapshot are\n%s\nwant\n%s", got, want)
		}
		b.refused(object{"type": "history", "c": q.C, "before": "mnever"}, http.StatusNotFound, "not_found", "before")
	})
}

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

func TestTwoTabsOnTwoReplicasSeeTheSame(t *testing.T) {
	inBubble(t, always(words(60, 30*time.Millisecond)), func(w *world) {
		a := w.guest(w.gate()).open()
		b := a.at(w.gate()).open()
		c := a.conversation()
		a.sub(c, "")
		b.sub(c, "")
		q := b.say(c, "k1", "hello")
		sa, sb := a.answered(c, q.Run), b.answered(c, q.Run)
		if text(sa.Messages) != text(sb.Messages) || len(sa.Messages) != 2 || !strings.Contains(text(sa.Messages), "word59") {
			t.Errorf("one shows\n%s\nthe other\n%s", text(sa.Messages), text(sb.Messages))
		}
		if a.view(c).at != b.view(c).at {
			t.Errorf("one stands at %v, the other at %v", a.view(c).at, b.view(c).at)
		}
	})
}

func TestReconnectInMidAnswer(t *testing.T) {
	inBubble(t, always(words(200, 20*time.Millisecond)), func(w *world) {
		gates := []*gatewaytest.Gateway{w.gate(), w.gate()}
		a := w.guest(gates[0]).open()
		q := a.say("", "k1", "hello")
		a.sub(q.C, "")
		a.until(q.C, "some words", func(s *chat.State) bool { return last(*s).ID != "" })
		snaps := a.view(q.C).snaps
		for i := range 6 {
			time.Sleep(300 * time.Millisecond)
			_ = a.ws.CloseNow()
			a.closed()
			b := a.at(gates[i%2]).open()
			b.mu.Lock()
			v := a.view(q.C)
			b.views[q.C] = &v
			b.mu.Unlock()
			if f := b.sub(q.C, v.at.String()); !f.Recovered {
				t.Errorf("sub behind %v got %s", v.at, f.raw)
			}
			a = b
		}
		s := a.answered(q.C, q.Run)
		if got, want := text(s.Messages), text(a.history(q.C)); got != want || !strings.Contains(got, "word199") {
			t.Errorf("the tab shows\n%s\nthe store has\n%s", got, want)
		}
		if n := a.view(q.C).snaps; n != snaps {
			t.Errorf("%d snapshots came though every position was known", n-snaps)
		}
	})
}

func TestTakeoverRollsBack(t *testing.T) {
	inBubble(t, always(words(100, 30*time.Millisecond)), func(w *world) {
		ga := w.gate()
		a := w.guest(ga).open()
		q := a.say("", "k1", "hello")
		a.sub(q.C, "")
		a.until(q.C, "some words", func(s *chat.State) bool { return last(*s).ID != "" })
		gb := w.gate()
		b := a.at(gb).open()
		b.sub(q.C, "")
		ga.Replica.Kill()
		ga.Stop()
		w.gates = w.gates[1:]
		s := b.answered(q.C, q.Run)
		if s.Run.Try != 2 || text(s.Messages) != text(b.history(q.C)) || strings.Count(text(s.Messages), "word99") != 1 || len(s.Messages) != 2 {
			t.Errorf("in attempt %d the tab shows\n%s", s.Run.Try, text(s.Messages))
		}
	})
}

func TestASlowReaderGetsMergedPieces(t *testing.T) {
	piece := strings.Repeat("x", 1000)
	reply := llmtest.Reply{Every: 10 * time.Millisecond}
	for range 900 {
		reply.Pieces = append(reply.Pieces, piece)
	}
	inBubble(t, always(reply), func(w *world) {
		g := w.gate()
		a := w.guest(g).open()
		b := a.at(g).open()
		c := a.conversation()
		a.sub(c, "")
		b.sub(c, "")
		q := a.say(c, "k1", "a lot")
		a.until(c, "it begins", func(s *chat.State) bool { return last(*s).ID != "" })
		b.hold()
		time.Sleep(8 * time.Second)
		b.letGo()
		sa, sb := a.answered(c, q.Run), b.answered(c, q.Run)
		if text(sa.Messages) != text(sb.Messages) || len(last(sb).Content) != 900*1000 {
			t.Errorf("the fast tab has %d bytes, the slow one %d", len(last(sa).Content), len(last(sb).Content))
		}
		if v := b.view(c); v.merged == 0 && v.snaps < 2 {
			t.Error("nothing was merged for the slow tab")
		}
		if len(b.all()) > len(a.all())/2 {
			t.Errorf("the slow tab got %d frames, the fast one %d", len(b.all()), len(a.all()))
		}
	})
}

func TestAClientThatTakesNothingIsClosed(t *testing.T) {
	inBubble(t, always(words(2000, 20*time.Millisecond)), func(w *world) {
		g := w.gate()
		a := w.guest(g).open()
		q := a.say("", "k1", "a lot")
		a.sub(q.C, "")
		a.until(q.C, "it begins", func(s *chat.State) bool { return last(*s).ID != "" })
		a.hold()
		time.Sleep(9 * time.Second)
		if n := g.Connections(); n != 1 {
			t.Errorf("after 9 s there are %d connections", n)
		}
		time.Sleep(4 * time.Second)
		if n := g.Connections(); n != 0 {
			t.Errorf("after 13 s there are %d connections", n)
		}
	})
}

func TestAFloodThatReadsNoAnswersIsNotRead(t *testing.T) {
	for name, raw := range map[string]struct {
		kind websocket.MessageType
		data string
	}{
		"pings":        {websocket.MessageText, `{"type":"ping","id":"1"}`},
		"no JSON":      {websocket.MessageText, `{`},
		"binary":       {websocket.MessageBinary, `x`},
		"no UTF-8":     {websocket.MessageText, "\"\xff\""},
		"subscribe":    {websocket.MessageText, `{"type":"sub","id":"1","c":"cnone"}`},
		"unknown type": {websocket.MessageText, `{"type":"dance","id":"1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(w *world) {
				g := w.gate()
				a := w.guest(g).open()
				a.must(object{"type": "ping"})
				a.hold()
				a.post(`{"type":"ping"}`) // the one frame that the tab reads yet
				ctx := w.Context()
				sent := make(chan int)
				go func() {
					n := 0
					for a.ws.Write(ctx, raw.kind, []byte(raw.data)) == nil && n < 5000 {
						n++
					}
					sent <- n
				}()
				if n := <-sent; n > 500 {
					t.Errorf("the server took %d frames from a client that reads no answer", n)
				}
				time.Sleep(2 * time.Second)
				if n := g.Connections(); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}
