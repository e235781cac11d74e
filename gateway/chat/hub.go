package chat

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// HubOptions are the settings of a [Hub].
type HubOptions struct {
	// Cold returns a conversation as the store has it, for when Redis has no
	// log of it, and a position that lies before everything that comes.
	Cold func(ctx context.Context, conv string) (State, Position, error)

	// Frame encodes an entry for the wire, once for all followers. Nil: none.
	Frame func(conv string, raw []byte) []byte

	CheckEvery time.Duration // how often the heads of logs with a run are looked at: 2 s
	RingSize   int           // entries kept in memory of each followed conversation: 512
	RingBytes  int           // of those entries: 1 MiB
}

// A Hub lets any number of local followers read conversations for the price
// of one Redis subscription each.
//
// What is published only rings the bell: a room follows the log from its own
// position, and a follower reads the room's ring, or the log, from its own. A
// bell that is lost, late or doubled makes an entry late, never lost or
// doubled; and nothing is queued for anyone.
//
// All methods may be called concurrently.
type Hub struct {
	rdb   redis.UniversalClient
	bus   *Bus
	log   *Log
	inbox *Inbox
	o     HubOptions
	reads singleflight.Group // one snapshot a conversation at a time

	ctx  context.Context // of Run; ends what rooms have under way
	stop context.CancelFunc
	wg   sync.WaitGroup

	tuning sync.Mutex       // orders changes of what is subscribed; taken before mu
	heard  map[string]*room // what is subscribed; owned by tuning

	mu    sync.Mutex
	rooms map[string]*room // by conversation
}

// NewHub returns a hub of the conversations in rdb.
func NewHub(rdb redis.UniversalClient, bus *Bus, o HubOptions) *Hub {
	o.CheckEvery = positive(o.CheckEvery, 2*time.Second)
	o.RingSize = positive(o.RingSize, 512)
	o.RingBytes = positive(o.RingBytes, 1<<20)
	if o.Cold == nil {
		o.Cold = func(context.Context, string) (State, Position, error) { return State{}, Position{}, nil }
	}
	h := &Hub{rdb: rdb, bus: bus, log: NewLog(rdb), inbox: NewInbox(rdb), o: o, rooms: map[string]*room{}, heard: map[string]*room{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Run looks at the heads of followed logs until ctx ends, since the bell of a
// log's very last entry may have been lost. Then it ends what rooms do.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(h.o.CheckEvery)
	defer tick.Stop()
	defer h.wg.Wait()
	defer h.stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.checkHeads(ctx)
		}
	}
}

// silence is how long nothing may come of a run before its log is compared
// with the store, which may know that it has ended.
const silence = 10 * time.Second

// All the bells of a short run may have been lost, so rooms in which nothing
// goes on, as far as they know, are looked at too: each so often, which is
// later than a connection that hears nothing is dialled again, and so many at
// once.
const (
	idleEvery = 15 * time.Second
	idleMost  = 1000
)

// checkHeads looks in one batch at all logs with an active run, at those that a
// follower waits to be healed, and at some others.
func (h *Hub) checkHeads(ctx context.Context) {
	rooms := h.roomsToCheck()
	if len(rooms) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.CheckEvery)
	defer cancel()
	pipe := h.rdb.Pipeline()
	heads := make([]*redis.XMessageSliceCmd, len(rooms))
	for i, r := range rooms {
		heads[i] = pipe.XRevRangeN(ctx, keysOf(r.conv).log, "+", "-", 1)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, r := range rooms {
		rs, err := records(heads[i].Val(), heads[i].Err(), r.conv)
		if err == nil && len(rs) == 1 && r.behind(rs[0].at) {
			h.wg.Go(func() { h.bus.missed(h.ctx, keysOf(r.conv).bell) })
		}
		if r.silent() {
			h.wg.Go(r.recheck)
		}
		if gen, ok := r.waits(); ok {
			h.wg.Go(func() {
				ctx, cancel := context.WithTimeout(h.ctx, 5*time.Second)
				defer cancel()
				_ = r.heal(ctx, gen) // what fails is tried again at the next look
			})
		}
	}
}

func (h *Hub) roomsToCheck() (rooms []*room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	idle := 0
	for _, r := range h.rooms {
		_, waits := r.waits()
		if !waits && !r.isActive() {
			if idle >= idleMost || !r.lookAgain() {
				continue
			}
			idle++
		}
		rooms = append(rooms, r)
	}
	return rooms
}

// Join returns a follower of a conversation that stands at a position; the
// zero Position is before everything, and gets a snapshot first. wake is
// called, on goroutines that must not be blocked, whenever [Follower.Take]

// may have something new.
func (h *Hub) Join(conv string, at Position, wake func()) *Follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[conv]
	fresh := r == nil
	if fresh {
		r = &room{hub: h, conv: conv}
		r.listener = &listener{message: r.bell, joined: r.joined}
		h.rooms[conv] = r
	}
	f := &Follower{room: r, wake: wake, at: at, fresh: at.IsZero()}
	r.mu.Lock()
	r.add(f)
	r.mu.Unlock()
	if fresh { // not before it has a follower: a room without any has been left
		h.wg.Go(func() { h.tune(conv) })
	}
	return f
}

// DownFor returns for how long followers of a conversation can have heard
// nothing of it, because Redis, or the part of it that has the conversation,
// is away.
func (h *Hub) DownFor(conv string) time.Duration { return h.bus.downFor(keysOf(conv).bell) }

func (h *Hub) leave(f *Follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := f.room
	r.mu.Lock()
	r.remove(f)
	empty := len(r.followers) == 0
	r.mu.Unlock()
	if empty && h.rooms[r.conv] == r {
		delete(h.rooms, r.conv)
		h.wg.Go(func() { h.tune(r.conv) })
	}
}

// tune subscribes to what is followed now and leaves what is not. Whichever
// of several that run at the same time comes last does it: a conversation may
// be left and joined again before the first is done.
func (h *Hub) tune(conv string) {
	h.tuning.Lock()
	defer h.tuning.Unlock()
	h.mu.Lock()
	wanted, heard := h.rooms[conv], h.heard[conv]
	h.mu.Unlock()
	if wanted == heard {
		return
	}
	ctx, cancel := context.WithTimeout(h.ctx, 5*time.Second)
	defer cancel()
	channel := keysOf(conv).bell
	if wanted == nil {
		delete(h.heard, conv)
		_ = h.bus.leave(ctx, channel, heard.listener)
		return
	}
	h.heard[conv] = wanted
	_ = h.bus.listen(ctx, channel, wanted.listener) // what fails is repeated by the bus when it has a connection
}

// Active reports whether a run of a followed conversation goes on.
func (f *Follower) Active() bool { return f.room.isActive() }

// A view is a conversation as it is now.
type view struct {
	State
	at   Position
	lost bool // the log lacks something that the store has; it is to be healed
}

// snapshot returns what a conversation's log adds up to, or what the store has
// if Redis has no log, or not all of it. Followers that ask at the same time
// share the read.
func (h *Hub) snapshot(ctx context.Context, conv string) (view, error) {
	v, err, _ := h.reads.Do("fold "+conv, func() (any, error) {
		ctx, cancel := context.WithTimeout(h.ctx, 5*time.Second)
		defer cancel()
		return h.view(ctx, conv)
	})
	if err != nil {
		return view{}, fmt.Errorf("chat: snapshot of %s: %w", conv, err)
	}
	if err := ctx.Err(); err != nil {
		return view{}, err
	}
	shared := v.(view)
	state := shared.Clone()
	state.Messages = Shown(state.Messages)
	return view{state, shared.at, shared.lost}, nil
}

func (h *Hub) view(ctx context.Context, conv string) (view, error) {
	s, at, head, err := h.fold(ctx, conv)
	if err != nil {
		return view{}, err
	}
	stored, from, err := h.o.Cold(ctx, conv)
	if err == nil && rolledBack(s, at, stored, from) { // or the log has begun or grown since it was read
		if s, at, head, err = h.fold(ctx, conv); err != nil {
			return view{}, err
		}
	}
	if !at.IsZero() && (err != nil || !rolledBack(s, at, stored, from)) {
		return view{State: s, at: at}, nil // also if the store is away
	}
	if err != nil || head.IsZero() {
		return view{State: stored, at: from}, err
	}
	// Of the generation that the log has nothing more is believed.
	if !head.Before(from) {
		from = Position{head.Generation, math.MaxUint64}
	}
	return view{State: stored, at: from, lost: true}, nil
}

// fold returns what a log adds up to, at its end. Where it adds up to nothing
// at is zero, and head is no later than what was read, so that a generation
// that begins meanwhile lies behind it and is not passed over.
func (h *Hub) fold(ctx context.Context, conv string) (s State, at, head Position, err error) {
	s, at, err = h.log.Fold(ctx, conv)
	if err != nil || !at.IsZero() {
		return s, at, at, err
	}
	if head, err = h.log.head(ctx, conv); err != nil || head.IsZero() {
		return s, at, head, err
	}
	if s, at, err = h.log.Fold(ctx, conv); !at.IsZero() {
		head = at
	}
	return s, at, head, err
}

// rolledBack reports whether a log ends before the store does: the store has
// noted a later generation, or has a message that the log has not, or not
// whole.
func rolledBack(s State, at Position, stored State, from Position) bool {
	return at.Before(from) || s.lacks(stored.Messages)
}

// behind returns what a log has behind a position. Followers that come back
// to one position at the same time share the read.
func (h *Hub) behind(conv string, at Position) ([]record, error) {
	v, err, _ := h.reads.Do("after "+conv+" "+at.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(h.ctx, 5*time.Second)
		defer cancel()
		return h.log.after(ctx, conv, at)
	})
	if err != nil {
		return nil, err
	}
	return v.([]record), nil
}
