package run

import (
	"sync"
	"time"
)

// Those who wait less than placeAfter need not know that they do, and places
// are at most placeFor old.
const (
	placeAfter = 700 * time.Millisecond
	placeFor   = 500 * time.Millisecond
)

// A waitingRoom is who is next, as it was a moment ago.
type waitingRoom struct {
	mu     sync.Mutex // guards all below
	ahead  map[string]int
	looked time.Time
}

// Places returns the conversations that have been waiting for a slot, and how
// many others are to come before each; nil if none is. It is as this replica
// sees it, and a guess where others have slots too: who is next may change
// with whoever comes. The map is shared and must not be changed.
func (r *Runner) Places() map[string]int {
	w := &r.room
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.looked) >= placeFor {
		w.ahead, w.looked = r.line.order(now.Add(-placeAfter)), now
	}
	return w.ahead
}

// Waiting returns how many conversations wait for a slot, as far as this
// replica sees.
func (r *Runner) Waiting() int { return r.line.length() }
