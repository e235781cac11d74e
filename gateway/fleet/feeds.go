package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/tools/feed"
)

// FeedList is where feeds are declared.
type FeedList interface {
	Feeds(ctx context.Context) ([]feed.Feed, error)
}

// FeedOptions are the settings of [Feeds]. Zero values are the defaults.
type FeedOptions struct {
	TTL    time.Duration // after which a silent replica's feeds are taken over: 2 s
	Limits feed.Limits
	Log    *slog.Logger // nil means slog.Default()
}

// Feeds keeps one connection to each feed for the whole fleet. The replica
// that has it holds a lease in Redis, and writes the feed's window there under
// a generation of its own: Redis refuses whatever an earlier one writes. A
// replica that cannot renew its lease in time closes the connection by itself.
//
// All methods may be called concurrently; Run is called once.
type Feeds struct {
	rdb   redis.UniversalClient
	inc   string
	store FeedList
	http  *http.Client
	o     FeedOptions

	changed chan struct{} // 1 slot: look at once

	// Owned by Run.
	list []feed.Feed
	read time.Time

	wg   sync.WaitGroup
	mu   sync.Mutex // guards held
	held map[string]*holding
}

// NewFeeds returns Feeds that are declared in store and kept in rdb. inc names
// this process and no other; client looks at the addresses that it dials.
func NewFeeds(rdb redis.UniversalClient, inc string, store FeedList, client *http.Client, o FeedOptions) *Feeds {
	o.TTL, o.Log, o.Limits = cmp.Or(o.TTL, 2*time.Second), cmp.Or(o.Log, slog.Default()), o.Limits.WithDefaults()
	return &Feeds{rdb: rdb, inc: inc, store: store, http: client, o: o, changed: make(chan struct{}, 1), held: map[string]*holding{}}
}

// feedList is how often the store is asked which feeds there are.
const feedList = time.Second

// Changed says that the store has other feeds now.
func (s *Feeds) Changed() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run connects to feeds that nobody is connected to until ctx ends, and gives
// its own back then.
func (s *Feeds) Run(ctx context.Context) error {
	defer s.wg.Wait()
	for {
		t := time.NewTimer(s.o.TTL/4 + rand.N(s.o.TTL/16))
		s.look(ctx)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		case <-s.changed:
			s.read = time.Time{}
		}
		t.Stop()
	}
}

// look ends what is no longer wanted and claims what nobody has, until life
// ends.
func (s *Feeds) look(life context.Context) {
	ctx, cancel := context.WithTimeout(life, s.o.TTL)
	defer cancel()
	if time.Since(s.read) >= feedList {
		list, err := s.store.Feeds(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.Warn("feeds", "error", err)
			}
			return // who is connected stays so
		}
		s.list, s.read = list, time.Now()
	}
	wanted := map[string]string{}
	var free []feed.Feed
	for _, f := range s.list {
		if wanted[f.Name] = revision(f); f.Disabled {
			wanted[f.Name] = ""
		} else if s.holds(f.Name) == nil {
			free = append(free, f)
		}
	}
	s.endOthers(wanted)
	for _, f := range s.unheld(ctx, free) {
		if err := s.claim(ctx, life, f); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("feeds", "feed", f.Name, "error", err)
		}
	}
}

func (s *Feeds) holds(name string) *holding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[name]
}

// Held returns how many feeds this replica is to keep connected.
func (s *Feeds) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// endOthers ends what is declared differently now, or not at all. wanted has
// the revision of each feed, empty for a disabled one.
func (s *Feeds) endOthers(wanted map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, h := range s.held {
		rev, declared := wanted[name]
		if rev != h.rev {
			h.end(!declared)
		}
	}
}

// unheld returns those of fs whose lease nobody has.
func (s *Feeds) unheld(ctx context.Context, fs []feed.Feed) (free []feed.Feed) {
	if len(fs) == 0 {
		return nil
	}
	pipe := s.rdb.Pipeline()
	found := make([]*redis.StringCmd, len(fs))
	for i, f := range fs {
		found[i] = pipe.Get(ctx, feedKeys(f.Name)[1])
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, f := range fs {
		if holder, err := found[i].Result(); errors.Is(err, redis.Nil) || err == nil && holder == s.inc {
			free = append(free, f)
		}
	}
	return free
}

// claim takes the lease of a feed, if nobody was faster, and connects until
// life ends.
func (s *Feeds) claim(ctx, life context.Context, f feed.Feed) error {
	sent := time.Now()
	v, err := feedClaimScript.Run(ctx, s.rdb, feedKeys(f.Name), s.inc, s.o.TTL.Milliseconds(), feedKeep.Milliseconds(), revision(f)).Slice()
	if err != nil {
		return fmt.Errorf("fleet: claim: %w", err)
	}
	if len(v) < 3 {
		return nil
	}
	gen, _ := v[1].(string)
	h := &holding{s: s, feed: f, rev: revision(f), gen: gen, until: sent.Add(s.o.TTL), fresh: make(chan struct{}, 1), next: 1}
	if h.watch, err = feed.NewWatch(f, s.http, s.o.Limits, h.put); err != nil {
		return err
	}
	if ago, _ := v[2].(int64); ago >= 0 {
		h.watch.DownSince(time.Now().Add(-time.Duration(ago) * time.Millisecond))
	}
	hold, cancel := context.WithCancel(life)
	h.cancel = cancel
	s.mu.Lock()
	s.held[f.Name] = h
	s.mu.Unlock()
	s.wg.Go(func() {
		h.run(hold)
		s.mu.Lock()
		delete(s.held, f.Name)
		s.mu.Unlock()
		s.Changed()
	})
	return nil
}

// A holding is a feed that this replica is connected to.
type holding struct {
	s      *Feeds
	feed   feed.Feed
	rev    string
	gen    string
	watch  *feed.Watch
	cancel context.CancelFunc
	fresh  chan struct{} // 1 slot: there are values
	until  time.Time     // the lease is ours until then; owned by run

	mu      sync.Mutex // guards all below
	pending []feed.Value
	next    int64 // number of the first of pending
	forget  bool
}

// end has the connection closed, and with forget all that is known of the
// feed dropped.
func (h *holding) end(forget bool) {
	h.mu.Lock()
	h.forget = h.forget || forget
	h.mu.Unlock()
	h.cancel()
}

// put takes a value for the next beat: the newest ones, if Redis is away.
func (h *holding) put(v feed.Value) {
	most, _ := h.feed.Bounds(h.s.o.Limits)
	h.mu.Lock()
	h.pending = append(h.pending, v)
	if more := len(h.pending) - most; more > 0 {
		h.pending, h.next = h.pending[more:], h.next+int64(more)
	}
	h.mu.Unlock()
	select {
	case h.fresh <- struct{}{}:
	default:
	}
}

// feedGather is how long values are gathered: together they cost one script.
const feedGather = 100 * time.Millisecond

// errFeedFenced ends a holding whose feed another replica has.
var errFeedFenced = errors.New("another replica is connected now")

// run keeps the feed connected until ctx ends or the lease is lost.
func (h *holding) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { h.watch.Run(ctx) })
	err := h.keep(ctx)
	stop()
	watching.Wait()
	if err != nil {
		h.s.o.Log.Warn("feeds: a connection is given up", "feed", h.feed.Name, "error", err)
	}
	out, done := context.WithTimeout(context.WithoutCancel(ctx), h.s.o.TTL)
	defer done()
	h.mu.Lock()
	forget := h.forget
	h.mu.Unlock()
	flag := "0"
	if forget {
		flag = "1"
	}
	_ = feedReleaseScript.Run(out, h.s.rdb, feedKeys(h.feed.Name), h.gen, flag).Err() // it lapses
}

// keep renews the lease, with what the feed has said since, until ctx ends or
// the lease is lost.
func (h *holding) keep(ctx context.Context) error {
	tick := time.NewTicker(h.s.o.TTL / 4)
	defer tick.Stop()
	gather := time.NewTimer(0)
	defer gather.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-h.fresh:
			select {
			case <-gather.C:
			case <-ctx.Done():
				return nil
			}
			gather.Reset(feedGather)
		}
		sent := time.Now()
		within, cancel := context.WithDeadline(ctx, h.until)
		err := h.beat(within)
		cancel()
		switch {
		case err == nil:
			h.until = sent.Add(h.s.o.TTL)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errFeedFenced) || !time.Now().Before(h.until):
			return err
		}
	}
}

// beat writes what is new.
func (h *holding) beat(ctx context.Context) error {
	l := h.s.o.Limits
	most, age := h.feed.Bounds(l)
	st := h.watch.State()
	h.mu.Lock()
	values, first := h.pending, h.next
	h.mu.Unlock()
	args := []any{
		h.gen, h.s.inc, h.s.o.TTL.Milliseconds(), feedKeep.Milliseconds(), most, l.Bytes, age.Milliseconds(),
		ago(st.Connected), ago(st.Down), st.PerMinute, st.Dropped, st.Error, strconv.FormatInt(first, 10),
	}
	for _, v := range values {
		args = append(args, ago(v.At), string(v.JSON))
	}
	n, err := feedBeatScript.Run(ctx, h.s.rdb, feedKeys(h.feed.Name), args...).Int()
	if err != nil {
		return fmt.Errorf("fleet: write: %w", err)
	}
	if n != 1 {
		return errFeedFenced
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if done := first + int64(len(values)) - h.next; done > 0 { // some may have had to go meanwhile
		h.pending, h.next = h.pending[done:], h.next+done
	}
	return nil
}

// ago is how many ms a time lies back, -1 for none.
func ago(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return max(time.Since(t).Milliseconds(), 0)
}
