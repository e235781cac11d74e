package run_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/llm"
	"parley/llm/llmtest"
)

// asks has a person ask something in a conversation of theirs, and returns
// the run.
func (w *world) asks(r *run.Runner, person, conv string) string {
	w.t.Helper()
	m := llm.Message{
		ID: chat.NewID("m"), Role: llm.User, Content: conv,
		Metadata: &llm.Metadata{Parley: llm.Details{ClientID: chat.NewID("k")}},
	}
	q, err := r.Say(w.t.Context(), chat.Question{Conversation: conv, Owner: person, Run: chat.NewID("r"), Message: m})
	if err != nil {
		w.t.Fatal(err)
	}
	return q.Run
}

// endings notes in which order answers end, and how many of one person's are
// under way at the same time, as the model sees it.
type endings struct {
	mu    sync.Mutex
	order []string // conversations
	now   map[string]int
	most  map[string]int
}

// asker is the person whose conversation has a name such as ann-7.
func asker(conv string) string {
	for i, r := range conv {
		if r == '-' {
			return conv[:i]
		}
	}
	return conv
}

// answers returns a model that takes a time over each answer.
func (e *endings) answers(takes time.Duration) func(llmtest.Request) llmtest.Reply {
	e.now, e.most = map[string]int{}, map[string]int{}
	return func(r llmtest.Request) llmtest.Reply {
		conv := r.Last().Content
		e.mu.Lock()
		defer e.mu.Unlock()
		p := asker(conv)
		e.now[p]++
		e.most[p] = max(e.most[p], e.now[p])
		time.AfterFunc(takes-time.Millisecond, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.now[p]--
			e.order = append(e.order, conv)
		})
		return llmtest.Reply{Pieces: []string{"so", " be", " it"}, Every: takes / 2}
	}
}

// before returns how many answers have ended before a conversation's.
func (e *endings) before(conv string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Index(e.order, conv)
}

// sofar returns the conversations whose answers have ended, in that order.
func (e *endings) sofar() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.order)
}

func (e *endings) peak(person string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.most[person]
}

func TestAFloodDelaysNobodyElse(t *testing.T) {
	for name, c := range map[string]struct{ replicas, slots, perPerson, flood, most int }{
		"one replica":                          {1, 4, -1, 200, 9},
		"one replica, a person has a bound":    {1, 4, 3, 200, 8},
		"one slot":                             {1, 1, -1, 60, 3},
		"three replicas":                       {3, 2, -1, 200, 12},
		"three replicas, a person has a bound": {3, 2, 3, 200, 12},
	} {
		t.Run(name, func(t *testing.T) {
			e := &endings{}
			inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
				w.Run.Answers, w.Run.PerPerson = c.slots, c.perPerson
				var rs []*gatewaytest.Replica
				for range c.replicas {
					rs = append(rs, w.Start())
				}
				for i := range c.flood {
					w.asks(rs[i%c.replicas].Runner, "ann", fmt.Sprintf("ann-%d", i))
				}
				time.Sleep(2 * time.Second)
				earlier := len(e.sofar())
				bob := w.asks(rs[0].Runner, "bob", "bob-0")
				eve := w.asks(rs[0].Runner, "eve", "eve-0")
				w.ended(bob)
				w.ended(eve)
				for _, conv := range []string{"bob-0", "eve-0"} {
					if n := e.before(conv) - earlier; n > c.most {
						t.Errorf("%s is answered after %d others that ended meanwhile, want at most %d", conv, n, c.most)
					}
				}
				if c.perPerson > 0 && e.peak("ann") > c.perPerson {
					t.Errorf("ann had %d answers at once, want at most %d", e.peak("ann"), c.perPerson)
				}
			})
		})
	}
}

// Nor do many questions in few conversations.
func TestManyQuestionsInOneConversationDelayNobodyElse(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson = 3, 3
		a, b := w.Start(), w.Start()
		var anns []string
		for i := range 6 {
			for j := range 10 {
				anns = append(anns, w.asks([]*run.Runner{a.Runner, b.Runner}[j%2], fmt.Sprintf("ann%d", i), fmt.Sprintf("ann%d-0", i)))
			}
		}
		time.Sleep(2500 * time.Millisecond)
		earlier := len(e.sofar())
		bob := w.asks(a.Runner, "bob", "bob-0")
		w.ended(bob)
		if n := e.before("bob-0") - earlier; n > 12 {
			t.Errorf("bob is answered after %d others", n)
		}
		for _, r := range anns {
			if rec := w.ended(r); rec.Status != chat.RunDone || rec.Try != 1 {
				t.Errorf("%+v", rec)
			}
		}
	})
}

// A person with more conversations waiting than a replica looks at hides nobody
// who stands behind them.
func TestAFloodHidesNobody(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(5*time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson = 1, -1
		a := w.Start()
		first := w.asks(a.Runner, "ann", "ann-first")
		rdb := w.Redis.Client()
		defer rdb.Close()
		inbox := chat.NewInbox(rdb)
		db := w.Store()
		defer db.Close()
		part := func(conv string) uint32 {
			h := fnv.New32a()
			_, _ = h.Write([]byte(conv))
			return h.Sum32() % chat.Partitions
		}
		post := func(person, conv string) { // nobody hears of it but who looks
			m := llm.Message{ID: "m" + conv, Role: llm.User, Content: conv}
			q, _, err := db.Accept(t.Context(), chat.Question{Conversation: conv, Owner: person, Run: "r" + conv, Message: m})
			if err == nil {
				_, err = inbox.Post(t.Context(), conv, chat.Item{ID: q.Run, Kind: chat.Say, Run: q.Run, Message: &q.Message})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, n := 0, 0; n < 300; i++ {
			if conv := fmt.Sprintf("ann-%d", i); part(conv) == part("bob-0") {
				post("ann", conv)
				n++
			}
		}
		post("bob", "bob-0")
		w.ended(first)
		began := time.Now()
		w.ended("rbob-0")
		if d := time.Since(began); d > 7*time.Second {
			t.Errorf("bob's answer, which takes 5 s, ended %v after the slot was free", d)
		}
	})
}

// A person's conversations are answered in the order in which they were asked.
func TestTheOldestQuestionOfAPersonComesFirst(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson = 1, -1
		a := w.Start()
		var want []string
		last := ""
		for i := range 30 {
			conv := fmt.Sprintf("ann-%d", i)
			want = append(want, conv)
			last = w.asks(a.Runner, "ann", conv)
			time.Sleep(10 * time.Millisecond)
		}
		w.ended(last)
		time.Sleep(time.Second)
		if !slices.Equal(e.sofar(), want) {
			t.Errorf("answered in the order %v", e.sofar())
		}
	})
}

// Those who keep coming do not hold up who has had a turn.
func TestNobodyStarvesWhileOthersKeepComing(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson = 2, 1
		a := w.Start()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 10 {
			w.asks(a.Runner, fmt.Sprintf("q%d", i), fmt.Sprintf("q%d-0", i))
		}
		wg.Go(func() { // as many as can be answered
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(500 * time.Millisecond):
				}
				w.asks(a.Runner, fmt.Sprintf("p%d", i), fmt.Sprintf("p%d-0", i))
			}
		})
		time.Sleep(2 * time.Second)
		var runs []string
		for i := range 4 {
			runs = append(runs, w.asks(a.Runner, "ann", fmt.Sprintf("ann-%d", i)))
		}
		began := time.Now()
		for _, r := range runs {
			w.ended(r)
		}
		if d := time.Since(began); d > time.Minute {
			t.Errorf("ann's four questions took %v", d)
		}
		close(stop)
		wg.Wait()
	})
}

// However replicas die, nobody has more answers at once than they may, but for
// the moment after Redis was wiped.
func TestAPersonsBoundHoldsOverReplicas(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(3*time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson = 8, 3
		rs := []*gatewaytest.Replica{w.Start(), w.Start(), w.Start()}
		for i := range 24 {
			w.asks(rs[i%3].Runner, "ann", fmt.Sprintf("ann-%d", i))
		}
		held := func() (n int) {
			for i := range 24 {
				for _, r := range rs {
					if r.Queue.Holds(fmt.Sprintf("ann-%d", i)) {
						n++
					}
				}
			}
			return n
		}
		for step := range 100 {
			time.Sleep(100 * time.Millisecond)
			if n := held(); n > 3 {
				t.Errorf("after %d ms ann's conversations are written by %d", 100*step, n)
			}
			if step == 30 {
				rs[0].Kill()
				rs = rs[1:]
			}
		}
		db := w.Store()
		defer db.Close()
		gatewaytest.Eventually(t, 3*time.Minute, "all are answered", func() bool {
			qs, err := db.Due(context.Background(), time.Now().Add(time.Hour), 1000)
			return err == nil && len(qs) == 0
		})
	})
}

// While no claim succeeds few are made, and afterwards all.
func TestClaimsWhileTheStoreIsAway(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(100*time.Millisecond)), func(t *testing.T, w *world) {
		a := w.desk()
		var claims atomic.Int64
		a.set(func(d *desk) {
			d.refuse = func() error { claims.Add(1); return errors.New("the store is away") }
		})
		var runs []string
		for i := range 50 {
			runs = append(runs, w.asks(a.Runner, fmt.Sprintf("p%d", i), fmt.Sprintf("p%d-0", i)))
		}
		time.Sleep(10 * time.Second)
		if n := claims.Load(); n > 40 {
			t.Errorf("in 10 s %d claims were made", n)
		}
		a.set(func(d *desk) { d.refuse = nil })
		back := time.Now()
		for _, r := range runs {
			w.ended(r)
		}
		if d := time.Since(back); d > 10*time.Second {
			t.Errorf("all were answered %v after the store was back", d)
		}
	})
}

// One who may have any number has it.
func TestTheUnboundedHaveNoBound(t *testing.T) {
	e := &endings{}
	inWorld(t, with(e.answers(time.Second)), func(t *testing.T, w *world) {
		w.Run.Answers, w.Run.PerPerson = 16, 3
		w.Run.Unbounded = func(person string) bool { return person == "admin" }
		a := w.Start()
		var last string
		for i := range 10 {
			last = w.asks(a.Runner, "admin", fmt.Sprintf("admin-%d", i))
		}
		w.ended(last)
		if n := e.peak("admin"); n != 10 {
			t.Errorf("admin had %d answers at once, want 10", n)
		}
	})
}
