package bench

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A tally is what all followers together have heard and seen. All methods
// may be called concurrently.
type tally struct {
	open   atomic.Bool // the window of measuring: frames, pieces and times are counted
	frames atomic.Int64
	pieces atomic.Int64
	age    spans // of pieces
	added  spans // to the first piece of an answer, beside what the model took

	// Counted all the time.
	holes     atomic.Int64 // pieces and entries that were missed
	doubles   atomic.Int64 // pieces and entries that came again
	garbled   atomic.Int64 // texts that the model has not said, frames that cannot be read
	finished  atomic.Int64 // answers, heard to the end by all their followers
	failed    atomic.Int64 // answers that did not finish
	rollbacks atomic.Int64 // texts that another replica began anew
	snapshots atomic.Int64 // windows replaced
	refused   atomic.Int64 // dials that a server turned away
	away      outage

	mu     sync.Mutex
	reason string // the first of what went wrong
}

// blame keeps the first reason for which the run is not clean.
func (t *tally) blame(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reason == "" {
		t.reason = reason
	}
}

func (t *tally) firstReason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reason
}

// A spans is a distribution of times, told apart to one in a hundred. It
// may be used concurrently.
type spans struct {
	n   [2112]atomic.Int64 // by µs: each power of two has 64 parts
	max atomic.Int64
}

func (s *spans) add(d time.Duration) {
	us := max(d.Microseconds(), 0)
	for most := s.max.Load(); us > most && !s.max.CompareAndSwap(most, us); {
		most = s.max.Load()
	}
	shift := max(bits.Len64(uint64(us))-7, 0)
	s.n[min(shift*64+int(us>>shift), len(s.n)-1)].Add(1)
}

func (s *spans) count() (n int64) {
	for i := range s.n {
		n += s.n[i].Load()
	}
	return n
}

// at returns what a part p of all times does not exceed.
func (s *spans) at(p float64) time.Duration {
	left := int64(p * float64(s.count()-1))
	for i := range s.n {
		if left -= s.n[i].Load(); left < 0 {
			return min(spanOf(i), s.longest())
		}
	}
	return s.longest()
}

func (s *spans) longest() time.Duration { return time.Duration(s.max.Load()) * time.Microsecond }

// spanOf returns the middle of a part.
func spanOf(i int) time.Duration {
	if i < 128 {
		return time.Duration(i) * time.Microsecond
	}
	shift := i/64 - 1
	return time.Duration((i%64+64)<<shift+1<<shift/2) * time.Microsecond
}

// An outage tells how connections were lost and came back. All methods may be
// called concurrently.
type outage struct {
	mu      sync.Mutex
	now     int // connections that are away
	since   time.Time
	back    int           // connections that have come back
	longest time.Duration // from the first that was lost to the last that was back
	dials   int           // to come back
	second  int64         // of the last dial
	many    int           // dials in that second
	most    int           // dials in any second
}

func (o *outage) lost(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now++; o.now == 1 {
		o.since = now
	}
}

func (o *outage) dial(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dials++
	if s := now.Unix(); s != o.second {
		o.second, o.many = s, 0
	}
	o.many++
	o.most = max(o.most, o.many)
}

func (o *outage) found(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.back++
	o.now--
	o.longest = max(o.longest, now.Sub(o.since))
}
