package tools

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerOptions say when a tool stops asking a host that fails. Zero values
// are the defaults.
type BreakerOptions struct {
	Requests int           // within the window, before anything is judged: 10
	Ratio    float64       // of those that failed, from which on the host is left alone: 0.5
	Window   time.Duration // 1 min
	Pause    time.Duration // until one request is let through to see: 15 s
}

// Breakers are those of one tool, one for each of its hosts. All methods may
// be called concurrently.
type breakers struct {
	mu     sync.Mutex
	byHost map[string]*breaker // bounded by the tool's steps
}

type breaker struct {
	*gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex
	opened time.Time // the last time
}

// of returns the breaker for a host.
func (bs *breakers) of(host string, o BreakerOptions) *breaker {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.byHost == nil {
		bs.byHost = map[string]*breaker{}
	}
	b := bs.byHost[host]
	if b == nil {
		b = newBreaker(o)
		bs.byHost[host] = b
	}
	return b
}

func newBreaker(o BreakerOptions) *breaker {
	b := &breaker{}
	window := cmp.Or(o.Window, time.Minute)
	least, ratio := uint32(cmp.Or(o.Requests, 10)), cmp.Or(o.Ratio, 0.5)
	b.TwoStepCircuitBreaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Interval: window, BucketPeriod: window / 6, Timeout: cmp.Or(o.Pause, 15*time.Second),
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= least && float64(c.TotalFailures) >= ratio*float64(c.Requests)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNoVerdict) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.mu.Lock()
				b.opened = time.Now()
				b.mu.Unlock()
			}
		},
	})
	return b
}

// allow returns a function that is told what came of the request, or a
// [*pausedError].
func (b *breaker) allow(host string, o BreakerOptions) (done func(error), err error) {
	done, err = b.Allow()
	if err == nil {
		return done, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := max(cmp.Or(o.Pause, 15*time.Second)-time.Since(b.opened), 0)
	if errors.Is(err, gobreaker.ErrTooManyRequests) { // somebody is trying it now
		wait = 0
	}
	return nil, &pausedError{host: host, wait: wait}
}

// A pausedError says that a host is not asked because it has been failing.
type pausedError struct {
	host string
	wait time.Duration // until it is tried again; 0 if somebody is trying it
}

func (e *pausedError) Error() string {
	return fmt.Sprintf("%s has been failing and is not called until it has rested (circuit breaker open)", e.host)
}

// advice is what can be done about it.
func (e *pausedError) advice() string {
	if e.wait <= 0 {
		return "Nothing was sent. Whether it works again is being tried right now: call again in a few seconds."
	}
	return fmt.Sprintf("Nothing was sent. It will be tried again in %d s.", int(e.wait.Seconds())+1)
}

// errNoVerdict is for requests that tell nothing about the host: they were
// stopped, or never left.
var errNoVerdict = errors.New("no verdict")

// errFault is for answers by which a host says that it fails.
var errFault = errors.New("the service has a fault")

// verdict is what a reply tells about the host. What is the caller's own fault
// is no fault of the host's.
func (x *exchange) verdict(r *reply) error {
	var refused *RefusedError
	var redirect *RedirectError
	switch {
	case r.err != nil && x.stopped(), errors.As(r.err, &refused), errors.As(r.err, &redirect):
		return errNoVerdict
	case r.err != nil:
		return r.err
	case faulty(r.answer.status):
		return errFault
	}
	return nil
}

// faulty reports whether a status means that the service cannot answer now.
func faulty(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		status >= 500 && status != http.StatusNotImplemented
}
