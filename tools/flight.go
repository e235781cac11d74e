package tools

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A Locker lets one replica do what several would do at the same time. All
// methods must be safe for concurrent use.
type Locker interface {
	// TryLock takes the lock of that name for at most ttl, if nobody has it.
	// It must return soon; an error means that it cannot be known.
	TryLock(ctx context.Context, name string, ttl time.Duration) (unlock func(), ok bool, err error)
}

// How long others wait for the answer that a replica has been asked for, and
// how long that may keep them waiting at most if it dies.
const (
	flightWait = 3 * time.Second
	flightTTL  = 5 * time.Second
)

// Flights are the requests of this process that others wait for as well. All
// methods may be called concurrently.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight // bounded by the calls under way
}

type flight struct {
	stop    context.CancelFunc
	waiting int // guarded by flights.mu
	done    chan struct{}

	// What came of it, once done is closed.
	reply reply
	out   Outcome
	came  []provenance

	denied *Result  // see [exchange]
	told   []string // secrets of the request, of which the answer may tell
}

// joined makes req, unless somebody in this process is making it already:
// then it waits for that. The request is nobody's own: it goes on while
// anybody waits for it.
func (x *exchange) joined(req *http.Request, k cacheKey, had kept) reply {
	f, first := x.client.flights.join(k.entry)
	if first {
		ctx, stop := context.WithTimeout(context.WithoutCancel(x.ctx), x.timeout)
		lead := &exchange{endpointTool: x.endpointTool, ctx: ctx, call: x.call, began: x.began, redactor: x.redactor, credential: x.credential, want: x.want, token: x.token}
		x.client.flights.launch(k.entry, f, stop, func() {
			f.reply = lead.oneReplica(req, k, had)
			f.out, f.came, f.denied, f.told = lead.out, lead.sources, lead.denied, lead.redactor.plain
		})
	}
	select {
	case <-f.done:
	case <-x.ctx.Done():
		x.client.flights.leave(k.entry, f)
		return reply{err: x.ctx.Err(), sent: true}
	}
	x.denied = f.denied
	if x.want != nil {
		x.redactor = x.redactor.and(f.told...)
	}
	switch {
	case first:
		x.takeOver(f)
		return f.reply
	case !f.reply.shared:
		return x.revalidated(req, k, had)
	case f.reply.err == nil && !faulty(f.reply.answer.status):
		x.came(CacheHit, time.Since(f.reply.received))
	}
	return f.reply.copied()
}

// takeOver counts as the call's own what was done for it.
func (x *exchange) takeOver(f *flight) {
	x.out.Requests += f.out.Requests
	x.out.Retries += f.out.Retries
	x.out.Bytes += f.out.Bytes
	x.out.Cut = x.out.Cut || f.out.Cut
	x.sources = append(x.sources, f.came...)
}

// copied is r with a body of its own.
func (r reply) copied() reply {
	r.answer.body = append([]byte(nil), r.answer.body...)
	return r
}

var errBrokeDown = errors.New("tools: the request broke down")

// join returns the flight for a key; first says that there was none.
func (fs *flights) join(key string) (f *flight, first bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f = fs.byKey[key]; f != nil {
		f.waiting++
		return f, false
	}
	if fs.byKey == nil {
		fs.byKey = map[string]*flight{}
	}
	f = &flight{waiting: 1, done: make(chan struct{})}
	fs.byKey[key] = f
	return f, true
}

// launch has do run on a goroutine that those who wait own together: the last
// to leave ends it.
func (fs *flights) launch(key string, f *flight, stop context.CancelFunc, do func()) {
	fs.mu.Lock()
	f.stop = stop // before anybody can be the last to leave: who launches it waits too
	fs.mu.Unlock()
	go func() {
		defer stop()
		defer close(f.done)
		defer fs.forget(key, f)
		defer func() {
			if p := recover(); p != nil { // as of any tool: it does not end the process
				f.reply = reply{err: errBrokeDown}
			}
		}()
		do()
	}()
}

func (fs *flights) forget(key string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byKey[key] == f {
		delete(fs.byKey, key)
	}
}

// leave is for who waits no more. The last one stops the flight and waits for
// its end.
func (fs *flights) leave(key string, f *flight) {
	fs.mu.Lock()
	f.waiting--
	last := f.waiting == 0
	if last && fs.byKey[key] == f {
		delete(fs.byKey, key)
	}
	if last {
		f.stop()
	}
	fs.mu.Unlock()
	if last {
		<-f.done
	}
}

// oneReplica makes req, unless another replica is making it: then it waits
// for the answer in the cache, but not for long.
func (x *exchange) oneReplica(req *http.Request, k cacheKey, had kept) reply {
	if x.client.locker == nil {
		return x.revalidated(req, k, had)
	}
	wait := 15 * time.Millisecond
	for until := time.Now().Add(min(flightWait, x.timeout/2)); time.Now().Before(until); {
		unlock, ok, err := x.client.locker.TryLock(x.ctx, k.entry, flightTTL)
		if err != nil {
			break
		}
		if ok {
			return x.first(req, k, wait > 15*time.Millisecond, unlock)
		}
		if !pause(x.ctx, wait/2+rand.N(wait)) {
			break
		}
		wait = min(wait*3/2, 100*time.Millisecond)
		if had = x.look(k); had.fresh() {
			return x.from(had.entry, CacheHit)
		}
	}
	return x.revalidated(req, k, had)
}

// first is for who has the lock. Who had to wait for it and finds nothing
// holds up nobody else: the answer was none that can be kept.
func (x *exchange) first(req *http.Request, k cacheKey, waited bool, unlock func()) reply {
	had := x.look(k)
	if had.fresh() {
		unlock()
		return x.from(had.entry, CacheHit)
	}
	if waited {
		unlock()
		return x.revalidated(req, k, had)
	}
	defer unlock()
	return x.revalidated(req, k, had)
}
