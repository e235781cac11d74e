package chat_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
)

// Whoever joins while the first writer begins is not shown a question that the
// store has already, then a log that does not have it yet.
func TestNothingIsTakenBackFromWhoJoinsAtTheBeginning(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		var once sync.Once
		var l *chat.Lease
		w.hub.Cold = func(ctx context.Context, conv string) (chat.State, chat.Position, error) {
			once.Do(func() {
				it := w.ask(conv, "r1")
				l = a.claim(conv)
				begin(l, it)
				w.flush(l)
				w.archive(l, it, chat.RunRunning)
			})
			return chat.FromArchive(ctx, w.db, conv)
		}
		b := w.start(nil)
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1")
		say(l, "r1", "m", "answer", true, true)
		f.sees("user:question r1 assistant:answer")
		f.stop()
		for i, is := range f.shown[1:] {
			if was := f.shown[i]; !strings.HasPrefix(is, was) {
				t.Errorf("behind %q it was shown %q", was, is)
			}
		}
	})
}

// Who joins while an answer ends reads a log that has not got the end yet, and
// then a store that has: that is no reason to have the log written anew, which
// gives everybody a snapshot.
func TestJoiningAtTheEndIsNoRollback(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "answer", true, false)
		w.flush(l)
		w.archive(l, it, chat.RunRunning)
		s, at := w.inLog("conv")
		var once sync.Once
		w.hub.Cold = func(ctx context.Context, conv string) (chat.State, chat.Position, error) {
			once.Do(func() {
				say(l, "r1", "m", "", false, true)
				finish(l, "r1")
				w.flush(l)
				w.archive(l, it, chat.RunDone)
			})
			return chat.FromArchive(ctx, w.db, conv)
		}
		f := w.start(nil).follow("conv", at, s)
		f.sees("user:question r1 assistant:answer")
		eventually(t, "the end is there", func() bool { s, _, _ := f.now(); return !s.Active() })
		if _, _, reasons := f.now(); len(reasons) != 0 {
			t.Errorf("snapshots: %v", reasons)
		}
		if _, in, _, _ := chat.KeysOf("conv"); w.rdb.LLen(w.ctx(), in).Val() != 1 {
			t.Error("the log is to be healed, and nothing is wrong with it")
		}
	})
}
