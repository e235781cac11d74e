//go:build integration && unix

package main

import (
	"net"
	"sync"
	"testing"
	"time"
)

// A chaosLink is the network between a replica and what it needs: it carries,
// delays, swallows, or breaks.
type chaosLink struct {
	addr string // where to dial
	to   string
	ln   net.Listener
	wg   sync.WaitGroup

	mu      sync.Mutex // guards all below
	refuses bool
	open    chan struct{} // closed while bytes pass
	delay   time.Duration
	conns   map[net.Conn]bool
	closed  bool
}

func newChaosLink(t testing.TB, to string) *chaosLink {
	t.Helper()
	ln, err := net.Listen("tcp", procFreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	l := &chaosLink{addr: ln.Addr().String(), to: to, ln: ln, open: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(l.open)
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		ln.Close()
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.mend()
		l.breakAll()
		l.wg.Wait()
	})
	return l
}

func (l *chaosLink) accept() {
	for {
		c, err := l.ln.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.carry(c) })
	}
}

func (l *chaosLink) carry(from net.Conn) {
	if !l.add(from) {
		return
	}
	defer l.remove(from)
	to, err := net.DialTimeout("tcp", l.to, 2*time.Second)
	if err != nil || !l.add(to) {
		return
	}
	defer l.remove(to)
	var both sync.WaitGroup
	both.Go(func() { l.pass(to, from) })
	l.pass(from, to)
	both.Wait()
}

// add reports false, having closed it, if no connections are wanted.
func (l *chaosLink) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuses || l.closed {
		c.Close()
		return false
	}
	l.conns[c] = true
	return true
}

func (l *chaosLink) remove(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	c.Close()
}

// pass copies until either end is closed, which closes the other.
func (l *chaosLink) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		open, delay := l.open, l.delay
		l.mu.Unlock()
		<-open
		if delay > 0 {
			time.Sleep(delay)
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut breaks all connections and refuses new ones.
func (l *chaosLink) cut() {
	l.mu.Lock()
	l.refuses = true
	l.mu.Unlock()
	l.breakAll()
}

func (l *chaosLink) breakAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// swallow lets nothing through any more, and breaks nothing: a black hole.
func (l *chaosLink) swallow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

func (l *chaosLink) slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

func (l *chaosLink) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuses, l.delay = false, 0
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}
