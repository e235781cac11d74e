//go:build integration && unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/cmd/parley/chaos"
	"parley/gateway/chat/redistest"
)

// A chaosFault is one kind of what may happen to a world.
type chaosFault struct {
	name string
	// strike does it, and returns what brings the world back after hold.
	strike func(w *chaosWorld, d *chaos.Dice) (mend func())
	least  time.Duration // of hold
	most   time.Duration
	late   bool // mended after the others: what starts needs them
	needs  func(w *chaosWorld) bool
}

func hasRedis(w *chaosWorld) bool { return w.redis != nil }

const chaosFailOver = "Redis failed over"

// chaosFaults returns those that can be done to any world of this kind.
func chaosFaults(w *chaosWorld) (fs []chaosFault) {
	const s = time.Second
	for _, f := range []chaosFault{
		{"nothing", func(*chaosWorld, *chaos.Dice) func() { return func() {} }, 0, s, false, nil},
		{"kill -9 of a replica", killReplica, 0, 3 * s, true, nil},
		{"kill -9 of two replicas", killTwo, 0, 3 * s, true, nil},
		{"SIGSTOP, SIGCONT", freezeReplica, s, 7 * s, false, nil},
		{"SIGTERM, start", drainReplica, 0, 0, true, nil},
		{"rolling restart", rollReplicas, 0, 0, true, nil},
		{"link cut", onLink((*chaosLink).cut), s, 5 * s, false, hasRedis},
		{"link a black hole", onLink((*chaosLink).swallow), s, 6 * s, false, hasRedis},
		{"link slow", onLink(func(l *chaosLink) { l.slow(150 * time.Millisecond) }), s, 4 * s, false, hasRedis},
		{"Redis killed", killRedis(func(*chaosWorld) {}), 0, 2 * s, false, hasRedis},
		{"Redis full", fillRedis, 0, 4 * s, false, hasRedis},
		{"Redis lost", killRedis((*chaosWorld).wipeRedis), 0, 2 * s, false, hasRedis},
		{"Redis rolled back", rollRedisBack, 0, 0, false, hasRedis},
		{chaosFailOver + ", killed", failOver((*redistest.Server).Kill, (*redistest.Server).Start), 0, 3 * s, false, isWatched},
		{chaosFailOver + ", frozen", failOver((*redistest.Server).Freeze, (*redistest.Server).Thaw), 0, 3 * s, false, isWatched},
		{"PostgreSQL killed", killPostgres, 0, 2 * s, false, nil},
		{"PostgreSQL restarted", restartPostgres, 0, 0, false, nil},
		{"PostgreSQL frozen", freezePostgres, s, 6 * s, false, nil},
	} {
		if f.needs == nil || f.needs(w) {
			fs = append(fs, f)
		}
	}
	return fs
}

// any returns a replica: in two of three cases the one that writes most.
func (w *chaosWorld) any(d *chaos.Dice) *procServer {
	r := w.replicas[d.Intn(len(w.replicas))]
	if d.One(3) {
		return r
	}
	most := 0
	for _, o := range w.replicas {
		if n := chaosWrites(o); n > most {
			r, most = o, n
		}
	}
	return r
}

// chaosWrites returns how many conversations a replica writes, as its metrics
// say.
func chaosWrites(s *procServer) (n int) {
	client := &http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + s.ops + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	_, text, _ := strings.Cut(string(b), "\nparley_conversations_written ")
	_, _ = fmt.Sscan(text, &n)
	return n
}

func killReplica(w *chaosWorld, d *chaos.Dice) func() {
	r := w.any(d)
	r.kill()
	return func() { w.up(r) }
}

func killTwo(w *chaosWorld, d *chaos.Dice) func() {
	i := slices.Index(w.replicas, w.any(d))
	a, b := w.replicas[i], w.replicas[(i+1)%len(w.replicas)]
	a.kill()
	b.kill()
	return func() { w.up(a); w.up(b) }
}

// up starts a replica that is not running.
func (w *chaosWorld) up(r *procServer) {
	select {
	case <-r.exited:
		r.start()
	default:
	}
}

func freezeReplica(w *chaosWorld, d *chaos.Dice) func() {
	r := w.any(d)
	r.signal(syscall.SIGSTOP)
	return func() { r.signal(syscall.SIGCONT) }
}

func drainReplica(w *chaosWorld, d *chaos.Dice) func() {
	r := w.any(d)
	r.signal(syscall.SIGTERM)
	return func() { w.drained(r); w.up(r) }
}

// drained waits until a replica that was told to end has ended.
func (w *chaosWorld) drained(r *procServer) {
	if code := r.wait(35 * time.Second); code > 0 {
		w.t.Logf("%s ended with %d when it was told to end", r.name, code)
	}
}

func rollReplicas(w *chaosWorld, _ *chaos.Dice) func() {
	return func() {
		for _, r := range w.replicas {
			r.signal(syscall.SIGTERM)
			w.drained(r)
			w.up(r)
		}
	}
}

func onLink(what func(*chaosLink)) func(*chaosWorld, *chaos.Dice) func() {
	return func(w *chaosWorld, d *chaos.Dice) func() {
		l := w.links[d.Intn(len(w.links))]
		what(l)
		return l.mend
	}
}

func killRedis(then func(*chaosWorld)) func(*chaosWorld, *chaos.Dice) func() {
	return func(w *chaosWorld, _ *chaos.Dice) func() {
		w.redis.kill()
		then(w)
		return w.upRedis
	}
}

// upRedis starts a Redis that is not running: of two faults each ends so.
func (w *chaosWorld) upRedis() {
	if !w.redis.pong() {
		w.redis.start()
	}
}

// fillRedis has Redis take nothing more, as one does that has no memory left.
func fillRedis(w *chaosWorld, _ *chaos.Dice) func() {
	w.limitRedis("1")
	return func() { w.limitRedis("0") }
}

// limitRedis sets how much Redis takes, unless it is down: it has its own
// setting again when it starts.
func (w *chaosWorld) limitRedis(bytes string) {
	rdb := redis.NewClient(&redis.Options{Addr: w.redis.addr})
	defer func() { _ = rdb.Close() }()
	if err := rdb.ConfigSet(w.t.Context(), "maxmemory", bytes).Err(); err != nil {
		w.t.Logf("maxmemory %s: %v", bytes, err)
	}
}

func (w *chaosWorld) wipeRedis() {
	w.must(os.RemoveAll(filepath.Join(w.kept, "appendonlydir")))
}

// rollRedisBack brings back what Redis had on its disk a moment ago.
func rollRedisBack(w *chaosWorld, d *chaos.Dice) func() {
	from, to := filepath.Join(w.kept, "appendonlydir"), filepath.Join(w.kept, "older")
	w.must(os.RemoveAll(to))
	if _, err := os.Stat(from); err == nil { // without appendonly there is nothing to keep
		w.must(os.CopyFS(to, os.DirFS(from)))
	}
	time.Sleep(d.Span(0, 1500*time.Millisecond))
	w.redis.kill()
	w.wipeRedis()
	if _, err := os.Stat(to); err == nil {
		w.must(os.Rename(to, from))
	}
	return w.upRedis
}

func killPostgres(w *chaosWorld, _ *chaos.Dice) func() {
	w.db.Kill(w.t)
	return func() { w.db.Start(w.t) }
}

func restartPostgres(w *chaosWorld, _ *chaos.Dice) func() {
	w.db.Restart(w.t)
	return func() {}
}

func freezePostgres(w *chaosWorld, _ *chaos.Dice) func() {
	w.db.Freeze()
	return w.db.Thaw
}

func (w *chaosWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(fmt.Errorf("chaos: %w", err))
	}
}
