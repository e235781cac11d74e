package feed

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"parley/tools"
)

// A Watch keeps up the connection to one feed. All methods may be called
// concurrently; Run is called once.
type Watch struct {
	feed   Feed
	expr   tools.Expression
	http   *http.Client
	limits Limits
	put    func(Value)

	mu    sync.Mutex // guards all below
	state State
	meter meter
}

// NewWatch returns a Watch of f, which must be valid. client must be one that
// looks at the addresses that it dials; its time limit is for the handshake
// alone. put is called with each value, in order and by one goroutine; it must
// not wait.
func NewWatch(f Feed, client *http.Client, l Limits, put func(Value)) (*Watch, error) {
	e, err := tools.ParseExpression(f.Value)
	if err != nil {
		return nil, fmt.Errorf("feed: %s: value: %w", f.Name, err)
	}
	return &Watch{feed: f, expr: e, http: client, limits: l.WithDefaults(), put: put, state: State{Down: time.Now()}}, nil
}

// Pauses between a connection's end and the next try.
const (
	pauseFirst = 500 * time.Millisecond
	pauseMost  = time.Minute
	goodAfter  = 30 * time.Second // a connection that lived so long is followed by the first pause
)

// Run connects, and connects again, until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for failed := 0; ctx.Err() == nil; failed++ {
		began := time.Now()
		err := w.session(ctx)
		if ctx.Err() != nil {
			return
		}
		w.down(err)
		if time.Since(began) >= goodAfter {
			failed = 0
		}
		pause(ctx, Backoff(failed))
	}
}

// Backoff is how long to wait after so many failures and one: with jitter, so
// that a server that comes back is not met by everybody at once.
func Backoff(failed int) time.Duration {
	d := pauseMost
	if failed < 7 {
		d = min(pauseFirst<<failed, pauseMost)
	}
	return d/2 + rand.N(d/2)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// State returns how the connection is. Its Replica is not set.
func (w *Watch) State() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.PerMinute = w.meter.lastMinute(time.Now())
	return s
}

func (w *Watch) up() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Connected, w.state.Down = time.Now(), time.Time{}
}

func (w *Watch) down(err error) {
	reason := w.reason(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.Down.IsZero() {
		w.state.Connected, w.state.Down = time.Time{}, time.Now()
	}
	w.state.Error = cmp.Or(reason, w.state.Error)
}

// drop notes messages that gave no value that can be kept.
func (w *Watch) drop(n int64, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Dropped += n
	w.state.Error = cmp.Or(reason, w.state.Error)
}

func (w *Watch) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meter.add(time.Now())
}

// process makes values of a message.
func (w *Watch) process(ctx context.Context, m message) {
	vs, err := values(ctx, w.expr, m.raw)
	for _, v := range vs {
		if len(v) > w.limits.Bytes/8 {
			err = fmt.Errorf("a value has %d bytes; %d are kept at most: choose less of a message with the expression in value", len(v), w.limits.Bytes/8)
			continue
		}
		w.put(Value{At: m.at, JSON: json.RawMessage(w.feed.redacted(string(v)))})
	}
	if err != nil {
		w.drop(1, line(w.feed.redacted(err.Error()), 300))
	}
}

// A meter counts what came in the last minute, by the second.
type meter struct {
	counts [60]int
	last   int64 // second that was counted last
}

func (m *meter) add(now time.Time) {
	m.forget(now)
	m.counts[m.last%60]++
}

func (m *meter) lastMinute(now time.Time) (n int) {
	m.forget(now)
	for _, c := range m.counts {
		n += c
	}
	return n
}

// forget empties the seconds that have passed.
func (m *meter) forget(now time.Time) {
	s := now.Unix()
	for i := max(m.last+1, s-59); i <= s; i++ {
		m.counts[i%60] = 0
	}
	m.last = max(m.last, s)
}

// DownSince says that the feed is not connected since a time before this
// watch: another replica tried in vain. It is called before Run.
func (w *Watch) DownSince(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Down = t
}
