package run_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/store"
	"parley/llm/llmtest"
)

func TestEdit(t *testing.T) {
	inWorld(t, with(numbered), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		v := w.watch(b.Hub)
		one := w.say(a.Runner, "conv", "one")
		if _, err := b.Runner.Edit(t.Context(), "owner", "conv", one.Message.ID, "too early", "1"); !errors.Is(err, store.ErrRunning) {
			t.Errorf("while it is answered: %v", err)
		}
		w.ended(one.Run)
		two, three := w.say(a.Runner, "conv", "two"), w.say(b.Runner, "conv", "three")
		w.ended(two.Run)
		w.ended(three.Run)
		w.sees(v, "conv")
		q, err := b.Runner.Edit(t.Context(), "owner", "conv", two.Message.ID, "edit", "zwei")
		if err != nil {
			t.Fatal(err)
		}
		same, err := a.Runner.Edit(t.Context(), "owner", "conv", two.Message.ID, "edit", "zwei")
		if err != nil || same.Run != q.Run || same.Message.ID != q.Message.ID {
			t.Errorf("the same client id starts %s, %v", same.Run, err)
		}
		four := w.say(a.Runner, "conv", "four") // waits for the edit
		w.ended(q.Run)
		w.ended(four.Run)
		w.sees(v, "conv")
		want := "user: one\nassistant: answer 1 to one\nuser: zwei\nassistant: answer 4 to zwei\nuser: four\nassistant: answer 5 to four"
		if got := w.stored("conv"); got != want {
			t.Errorf("stored %q", got)
		}
		q, err = a.Runner.Edit(t.Context(), "owner", "conv", one.Message.ID, "all", "eins")
		if err != nil {
			t.Fatal(err)
		}
		w.ended(q.Run)
		w.sees(v, "conv")
		if got := w.stored("conv"); got != "user: eins\nassistant: answer 6 to eins" {
			t.Errorf("stored %q", got)
		}
		if _, err := a.Runner.Edit(t.Context(), "somebody else", "conv", q.Message.ID, "not mine", "x"); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("another's question: %v", err)
		}
	})
}

// The model reads an edited question behind what stood before it, and nothing
// of what stood in its place, however early the log is read.
func TestModelReadsTheEditedQuestion(t *testing.T) {
	read := func(r llmtest.Request) llmtest.Reply {
		var all []string
		for _, m := range r.Messages {
			if m.Role != "system" {
				all = append(all, m.Content)
			}
		}
		return llmtest.Text("I read " + strings.Join(all, " / "))
	}
	inWorld(t, with(read), func(t *testing.T, w *world) {
		a := w.desk()
		one := w.say(a.Runner, "conv", "one")
		two := w.say(a.Runner, "conv", "two")
		w.ended(one.Run)
		w.ended(two.Run)
		gatewaytest.Eventually(t, 10*time.Second, "nobody writes it", func() bool { return !a.Queue.Holds("conv") })
		w.Redis.Wipe()
		a.set(func(d *desk) {
			d.archive = func(chat.Batch) error { time.Sleep(time.Second); return nil } // its start is in the store late
		})
		q, err := a.Runner.Edit(t.Context(), "owner", "conv", one.Message.ID, "edit", "eins")
		if err != nil {
			t.Fatal(err)
		}
		w.ended(q.Run)
		if got := w.stored("conv"); got != "user: eins\nassistant: I read eins" {
			t.Errorf("stored %q", got)
		}
	})
}

// An inbox may have a question that was answered long ago: its replica died
// before it could take it out, or Redis was rolled back. It is not shown to
// wait, also if it was edited since and is no longer in the conversation.
func TestAnsweredQuestionsDoNotWait(t *testing.T) {
	inWorld(t, with(slowly(50)), func(t *testing.T, w *world) {
		a := w.Start()
		v := w.watch(a.Hub)
		one := w.say(a.Runner, "conv", "one")
		w.ended(one.Run)
		edit, err := a.Runner.Edit(t.Context(), "owner", "conv", one.Message.ID, "edit", "eins")
		if err != nil {
			t.Fatal(err)
		}
		w.holder("conv", a)
		time.Sleep(100 * time.Millisecond)
		rdb := w.Redis.Client()
		defer rdb.Close()
		stale := chat.Item{ID: "stale", Kind: chat.Say, Run: one.Run, Message: &one.Message}
		if _, err := chat.NewInbox(rdb).Post(t.Context(), "conv", stale); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		two := w.say(a.Runner, "conv", "two")
		gatewaytest.Eventually(t, 100*time.Millisecond, "the question behind it is seen to wait", func() bool { return len(v.final().Queued) > 0 })
		if s := v.final(); len(s.Queued) != 1 || s.Queued[0].ID != two.Message.ID {
			t.Errorf("%s are seen to wait", text(s.Queued))
		}
		w.ended(edit.Run)
		w.ended(two.Run)
		if s := w.sees(v, "conv"); len(s.Queued) > 0 {
			t.Errorf("%s wait still", text(s.Queued))
		}
	})
}
