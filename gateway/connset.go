package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// A connSet is the connections of a replica. net/http forgets hijacked ones,
// so they are counted, swept and drained here. All methods may be called
// concurrently.
type connSet struct {
	max, perOwner int

	mu     sync.Mutex
	conns  map[*conn]struct{}
	total  int // WebSockets and streams
	owners map[string]int
}

func newConnSet(limit, perOwner int) *connSet {
	return &connSet{max: limit, perOwner: perOwner, conns: map[*conn]struct{}{}, owners: map[string]int{}}
}

// reserve counts one more connection of an owner, or says why there may be
// none.
func (cs *connSet) reserve(owner string) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.total >= cs.max {
		return problem(http.StatusServiceUnavailable, codeTooMany, "This replica has as many connections as it takes. Try again in a moment.").after(time.Second + rand.N(4*time.Second))
	}
	if cs.owners[owner] >= cs.perOwner {
		return problem(http.StatusTooManyRequests, codeTooMany, "You have %d connections open. Close one.", cs.perOwner).after(10 * time.Second)
	}
	cs.total++
	cs.owners[owner]++
	return nil
}

func (cs *connSet) unreserve(owner string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.total--
	if cs.owners[owner]--; cs.owners[owner] <= 0 {
		delete(cs.owners, owner)
	}
}

func (cs *connSet) add(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.conns[c] = struct{}{}
}

func (cs *connSet) remove(c *conn) {
	cs.mu.Lock()
	_, had := cs.conns[c]
	delete(cs.conns, c)
	cs.mu.Unlock()
	if had {
		cs.unreserve(c.who.Owner)
	}
}

func (cs *connSet) all() []*conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := make([]*conn, 0, len(cs.conns))
	for c := range cs.conns {
		all = append(all, c)
	}
	return all
}

// Connections returns how many WebSockets and streams are open.
func (s *Server) Connections() int {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	return s.conns.total
}

// Run looks after the connections until ctx ends, then sends them away, each
// at a time of its own, and returns when they are gone.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.draining.Store(true)
			s.drain()
			s.end()
			return nil
		case now := <-tick.C:
			places, all := s.Runner.Places(), s.conns.all()
			s.dismiss(all)
			for _, c := range all {
				c.sweep(now)
				c.showPlaces(places)
			}
		}
	}
}

// end ends all connections that there still are, and returns when they are
// gone.
func (s *Server) end() {
	s.stop()
	for _, c := range s.conns.all() {
		c.stop()
	}
	s.imports.close()
	s.wg.Wait()
}

// Drain refuses new connections from now on; commands are still answered,
// since balancers do not pass a POST on to another replica.
func (s *Server) Drain() { s.draining.Store(true) }

// dialsPerSecond is how fast a fleet takes the clients of a drained replica.
const dialsPerSecond = 500

// closers is how many connections are closed at a time: towards a silent peer
// that takes until its deadline.
const closers = 128

// drain sends everybody away: bye, with a time to dial again that spreads
// them over the fleet, then a close that says restart.
func (s *Server) drain() {
	all := s.conns.all()
	spread := time.Duration(len(all)) * time.Second / dialsPerSecond
	slots := make(chan struct{}, closers)
	var wg sync.WaitGroup
	for _, c := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c.sayBye(rand.N(spread + 50*time.Millisecond))
		})
	}
	wg.Wait()
}

// byeTimeout bounds how long a client may take to be sent away.
const byeTimeout = time.Second

// sayBye sends a client away, to dial again after a time.
func (c *conn) sayBye(retry time.Duration) {
	c.depart(bye{Type: frameBye, Reason: "drain", RetryMs: retry.Milliseconds()}, websocket.StatusServiceRestart, "restart")
}

// closeSignIn is the code with which the connection of somebody is closed who
// has to sign in (again).
const closeSignIn websocket.StatusCode = 4401

// signOut sends a client away whose credentials are no longer good.
func (c *conn) signOut() {
	c.depart(bye{Type: frameBye, Reason: "auth_expired"}, closeSignIn, "sign in again")
}

// depart writes bye behind everything that waits, and closes.
func (c *conn) depart(b bye, code websocket.StatusCode, reason string) {
	c.mu.Lock()
	gone := c.leaving
	c.leaving = true
	c.mu.Unlock()
	if gone {
		return
	}
	c.send(encode(b))
	late := time.AfterFunc(byeTimeout, c.stop) // ends the read, and with it a close that the client does not answer
	defer late.Stop()
	c.flush(byeTimeout)
	_ = c.ws.Close(code, reason)
}

// flush waits until no answer waits any more, or for so long.
func (c *conn) flush(most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	for {
		c.mu.Lock()
		idle, drained := len(c.replies) == 0 && !c.writing || c.ended, c.drain()
		c.mu.Unlock()
		if idle {
			return
		}
		select {
		case <-drained:
		case <-time.After(5 * time.Millisecond): // the last frame is being written
		case <-t.C:
			return
		}
	}
}
