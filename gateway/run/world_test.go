package run_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// agent returns an agent whose model answers after a script.
func agent(t testing.TB, script func(llmtest.Request) llmtest.Reply) *llm.Agent {
	t.Helper()
	srv := llmtest.NewPipeServer(t, script)
	m, err := provider.OpenAI(provider.OpenAIOptions{BaseURL: srv.URL, Model: "scripted", Client: srv.Client})
	if err != nil {
		t.Fatal(err)
	}
	return &llm.Agent{Model: m}
}

// slowly repeats what was asked n times, a word every 20 ms.
func slowly(n int) func(llmtest.Request) llmtest.Reply {
	return func(r llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter(words(r.Last().Content, n), " "), Every: 20 * time.Millisecond}
	}
}

// A world is a cluster in a bubble and somebody who watches its conversation.
type world struct {
	*gatewaytest.Cluster
	t   *testing.T
	db  *store.DB
	end []func() // what is left to be ended, latest last
}

func inWorld(t *testing.T, a func(testing.TB) *llm.Agent, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{Cluster: gatewaytest.NewCluster(t, a(t)), t: t}
		w.db = w.Store()
		defer func() {
			for i := len(w.end) - 1; i >= 0; i-- {
				w.end[i]()
			}
			_ = w.db.Close()
			w.Wait()
		}()
		test(t, w)
	})
}

// Start adds a replica, which ends with the test.
func (w *world) Start() *gatewaytest.Replica {
	r := w.Cluster.Start()
	w.end = append(w.end, r.Drain)
	return r
}

func with(script func(llmtest.Request) llmtest.Reply) func(testing.TB) *llm.Agent {
	return func(t testing.TB) *llm.Agent { return agent(t, script) }
}

// watch follows the conversation on a replica until the test ends.
func (w *world) watch(h *chat.Hub) *watcher { return w.follow(h, &watcher{t: w.t, name: "watcher"}) }

// watchGrow is watch, and checks that nothing that was shown is taken back.
func (w *world) watchGrow(h *chat.Hub) *watcher {
	return w.follow(h, &watcher{t: w.t, name: "watcher", grows: true})
}

func (w *world) follow(h *chat.Hub, v *watcher) *watcher {
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			v.follow(ctx, h, "conv")
		}
	}()
	w.end = append(w.end, func() { stop(); <-done })
	return v
}

func (w *world) say(r *run.Runner, conv, text string) chat.Question {
	w.t.Helper()
	q, err := r.Say(w.t.Context(), ask(conv, text))
	if err != nil {
		w.t.Fatal(err)
	}
	return q
}

// ended waits until the store has a run's end.
func (w *world) ended(run string) chat.RunRecord {
	w.t.Helper()
	var rec chat.RunRecord
	gatewaytest.Eventually(w.t, 2*time.Minute, "the run "+run+" ends", func() bool {
		var err error
		rec, err = w.db.RunRecord(w.t.Context(), run)
		return err == nil && rec.Status.Ended()
	})
	return rec
}

// stored returns what the store has of a conversation, a line each.
func (w *world) stored(conv string) string {
	w.t.Helper()
	ms, _, err := w.db.History(w.t.Context(), conv, "", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return lines(ms)
}

func lines(ms []llm.Message) string {
	var out []string
	for _, m := range ms {
		l := string(m.Role) + ": " + m.Content
		for _, c := range m.ToolCalls {
			l += " [" + c.Function.Name + "]"
		}
		out = append(out, l)
	}
	return strings.Join(out, "\n")
}

// sees waits until a watcher has what the store has, and its run has ended.
func (w *world) sees(v *watcher, conv string) chat.State {
	w.t.Helper()
	var s chat.State
	gatewaytest.Eventually(w.t, 10*time.Second, "the watcher sees what is stored", func() bool {
		s = v.final()
		return !s.Active() && lines(s.Messages) == w.stored(conv)
	})
	return s
}

func (w *world) holder(conv string, rs ...*gatewaytest.Replica) *gatewaytest.Replica {
	w.t.Helper()
	var h *gatewaytest.Replica
	gatewaytest.Eventually(w.t, 10*time.Second, "somebody answers", func() bool {
		for _, r := range rs {
			if r.Queue.Holds(conv) {
				h = r
			}
		}
		return h != nil
	})
	return h
}

// A desk is a replica with a store at which things can happen.
type desk struct {
	*store.DB
	w      *world
	Queue  *chat.Queue
	Hub    *chat.Hub
	Runner *run.Runner

	mu      sync.Mutex
	pending func()                 // after the store was asked what is pending
	archive func(chat.Batch) error // in place of archiving, if it returns an error
	claimed func()                 // after a claim was noted
	refuse  func() error           // in place of noting a claim, if it returns an error

	stop  context.CancelFunc
	drain context.CancelFunc
	wg    sync.WaitGroup
	done  chan struct{}
	close func()
	once  sync.Once
}

func (d *desk) set(f func(*desk)) { d.mu.Lock(); defer d.mu.Unlock(); f(d) }

func (d *desk) Pending(ctx context.Context, conv string) ([]chat.Question, error) {
	qs, err := d.DB.Pending(ctx, conv)
	d.mu.Lock()
	f := d.pending
	d.mu.Unlock()
	if f != nil && len(qs) == 0 {
		f()
	}
	return qs, err
}

func (d *desk) Archive(ctx context.Context, conv string, gen uint64, b chat.Batch) error {
	d.mu.Lock()
	f := d.archive
	d.mu.Unlock()
	if f != nil {
		if err := f(b); err != nil {
			return err
		}
	}
	return d.DB.Archive(ctx, conv, gen, b)
}

func (d *desk) Claimed(ctx context.Context, conv string, gen uint64, nonce string) error {
	d.mu.Lock()
	refuse := d.refuse
	d.mu.Unlock()
	if refuse != nil {
		if err := refuse(); err != nil {
			return err
		}
	}
	err := d.DB.Claimed(ctx, conv, gen, nonce)
	d.mu.Lock()
	f := d.claimed
	d.mu.Unlock()
	if f != nil {
		f()
	}
	return err
}

func (w *world) desk() *desk {
	d := &desk{DB: w.Store(), w: w, done: make(chan struct{})}
	rdb := gatewaytest.NewLink(w.Redis).Client()
	bus := chat.NewBus(rdb, chat.NewID("desk-"))
	d.Hub = chat.NewHub(rdb, bus, chat.HubOptions{Cold: gatewaytest.Cold(d.DB)})
	d.Queue = chat.NewQueue(rdb, bus, d, w.Queue)
	box := w.Tools
	if box == nil {
		box = toolbox{}
	}
	d.Runner = run.New(d.Queue, chat.NewInbox(rdb), d, d, &agents.Book{Builtin: w.Agent}, box, slog.New(slog.DiscardHandler), w.Run)
	ctx, stop := context.WithCancel(context.Background())
	work, drain := context.WithCancel(ctx)
	d.stop, d.drain = stop, drain
	for _, f := range []func(context.Context) error{bus.Run, d.Queue.Run, d.Hub.Run} {
		d.wg.Go(func() { _ = f(ctx) })
	}
	go func() { defer close(d.done); _ = d.Runner.Serve(work) }()
	d.close = func() { _ = d.DB.Close(); _ = rdb.Close() }
	w.end = append(w.end, d.end)
	return d
}

func (d *desk) end() {
	d.once.Do(func() { d.drain(); <-d.done; d.stop(); d.wg.Wait(); d.close() })
}

// A toolbox always has the same tools.
type toolbox []tools.Tool

func (b toolbox) Set(context.Context) (*tools.Set, error) { return tools.NewSet(b...), nil }

// A machine is a tool that counts, by Idempotency-Key, how often it was
// started, wherever the call came from: it outlives the replicas.
type machine struct {
	name   string
	effect tools.Effect
	takes  time.Duration

	approval tools.Approval // auto
	asks     *tools.Ask     // before it is started, nil for nothing

	parameters string // JSON Schema

	mu   sync.Mutex
	keys map[string]int
	args map[string]string // of the last start
	done int
}

func newMachine(name string, effect tools.Effect, takes time.Duration) *machine {
	return &machine{name: name, effect: effect, takes: takes, approval: tools.ApprovalAuto, parameters: `{"type":"object"}`, keys: map[string]int{}, args: map[string]string{}}
}

func (m *machine) Spec() tools.Spec {
	return tools.Spec{Name: m.name, Description: m.name, Effect: m.effect, Approval: m.approval, Parameters: []byte(m.parameters)}
}

func (m *machine) Call(ctx context.Context, c tools.Call) (tools.Result, error) {
	if m.asks != nil && c.Answer == nil {
		return tools.Result{Ask: m.asks}, nil
	}
	if c.Answer != nil && (m.asks == nil || c.Answer.State != m.asks.State) {
		return tools.Failure("somebody else's answer"), nil
	}
	if c.Answer != nil && c.Answer.Status != tools.AnswerResolved {
		return tools.Failure("nobody told"), nil
	}
	m.mu.Lock()
	m.keys[c.ID]++
	m.args[c.ID] = string(c.Arguments)
	m.mu.Unlock()
	select {
	case <-time.After(m.takes):
	case <-ctx.Done():
		return tools.Result{}, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done++
	return tools.Result{Content: m.name + " done"}, nil
}

// starts returns how often the machine was started, and with how many keys.
func (m *machine) starts() (n, keys int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		n += k
	}
	return n, len(m.keys)
}

// use calls tools once a question, then says what came of it.
func use(names ...string) func(llmtest.Request) llmtest.Reply {
	return func(r llmtest.Request) llmtest.Reply {
		if r.Last().Role != "tool" {
			var calls []llmtest.Call
			for i, n := range names {
				calls = append(calls, llmtest.Call{ID: fmt.Sprint("call_", i), Name: n})
			}
			return llmtest.Reply{Pieces: []string{"Let ", "me ", "see. "}, Every: 20 * time.Millisecond, Calls: calls}
		}
		return llmtest.Reply{Pieces: strings.SplitAfter("it says "+r.Last().Content, " "), Every: 20 * time.Millisecond}
	}
}
