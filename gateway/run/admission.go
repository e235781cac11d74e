package run

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"parley/gateway/chat"
)

// Seats counts over all replicas what one person, or one tenant, has at the
// same time.
type Seats interface {
	// Take takes a seat of who's for what and reports whether it has one now.
	// An error means that it could not be counted; then it has one. give gives
	// it back; ours says that what was to be done is done, whoever took the
	// seat first.
	Take(ctx context.Context, who, what string, limit int) (give func(ctx context.Context, ours bool), ok bool, err error)
}

// most returns how many answers a person may have at once, 0 for any number.
func (o Options) most(person string) int {
	if person == "" || o.PerPerson < 0 || o.Unbounded != nil && o.Unbounded(person) {
		return 0
	}
	return o.PerPerson
}

// mostOf returns how many answers a tenant may have at once, 0 for any number.
func (o Options) mostOf(tenant string) int {
	if tenant == "" {
		return 0
	}
	return max(o.PerTenant, 0)
}

// nudge says that a conversation has just become due, and whose it is, if that
// is known.
func (r *Runner) nudge(conv, owner string) {
	r.owners.know(conv, owner)
	select {
	case r.nudges <- conv:
	default: // the next look finds it
	}
}

// lookFull is how often a replica without a free slot looks at what waits: so
// that it knows who is next, and people see their places.
const lookFull = time.Second

// shutFor is how long nothing is claimed for a person who has as many answers
// as they may on all replicas. Where one of those ends, that is known at once.
const shutFor = time.Second

// schedule decides which conversation gets the next slot. Whatever it does not
// claim stays due.
func (r *Runner) schedule(ctx, work context.Context) {
	look := r.queue.Lookout()
	var looked time.Time
	full := false // something may wait that this replica does not know
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		fresh := false
		select {
		case <-ctx.Done():
			return
		case conv := <-r.nudges:
			r.heard(ctx, work, conv, true)
		case conv := <-r.queue.Due():
			r.heard(ctx, work, conv, false)
		case <-r.freed:
			r.line.add(r.told(ctx)...)
			r.fill(work)
			fresh = full && r.hasRoom()
		case <-again.C:
			fresh = r.hasRoom() || time.Since(looked) >= lookFull
			again.Reset(r.o.Scan + rand.N(r.o.Scan/4))
		}
		if fresh {
			looked = time.Now()
			r.look(ctx, look)
			r.fill(work)
		}
		full = !r.hasRoom()
	}
}

func (r *Runner) hasRoom() bool { return len(r.slots) < cap(r.slots) && !r.o.Short() }

// hintsMost bounds how many conversations a replica without a free slot keeps
// in mind that may be due. What is beyond that the next look finds.
const hintsMost = 256

// heard takes note of a conversation that may be due. If only this replica
// knows of it and has no slot for it, it wakes the others.
func (r *Runner) heard(ctx, work context.Context, conv string, alone bool) {
	if owner, ok := r.owners.known(conv); ok {
		r.line.add(found{chat.Waiting{Conversation: conv, Since: time.Now()}, owner})
	} else if len(r.hints) < hintsMost {
		r.hints = append(r.hints, conv) // one question to the store for all that come until there is room
	}
	if r.hasRoom() {
		r.line.add(r.told(ctx)...)
		r.fill(work)
	}
	if alone && !r.hasRoom() && !r.line.has(conv) {
		r.wg.Go(func() { r.queue.Wake(work, conv) })
	}
}

// told returns what was heard of, and whose it is.
func (r *Runner) told(ctx context.Context) []found {
	if len(r.hints) == 0 {
		return nil
	}
	ws := make([]chat.Waiting, len(r.hints))
	for i, conv := range r.hints {
		ws[i] = chat.Waiting{Conversation: conv, Since: time.Now()}
	}
	r.hints = r.hints[:0]
	fs, err := r.whose(ctx, ws)
	if err != nil {
		return nil // nothing can be claimed without the store
	}
	return fs
}

// look finds out what waits, and whose it is.
func (r *Runner) look(ctx context.Context, l *chat.Lookout) {
	first, further, err := l.Look(ctx)
	if err == nil {
		var a, b []found
		if a, err = r.whose(ctx, first); err == nil {
			b, err = r.whose(ctx, further)
		}
		if err == nil {
			r.line.set(a, b)
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("looking for what is due", "error", err)
	}
}

func (r *Runner) whose(ctx context.Context, ws []chat.Waiting) ([]found, error) {
	if len(ws) == 0 {
		return nil, nil
	}
	convs := make([]string, len(ws))
	for i, w := range ws {
		convs[i] = w.Conversation
	}
	owners, err := r.owners.of(ctx, convs)
	if err != nil {
		return nil, err
	}
	fs := make([]found, len(ws))
	for i, w := range ws {
		fs[i] = found{w, owners[w.Conversation]}
	}
	return fs, nil
}

// fill gives free slots to those whose turn it is.
func (r *Runner) fill(work context.Context) {
	for r.hasRoom() {
		now := time.Now()
		if r.fails.Load() >= failsMost && now.Before(r.probe) {
			return
		}
		r.probe = now.Add(probeEvery)
		f, ok := r.line.pick(now)
		if !ok {
			return
		}
		r.slots <- struct{}{}
		r.wg.Go(func() {
			s := &stay{r: r, conversation: f.Conversation}
			s.leave(r.admit(work, f, s))
		})
	}
}

// When so many claims have failed in a row the store or Redis is away, and one
// is tried every so often.
const (
	failsMost  = 8
	probeEvery = 500 * time.Millisecond
)

// A stay is what a conversation has of this replica and its owner while it is
// answered: a slot, and their seats. leave gives them back, once: before the
// lease is, if something is left to do that nobody is to wait for.
type stay struct {
	r            *Runner
	conversation string
	give         giver // nil before there are seats
	left         sync.Once
}

// leave says too whether the conversation could be claimed.
func (s *stay) leave(began bool) {
	s.left.Do(func() {
		if s.give != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			s.give(ctx, began)
		}
		s.r.free(s.conversation, began)
	})
}

func (r *Runner) free(conv string, began bool) {
	r.line.free(conv, began)
	<-r.slots
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// admit claims a conversation and answers it, if its owner and their tenant
// have a seat for it.
func (r *Runner) admit(work context.Context, f found, s *stay) (began bool) {
	if work.Err() != nil {
		return false
	}
	give, ok := r.seat(work, f)
	if !ok {
		return false
	}
	s.give = give
	return r.serve(work, s)
}

// A giver gives a seat back, see [Seats].
type giver func(ctx context.Context, ours bool)

// seat takes the seats that a conversation needs, or none. Who has none left
// is not asked again for a moment.
func (r *Runner) seat(work context.Context, f found) (give giver, ok bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), r.o.Drain)
	defer cancel()
	person, ok := r.take(ctx, f.person, f.Conversation, r.o.most(f.person))
	if !ok {
		r.line.shut(f.person, time.Now().Add(shutFor))
		return nil, false
	}
	name := TenantOf(f.person)
	tenant, ok := r.take(ctx, "tenant:"+name, f.Conversation, r.o.mostOf(name))
	if !ok {
		person(ctx, false)
		r.line.shutTenant(name, time.Now().Add(shutFor))
		return nil, false
	}
	return func(ctx context.Context, ours bool) {
		person(ctx, ours)
		tenant(ctx, ours)
	}, true
}

// take takes one of so many seats, 0 for any number.
func (r *Runner) take(ctx context.Context, who, conv string, most int) (give giver, ok bool) {
	if most == 0 || r.o.Seats == nil {
		return func(context.Context, bool) {}, true
	}
	give, ok, err := r.o.Seats.Take(ctx, who, conv, most)
	if err != nil {
		r.log.Warn("seats", "error", err) // what cannot be counted is allowed
	}
	return give, ok
}

// serve claims a conversation and answers it, and reports whether it could be
// claimed.
func (r *Runner) serve(work context.Context, stay *stay) (began bool) {
	// A claim that has begun is carried through, also when this replica shuts
	// down meanwhile: half of it would keep the conversation waiting for a ttl.
	ctx, done := context.WithTimeout(context.WithoutCancel(work), r.o.Drain)
	defer done()
	conv := stay.conversation
	lease, err := r.queue.Claim(ctx, conv)
	if err != nil {
		r.fails.Add(1)
		r.log.Warn("claim", "conversation", conv, "error", err)
		return false
	}
	r.fails.Store(0)
	if lease == nil {
		return false
	}
	s := newSession(r, lease, func() { stay.leave(true) })
	if err := s.serve(work); err != nil && !errors.Is(err, chat.ErrFenced) && !errors.Is(err, errDrain) {
		r.log.Error("conversation", "id", conv, "error", err)
	}
	return true
}
