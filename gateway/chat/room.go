package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// A ringItem is an entry in its place, encoded once for all followers.
type ringItem struct {
	at     Position
	prev   Position        // of a generation's first entry: what it follows
	same   bool            // and whether its snapshot is what the entries up to prev add up to
	snap   json.RawMessage // and that snapshot
	first  string          // and the snapshot's first message
	gone   bool            // and whether that says that the conversation was deleted
	raw    []byte          // the entry, without a snapshot
	framed []byte          // the entry as it goes onto the wire
}

// A room is where a replica hears of one conversation. It stands at a
// position of its own, head, and keeps a ring of the entries before it.
type room struct {
	hub      *Hub
	conv     string
	listener *listener

	mu        sync.Mutex  // guards all below; never held across a Redis call
	followers []*Follower // in no order; each knows its place
	base      Position    // the ring begins behind it
	ring      []ringItem
	size      int // bytes of ring
	head      Position
	live      bool // head is known, and every bell since has been heard
	syncing   bool
	again     bool      // a bell came while syncing
	active    bool      // a run goes on
	heard     time.Time // when the last entry came, or the log was compared with the store
	healed    time.Time // when a new generation was last asked for
	ill       uint64    // and instead of which one
	looked    time.Time // when the log's head was last looked at while nothing went on
}

// joined is told by the bus that bells will be heard from now on: what was
// rung before must be read. It must not block.
func (r *room) joined() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
}

// behind is told that the log reaches to head. It reports whether a bell
// should have told of it.
func (r *room) behind(head Position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.head.Before(head) {
		return false
	}
	missed := r.live && !r.syncing
	r.sync()
	return missed
}

// bell takes an entry as it was published. It runs on the bus's reader and
// must not block.
func (r *room) bell(payload string) {
	at, ok := bellPosition(payload)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.live || r.syncing {
		r.again = true
		return
	}
	if !r.head.Before(at) {
		return
	}
	if !strings.Contains(payload, `"ev":`) { // rung as a bare id
		r.sync()
		return
	}
	it, ok := r.item(record{at, payload})
	if !ok {
		r.sync()
		return
	}
	switch {
	case follows(r.head, it), at.N == 0 && it.prev.Compare(r.head) <= 0:
		r.push(it)
		r.wakeAll()
	default:
		r.sync()
	}
}

// bellPosition reads the position that an entry's JSON begins with.
func bellPosition(payload string) (Position, bool) {
	rest, ok := strings.CutPrefix(payload, `{"at":"`)
	if !ok {
		return Position{}, false
	}
	id, _, _ := strings.Cut(rest, `"`)
	at, err := ParsePosition(id)
	return at, err == nil && !at.IsZero()
}

// follows reports whether it comes right behind p, for whoever has seen all
// up to p.
func follows(p Position, it ringItem) bool {
	return it.at == p.Next() || it.at.N == 0 && it.prev == p && p.Before(it.at)
}

// item prepares a record for the ring.
func (r *room) item(rec record) (ringItem, bool) {
	it := ringItem{at: rec.at, raw: shownEntry([]byte(rec.raw))}
	if rec.at.N == 0 {
		e, err := rec.entry()
		if err != nil || e.Ev.Snapshot == nil {
			return it, false
		}
		if e.Ev.Prev != nil {
			it.prev = *e.Ev.Prev
		}
		it.same = e.Ev.Same
		snap := e.Ev.Snapshot
		snap.Messages = Shown(snap.Messages)
		it.snap, _ = json.Marshal(snap)
		it.first, it.gone = snap.first(), snap.Deleted
		e.Ev.Snapshot = nil
		it.raw, _ = json.Marshal(e)
		r.active = snap.Active()
	} else {
		switch eventType(it.raw) {
		case RunStarted:
			r.active = true
		case RunFinished, RunError:
			r.active = false
		}
	}
	if f := r.hub.o.Frame; f != nil {
		it.framed = f(r.conv, it.raw)
	}
	return it, true
}

// eventType reads the type of an entry's event, which stands before anything
// that a person or a model said.
func eventType(raw []byte) Type {
	_, rest, _ := bytes.Cut(raw, []byte(`"ev":{"type":"`))
	t, _, _ := bytes.Cut(rest, []byte(`"`))
	return Type(t)
}

// push puts an item at the ring's end. It requires r.mu.
func (r *room) push(it ringItem) {
	r.head, r.heard = it.at, time.Now()
	r.ring = append(r.ring, it)
	r.size += it.size()
	over := 0
	if len(r.ring) > r.hub.o.RingSize {
		over = max(len(r.ring)-r.hub.o.RingSize, r.hub.o.RingSize/4)
	}
	for _, old := range r.ring[:over] {
		r.size -= old.size()
	}
	for ; r.size > r.hub.o.RingBytes && over < len(r.ring)-1; over++ {
		r.size -= r.ring[over].size()
	}
	if over > 0 {
		r.base = r.ring[over-1].at
		r.ring = slices.Clone(r.ring[over:])
	}
}

func (it *ringItem) size() int { return len(it.raw) + len(it.framed) + len(it.snap) }

// add requires r.mu.
func (r *room) add(f *Follower) {
	f.place = len(r.followers)
	r.followers = append(r.followers, f)
}

// remove requires r.mu. It may be called again.
func (r *room) remove(f *Follower) {
	last := len(r.followers) - 1
	if f.place > last || r.followers[f.place] != f {
		return
	}
	r.followers[f.place] = r.followers[last]
	r.followers[f.place].place = f.place
	r.followers[last] = nil
	r.followers = r.followers[:last]
}

func (r *room) wakeAll() {
	for _, f := range r.followers {
		f.wake()
	}
}

func (r *room) isActive() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active
}

// lookAgain reports, at most once in idleEvery, that an idle room's log is to be
// looked at.
func (r *room) lookAgain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < idleEvery {
		return false
	}
	first := r.looked.IsZero()
	r.looked = time.Now()
	return !first
}

// silent reports, at most once per silence, that nothing has come of the run
// for so long.
func (r *room) silent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.active || time.Since(r.heard) < silence {
		return false
	}
	r.heard = time.Now()
	return true
}

// idle drops the ring of a room in which nothing goes on and everybody has
// everything, so that an idle conversation costs little. It requires r.mu.
func (r *room) idle() {
	if r.active || len(r.ring) == 0 {
		return
	}
	for _, f := range r.followers {
		if f.at != r.head {
			return
		}
	}
	r.base, r.ring, r.size = r.head, nil, 0
}
