package chat

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// sync has the room read the log from where it stands, once for all its
// followers; until it has, bells are not believed. It requires r.mu.
func (r *room) sync() {
	if r.syncing {
		r.again = true
		return
	}
	r.syncing = true
	r.hub.wg.Go(r.catchUp)
}

// catchUp reads until no bell came meanwhile.
func (r *room) catchUp() {
	for wait := 10 * time.Millisecond; ; {
		r.mu.Lock()
		r.again = false
		r.mu.Unlock()
		whole, err := r.read()
		if err != nil || !whole {
			pauseFor(r.hub.ctx, wait)
			wait = min(2*wait, time.Second)
		}
		r.mu.Lock()
		left := len(r.followers) == 0 || r.hub.ctx.Err() != nil
		if left || err == nil && whole && !r.again {
			r.syncing, r.live = false, true
			r.wakeAll()
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

// read brings the room to the log's end. It reports false if there is a hole
// that no entry of the log fills; the writer is then asked to begin anew.
func (r *room) read() (whole bool, err error) {
	ctx, cancel := context.WithTimeout(r.hub.ctx, 5*time.Second)
	defer cancel()
	r.mu.Lock()
	from, live := r.head, r.live
	r.mu.Unlock()
	if !live {
		return true, r.first(ctx)
	}
	for {
		rs, err := r.hub.log.after(ctx, r.conv, from)
		if err != nil || len(rs) == 0 {
			return true, err
		}
		if !r.take(rs) {
			return false, r.heal(ctx, rs[len(rs)-1].at.Generation)
		}
		from = rs[len(rs)-1].at
	}
}

// first has the room stand at the log's end, its ring filled with the last
// generation, since whoever joins most likely left off there.
func (r *room) first(ctx context.Context) error {
	rs, err := r.hub.log.generation(ctx, r.conv)
	if err == nil && len(rs) > 0 {
		rs, err = r.compared(ctx, rs)
	}
	if err != nil {
		return err
	}
	if len(rs) == 0 {
		return r.cold(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.size = nil, 0
	for _, rec := range rs {
		it, ok := r.item(rec)
		if !ok {
			continue
		}
		if len(r.ring) == 0 {
			r.base = it.prev
		}
		r.push(it)
	}
	r.live = true
	r.idle()
	return nil
}

// compared returns the log's last generation, which rs was when it was read,
// and has the log healed if it was rolled back while nobody wrote it.
func (r *room) compared(ctx context.Context, rs []record) ([]record, error) {
	_, back, err := r.rolledBack(ctx, rs)
	if err != nil || !back {
		return rs, err
	}
	// The store may only have heard of what the log has got since.
	if rs, err = r.hub.log.generation(ctx, r.conv); err != nil {
		return nil, err
	}
	gen, back, err := r.rolledBack(ctx, rs)
	if err != nil || !back {
		return rs, err
	}
	return rs, r.heal(ctx, gen)
}

// rolledBack reports whether a log ends before what the room has heard, or
// before the store, and the generation that is not to be believed then.
func (r *room) rolledBack(ctx context.Context, rs []record) (gen uint64, back bool, err error) {
	s, at, err := foldAll(rs)
	if err != nil {
		return 0, false, err
	}
	r.mu.Lock()
	head := r.head
	r.mu.Unlock()
	stored, from, err := r.hub.o.Cold(ctx, r.conv)
	if err != nil {
		return 0, false, nil // without the store the log is all that there is
	}
	return max(at.Generation, head.Generation), at.Before(head) || rolledBack(s, at, stored, from), nil
}

// recheck compares the log of a run of which nothing more came.
func (r *room) recheck() {
	ctx, cancel := context.WithTimeout(r.hub.ctx, 5*time.Second)
	defer cancel()
	if rs, err := r.hub.log.generation(ctx, r.conv); err == nil {
		_, _ = r.compared(ctx, rs) // what fails is tried again after another silence
	}
}

// cold has the room stand before a log that does not exist yet, or that
// cannot be believed and is healed.
func (r *room) cold(ctx context.Context) error {
	at, err := r.hub.log.head(ctx, r.conv)
	if err == nil && !at.IsZero() {
		err = r.heal(ctx, at.Generation)
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = true
	return nil
}

// take adds what follows the room's position. A hole is skipped to the next
// generation, whose snapshot makes up for it; take reports false if there is
// none.
func (r *room) take(rs []record) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	whole := true
	for _, rec := range rs {
		if !r.head.Before(rec.at) {
			continue
		}
		it, ok := r.item(rec)
		switch {
		case ok && (it.at.N == 0 || follows(r.head, it)):
			r.push(it)
			whole = true
		default:
			whole = false
		}
	}
	r.wakeAll()
	return whole
}

// heal asks the conversation's writer for a new generation instead of one that
// cannot be believed, at most twice a second. That one was asked for before
// says nothing of a later generation.
func (r *room) heal(ctx context.Context, gen uint64) error {
	r.mu.Lock()
	now := time.Now()
	if gen <= r.ill && now.Sub(r.healed) < 500*time.Millisecond {
		r.mu.Unlock()
		return nil
	}
	r.ill, r.healed = gen, now
	r.mu.Unlock()
	id := fmt.Sprintf("heal.%d.%d", gen, now.UnixMilli()/500)
	_, err := r.hub.inbox.Post(ctx, r.conv, Item{ID: id, Kind: Heal, Instead: gen})
	return err
}

// waits returns the generation that a follower waits to be replaced, if one
// does: whoever was asked for that may not have heard it.
func (r *room) waits() (gen uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.followers {
		if f.lost && f.at == f.rest {
			gen, ok = max(gen, f.at.Generation), true
		}
	}
	return gen, ok
}

// find returns the place in the ring of what a follower at p needs next, and
// whether the ring can tell. It requires r.mu.
func (r *room) find(p Position) (int, bool) {
	if p == r.head {
		return len(r.ring), true
	}
	i, _ := slices.BinarySearchFunc(r.ring, p, func(it ringItem, p Position) int {
		if it.at.Compare(p) <= 0 {
			return -1
		}
		return 1
	})
	if i == len(r.ring) {
		return i, false
	}
	it := r.ring[i]
	return i, it.at.N == 0 || follows(p, it)
}

// items prepares what follows p, up to the first hole. It requires r.mu.
func (r *room) items(p Position, rs []record) (items []ringItem) {
	active := r.active // old entries say nothing of now
	for _, rec := range rs {
		it, ok := r.item(rec)
		if !ok || it.at.N != 0 && !follows(p, it) {
			break
		}
		items = append(items, it)
		p = it.at
	}
	r.active = active
	return items
}
