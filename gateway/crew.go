package gateway

import (
	"runtime"
	"sync"
)

// A crew writes to connections that have something waiting. An answer that
// many follow, and all answers on their common ticks, wake hundreds of them in
// the same moment; a goroutine for each would cost as much as its write.
//
// Nobody of the crew ever waits: what does not go at once a connection's own
// goroutine does. All methods may be called concurrently.
type crew struct {
	own  func(func()) // runs a goroutine to which somebody attends
	most int          // workers

	mu      sync.Mutex // guards all below; taken under a connection's
	queue   []*conn
	taken   int // of queue
	workers int
}

// eachWorker is how many connections may wait for one worker before there is
// another.
const eachWorker = 8

func newCrew(own func(func())) *crew { return &crew{own: own, most: runtime.GOMAXPROCS(0)} }

// add has a connection written to.
func (w *crew) add(c *conn) {
	w.mu.Lock()
	w.queue = append(w.queue, c)
	more := w.workers < w.most && len(w.queue)-w.taken > eachWorker*w.workers
	if more {
		w.workers++
	}
	w.mu.Unlock()
	if more {
		w.own(w.work)
	}
}

func (w *crew) work() {
	for c := w.next(); c != nil; c = w.next() {
		c.writeReady()
	}
}

// next returns nil if there is nothing left, and then there is one worker
// less.
func (w *crew) next() *conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken == len(w.queue) {
		w.workers--
		return nil
	}
	c := w.queue[w.taken]
	w.queue[w.taken] = nil
	if w.taken++; w.taken == len(w.queue) {
		w.queue, w.taken = w.queue[:0], 0
	}
	return c
}
