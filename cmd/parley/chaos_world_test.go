//go:build integration && unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/cmd/parley/chaos"
	"parley/cmd/parley/plain"
	"parley/gateway/store/storetest"
	"parley/llm/llmtest"
)

// A chaosWorld is a deployment with all that may fail in it: replicas, each
// behind a link of its own to a Redis, PostgreSQL, balancers, a model, and a
// tool that counts.
type chaosWorld struct {
	t        *testing.T
	dir      string // of logs
	replicas []*procServer
	links    []*chaosLink // by replica; nil without
	redis    *procRedis   // nil if another kind of Redis carries the logs
	kept     string       // its folder
	pairs    []chaosPair
	store    string // PARLEY_STORE
	db       *storetest.Cluster
	doors    []*url.URL // the replicas', then the balancers'
	till     *chaosTill
}

// A chaosSetup says what a world is made of.
type chaosSetup struct {
	replicas int
	aof      string      // appendfsync of Redis, or no for appendonly no
	pairs    []chaosPair // of a Redis that is failed over
	redisURL string      // of a Redis of the caller's, instead of one in the world
	balance  bool
	env      []string
}

func newChaosWorld(t *testing.T, s chaosSetup) *chaosWorld {
	t.Helper()
	dir, err := os.MkdirTemp("", "parley-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	w := &chaosWorld{t: t, dir: dir, till: newChaosTill(t), db: storetest.StartCluster(t), pairs: s.pairs}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and what everybody went through: %s", dir)
		} else {
			_ = os.RemoveAll(dir)
		}
	})
	if s.redisURL == "" {
		w.startRedis(s.aof)
	}
	w.startReplicas(s)
	if s.balance {
		w.balance()
	}
	for name, e := range map[string]map[string]any{
		"charge": {"method": "POST", "url": w.till.URL + "/charge", "effect": "unsafe", "approval": "auto"},
		"book":   {"method": "POST", "url": w.till.URL + "/book", "effect": "idempotent", "approval": "auto"},
	} {
		procPut(t, w.replicas[0], name, e)
	}
	return w
}

func (w *chaosWorld) startRedis(aof string) {
	w.kept = filepath.Join(w.dir, "redis")
	if err := os.Mkdir(w.kept, 0o700); err != nil {
		w.t.Fatal(err)
	}
	args := []string{"--dir", w.kept, "--logfile", filepath.Join(w.dir, "redis.log"), "--appendonly", "yes", "--appendfsync", aof}
	if aof == "no" {
		args = args[:4]
	}
	w.redis = procStartRedis(w.t, args...)
}

func (w *chaosWorld) startReplicas(s chaosSetup) {
	w.store = w.db.Database(w.t, "parley", "")
	model := chaosModel(w.t)
	for i := range s.replicas {
		address := s.redisURL
		if w.redis != nil {
			l := newChaosLink(w.t, w.redis.addr)
			w.links = append(w.links, l)
			address = "redis://" + l.addr
		}
		name := fmt.Sprintf("replica-%d", i)
		r := procNew(w.t, name, append(procModelEnv(model), "PARLEY_REDIS="+address, "PARLEY_STORE="+w.store,
			"PARLEY_MESSAGES_PER_ADDRESS=1000000", "PARLEY_TRUSTED_PROXIES=127.0.0.1", "PARLEY_EGRESS_ALLOW="+strings.TrimPrefix(w.till.URL, "http://"))...)
		r.env = append(r.env, s.env...)
		r.wrap = []string{"sh", "-c", `exec "$@" 2>>"$0"`, filepath.Join(w.dir, name+".log")}
		r.start()
		w.replicas = append(w.replicas, r)
		w.doors = append(w.doors, chaosURL(w.t, r.url))
	}
}

func chaosURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// balance puts nginx and HAProxy, as deploy has them, before the replicas.
func (w *chaosWorld) balance() {
	for _, b := range []*procBalancer{procNginx(w.t, "75s", w.replicas), procHAProxy(w.t, "75s", w.replicas)} {
		w.doors = append(w.doors, chaosURL(w.t, b.url))
	}
}

// A chaosTill is a service whose calls are counted by their Idempotency-Key.
type chaosTill struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string]int // of what must not be done twice
}

func newChaosTill(t *testing.T) *chaosTill {
	till := &chaosTill{calls: map[string]int{}}
	till.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if r.URL.Path == "/charge" {
			till.mu.Lock()
			till.calls[key]++
			till.mu.Unlock()
		}
		select {
		case <-time.After(time.Duration(len(key)*7%10) * 50 * time.Millisecond):
		case <-r.Context().Done():
		}
		fmt.Fprintf(rw, `{"done":%q}`, key)
	}))
	t.Cleanup(till.Close)
	return till
}

// twice counts the runs of which calls were made more often than once since
// it was last asked.
func (till *chaosTill) twice() (n int) {
	till.mu.Lock()
	defer till.mu.Unlock()
	runs := map[string]int{}
	for key, calls := range till.calls {
		run, _, _ := strings.Cut(key, ".")
		runs[run] += calls
	}
	for _, calls := range runs {
		if calls > 1 {
			n++
		}
	}
	clear(till.calls)
	return n
}

// The first letter of a question says what its answer takes.
const (
	chaosPlain  = "w"
	chaosUnsafe = "u"
	chaosSafe   = "i"
	chaosCut    = "c" // the model breaks off
	chaosBroken = "e" // the model says in the middle that it failed
	chaosSlow   = "s" // for twelve seconds
)

// chaosWords is how many words an answer has.
const chaosWords = 60

const chaosLead = "Let me see. "

func chaosModel(t *testing.T) *llmtest.Server {
	return llmtest.NewServer(t, func(r llmtest.Request) llmtest.Reply {
		question := ""
		for _, m := range r.Messages {
			if m.Role == "user" {
				question = m.Content
			}
		}
		reply := llmtest.Reply{Pieces: strings.SplitAfter(procText(question, chaosWords), " "), Every: 40 * time.Millisecond}
		tool := map[byte]string{'u': "charge", 'i': "book"}[question[0]]
		switch {
		case question[0] == 's':
			reply.Every = 200 * time.Millisecond
		case tool != "" && r.Last().Role != "tool":
			reply.Pieces, reply.Calls = []string{"Let ", "me ", "see. "}, []llmtest.Call{{Name: tool}}
		case question[0] == 'c':
			reply.Pieces, reply.Cut = reply.Pieces[:chaosWords/2], true
		case question[0] == 'e':
			reply.Pieces, reply.Error, reply.Code = reply.Pieces[:chaosWords/2], "CUDA out of memory", "server_error"
		}
		return reply
	})
}

// dump says what the store and Redis have of a conversation.
func (w *chaosWorld) dump(t *chaos.Talk) string {
	if t.Conv == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var b strings.Builder
	ms, err := t.Person.Messages(ctx, t.Conv)
	text, _ := json.Marshal(ms)
	fmt.Fprintf(&b, "store: %s %v\n", text, err)
	for _, q := range t.Asked {
		rec, err := t.Person.Run(ctx, q.Run)
		fmt.Fprintf(&b, "store: %+v %v\n", rec, err)
	}
	var addrs []string
	if w.redis != nil {
		addrs = append(addrs, w.redis.addr)
	}
	for _, p := range w.pairs {
		addrs = append(addrs, p[0].Addr, p[1].Addr)
	}
	for _, addr := range addrs {
		dumpRedis(ctx, &b, addr, t.Conv)
	}
	return b.String()
}

func dumpRedis(ctx context.Context, b *strings.Builder, addr, conv string) {
	c := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer c.Close()
	keys, err := c.Keys(ctx, "*"+conv+"*").Result()
	fmt.Fprintf(b, "Redis at %s: %v %v\n", addr, keys, err)
	for _, k := range keys {
		var v any
		switch c.Type(ctx, k).Val() {
		case "hash":
			v = c.HGetAll(ctx, k).Val()
		case "list":
			v = c.LRange(ctx, k, 0, -1).Val()
		case "stream":
			var all []string
			for _, m := range c.XRange(ctx, k, "-", "+").Val() {
				all = append(all, plain.Cut(fmt.Sprint(m.ID, " ", m.Values), 240))
			}
			v = strings.Join(all, "\n    ")
		}
		fmt.Fprintf(b, "  %s: %v\n", k, v)
	}
	due, _ := c.Keys(ctx, "*:due").Result()
	for _, k := range due {
		if score, err := c.ZScore(ctx, k, conv).Result(); err == nil {
			fmt.Fprintf(b, "  %s: %f\n", k, score)
		}
	}
}
