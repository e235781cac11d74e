package tools

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Traffic is what a tool's requests have in common, from call to call. All
// methods may be called concurrently.
type traffic struct {
	declared Effect // "" if the endpoint leaves it to the methods
	attempt  time.Duration
	off      bool          // nothing is kept
	maxAge   time.Duration // of answers that do not say
	breakers breakers
	slots    chan struct{} // taken by requests under way
	stored   atomic.Bool   // an answer was one that can be kept
	inVain   atomic.Int32  // answers since then that were not
}

// enoughInVain is after how many answers that cannot be kept a tool's cache is
// not even looked into.
const enoughInVain = 4

func (t *traffic) notCacheable() bool { return t.inVain.Load() >= enoughInVain }

func newTraffic(e *Endpoint) *traffic {
	t := &traffic{
		declared: e.Effect, attempt: time.Duration(e.AttemptMs) * time.Millisecond,
		slots: make(chan struct{}, cmp.Or(e.Concurrency, DefaultConcurrency)),
	}
	if e.Cache != nil {
		t.off, t.maxAge = e.Cache.Off, time.Duration(e.Cache.MaxAgeMs)*time.Millisecond
	}
	return t
}

// enter waits until fewer requests than the tool's concurrency are under way.
func (t *traffic) enter(ctx context.Context) (leave func(), err error) {
	select {
	case t.slots <- struct{}{}:
	default:
		select {
		case t.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, &crowdedError{cap(t.slots)}
		}
	}
	return func() { <-t.slots }, nil
}

// A crowdedError says that a request waited in vain for its turn.
type crowdedError struct{ most int }

func (e *crowdedError) Error() string {
	return fmt.Sprintf("%d requests of this tool are under way and none ended in time", e.most)
}

// A retryBudget keeps a host that fails from being asked three times as often
// for it: of all requests to it one in ten may be a retry, and ten at once.
// All methods may be called concurrently.
type retryBudget struct {
	mu     sync.Mutex
	spent  map[string]float64 // by host; absent is nothing, so bounded by those that fail
	hosts  int                // at most
	atOnce float64
}

const budgetShare = 0.1

func newRetryBudget() *retryBudget {
	return &retryBudget{spent: map[string]float64{}, hosts: 1024, atOnce: 10}
}

// earn counts a request that is no retry.
func (b *retryBudget) earn(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := b.spent[host]; ok && s <= budgetShare {
		delete(b.spent, host)
	} else if ok {
		b.spent[host] = s - budgetShare
	}
}

// spend reports whether one more retry may be made.
func (b *retryBudget) spend(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.spent[host]
	if s+1 > b.atOnce || !ok && len(b.spent) >= b.hosts {
		return false
	}
	b.spent[host] = s + 1
	return true
}

// backoff is the time before retry n, from 0: anything up to a bound that
// doubles, so that those who failed together do not come back together.
func backoff(base time.Duration, n int) time.Duration {
	return rand.N(min(base<<n, 10*base))
}

// pause waits, and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
