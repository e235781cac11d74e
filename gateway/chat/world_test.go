package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"parley/gateway/chat"
	"parley/gateway/chat/inprocess"
	"parley/gateway/gatewaytest"
	"parley/gateway/store"
	"parley/llm"
)

// elsewhere are more kinds of Redis that [onBoth] runs tests on, by name.
var elsewhere = map[string]func(t *testing.T) func() redis.UniversalClient{}

// onBoth runs a test on the in-process Redis, in a bubble, and on a real one.
func onBoth(t *testing.T, test func(t *testing.T, client func() redis.UniversalClient)) {
	t.Run("in-process", func(t *testing.T) { inBubble(t, test) })
	t.Run("redis-server", func(t *testing.T) { test(t, redisServer(t)) })
	for name, client := range elsewhere {
		t.Run(name, func(t *testing.T) { test(t, client(t)) })
	}
}

func inBubble(t *testing.T, test func(t *testing.T, client func() redis.UniversalClient)) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		t.Cleanup(func() {
			r.Close()
			time.Sleep(2 * time.Second) // go-redis tries a pool's address again each second
		})
		test(t, func() redis.UniversalClient {
			c := r.Client()
			t.Cleanup(func() { _ = c.Close() })
			return c
		})
	})
}

// redisServer starts a Redis of the test's own.
func redisServer(t *testing.T) func() redis.UniversalClient {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server on this machine; the test ran on the in-process Redis only")
	}
	dir, err := os.MkdirTemp("", "redis") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	sock := filepath.Join(dir, "s")
	cmd := exec.Command(bin, "--port", "0", "--unixsocket", sock, "--save", "", "--appendonly", "no", "--dir", dir)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	client := func() redis.UniversalClient {
		c := redis.NewClient(&redis.Options{
			Network: "unix", Addr: sock, MaxRetries: -1,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c := client()
	eventually(t, "redis-server answers", func() bool { return c.Ping(context.Background()).Err() == nil })
	return client
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

func openStore(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), gatewaytest.StoreFile(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// A world is a Redis, a store and the processes on them.
type world struct {
	t      *testing.T
	client func() redis.UniversalClient
	rdb    redis.UniversalClient // the test's own
	db     *store.DB
	inbox  *chat.Inbox
	queue  chat.QueueOptions
	hub    chat.HubOptions
}

func newWorld(t *testing.T, client func() redis.UniversalClient) *world {
	w := &world{t: t, client: client, rdb: client(), db: openStore(t), queue: chat.QueueOptions{TTL: time.Second}}
	w.inbox = chat.NewInbox(w.rdb)
	w.hub.Cold = func(ctx context.Context, conv string) (chat.State, chat.Position, error) {
		return chat.FromArchive(ctx, w.db, conv)
	}
	return w
}

// A process is one replica.
type process struct {
	w     *world
	rdb   redis.UniversalClient
	bus   *chat.Bus
	queue *chat.Queue
	hub   *chat.Hub
	stop  func()
}

func (w *world) start(archive chat.Archive) *process {
	if archive == nil {
		archive = w.db
	}
	p := &process{w: w, rdb: w.client()}
	p.bus = chat.NewBus(p.rdb, chat.NewID("replica-"))
	p.queue = chat.NewQueue(p.rdb, p.bus, archive, w.queue)
	p.hub = chat.NewHub(p.rdb, p.bus, w.hub)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{p.bus.Run, p.queue.Run, p.hub.Run} {
		wg.Go(func() { _ = run(ctx) })
	}
	var once sync.Once
	p.stop = func() { once.Do(func() { cancel(); wg.Wait() }) }
	w.t.Cleanup(p.stop)
	return p
}

func (w *world) ctx() context.Context { return w.t.Context() }

// ask stores a question and posts it.
func (w *world) ask(conv, run string) chat.Item {
	w.t.Helper()
	m := llm.Message{ID: "q" + run, Role: llm.User, Content: "question " + run}
	if _, _, err := w.db.Accept(w.ctx(), chat.Question{Conversation: conv, Owner: "ann", Run: run, Message: m}); err != nil {
		w.t.Fatal(err)
	}
	it := chat.Item{ID: run, Kind: chat.Say, Run: run, Message: &m}
	w.post(conv, it)
	return it
}

func (w *world) post(conv string, it chat.Item) (claimable bool) {
	w.t.Helper()
	ok, err := w.inbox.Post(w.ctx(), conv, it)
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

// ring publishes on a conversation's channel.
func (w *world) ring(conv, payload string) {
	if _, ok := w.rdb.(*redis.ClusterClient); ok {
		w.rdb.SPublish(w.ctx(), chat.BellOf(conv), payload)
		return
	}
	w.rdb.Publish(w.ctx(), chat.BellOf(conv), payload)
}

// bells returns a subscription to a conversation's channel.
func (w *world) bells(conv string) *redis.PubSub {
	if _, ok := w.rdb.(*redis.ClusterClient); ok {
		return w.rdb.SSubscribe(w.ctx(), chat.BellOf(conv))
	}
	return w.rdb.Subscribe(w.ctx(), chat.BellOf(conv))
}

// claim returns the lease of a conversation that must be free.
func (p *process) claim(conv string) *chat.Lease {
	p.w.t.Helper()
	l, err := p.queue.Claim(p.w.ctx(), conv)
	if err != nil || l == nil {
		p.w.t.Fatalf("claim: %v, %v", l, err)
	}
	p.w.t.Cleanup(l.Stop)
	return l
}

// say puts text into an open message, which it opens and closes as told.
func say(l *chat.Lease, run, id, text string, open, end bool) {
	if open {
		l.Put(run, 1, chat.Event{Type: chat.TextStart, MessageID: id, Role: llm.Assistant})
	}
	if text != "" {
		l.Put(run, 1, chat.Event{Type: chat.TextContent, MessageID: id, Delta: text})
	}
	if end {
		l.Put(run, 1, chat.Event{Type: chat.TextEnd, MessageID: id})
	}
}

func begin(l *chat.Lease, it chat.Item) {
	l.Put(it.Run, 1, chat.Event{Type: chat.MessageSaid, Said: it.Message})
	l.Put(it.Run, 1, chat.Event{Type: chat.RunStarted, RunID: it.Run, Metadata: &llm.Metadata{Parley: llm.Details{Question: it.Message.ID}}})
}

func finish(l *chat.Lease, run string) {
	l.Put(run, 1, chat.Event{Type: chat.RunFinished, RunID: run, Outcome: &chat.Outcome{Type: "success"}})
}

func (w *world) flush(l *chat.Lease) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx(), 10*time.Second)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// inLog returns what the log adds up to.
func (w *world) inLog(conv string) (chat.State, chat.Position) {
	w.t.Helper()
	s, at, err := chat.NewLog(w.rdb).Fold(w.ctx(), conv)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Clone(), at
}

// A reader follows a conversation and checks every step.
type reader struct {
	t       *testing.T
	mu      sync.Mutex
	at      chat.Position
	state   chat.State
	reasons []string // of snapshots
	seen    int      // entries
	shown   []string // contents, delivery by delivery; read it after stop
	stop    func()
}

// follow begins to read behind a position.
func (p *process) follow(conv string, at chat.Position, state chat.State) *reader {
	r := &reader{t: p.w.t, at: at, state: state.Clone()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for d, err := range p.hub.Follow(ctx, conv, at) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					r.t.Errorf("follow: %v", err)
				}
				return
			}
			r.take(d)
			r.shown = append(r.shown, contents(r.state.Messages))
		}
	}()
	r.stop = func() { cancel(); <-done }
	p.w.t.Cleanup(r.stop)
	return r
}

func (r *reader) take(d chat.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Snapshot != nil {
		r.reasons = append(r.reasons, d.Reason)
		r.state = chat.State{}
		if err := json.Unmarshal(d.Snapshot, &r.state); err != nil {
			r.t.Error(err)
		}
		r.at = d.At
		return
	}
	for _, e := range d.Entries {
		entry, err := chat.DecodeEntry(e.Raw)
		if err != nil {
			r.t.Error(err)
			return
		}
		prev := chat.Position{}
		if entry.Ev.Prev != nil {
			prev = *entry.Ev.Prev
		}
		if entry.At != e.At || entry.At != r.at.Next() && !(entry.At.N == 0 && prev == r.at) {
			r.t.Errorf("%v came behind %v", e.At, r.at)
		}
		r.state.Apply(entry)
		r.at = e.At
		r.seen++
	}
}

func (r *reader) now() (chat.State, chat.Position, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Clone(), r.at, append([]string(nil), r.reasons...)
}

// sees waits until the reader has the texts of the conversation.
func (r *reader) sees(want string) {
	r.t.Helper()
	var got string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		s, _, _ := r.now()
		if got = contents(s.Messages); got == want {
			return
		}
	}
	r.t.Fatalf("a follower sees %q, want %q", got, want)
}

// hole is the archive of a process to which something happens in the middle
// of a claim, after the log was read.
type hole struct {
	chat.Archive
	once   sync.Once
	during func()
}

func (h *hole) History(ctx context.Context, conv, before string, limit int) ([]llm.Message, string, error) {
	h.once.Do(h.during)
	return h.Archive.History(ctx, conv, before, limit)
}

func name(i int) string { return fmt.Sprint("r", i) }
