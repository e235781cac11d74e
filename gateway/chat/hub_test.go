package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/llm"
)

// talk claims a conversation whose run r1 writes message m.
func (w *world) talk(p *process, conv string) *chat.Lease {
	w.t.Helper()
	it := w.ask(conv, "r1")
	l := p.claim(conv)
	begin(l, it)
	say(l, "r1", "m", "", true, false)
	w.flush(l)
	return l
}

func TestFollowersJoinAtAnyTime(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.hub.RingSize = 16
		a, b := w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		want := "user:question r1 assistant:"
		var rs []*reader
		var states []chat.State
		var at []chat.Position
		for i := range 60 {
			p := a
			if i%2 == 1 {
				p = b
			}
			rs = append(rs, p.follow("conv", chat.Position{}, chat.State{}))
			text := fmt.Sprint(i, " ")
			want += text
			say(l, "r1", "m", text, false, false)
			if i%10 == 0 {
				w.flush(l)
				s, pos := w.inLog("conv")
				states, at = append(states, s), append(at, pos)
			}
		}
		for i, s := range states { // cursors, most of which no ring reaches back to
			rs = append(rs, b.follow("conv", at[i], s))
		}
		w.flush(l)
		for _, r := range rs {
			r.sees(want)
		}
		for _, r := range rs[len(rs)-len(states):] {
			if _, _, reasons := r.now(); len(reasons) > 0 {
				t.Errorf("a cursor that the log has got a snapshot: %v", reasons)
			}
		}
	})
}

// unheard appends an entry whose bell is lost.
func (w *world) unheard(conv string, at chat.Position, e chat.Entry) {
	w.t.Helper()
	e.At = at
	b, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	log, _, _, _ := chat.KeysOf(conv)
	if err := w.rdb.XAdd(w.ctx(), &redis.XAddArgs{Stream: log, ID: at.String(), Values: []any{"e", string(b)}}).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func TestLostBellIsHealedByTheHeadCheck(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = time.Minute
		a := w.start(nil)
		w.talk(a, "conv")
		f := a.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:")
		_, at, _ := f.now()
		w.unheard("conv", at.Next(), piece("r1", "m", "unheard"))
		began := time.Now()
		f.sees("user:question r1 assistant:unheard")
		if took := time.Since(began); took > 2100*time.Millisecond {
			t.Errorf("seen after %v", took)
		}
	})
}

func TestLostSubscriptionIsHealedOnItsReturn(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) {
		w := newWorld(t, redisServer(t))
		w.hub.CheckEvery = time.Hour
		a := w.start(nil)
		l := w.talk(a, "conv")
		f := a.follow("conv", chat.Position{}, chat.State{})
		want := "user:question r1 assistant:"
		f.sees(want)
		for i := range 50 {
			if i%10 == 5 {
				w.rdb.ClientKillByFilter(w.ctx(), "TYPE", "pubsub")
			}
			text := fmt.Sprint(i, " ")
			want += text
			say(l, "r1", "m", text, false, false)
			w.flush(l)
		}
		f.sees(want)
		if _, _, reasons := f.now(); len(reasons) != 1 {
			t.Errorf("snapshots for %v, want one for joining", reasons)
		}
	})
}

// An entry that no read brings has the writer begin anew.
func TestHoleIsHealedByANewGeneration(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = time.Minute // the writer does not find out by itself
		a, b := w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:")
		gen := l.Generation()
		hole := chat.Position{Generation: gen, N: 50}
		w.unheard("conv", hole, piece("r1", "m", "from nowhere"))
		w.ring("conv", `{"at":"`+hole.String()+`"}`)
		eventually(t, "healed", func() bool {
			its, err := l.Inbox(w.ctx()) // as the session does when it is poked
			if err != nil || len(its) != 1 {
				t.Fatalf("%v, %v", its, err)
			}
			return l.Generation() > gen
		})
		say(l, "r1", "m", "whole", false, true)
		f.sees("user:question r1 assistant:whole")
		if _, in, _, _ := chat.KeysOf("conv"); w.rdb.LLen(w.ctx(), in).Val() != 1 {
			t.Error("what asked for it is still in the inbox")
		}
	})
}

func TestCursorsThatFitNothing(t *testing.T) {
	for name, at := range map[string]func(w *world, head chat.Position) chat.Position{
		"before everything": func(*world, chat.Position) chat.Position { return chat.Position{} },
		"of another conversation": func(_ *world, h chat.Position) chat.Position {
			return chat.Position{Generation: h.Generation - 7, N: 3}
		},
		"beyond the end": func(_ *world, h chat.Position) chat.Position {
			return chat.Position{Generation: h.Generation, N: h.N + 10}
		},
		"of a later generation": func(_ *world, h chat.Position) chat.Position {
			return chat.Position{Generation: h.Generation + 9, N: 2}
		},
		"of the far future": func(*world, chat.Position) chat.Position { return chat.Position{Generation: 1 << 63, N: 1 << 63} },
		"of a log that is no more": func(w *world, h chat.Position) chat.Position {
			log, _, _, _ := chat.KeysOf("conv")
			w.rdb.Del(w.ctx(), log)
			return h
		},
		"beyond a log that is no more": func(w *world, h chat.Position) chat.Position {
			log, _, _, _ := chat.KeysOf("conv")
			w.rdb.Del(w.ctx(), log)
			return chat.Position{Generation: h.Generation, N: h.N + 10}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
				w := newWorld(t, client)
				a, b := w.start(nil), w.start(nil)
				it := w.ask("conv", "r1")
				l := a.claim("conv")
				begin(l, it)
				say(l, "r1", "m", "first", true, true)
				finish(l, "r1")
				w.flush(l)
				s := l.State()
				if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages}); err != nil {
					t.Fatal(err)
				}
				l.Stop()
				_, head := w.inLog("conv")
				wrong := fold(saying("of something else"))
				f := b.follow("conv", at(w, head), wrong)
				f.sees("user:question r1 assistant:first")
				w.ask("conv", "r2")
				expire(w, "conv")
				l = a.claim("conv")
				say(l, "r2", "n", "second", true, true)
				f.sees("user:question r1 assistant:first assistant:second")
			})
		})
	}
}

func TestIdleRoomKeepsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		eventually(t, "the process listens", func() bool { return a.bus.Listeners() == 2 }) // for itself and for wakes
		l := w.talk(a, "conv")
		f, g := a.follow("conv", chat.Position{}, chat.State{}), a.follow("conv", chat.Position{}, chat.State{})
		say(l, "r1", "m", "done", false, true)
		f.sees("user:question r1 assistant:done")
		if n, _ := a.hub.Ring("conv"); n == 0 {
			t.Error("nothing is kept while a run goes on")
		}
		finish(l, "r1")
		eventually(t, "the ring is dropped", func() bool { n, ok := a.hub.Ring("conv"); return n == 0 && ok })
		f.stop()
		g.stop()
		eventually(t, "the room is left", func() bool { _, ok := a.hub.Ring("conv"); return !ok && a.bus.Listeners() == 2 })
	})
}

// Tool results are large: a ring is bounded by what its entries weigh, too.
func TestRingIsBoundedInBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.hub.RingBytes = 100 << 10
		a := w.start(nil)
		l := w.talk(a, "conv")
		f := a.follow("conv", chat.Position{}, chat.State{})
		_, early := w.inLog("conv")
		s := l.State()
		large, want, most := strings.Repeat("long ", 6<<10), "", 0
		for i := range 20 {
			say(l, "r1", "m", large, false, false)
			want += large
			if i%4 == 0 {
				w.flush(l)
				time.Sleep(10 * time.Millisecond)
				most = max(most, a.hub.RingBytes("conv"))
			}
		}
		f.sees("user:question r1 assistant:" + want)
		if most = max(most, a.hub.RingBytes("conv")); most > 100<<10 {
			t.Errorf("%d bytes in the ring", most)
		}
		late := a.follow("conv", early, s) // what the ring dropped is in the log
		late.sees("user:question r1 assistant:" + want)
	})
}

func TestRoomsComeAndGo(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a := w.start(nil)
		eventually(t, "the process listens", func() bool { return a.bus.Listeners() == 2 }) // for itself and for wakes
		l := w.talk(a, "conv")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 20 {
					f := a.follow("conv", chat.Position{}, chat.State{})
					time.Sleep(time.Duration((i+j)%4) * time.Millisecond)
					f.stop()
				}
			})
		}
		for range 50 {
			say(l, "r1", "m", "x", false, false)
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		f := a.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:" + strings.Repeat("x", 50))
		say(l, "r1", "m", "y", false, false)
		f.sees("user:question r1 assistant:" + strings.Repeat("x", 50) + "y")
		f.stop()
		eventually(t, "every room is left", func() bool { return a.bus.Listeners() == 2 })
	})
}

// A counter counts the commands of a client.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.mu.Lock()
		c.n[cmd.Name()]++
		c.mu.Unlock()
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *counter) reads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n["xrange"] + c.n["xrevrange"]
}

func TestAThousandFollowersReturning(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		want := "user:question r1 assistant:"
		for i := range 100 {
			text := fmt.Sprint(i, " ")
			want += text
			say(l, "r1", "m", text, false, false)
		}
		w.flush(l)
		s, at := w.inLog("conv")
		c := &counter{n: map[string]int{}}
		b.rdb.AddHook(c)
		var rs []*reader
		for range 1000 {
			rs = append(rs, b.follow("conv", at, s))
		}
		say(l, "r1", "m", "on", false, false)
		for _, r := range rs {
			r.sees(want + "on")
		}
		if n := c.reads(); n > 20 {
			t.Errorf("1,000 followers with a cursor cost %d reads", n)
		}
		t.Logf("%d reads with a cursor", c.reads())
		c.n = map[string]int{}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { b.follow("conv", chat.Position{}, chat.State{}).sees(want + "on") })
		}
		wg.Wait()
		t.Logf("%d reads without", c.reads())
		if n := c.reads(); n > 200 {
			t.Errorf("1,000 followers without a cursor cost %d reads", n)
		}
	})
}

func TestLargeEntriesAreRungAsTheirID(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		l := w.talk(a, "conv")
		sub := w.bells("conv")
		defer sub.Close()
		if _, err := sub.Receive(w.ctx()); err != nil {
			t.Fatal(err)
		}
		f := b.follow("conv", chat.Position{}, chat.State{})
		large := strings.Repeat("long ", 4000)
		say(l, "r1", "m", "short ", false, false)
		say(l, "r1", "m", large, false, false)
		say(l, "r1", "m", "short", false, false)
		f.sees("user:question r1 assistant:short " + large + "short")
		for i := range 3 {
			m, err := sub.ReceiveMessage(w.ctx())
			if err != nil {
				t.Fatal(err)
			}
			if bare := !strings.Contains(m.Payload, `"ev"`); bare != (i == 1) || len(m.Payload) > 8<<10 {
				t.Errorf("bell %d has %d bytes: %.60s", i, len(m.Payload), m.Payload)
			}
		}
	})
}

// All bells of a run may be lost, so that a room does not know that there was
// one.
func TestRunWithoutBellsIsFound(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		b := w.start(nil)
		f := b.follow("conv", chat.Position{}, chat.State{})
		time.Sleep(3 * time.Second) // it has joined
		log, _, _, _ := chat.KeysOf("conv")
		gen := uint64(time.Now().UnixMilli())
		for n, ev := range []chat.Event{
			{Type: chat.GenerationBegan, Same: true, Snapshot: &chat.State{}},
			{Type: chat.MessageSaid, Said: &llm.Message{ID: "q1", Role: llm.User, Content: "hello"}},
		} {
			at := chat.Position{Generation: gen, N: uint64(n)}
			e, err := json.Marshal(chat.Entry{At: at, Ev: ev})
			if err != nil {
				t.Fatal(err)
			}
			w.rdb.XAdd(w.ctx(), &redis.XAddArgs{Stream: log, ID: at.String(), Values: []any{"e", string(e)}})
		}
		time.Sleep(20 * time.Second)
		f.sees("user:hello")
	})
}
