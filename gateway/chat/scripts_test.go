package chat_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
)

func TestPostOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		_, in, _, due := chat.KeysOf("conv")
		it := chat.Item{ID: "one", Kind: chat.Cancel, Run: "r"}
		for range 3 {
			if !w.post("conv", it) {
				t.Error("nobody writes the conversation, and it cannot be claimed")
			}
		}
		w.post("conv", chat.Item{ID: "two", Kind: chat.Cancel, Run: "s"})
		if n := w.rdb.LLen(w.ctx(), in).Val(); n != 2 {
			t.Errorf("%d items in the inbox, want 2", n)
		}
		at := w.rdb.ZScore(w.ctx(), due, "conv").Val()
		if now := float64(w.rdb.Time(w.ctx()).Val().UnixMilli()); at < now-60_000 || at > now {
			t.Errorf("due at %.0f, and it is %.0f", at, now)
		}
		for _, k := range []string{in, chat.SentKey("conv", "one")} {
			if ttl := w.rdb.PTTL(w.ctx(), k).Val(); ttl <= 0 || ttl > time.Hour {
				t.Errorf("%s lives for %v", k, ttl)
			}
		}
	})
}

func TestClaim(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		if l, err := a.queue.Claim(w.ctx(), "conv"); l != nil || err != nil {
			t.Errorf("claimed what is not due: %v, %v", l, err)
		}
		before := uint64(w.rdb.Time(w.ctx()).Val().UnixMilli())
		w.ask("conv", "r1")
		l := a.claim("conv")
		_, _, own, due := chat.KeysOf("conv")
		gen := l.Generation()
		if now := uint64(w.rdb.Time(w.ctx()).Val().UnixMilli()); gen < before || gen > now {
			t.Errorf("generation %d, and it is %d", gen, now)
		}
		if s := w.rdb.HGet(w.ctx(), own, "gen").Val(); s != strconv.FormatUint(gen, 10) {
			t.Errorf("Redis has generation %q, the lease %d", s, gen)
		}
		lease, err := strconv.ParseInt(w.rdb.HGet(w.ctx(), own, "lease").Val(), 10, 64)
		if err != nil || float64(lease) != w.rdb.ZScore(w.ctx(), due, "conv").Val() {
			t.Errorf("lease until %v %v, due at %v", lease, err, w.rdb.ZScore(w.ctx(), due, "conv").Val())
		}
		for _, p := range []*process{a, b} {
			if l, err := p.queue.Claim(w.ctx(), "conv"); l != nil || err != nil {
				t.Errorf("claimed what has a writer: %v, %v", l, err)
			}
		}
		if w.post("conv", chat.Item{ID: "c", Kind: chat.Cancel, Run: "r1"}) {
			t.Error("a conversation with a writer is said to be free")
		}
		select {
		case <-l.Poked():
		case <-time.After(5 * time.Second):
			t.Error("the writer does not hear of a post")
		}
		if g, err := w.db.Generation(w.ctx(), "conv"); g != gen || err != nil {
			t.Errorf("the store has generation %d, %v", g, err)
		}
	})
}

// A lease that is not renewed runs out; one whose process lives does not.
func TestLeaseRunsOut(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = 400 * time.Millisecond
		a, b := w.start(nil), w.start(nil)
		w.ask("conv", "r1")
		l := a.claim("conv")
		time.Sleep(time.Second)
		if other, err := b.queue.Claim(w.ctx(), "conv"); other != nil || err != nil {
			t.Fatalf("a lease that is renewed was taken: %v, %v", other, err)
		}
		if due, err := b.queue.Scan(w.ctx(), 10); len(due) > 0 || err != nil {
			t.Errorf("due: %v, %v", due, err)
		}
		l.Stop()
		eventually(t, "due", func() bool { due, _ := b.queue.Scan(w.ctx(), 10); return len(due) == 1 })
		if m := b.claim("conv"); m.Generation() <= l.Generation() {
			t.Errorf("generation %d behind %d", m.Generation(), l.Generation())
		}
		l.Put("r1", 1, chat.Event{Type: chat.Titled, Title: "by the dead"})
		if s, _ := w.inLog("conv"); s.Title != "" {
			t.Error("a lease that has ended still writes")
		}
	})
}

func TestReleaseKeepsWhatCameMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		_, in, own, due := chat.KeysOf("conv")
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		if ok, err := l.Release(w.ctx()); ok || err != nil {
			t.Fatalf("released with a question in the inbox: %v, %v", ok, err)
		}
		its, err := l.Inbox(w.ctx())
		if err != nil || len(its) != 1 || its[0].Message.Content != it.Message.Content {
			t.Fatalf("inbox %+v, %v", its, err)
		}
		if err := l.Remove(w.ctx(), its[0]); err != nil {
			t.Fatal(err)
		}
		if ok, err := l.Release(w.ctx()); !ok || err != nil {
			t.Fatalf("not released: %v, %v", ok, err)
		}
		if n := w.rdb.Exists(w.ctx(), in).Val() + w.rdb.ZCard(w.ctx(), due).Val(); n != 0 || w.rdb.HGet(w.ctx(), own, "lease").Val() != "0" || a.queue.Holds("conv") {
			t.Error("something is left of the lease")
		}
		if err := l.Flush(w.ctx()); err == nil {
			t.Error("a lease that was released can be written")
		}
	})
}

func TestHandOverIsDueAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		eventually(t, "both listen", func() bool { return chat.Subscribers(w.ctx(), w.rdb, "parley:wake") == 2 })
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		if err := l.HandOver(w.ctx()); err != nil {
			t.Fatal(err)
		}
		select {
		case conv := <-b.queue.Due():
			if conv != "conv" {
				t.Errorf("%s is due", conv)
			}
		case <-time.After(5 * time.Second):
			t.Error("nobody is told")
		}
		m := b.claim("conv")
		if s := m.State(); !s.Active() || s.Run.ID != "r1" {
			t.Errorf("handed over %+v", s.Run)
		}
	})
}

func TestRestore(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		_, in, _, due := chat.KeysOf("conv")
		it := w.ask("conv", "r1")
		w.rdb.FlushAll(w.ctx())
		lost := []chat.Item{it, {ID: "r2", Kind: chat.Say, Run: "r2"}}
		for range 2 {
			if err := w.inbox.Restore(w.ctx(), "conv", lost); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.rdb.LLen(w.ctx(), in).Val(); n != 2 || w.rdb.ZCard(w.ctx(), due).Val() != 1 {
			t.Errorf("%d items restored", n)
		}
		l := a.claim("conv")
		w.rdb.Del(w.ctx(), in)
		if err := w.inbox.Restore(w.ctx(), "conv", lost); err != nil || w.rdb.Exists(w.ctx(), in).Val() != 0 {
			t.Errorf("restored under a writer; %v", err)
		}
		l.Stop()
	})
}

// An item that cannot be read, because a later version put it there, is no
// hindrance.
func TestItemsOfALaterVersion(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		_, in, _, _ := chat.KeysOf("conv")
		w.ask("conv", "r1")
		w.rdb.RPush(w.ctx(), in, "\x00later", `{"id":"s","kind":"steer"}`)
		l := w.start(nil).claim("conv")
		its, err := l.Inbox(w.ctx())
		if err != nil || len(its) != 3 || its[1].ID == "" || its[2].Kind != "steer" {
			t.Fatalf("%+v, %v", its, err)
		}
		for _, it := range its {
			if err := l.Remove(w.ctx(), it); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.rdb.LLen(w.ctx(), in).Val(); n != 0 {
			t.Errorf("%d items are left", n)
		}
	})
}

func TestDeletedConversationIsForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		w.ask("conv", "r1")
		if err := w.db.DeleteConversation(w.ctx(), "conv"); err != nil {
			t.Fatal(err)
		}
		if l, err := a.queue.Claim(w.ctx(), "conv"); l != nil || err != nil {
			t.Errorf("%v, %v", l, err)
		}
		if due, err := a.queue.Scan(w.ctx(), 10); len(due) != 0 || err != nil {
			t.Errorf("due: %v, %v", due, err)
		}
	})
}
