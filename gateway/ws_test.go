package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
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
