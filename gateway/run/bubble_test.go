package run_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// words is the answer to a question, the same for every attempt.
func words(question string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s:%d ", question, i)
	}
	return b.String()
}

func scripted(t testing.TB, n int) *llm.Agent {
	srv := llmtest.NewPipeServer(t, func(r llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter(words(r.Last().Content, n), " "), Every: 20 * time.Millisecond}
	})
	m, err := provider.OpenAI(provider.OpenAIOptions{BaseURL: srv.URL, Model: "scripted", Client: srv.Client})
	if err != nil {
		t.Fatal(err)
	}
	return &llm.Agent{Model: m}
}

func ask(conv, text string) chat.Question {
	m := llm.Message{ID: chat.NewID("m"), Role: llm.User, Content: text,
		Metadata: &llm.Metadata{Parley: llm.Details{ClientID: "client-" + text}}}
	return chat.Question{Conversation: conv, Owner: "owner", Run: chat.NewID("r"), Message: m}
}

// A watcher follows a conversation, on whatever replica it is given, and
// checks every step.
type watcher struct {
	t     *testing.T
	name  string
	slow  time.Duration
	mu    sync.Mutex
	at    chat.Position
	state chat.State
	snaps int
}

func (w *watcher) follow(ctx context.Context, h *chat.Hub, conv string) {
	for d, err := range h.Follow(ctx, conv, w.position()) {
		if err != nil {
			if errors.Is(err, context.Canceled) || ctx.Err() != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
			return
		}
		w.take(d)
		if w.slow > 0 {
			time.Sleep(w.slow)
		}
	}
}

func (w *watcher) position() chat.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *watcher) take(d chat.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.Snapshot != nil {
		w.snaps++
		if err := w.state.UnmarshalJSON(d.Snapshot); err != nil {
			w.t.Errorf("%s: %v", w.name, err)
		}
		w.at = d.At
		return
	}
	for _, e := range d.Entries {
		entry, err := chat.DecodeEntry(e.Raw)
		if err != nil {
			w.t.Errorf("%s: %v", w.name, err)
			return
		}
		prev := chat.Position{}
		if entry.Ev.Prev != nil {
			prev = *entry.Ev.Prev
		}
		if entry.At != e.At || entry.At != w.at.Next() && !(entry.At.N == 0 && prev == w.at) {
			w.t.Errorf("%s: %v came behind %v", w.name, e.At, w.at)
		}
		w.state.Apply(entry)
		w.at = e.At
	}
}

func (w *watcher) final() chat.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Clone()
}

// text is what a person sees: questions and answers in order.
func text(ms []llm.Message) (out []string) {
	for _, m := range ms {
		out = append(out, fmt.Sprintf("%s %s %s", m.Role, m.ID, m.Content))
	}
	return out
}

func TestAnswerOutlivesItsReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gatewaytest.NewCluster(t, scripted(t, 50))
		a := c.Start()
		w := &watcher{t: t, name: "w"}
		b := c.Start()
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.follow(ctx, b.Hub, "conv") })
		synctest.Wait()
		q := ask("conv", "one")
		if _, err := a.Runner.Say(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if !a.Queue.Holds("conv") {
			t.Fatal("the replica that took the question does not answer it")
		}
		killed := time.Now()
		a.Kill()
		gatewaytest.Eventually(t, 10*time.Second, "taken over", func() bool { return b.Queue.Holds("conv") })
		t.Logf("taken over after %v", time.Since(killed))
		gatewaytest.Eventually(t, 10*time.Second, "answered", func() bool { s := w.final(); return s.Run != nil && s.Run.Status == chat.RunDone })
		s := w.final()
		if got := s.Messages[len(s.Messages)-1].Content; got != words("one", 50) {
			t.Errorf("the answer is %q", got)
		}
		if s.Run.Try != 2 {
			t.Errorf("answered in attempt %d, want 2", s.Run.Try)
		}
		stop()
		wg.Wait()
		b.Drain()
		c.Wait()
	})
}

func TestClusterUnderFire(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { underFire(t, uint64(seed)) })
		})
	}
}

// A fire is one cluster and all that happens to it under a seed.
type fire struct {
	t        *testing.T
	r        *rand.Rand
	c        *gatewaytest.Cluster
	mu       sync.Mutex
	replicas []*gatewaytest.Replica
	asked    []string
}

func (f *fire) any() *gatewaytest.Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replicas[f.r.IntN(len(f.replicas))]
}

func underFire(t *testing.T, seed uint64) {
	f := &fire{t: t, r: rand.New(rand.NewPCG(seed, 7)), c: gatewaytest.NewCluster(t, scripted(t, 40))}
	f.c.Run.Reconcile = 3 * time.Second
	f.c.Run.MaxTries = 1000
	for range 2 {
		f.replicas = append(f.replicas, f.c.Start())
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var ws []*watcher
	for i := range 4 {
		w := &watcher{t: t, name: fmt.Sprintf("watcher %d", i)}
		if i == 3 {
			w.slow = 300 * time.Millisecond
		}
		ws = append(ws, w)
		wg.Go(func() { f.watch(ctx, w) })
	}
	for i := range 4 {
		f.say(fmt.Sprintf("q%d", i))
		for range 1 + f.r.IntN(3) {
			time.Sleep(time.Duration(f.r.IntN(700)) * time.Millisecond)
			f.happen()
		}
	}
	f.settle(ws)
	stop()
	wg.Wait()
	f.check(ws)
	for _, r := range f.replicas {
		r.Drain()
	}
	f.c.Wait()
}

// watch follows on one replica after the other.
func (f *fire) watch(ctx context.Context, w *watcher) {
	for ctx.Err() == nil {
		f.mu.Lock()
		r := f.replicas[f.r.IntN(len(f.replicas))]
		stay := time.Duration(300+f.r.IntN(3000)) * time.Millisecond
		f.mu.Unlock()
		some, cancel := context.WithTimeout(ctx, stay)
		w.follow(some, r.Hub, "conv")
		cancel()
	}
}

// say asks as a client does: again, until it is acknowledged.
func (f *fire) say(text string) {
	q := ask("conv", text)
	f.asked = append(f.asked, text)
	for {
		if _, err := f.any().Runner.Say(f.t.Context(), q); err == nil {
			if f.r.IntN(3) == 0 {
				q.Run, q.Message.ID = chat.NewID("r"), chat.NewID("m")
				_, _ = f.any().Runner.Say(f.t.Context(), q) // the reply was lost: sent again, elsewhere
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (f *fire) happen() {
	switch f.r.IntN(6) {
	case 0: // a replica dies, another one starts
		fresh := f.c.Start()
		f.mu.Lock()
		i := f.r.IntN(len(f.replicas))
		old := f.replicas[i]
		f.replicas[i] = fresh
		f.mu.Unlock()
		old.Kill()
	case 1: // a replica is cut off for a while and comes back as a zombie
		r := f.any()
		r.Link.Cut()
		time.Sleep(time.Duration(f.r.IntN(4000)) * time.Millisecond)
		r.Link.Mend()
	case 2: // connections break, bells are lost
		f.any().Link.Flicker(f.r)
	case 3:
		f.c.Redis.Wipe()
	case 4: // a rolling restart
		fresh := f.c.Start()
		f.mu.Lock()
		i := f.r.IntN(len(f.replicas))
		old := f.replicas[i]
		f.replicas[i] = fresh
		f.mu.Unlock()
		old.Drain()
	}
}

func (f *fire) settle(ws []*watcher) {
	db := f.c.Store()
	defer db.Close()
	defer func() {
		if f.t.Failed() {
			f.report(db, ws)
		}
	}()
	gatewaytest.Eventually(f.t, 3*time.Minute, "every question answered and every watcher there", func() bool {
		due, err := db.Pending(f.t.Context(), "conv")
		if err != nil || len(due) > 0 {
			return false
		}
		for _, w := range ws {
			s := w.final()
			if s.Active() || len(s.Messages) < 2*len(f.asked) {
				return false
			}
		}
		return true
	})
}

// report says where everybody stands.
func (f *fire) report(db *store.DB, ws []*watcher) {
	due, err := db.Pending(context.Background(), "conv")
	f.t.Logf("pending %v %v", len(due), err)
	rdb := f.c.Redis.Client()
	defer rdb.Close()
	s, at, err := chat.NewLog(rdb).Fold(context.Background(), "conv")
	f.t.Logf("log at %v: %d messages, run %+v, %v", at, len(s.Messages), s.Run, err)
	for _, w := range ws {
		s := w.final()
		f.t.Logf("%s at %v: %d messages, run %+v", w.name, w.position(), len(s.Messages), s.Run)
	}
}

// check compares what every watcher sees with the store.
func (f *fire) check(ws []*watcher) {
	db := f.c.Store()
	defer db.Close()
	stored, _, err := db.History(context.Background(), "conv", "", 100)
	if err != nil {
		f.t.Fatal(err)
	}
	var want []string
	for _, q := range f.asked {
		want = append(want, q, words(q, 40))
	}
	var got []string
	for _, m := range stored {
		got = append(got, m.Content)
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		f.t.Errorf("the store has %q, want %q", got, want)
	}
	for _, w := range ws {
		s := w.final()
		if a, b := strings.Join(text(s.Messages), "\n"), strings.Join(text(stored), "\n"); a != b {
			f.t.Errorf("%s sees\n%s\nthe store has\n%s", w.name, a, b)
		}
	}
}
