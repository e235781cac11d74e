package chat

import (
	"context"
	"encoding/json"
	"iter"
)

// A Follower reads one conversation from a position of its own, at its own
// pace. Take must not be called concurrently with itself.
type Follower struct {
	room  *room
	wake  func()
	place int // among the room's followers; guarded by its mu

	// Owned by whoever calls Take; at is also read by the room under its mu.
	at      Position
	rest    Position // where the last snapshot put it; like lost also read by the room
	lost    bool     // there it waits for a generation that was asked for
	fresh   bool     // has nothing yet
	checked bool     // at is known to have been in the log
}

// A Delivery is what a follower is to be given next. Either Snapshot is set,
// which replaces what the follower has of the conversation's latest messages,
// or Entries follow what it has without a hole. Both empty: nothing for now.
type Delivery struct {
	At       Position // where the follower stands with it
	Snapshot json.RawMessage
	Reason   string // of a snapshot: joined, rollback, trimmed, deleted
	First    string // of a snapshot: its first message
	Entries  []Encoded
	More     bool // there may be more behind it
}

// ReasonDeleted is the reason of the snapshot behind which nothing comes: the
// conversation was deleted.
const ReasonDeleted = "deleted"

// reason is why a follower gets a snapshot.
func reason(why string, deleted bool) string {
	if deleted {
		return ReasonDeleted
	}
	return why
}

// An Encoded entry is shared by all followers and must not be changed.
type Encoded struct {
	At    Position
	Raw   []byte // JSON of the entry
	Frame []byte // what HubOptions.Frame made of it
}

// Empty reports whether there is nothing to deliver.
func (d Delivery) Empty() bool { return d.Snapshot == nil && len(d.Entries) == 0 }

// Take returns what lies behind the follower's position, at most limit
// entries, and moves it. It reads the log if the room does not reach back so
// far, and does not wait for anything to happen. ready is false until the
// room knows where the log ends; then wake is called.
func (f *Follower) Take(ctx context.Context, limit int) (d Delivery, ready bool, err error) {
	r := f.room
	r.mu.Lock()
	live := r.live
	r.mu.Unlock()
	if !live {
		return Delivery{}, false, nil
	}
	d, err = f.take(ctx, limit)
	return d, true, err
}

// TakeReady is a Take that waits for nothing and reads nothing: it takes what
// is in memory. It reports false if that is not all that Take would look at.
func (f *Follower) TakeReady(limit int) (d Delivery, ok bool) {
	r := f.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.live || f.fresh || r.head.Before(f.at) {
		return Delivery{}, false
	}
	i, ok := r.find(f.at)
	if ok {
		d = f.fromRing(r.ring[i:], limit)
		f.checked = true
		r.idle()
	}
	return d, ok
}

// Head returns where the log ends, as far as the room has heard.
func (f *Follower) Head() Position {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	return f.room.head
}

func (f *Follower) take(ctx context.Context, limit int) (Delivery, error) {
	r := f.room
	r.mu.Lock()
	if f.fresh {
		r.mu.Unlock()
		return f.snapshot(ctx, "joined")
	}
	i, ok := r.find(f.at)
	ahead := r.head.Before(f.at)
	if ok && !ahead {
		d := f.fromRing(r.ring[i:], limit)
		f.checked = true
		r.idle()
		r.mu.Unlock()
		return d, nil
	}
	r.mu.Unlock()
	if ahead {
		return f.ahead(ctx)
	}
	return f.fromLog(ctx, limit)
}

// ahead deals with a position beyond what the room has heard: its bells are
// on their way, or the log was lost, or there never was such an entry.
func (f *Follower) ahead(ctx context.Context) (Delivery, error) {
	if f.checked {
		return Delivery{}, nil
	}
	head, err := f.room.hub.log.head(ctx, f.room.conv)
	if err != nil {
		return Delivery{}, err
	}
	f.checked = true
	if head.Before(f.at) {
		return f.snapshot(ctx, "trimmed")
	}
	f.room.behind(head) // its bells may have been lost
	return Delivery{}, nil
}

// fromRing requires the room's mu.
func (f *Follower) fromRing(items []ringItem, limit int) Delivery {
	var d Delivery
	for _, it := range items[:min(limit, len(items))] {
		if it.at.N == 0 && !(it.prev == f.at && it.same) {
			if len(d.Entries) > 0 {
				break
			}
			f.at = it.at
			return Delivery{At: it.at, Snapshot: it.snap, Reason: reason("rollback", it.gone), First: it.first, More: true}
		}
		d.Entries = append(d.Entries, Encoded{it.at, it.raw, it.framed})
		f.at = it.at
	}
	d.At, d.More = f.at, len(d.Entries) < len(items)
	return d
}

// fromLog reads what the ring no longer has.
func (f *Follower) fromLog(ctx context.Context, limit int) (Delivery, error) {
	rs, err := f.room.hub.behind(f.room.conv, f.at)
	if err != nil {
		return Delivery{}, err
	}
	r := f.room
	r.mu.Lock()
	items := r.items(f.at, rs)
	if len(items) > 0 {
		d := f.fromRing(items, limit)
		d.More = true
		r.mu.Unlock()
		return d, nil
	}
	r.mu.Unlock()
	if f.at == f.rest { // the log was lost, and what it has now is no beginning: a snapshot comes
		return Delivery{}, nil
	}
	return f.snapshot(ctx, "trimmed")
}

func (f *Follower) snapshot(ctx context.Context, why string) (Delivery, error) {
	v, err := f.room.hub.snapshot(ctx, f.room.conv)
	if err == nil && v.lost {
		err = f.room.heal(ctx, v.at.Generation)
	}
	if err != nil {
		return Delivery{}, err
	}
	b, err := json.Marshal(v.State)
	if err != nil {
		return Delivery{}, err
	}
	f.room.mu.Lock()
	f.at, f.rest, f.lost, f.fresh, f.checked = v.at, v.at, v.lost, false, true
	f.room.mu.Unlock()
	return Delivery{At: v.at, Snapshot: b, Reason: reason(why, v.Deleted), First: v.first(), More: true}, nil
}

// Leave ends the following. wake may be called once more.
func (f *Follower) Leave() { f.room.hub.leave(f) }

// Follow yields what a conversation brings behind a position, first what is
// there and then each delivery as it comes, until ctx ends.
func (h *Hub) Follow(ctx context.Context, conv string, after Position) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		bell := make(chan struct{}, 1)
		f := h.Join(conv, after, func() { signal(bell) })
		defer f.Leave()
		for {
			d, _, err := f.Take(ctx, readSize)
			if err != nil {
				yield(Delivery{}, err)
				return
			}
			if !d.Empty() {
				if !yield(d, nil) {
					return
				}
				continue
			}
			select {
			case <-bell:
			case <-ctx.Done():
				yield(Delivery{}, ctx.Err())
				return
			}
		}
	}
}
