package chat

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	fastjson "github.com/segmentio/encoding/json"
)

// A Lease is the right to write one conversation, and the only way to do it.
// Its holder appends to the log, reads the inbox and archives; any append
// error is doubt, out of which the lease begins a new generation or learns
// that it is fenced. All methods may be called concurrently.
type Lease struct {
	Conversation string

	q    *Queue
	keys keys

	ctx  context.Context // ends with the lease; its cause says why
	stop context.CancelCauseFunc
	done chan struct{} // the keeper has ended

	asking chan struct{} // 1 slot, held while a renewal or the release is on its way

	poked chan struct{} // 1 slot: the inbox has something new
	doubt chan struct{} // 1 slot: wakes the keeper

	mu      sync.Mutex // guards all below
	gen     uint64
	next    uint64 // the n of the next entry
	state   State  // what has been put, sent or not
	queue   []record
	queued  int    // bytes in queue
	buf     []byte // the last entry's encoding, its memory used again
	busy    bool
	doubted bool
	offered bool
	known   int64         // entries that the log must have
	run     int           // entries since the last trim of this holder
	bytes   int           // of those
	until   time.Time     // the lease is ours at least until then
	kept    time.Time     // the keys' lifetimes were last refreshed by a renewal
	noticed int64         // items that the inbox is known to have at the most
	changed chan struct{} // closed, and replaced, when the queue has emptied or doubt has ended
	spaced  chan struct{} // closed, and replaced, when the queue has shrunk
}

// Put applies an event to the conversation and sends it to the log. It does
// not wait; in doubt the event reaches the log as part of the next
// generation's snapshot, and once the lease has ended it does not.
func (l *Lease) Put(run string, try int, ev Event) {
	l.mu.Lock()
	e := Entry{At: Position{l.gen, l.next}, Run: run, Try: try, TS: time.Now().UnixMilli(), Ev: ev}
	l.state.Apply(e)
	offer := false
	if !l.doubted && l.ctx.Err() == nil {
		l.enqueue(e)
		offer = l.offer()
	}
	l.mu.Unlock()
	if offer {
		l.q.pub.offer(l)
	}
}

// enqueue requires l.mu.
func (l *Lease) enqueue(e Entry) {
	b, err := fastjson.Append(l.buf[:0], &e, fastjson.SortMapKeys)
	if err != nil { // nothing that is put can fail to encode
		panic(fmt.Sprintf("chat: entry of %s: %v", l.Conversation, err))
	}
	l.queue = append(l.queue, record{e.At, string(b)})
	l.queued += len(b)
	l.next++
	if l.buf = b; cap(b) > maxBell { // for pieces, not for snapshots
		l.buf = nil
	}
}

// offer reports whether the publisher must be told. It requires l.mu.
func (l *Lease) offer() bool {
	if l.offered || l.busy || l.doubted || len(l.queue) == 0 {
		return false
	}
	l.offered = true
	return true
}

// take hands the queue to the publisher.
func (l *Lease) take() parcel {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offered = false
	if l.doubted || l.busy || len(l.queue) == 0 || l.ctx.Err() != nil {
		return parcel{lease: l}
	}
	pc := parcel{lease: l, gen: l.gen, records: l.queue}
	l.queue, l.queued, l.busy = nil, 0, true
	return pc
}

// sent takes note of what became of a parcel.
func (l *Lease) sent(pc parcel) {
	err := pc.err()
	l.mu.Lock()
	l.busy = false
	if l.gen == pc.gen && err == nil && !l.doubted {
		l.known += int64(len(pc.records))
		l.run += len(pc.records)
		for _, r := range pc.records {
			l.bytes += len(r.raw)
		}
	}
	if err != nil || l.over() {
		l.doubted = true // in the same step, so that nothing goes out behind a hole
	}
	l.notify()
	doubted, offer := l.doubted, l.offer()
	l.mu.Unlock()
	if doubted {
		signal(l.doubt)
	}
	if offer {
		l.q.pub.offer(l)
	}
}

// over reports whether the log is to be trimmed. It requires l.mu.
func (l *Lease) over() bool { return l.run > l.q.maxEntries || l.bytes > l.q.maxBytes }

// notify wakes those who wait for the queue. It requires l.mu.
func (l *Lease) notify() {
	close(l.spaced)
	l.spaced = make(chan struct{})
	if l.settled() {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// settled reports whether all that was put is in Redis. It requires l.mu.
func (l *Lease) settled() bool { return len(l.queue) == 0 && !l.busy && !l.doubted }

// Flush waits until all that was put is in Redis, or the lease has ended.
func (l *Lease) Flush(ctx context.Context) error {
	return l.wait(ctx, func() (bool, chan struct{}) { return l.settled(), l.changed })
}

// Room waits while more than a bounded amount is on its way to Redis, so that
// a model is read no faster than its answer can be kept.
func (l *Lease) Room(ctx context.Context) error {
	return l.wait(ctx, func() (bool, chan struct{}) { return l.queued < l.q.maxQueued, l.spaced })
}

// Busy reports whether something that was put is still on its way. Pieces
// that wait meanwhile go out as one.
func (l *Lease) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.settled()
}

func (l *Lease) wait(ctx context.Context, ok func() (bool, chan struct{})) error {
	for {
		l.mu.Lock()
		done, wake := ok()
		l.mu.Unlock()
		if done {
			return context.Cause(l.ctx)
		}
		select {
		case <-wake:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Context ends when the lease does; its cause is [ErrFenced] if another
// replica writes now.
func (l *Lease) Context() context.Context { return l.ctx }

// State returns what the conversation's log adds up to, with all that was put.
func (l *Lease) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Clone()
}

// Active returns the run that goes on, if one does.
func (l *Lease) Active() (Run, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.state.Active() {
		return Run{}, false
	}
	return *l.state.Run, true
}

// Generation returns the generation that the lease writes now.
func (l *Lease) Generation() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gen
}

// Poked is sent to when the inbox may have something new.
func (l *Lease) Poked() <-chan struct{} { return l.poked }

// Inbox returns what waits, oldest first. Items of kind [Heal] are dealt with
// here and not returned.
func (l *Lease) Inbox(ctx context.Context) ([]Item, error) {
	its, err := l.q.inbox.items(ctx, l.Conversation)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.noticed = int64(len(its))
	l.mu.Unlock()
	rest := its[:0]
	for _, it := range its {
		if it.Kind != Heal {
			rest = append(rest, it)
			continue
		}
		if err := l.heal(ctx, it.Instead); err != nil {
			return nil, err
		}
		if err := l.Remove(ctx, it); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// heal begins a new generation instead of one that a follower cannot believe.
// If that was replaced meanwhile it only makes sure that the log is whole:
// whoever joins between a claim and the entry that opens its generation asks
// for what is coming anyway.
func (l *Lease) heal(ctx context.Context, gen uint64) error {
	if 0 < gen && gen < l.Generation() {
		return l.Fresh(ctx)
	}
	l.Doubt()
	return l.Flush(ctx)
}

// Remove takes an item out of the inbox, whose effect must be safe by now.
func (l *Lease) Remove(ctx context.Context, it Item) error {
	err := l.q.inbox.remove(ctx, l.Conversation, it)
	if err == nil {
		l.mu.Lock()
		l.noticed--
		l.mu.Unlock()
	}
	return err
}

// errReleased is the cause of a lease's end that its holder wanted.
var errReleased = errors.New("chat: lease released")

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
