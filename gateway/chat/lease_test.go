package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/llm"
)

func TestPutReachesTheLogInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "", true, false)
		want := ""
		for i := range 500 {
			text := fmt.Sprint(i, " ")
			want += text
			say(l, "r1", "m", text, false, false)
		}
		w.flush(l)
		s, at := w.inLog("conv")
		if got := contents(s.Messages); got != "user:question r1 assistant:"+want {
			t.Errorf("the log adds up to %q", got)
		}
		if at != (chat.Position{Generation: l.Generation(), N: 503}) || l.Busy() {
			t.Errorf("the log ends at %v", at)
		}
	})
}

// Whatever was put while Redis failed is in the snapshot of the generation
// with which the lease goes on.
func TestAppendErrorIsDoubt(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		f := a.follow("conv", chat.Position{}, chat.State{})
		begin(l, it)
		say(l, "r1", "m", "one ", true, false)
		w.flush(l)
		first := l.Generation()
		log, _, _, _ := chat.KeysOf("conv")
		// Somebody's entry in the way: the next append is refused.
		w.rdb.XAdd(w.ctx(), &redis.XAddArgs{Stream: log, ID: chat.Position{Generation: first, N: 1000}.String(), Values: []any{"e", "{}"}})
		say(l, "r1", "m", "two ", false, false)
		say(l, "r1", "m", "three", false, true)
		w.flush(l)
		if l.Generation() <= first {
			t.Errorf("generation %d behind %d", l.Generation(), first)
		}
		s, _ := w.inLog("conv")
		if got := contents(s.Messages); got != "user:question r1 assistant:one two three" {
			t.Errorf("the log adds up to %q", got)
		}
		f.sees("user:question r1 assistant:one two three")
	})
}

func TestZombieWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		zombie := a.claim("conv")
		begin(zombie, it)
		say(zombie, "r1", "m", "one ", true, false)
		w.flush(zombie)
		expire(w, "conv")
		l := b.claim("conv")
		say(zombie, "r1", "m", "by a zombie", false, false)
		if err := zombie.Flush(w.ctx()); !errors.Is(err, chat.ErrFenced) {
			t.Errorf("the zombie learns %v", err)
		}
		if err := zombie.Fresh(w.ctx()); !errors.Is(err, chat.ErrFenced) {
			t.Errorf("the zombie may change the world: %v", err)
		}
		if zombie.Held() || zombie.Context().Err() == nil {
			t.Error("the zombie believes that it holds the lease")
		}
		say(l, "r1", "m", "two", false, true)
		w.flush(l)
		if s, _ := w.inLog("conv"); contents(s.Messages) != "user:question r1 assistant:one two" {
			t.Errorf("the log adds up to %q", contents(s.Messages))
		}
	})
}

// expire has the lease of a conversation run out.
func expire(w *world, conv string) {
	_, _, own, due := chat.KeysOf(conv)
	w.rdb.HSet(w.ctx(), own, "lease", "1")
	w.rdb.ZAdd(w.ctx(), due, redis.Z{Score: 1, Member: conv})
}

// A writer that was stopped for a while may wake up between its successor's
// reading of the log and its first entry. What it writes then is not part of
// what the successor goes on from, and followers must be told so.
func TestZombieWritesDuringAClaim(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		it := w.ask("conv", "r1")
		zombie := a.claim("conv")
		b := w.start(&hole{Archive: w.db, during: func() {
			say(zombie, "r1", "m", "by the zombie ", false, false)
			w.flush(zombie)
		}})
		f := b.follow("conv", chat.Position{}, chat.State{})
		begin(zombie, it)
		say(zombie, "r1", "m", "one ", true, false)
		w.flush(zombie)
		f.sees("user:question r1 assistant:one ")
		expire(w, "conv")
		l := b.claim("conv")
		say(l, "r1", "m", "two", false, true)
		w.flush(l)
		s, _ := w.inLog("conv")
		f.sees(contents(s.Messages))
		if got := contents(l.State().Messages); got != contents(s.Messages) {
			t.Errorf("the writer has %q, its log %q", got, contents(s.Messages))
		}
	})
}

// A claim may take longer than a log reaches back, by the clock of the replica:
// that must not trim what it has just written.
func TestTrimSparesTheGenerationThatBegins(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = time.Minute
		w.queue.LogTTL = time.Second
		a := w.start(&hole{Archive: w.db, during: func() { time.Sleep(5 * time.Second) }})
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		w.flush(l)
		if s, at := w.inLog("conv"); contents(s.Messages) != "user:question r1" || at.Generation != l.Generation() {
			t.Errorf("the log adds up to %q at %v", contents(s.Messages), at)
		}
	})
}

func TestGenerationsGrowWhateverTheClock(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		it := w.ask("conv", "r1")
		far := uint64(time.Now().Add(time.Hour).UnixMilli())
		if err := w.db.Claimed(w.ctx(), "conv", far, "before the clock was set back"); err != nil {
			t.Fatal(err)
		}
		l := a.claim("conv")
		if l.Generation() <= far {
			t.Errorf("generation %d, the store has had %d", l.Generation(), far)
		}
		begin(l, it)
		w.flush(l)
		before := l.Generation()
		l.Doubt()
		w.flush(l)
		if l.Generation() <= before {
			t.Errorf("generation %d behind %d", l.Generation(), before)
		}
		if s, _ := w.inLog("conv"); len(s.Messages) != 1 {
			t.Errorf("the log adds up to %v", s.Messages)
		}
	})
}

func TestTrimsAtItsBounds(t *testing.T) {
	for name, o := range map[string]chat.QueueOptions{
		"entries": {MaxEntries: 20},
		"bytes":   {MaxBytes: 4000},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
				w := newWorld(t, client)
				w.queue.MaxEntries, w.queue.MaxBytes = o.MaxEntries, o.MaxBytes
				a := w.start(nil)
				it := w.ask("conv", "r1")
				l := a.claim("conv")
				f := a.follow("conv", chat.Position{}, chat.State{})
				begin(l, it)
				say(l, "r1", "m", "", true, false)
				w.flush(l)
				_, early := w.inLog("conv")
				s0 := l.State()
				want := ""
				first := l.Generation()
				log, _, _, _ := chat.KeysOf("conv")
				var most int64
				for i := range 100 {
					text := fmt.Sprint(i, " ")
					want += text
					say(l, "r1", "m", text, false, false)
					if i%5 == 0 {
						w.flush(l)
					}
					most = max(most, w.rdb.XLen(w.ctx(), log).Val())
				}
				w.flush(l)
				if l.Generation() == first || most > 60 {
					t.Errorf("%d entries at the most, generation %d after %d", most, l.Generation(), first)
				}
				f.sees("user:question r1 assistant:" + want)
				late := a.follow("conv", early, s0) // its cursor was trimmed away
				late.sees("user:question r1 assistant:" + want)
			})
		})
	}
}

func TestRoomBoundsWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.MaxQueued = 2000
		a := w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "", true, false)
		for i := 0; l.Room(closed(w.ctx())) == nil; i++ {
			if i > 100 {
				t.Fatal("the queue has no bound")
			}
			say(l, "r1", "m", strings.Repeat("x", 100), false, false)
		}
		if err := l.Room(w.ctx()); err != nil { // the publisher makes room
			t.Error(err)
		}
		w.flush(l)
		l.Stop()
		if l.Room(w.ctx()) == nil || l.Flush(w.ctx()) == nil || l.Fresh(w.ctx()) == nil {
			t.Error("a lease that has ended has room")
		}
	})
}

// closed returns a context that has ended.
func closed(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// away is an archive that fails for a while.
type away struct {
	chat.Archive
	gone atomic.Bool
}

func (a *away) Claimed(ctx context.Context, conv string, gen uint64, nonce string) error {
	if a.gone.Load() {
		return errors.New("the store is away")
	}
	return a.Archive.Claimed(ctx, conv, gen, nonce)
}

// The store is away while a lease is in doubt: the claim is repeated until it
// is whole, and nothing that was put meanwhile is lost.
func TestDoubtOutlastsTheStore(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		ar := &away{Archive: w.db}
		a := w.start(ar)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "one ", true, false)
		w.flush(l)
		ar.gone.Store(true)
		l.Doubt()
		time.Sleep(300 * time.Millisecond)
		say(l, "r1", "m", "two", false, true)
		if l.Held() {
			t.Error("in doubt, and held")
		}
		ar.gone.Store(false)
		w.flush(l)
		if s, _ := w.inLog("conv"); contents(s.Messages) != "user:question r1 assistant:one two" {
			t.Errorf("the log adds up to %q", contents(s.Messages))
		}
	})
}

func TestALeaseThatHasEndedWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		w.flush(l)
		l.Stop()
		say(l, "r1", "m", "too late", true, true)
		time.Sleep(100 * time.Millisecond) // nothing tells that nothing is sent
		if s, _ := w.inLog("conv"); contents(s.Messages) != "user:question r1" {
			t.Errorf("the log adds up to %q", contents(s.Messages))
		}
	})
}

func TestFreshRenews(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = time.Minute
		a := w.start(nil)
		w.ask("conv", "r1")
		l := a.claim("conv")
		_, _, own, _ := chat.KeysOf("conv")
		w.rdb.HSet(w.ctx(), own, "lease", "1")
		if err := l.Fresh(w.ctx()); err != nil || !l.Held() {
			t.Fatalf("%v, held %v", err, l.Held())
		}
		if v, _ := strconv.ParseInt(w.rdb.HGet(w.ctx(), own, "lease").Val(), 10, 64); v < w.rdb.Time(w.ctx()).Val().UnixMilli() {
			t.Errorf("the lease ends at %d", v)
		}
	})
}

// What a store has of a run that the log believes to go on is believed.
func TestSuccessorBelievesTheStore(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "whole", true, true)
		w.flush(l)
		s := l.State()
		rec := chat.RunRecord{ID: "r1", Status: chat.RunDone, Try: 1}
		if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages, Run: &rec}); err != nil {
			t.Fatal(err)
		}
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:whole")
		l.Stop() // before its last entry
		expire(w, "conv")
		b.claim("conv")
		eventually(t, "followers see the run's end", func() bool { s, _, _ := f.now(); return !s.Active() })
		f.sees("user:question r1 assistant:whole")
	})
}

// A writer that was cut off from Redis may have stored a message that its log
// has only the beginning of.
func TestSuccessorBelievesTheStoreOfAnOpenMessage(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "half", true, false)
		w.flush(l)
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:half")
		whole := l.State()
		whole.Apply(piece("r1", "m", " and whole"))
		whole.Apply(event("r1", chat.TextEnd, "m"))
		if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: whole.Messages}); err != nil {
			t.Fatal(err)
		}
		l.Stop()
		expire(w, "conv")
		next := b.claim("conv")
		next.Put("r1", 2, chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2})
		st := next.State()
		if got := contents(st.Messages); got != "user:question r1 assistant:half and whole" {
			t.Errorf("the successor goes on from %q", got)
		}
		f.sees("user:question r1 assistant:half and whole")
	})
}

// A successor of a run that gives an answer anew does not bring back the old
// one, which the store may still have.
func TestSuccessorOfARegeneratedAnswer(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "old", true, true)
		finish(l, "r1")
		w.flush(l) // or who joins now finds the log behind the store, and waits for the writer to heal it
		s := l.State()
		rec := chat.RunRecord{ID: "r1", Status: chat.RunDone, Try: 1}
		if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages, Run: &rec}); err != nil {
			t.Fatal(err)
		}
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:old")
		q := chat.Question{Conversation: "conv", Owner: "ann", Run: "r2", Replaces: "r1", Message: *it.Message}
		if _, _, err := w.db.Accept(w.ctx(), q); err != nil {
			t.Fatal(err)
		}
		l.Put("r2", 1, chat.Event{Type: chat.RunStarted, RunID: "r2", Metadata: &llm.Metadata{Parley: llm.Details{Question: it.Message.ID, Replaces: "r1"}}})
		say(l, "r2", "n", "new", true, false)
		w.flush(l)
		f.sees("user:question r1 assistant:new")
		l.Stop() // before the store heard of it
		expire(w, "conv")
		next := b.claim("conv")
		st := next.State()
		if got := contents(st.Messages); got != "user:question r1 assistant:new" {
			t.Errorf("the successor goes on from %q", got)
		}
		f.sees("user:question r1 assistant:new")
	})
}

// Thoughts of a turn that was not finished are thought again.
func TestSuccessorRollsBackThoughts(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		l.Put("r1", 1, chat.Event{Type: chat.ReasoningStart, MessageID: "t"})
		l.Put("r1", 1, chat.Event{Type: chat.ReasoningContent, MessageID: "t", Delta: "hm"})
		l.Put("r1", 1, chat.Event{Type: chat.ReasoningEnd, MessageID: "t"})
		say(l, "r1", "m", "half", true, false)
		w.flush(l)
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 reasoning:hm assistant:half")
		l.Stop()
		expire(w, "conv")
		next := b.claim("conv")
		next.Put("r1", 2, chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2})
		f.sees("user:question r1")
	})
}
