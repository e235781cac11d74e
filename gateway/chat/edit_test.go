package chat_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/llm"
)

// answered has a question asked, answered and archived.
func (w *world) answered(l *chat.Lease, it chat.Item) {
	w.t.Helper()
	begin(l, it)
	say(l, it.Run, "a"+it.Run, "to "+it.Run, true, true)
	finish(l, it.Run)
	w.archive(l, it, chat.RunDone)
}

// archive stores what a run has said so far.
func (w *world) archive(l *chat.Lease, it chat.Item, status chat.RunStatus) {
	w.t.Helper()
	st := l.State()
	b := chat.Batch{
		Messages: append([]llm.Message{*it.Message}, st.RunMessages(it.Run)...), Edited: it.Edits,
		Run: &chat.RunRecord{ID: it.Run, Status: status, Try: 1},
	}
	if err := w.db.Archive(w.ctx(), l.Conversation, l.Generation(), b); err != nil {
		w.t.Fatal(err)
	}
}

// edit has a message edited by a run that is accepted.
func (w *world) edit(conv, run, message string) chat.Item {
	w.t.Helper()
	m := llm.Message{ID: "q" + run, Role: llm.User, Content: "question " + run, Metadata: &llm.Metadata{Parley: llm.Details{Edits: message}}}
	if _, _, err := w.db.Accept(w.ctx(), chat.Question{Conversation: conv, Owner: "ann", Run: run, Message: m, Edits: message}); err != nil {
		w.t.Fatal(err)
	}
	it := chat.Item{ID: run, Kind: chat.Edit, Run: run, Message: &m, Edits: message}
	w.post(conv, it)
	return it
}

// A writer may die at any moment of an edit: its successor goes on from what
// the log has, whether or not the store has heard of it.
func TestSuccessorOfAnEdit(t *testing.T) {
	const one, both = "user:question r1 assistant:to r1", "user:question r1 assistant:to r1 user:question r2 assistant:to r2"
	for name, c := range map[string]struct {
		edits string
		do    func(w *world, l *chat.Lease, it chat.Item)
		want  string
		run   string // that the successor finds
	}{
		"before it begins": {"qr2", func(*world, *chat.Lease, chat.Item) {}, both, "r2"},
		"between the question and its run": {"qr2", func(w *world, l *chat.Lease, it chat.Item) {
			l.Put(it.Run, 1, chat.Event{Type: chat.MessageSaid, Said: it.Message})
		}, both, "r2"},
		"before the store hears of it": {"qr2", func(w *world, l *chat.Lease, it chat.Item) {
			begin(l, it)
			say(l, it.Run, "n", "new", true, false)
		}, one + " user:question r3 assistant:new", "r3"},
		"before the store hears of one of the first": {"qr1", func(w *world, l *chat.Lease, it chat.Item) {
			begin(l, it)
			say(l, it.Run, "n", "new", true, false)
		}, "user:question r3 assistant:new", "r3"},
		"after the store has heard of it": {"qr2", func(w *world, l *chat.Lease, it chat.Item) {
			begin(l, it)
			w.archive(l, it, chat.RunRunning)
			say(l, it.Run, "n", "new", true, false)
		}, one + " user:question r3 assistant:new", "r3"},
		"before its last entry": {"qr1", func(w *world, l *chat.Lease, it chat.Item) {
			begin(l, it)
			say(l, it.Run, "n", "new", true, true)
			w.archive(l, it, chat.RunDone)
		}, "user:question r3 assistant:new", "r3"},
		"whose log is not what the store has": {"qr2", func(w *world, l *chat.Lease, it chat.Item) {
			say(l, "r1", "lost", "never archived", true, true)
			begin(l, it)
			l.Put("r1", 1, chat.Event{Type: chat.MessageSaid, Said: &llm.Message{ID: "nobody's", Role: llm.User, Content: "?"}})
		}, both, ""},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
				w := newWorld(t, client)
				a, b := w.start(nil), w.start(nil)
				it := w.ask("conv", "r1")
				l := a.claim("conv")
				w.answered(l, it)
				w.answered(l, w.ask("conv", "r2"))
				f := b.follow("conv", chat.Position{}, chat.State{})
				f.sees(both)
				c.do(w, l, w.edit("conv", "r3", c.edits))
				w.flush(l)
				l.Stop()
				expire(w, "conv")
				next := b.claim("conv")
				st := next.State()
				if got := contents(st.Messages); got != c.want {
					t.Errorf("the successor goes on from %q", got)
				}
				if got := runName(st); got != c.run {
					t.Errorf("the successor finds the run %q, want %q", got, c.run)
				}
				w.flush(next)
				f.sees(c.want)
			})
		})
	}
}

func runName(s chat.State) string {
	if s.Run == nil {
		return ""
	}
	return s.Run.ID
}

// Whatever a log reaches back to, an edit of what lies before leaves nothing of
// it, and a successor does not take that for a log that was rolled back.
func TestEditOfWhatLiesBeforeTheLog(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		first := w.ask("conv", "r0")
		l := a.claim("conv")
		w.answered(l, first)
		for i := range 40 {
			w.answered(l, w.ask("conv", fmt.Sprint("r", i+1)))
		}
		w.flush(l)
		l.Stop() // or a renewal would have it claim the conversation anew
		w.rdb.FlushAll(w.ctx())
		it := w.edit("conv", "new", "qr1")
		l = b.claim("conv") // from the store: the latest 24
		f := a.follow("conv", chat.Position{}, chat.State{})
		f.sees(contents(l.State().Messages))
		begin(l, it)
		w.flush(l)
		f.sees("user:question new")
		l.Stop()
		expire(w, "conv")
		l = a.claim("conv")
		if got := contents(l.State().Messages); got != "user:question new" {
			t.Errorf("the successor goes on from %q", got)
		}
		older, _, err := w.db.History(w.ctx(), "conv", "qnew", 10)
		if err != nil || contents(older) != "user:question r0 assistant:to r0" {
			t.Errorf("before it is %q, %v", contents(older), err)
		}
		say(l, "new", "n", "new", true, true)
		finish(l, "new")
		w.archive(l, it, chat.RunDone)
		w.flush(l)
		f.sees("user:question new assistant:new")
		l.Stop()
		expire(w, "conv")
		l = b.claim("conv")
		st := l.State()
		if got := contents(st.Messages); got != "user:question new assistant:new" {
			t.Errorf("the one after it goes on from %q", got)
		}
		f.sees("user:question new assistant:new")
	})
}
