package chat_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/llm"
)

func TestRollbacks(t *testing.T) {
	type lost func(w *world, conv string, gen uint64)
	for name, c := range map[string]lost{
		"the log's tail": func(w *world, conv string, _ uint64) {
			log, _, _, _ := chat.KeysOf(conv)
			dropTail(w, log, 3)
		},
		"the whole log": func(w *world, conv string, _ uint64) {
			log, _, _, _ := chat.KeysOf(conv)
			w.rdb.Del(w.ctx(), log)
		},
		"who owns it": func(w *world, conv string, _ uint64) {
			_, _, own, _ := chat.KeysOf(conv)
			w.rdb.Del(w.ctx(), own)
		},
		"back to an older owner": func(w *world, conv string, gen uint64) {
			log, _, own, _ := chat.KeysOf(conv)
			dropTail(w, log, 3)
			w.rdb.HSet(w.ctx(), own, "gen", strconv.FormatUint(gen-5000, 10), "inc", "long gone", "nonce", "", "lease", "0")
		},
		"everything": func(w *world, _ string, _ uint64) { w.rdb.FlushAll(w.ctx()) },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
				w := newWorld(t, client)
				a := w.start(nil)
				it := w.ask("conv", "r1")
				l := a.claim("conv")
				begin(l, it)
				say(l, "r1", "m", "one ", true, false)
				say(l, "r1", "m", "two ", false, false)
				w.flush(l)
				f := a.follow("conv", chat.Position{}, chat.State{})
				f.sees("user:question r1 assistant:one two ")
				c(w, "conv", l.Generation())
				before := l.Generation()
				eventually(t, "a new generation", func() bool { return l.Generation() > before || l.Context().Err() != nil })
				say(l, "r1", "m", "three", false, true)
				w.flush(l)
				if s, _ := w.inLog("conv"); contents(s.Messages) != "user:question r1 assistant:one two three" {
					t.Errorf("the log adds up to %q", contents(s.Messages))
				}
				f.sees("user:question r1 assistant:one two three")
			})
		})
	}
}

func dropTail(w *world, log string, n int64) {
	for _, m := range w.rdb.XRevRangeN(w.ctx(), log, "+", "-", n).Val() {
		w.rdb.XDel(w.ctx(), log, m.ID)
	}
}

// Another replica may have written the conversation and Redis forgotten it,
// once more: a writer in doubt does not go on from what it knows then.
func TestDoubtAfterAnotherWriterThatRedisForgot(t *testing.T) {
	for name, forget := range map[string]func(w *world, gen uint64){
		"wiped": func(w *world, _ uint64) { w.rdb.FlushAll(w.ctx()) },
		"rolled back": func(w *world, gen uint64) {
			_, _, own, _ := chat.KeysOf("conv")
			w.rdb.HSet(w.ctx(), own, "gen", strconv.FormatUint(gen, 10))
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
				w := newWorld(t, client)
				w.queue.TTL = time.Minute
				a, b := w.start(nil), w.start(nil)
				it := w.ask("conv", "r1")
				old := a.claim("conv")
				begin(old, it)
				w.flush(old)
				expire(w, "conv")
				l := b.claim("conv")
				say(l, "r1", "m", "by the other", true, true)
				w.flush(l)
				s := l.State()
				if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages}); err != nil {
					t.Fatal(err)
				}
				forget(w, old.Generation())
				old.Doubt()
				if err := old.Flush(w.ctx()); !errors.Is(err, chat.ErrFenced) {
					t.Errorf("it goes on, %v, with %q", err, contents(old.State().Messages))
				}
			})
		})
	}
}

func TestReleaseSeesARollback(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		w.queue.TTL = time.Minute // no heartbeat sees it first
		a := w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "whole", true, true)
		finish(l, "r1")
		w.flush(l)
		log, in, _, _ := chat.KeysOf("conv")
		w.rdb.Del(w.ctx(), in)
		dropTail(w, log, 2)
		if ok, err := l.Release(w.ctx()); !ok || err != nil {
			t.Fatalf("%v, %v", ok, err)
		}
		if s, _ := w.inLog("conv"); s.Active() || contents(s.Messages) != "user:question r1 assistant:whole" {
			t.Errorf("what was released is %q, %+v", contents(s.Messages), s.Run)
		}
	})
}

// A log with a hole, left by a rollback whose writer died before it noticed,
// must not be taken for the conversation.
func TestLogWithAHoleIsNotBelieved(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "one ", true, false)
		say(l, "r1", "m", "two ", false, false)
		say(l, "r1", "m", "three", false, true)
		w.flush(l)
		s := l.State()
		if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages}); err != nil {
			t.Fatal(err)
		}
		l.Stop()
		log, _, _, _ := chat.KeysOf("conv")
		w.rdb.XDel(w.ctx(), log, chat.Position{Generation: l.Generation(), N: 5}.String()) // "two "
		c := &counter{n: map[string]int{}}
		b.rdb.AddHook(c)
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:one two three")
		time.Sleep(500 * time.Millisecond)
		if n := c.reads(); n > 50 {
			t.Fatalf("%d reads for one follower", n)
		}
		expire(w, "conv")
		next := b.claim("conv")
		st := next.State()
		if got := contents(st.Messages); got != "user:question r1 assistant:one two three" {
			t.Errorf("the successor goes on from %q", got)
		}
		f.sees("user:question r1 assistant:one two three")
	})
}

// Redis may be rolled back while nobody writes a conversation: its log then
// ends before the store does, and nobody renews a lease who would notice.
func TestRollbackOfAnIdleConversation(t *testing.T) {
	for _, leases := range []int{1, 2} {
		t.Run(fmt.Sprint(leases, " generations"), func(t *testing.T) {
			onBoth(t, func(t *testing.T, client func() redis.UniversalClient) { rollBackIdle(t, client, leases) })
		})
	}
}

func rollBackIdle(t *testing.T, client func() redis.UniversalClient, leases int) {
	w := newWorld(t, client)
	a, b := w.start(nil), w.start(nil)
	log, in, _, due := chat.KeysOf("conv")
	var at []chat.Position
	var states []chat.State
	var l *chat.Lease
	for i := range 2 {
		it := w.ask("conv", name(i))
		if l == nil {
			l = a.claim("conv")
		}
		begin(l, it)
		say(l, it.Run, "m"+it.Run, "answer", true, true)
		finish(l, it.Run)
		w.flush(l)
		s := l.State()
		rec := chat.RunRecord{ID: it.Run, Status: chat.RunDone, Try: 1}
		if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages, Run: &rec}); err != nil {
			t.Fatal(err)
		}
		if i+leases >= 2 {
			w.rdb.Del(w.ctx(), in)
			if ok, err := l.Release(w.ctx()); !ok || err != nil {
				t.Fatal(ok, err)
			}
			l = nil
		}
		s, head := w.inLog("conv")
		at, states = append(at, head), append(states, s)
	}
	for _, m := range w.rdb.XRange(w.ctx(), log, "("+at[0].String(), "+").Val() {
		w.rdb.XDel(w.ctx(), log, m.ID)
	}
	want := "user:question r0 assistant:answer user:question r1 assistant:answer"
	c := &counter{n: map[string]int{}}
	b.rdb.AddHook(c)
	fresh := b.follow("conv", chat.Position{}, chat.State{})
	fresh.sees(want)
	time.Sleep(500 * time.Millisecond)
	if n := c.reads(); n > 50 { // it waits for what heals the log, and does not look again and again
		t.Fatalf("%d reads for one follower", n)
	}
	late := b.follow("conv", at[0], states[0])
	eventually(t, "somebody is to heal the log", func() bool { return w.rdb.ZCard(w.ctx(), due).Val() == 1 })
	l = a.claim("conv")
	if _, err := l.Inbox(w.ctx()); err != nil {
		t.Fatal(err)
	}
	late.sees(want)
	fresh.sees(want)
}

// A follower that comes while the log is gone gets all that comes next, also
// of a generation that has begun in the store and not yet in the log.
func TestColdFollowerMissesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "whole", true, true)
		w.flush(l)
		s := l.State()
		if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages[:1]}); err != nil {
			t.Fatal(err)
		}
		l.Stop()
		log, _, _, _ := chat.KeysOf("conv")
		w.rdb.Del(w.ctx(), log)
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1")
		_, at, _ := f.now()
		if !at.Before(chat.Position{Generation: l.Generation()}) {
			t.Errorf("the follower stands at %v and would miss what generation %d began with", at, l.Generation())
		}
	})
}

// A writer that died is succeeded even if its inbox was lost: its log may
// lack the end.
func TestConversationOfADeadWriterIsDue(t *testing.T) {
	onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		w.ending(a)
		_, in, _, _ := chat.KeysOf("conv")
		w.rdb.Del(w.ctx(), in)
		expire(w, "conv")
		f := b.follow("conv", chat.Position{}, chat.State{})
		l := b.claim("conv")
		f.sees("user:question r1 assistant:half and whole")
		f.stop()
		eventually(t, "released", func() bool {
			if _, err := l.Inbox(w.ctx()); err != nil { // the follower may have asked for it, too
				t.Fatal(err)
			}
			ok, err := l.Release(w.ctx())
			return ok && err == nil
		})
		if l, err := a.queue.Claim(w.ctx(), "conv"); l != nil || err != nil {
			t.Errorf("what was released is due: %v", err)
		}
	})
}

// ending has a writer die when the store knows of the end of its run, and the
// log does not.
func (w *world) ending(p *process) {
	it := w.ask("conv", "r1")
	l := p.claim("conv")
	begin(l, it)
	say(l, "r1", "m", "half", true, false)
	w.flush(l)
	s := l.State()
	for _, e := range []chat.Entry{piece("r1", "m", " and whole"), event("r1", chat.TextEnd, "m"), event("r1", chat.RunFinished, "")} {
		s.Apply(e)
	}
	rec := chat.RunRecord{ID: "r1", Status: chat.RunDone, Try: 1}
	if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages, Run: &rec}); err != nil {
		w.t.Fatal(err)
	}
	l.Stop()
}

// Whoever follows a run of which nothing more comes is not left to wait.
func TestSilentRunIsComparedWithTheStore(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"inbox lost":      func(w *world) { _, in, own, _ := chat.KeysOf("conv"); w.rdb.Del(w.ctx(), in, own) },
		"everything lost": func(w *world) { w.rdb.FlushAll(w.ctx()) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
				w := newWorld(t, client)
				a, b := w.start(nil), w.start(nil)
				f := b.follow("conv", chat.Position{}, chat.State{})
				synctest.Wait() // it has joined: whoever joins later sees what the store has
				w.ending(a)
				f.sees("user:question r1 assistant:half")
				lose(w)
				_, _, _, due := chat.KeysOf("conv")
				w.rdb.Del(w.ctx(), due)
				time.Sleep(15 * time.Second)
				if w.rdb.ZCard(w.ctx(), due).Val() == 0 {
					t.Fatal("nobody does anything about it")
				}
				l := b.claim("conv")
				if _, err := l.Inbox(w.ctx()); err != nil {
					t.Fatal(err)
				}
				f.sees("user:question r1 assistant:half and whole")
				if s, _, _ := f.now(); s.Active() {
					t.Errorf("shown as %+v", s.Run)
				}
			})
		})
	}
}

// What a follower waits for is asked for again: whoever was asked may not have
// heard it, also when nothing goes on in the conversation.
func TestHealIsAskedForAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w := newWorld(t, client)
		a, b := w.start(nil), w.start(nil)
		it := w.ask("conv", "r1")
		l := a.claim("conv")
		begin(l, it)
		say(l, "r1", "m", "half", true, true)
		w.flush(l)
		s := l.State()
		for _, e := range []chat.Entry{event("r1", chat.TextStart, "n"), piece("r1", "n", "the rest"), event("r1", chat.TextEnd, "n")} {
			s.Apply(e)
		}
		if err := w.db.Archive(w.ctx(), "conv", l.Generation(), chat.Batch{Messages: s.Messages}); err != nil {
			t.Fatal(err)
		}
		l.Stop()
		f := b.follow("conv", chat.Position{}, chat.State{})
		f.sees("user:question r1 assistant:half assistant:the rest")
		w.rdb.FlushAll(w.ctx())
		_, _, _, due := chat.KeysOf("conv")
		time.Sleep(5 * time.Second)
		if w.rdb.ZCard(w.ctx(), due).Val() == 0 {
			t.Fatal("nobody does anything about it")
		}
		l = b.claim("conv")
		l.Put("r2", 1, chat.Event{Type: chat.MessageSaid, Said: &llm.Message{ID: "q2", Role: llm.User, Content: "question r2"}})
		w.flush(l)
		f.sees("user:question r1 assistant:half assistant:the rest user:question r2")
	})
}

// Who joins between a claim and the entry that opens its generation sees a
// store that is ahead of the log, and asks for what is coming anyway.
func TestHealThatComesLate(t *testing.T) {
	for name, c := range map[string]struct {
		instead func(l *chat.Lease) uint64
		lost    int64 // entries of the log's tail
		anew    bool
	}{
		"of a generation that was replaced":         {instead: func(l *chat.Lease) uint64 { return l.Generation() - 1 }},
		"of one that has come back":                 {instead: func(l *chat.Lease) uint64 { return l.Generation() - 1 }, lost: 4, anew: true},
		"of what is written":                        {instead: (*chat.Lease).Generation, anew: true},
		"by a version that does not say instead of": {instead: func(*chat.Lease) uint64 { return 0 }, anew: true},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, client func() redis.UniversalClient) {
				w := newWorld(t, client)
				w.queue.TTL = time.Minute // the writer does not find out by itself
				a := w.start(nil)
				l := w.talk(a, "conv")
				f := a.follow("conv", chat.Position{}, chat.State{})
				f.sees("user:question r1 assistant:")
				before := l.Generation()
				log, in, _, _ := chat.KeysOf("conv")
				if c.lost > 0 {
					dropTail(w, log, c.lost)
				}
				w.post("conv", chat.Item{ID: "heal", Kind: chat.Heal, Instead: c.instead(l)})
				if its, err := l.Inbox(w.ctx()); err != nil || len(its) != 1 {
					t.Fatalf("%v, %v", its, err)
				}
				if anew := l.Generation() > before; anew != c.anew {
					t.Errorf("a new generation is begun: %v, want %v", anew, c.anew)
				}
				if n := w.rdb.LLen(w.ctx(), in).Val(); n != 1 {
					t.Errorf("%d items are in the inbox, want the question", n)
				}
				say(l, "r1", "m", "whole", false, true)
				f.sees("user:question r1 assistant:whole")
			})
		})
	}
}
