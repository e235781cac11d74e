package chat_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
)

// bellLess loses what is published.
type bellLess struct{}

func (bellLess) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (bellLess) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (bellLess) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return nil }
}

func TestDeleted(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		say(l, "r1", "m", "half", false, false)
		w.flush(l)
		f, g := a.follow("conv", chat.Position{}, chat.State{}), b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:half")
		g.sees("user:question r1 assistant:half")
		w.ask("other", "r2")
		other := b.claim("other")
		if err := w.db.DeleteConversation(w.ctx(), "conv"); err != nil {
			t.Fatal(err)
		}
		for range 2 { // it may be told again
			if err := w.inbox.Deleted(w.ctx(), "conv"); err != nil {
				t.Fatal(err)
			}
		}
		say(l, "r1", "m", "and the rest", false, true)
		late := b.follow("conv", chat.Position{}, chat.State{}) // who was let in just before
		eventually(t, "a late follower is told", func() bool { s, _, _ := late.now(); return s.Deleted })
		for _, r := range []*reader{f, g, late} {
			r.sees("")
			if s, _, reasons := r.now(); !s.Deleted || s.Active() || !slices.Contains(reasons, chat.ReasonDeleted) {
				t.Errorf("shown %+v for %q", s, reasons)
			}
		}
		select {
		case <-l.Context().Done():
		case <-time.After(10 * time.Second):
			t.Fatal("it is written on")
		}
		if err := l.Flush(w.ctx()); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("the writer is told %v", err)
		}
		if s, _ := w.inLog("conv"); !s.Deleted || len(s.Messages) > 0 {
			t.Errorf("the log has %+v", s)
		}
		_, in, own, due := chat.KeysOf("conv")
		if n := w.rdb.Exists(w.ctx(), in, own).Val(); n != 0 || slices.Contains(w.rdb.ZRange(w.ctx(), due, 0, -1).Val(), "conv") {
			t.Errorf("%d keys are left, or it is due", n)
		}
		if l, err := b.queue.Claim(w.ctx(), "conv"); l != nil || err != nil {
			t.Errorf("it is claimed: %v, %v", l, err)
		}
		if err := other.Fresh(w.ctx()); err != nil {
			t.Errorf("another conversation: %v", err)
		}
	})
}

// A conversation whose log has run out tells its followers, too, and those
// whose bell was lost find out.
func TestDeletedWhenNobodyWritesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		w.answered(l, it)
		l.Stop()
		log, _, own, _ := chat.KeysOf("conv")
		w.rdb.Del(w.ctx(), log)
		f := a.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:to r1")
		eventually(t, "it has joined", func() bool { return a.bus.Listeners() == 3 }) // besides the process, which listens for itself and for wakes
		if err := w.db.DeleteConversation(w.ctx(), "conv"); err != nil {
			t.Fatal(err)
		}
		rdb := w.client()
		rdb.AddHook(bellLess{})
		if err := chat.NewInbox(rdb).Deleted(w.ctx(), "conv"); err != nil {
			t.Fatal(err)
		}
		gatewaytest.Eventually(t, 20*time.Second, "it finds out", func() bool { s, _, _ := f.now(); return s.Deleted && len(s.Messages) == 0 })
		if w.rdb.TTL(w.ctx(), log).Val() <= 0 || w.rdb.Exists(w.ctx(), own).Val() != 0 {
			t.Error("what says so stays for ever")
		}
	})
}
