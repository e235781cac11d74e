package chat

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// errDoubt says that the lease may have lost what it wrote: it must claim
// again under a new generation.
var errDoubt = errors.New("chat: the log is in doubt")

// Doubt makes the lease begin a new generation, with a snapshot of all that
// was put, before anything else is written; or end, if it is fenced.
func (l *Lease) Doubt() {
	l.mu.Lock()
	l.doubted = true
	l.mu.Unlock()
	signal(l.doubt)
}

// keep renews the lease and resolves doubt until the lease ends.
func (l *Lease) keep() {
	defer close(l.done)
	tick := time.NewTimer(l.q.beat())
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
			tick.Reset(l.q.beat())
			if err := l.Renew(l.ctx); errors.Is(err, errDoubt) {
				l.Doubt()
			}
		case <-l.doubt:
			l.resolve()
		}
	}
}

// beat returns how long it is until a lease is renewed next: at most a
// heartbeat, and until one of the moments, eight in a heartbeat, that all
// leases of a replica share, so that renewals go out together.
func (q *Queue) beat() time.Duration {
	return q.heartbeat - time.Duration(time.Now().UnixNano())%max(1, q.heartbeat/8)
}

// Renew holds the lease for another ttl and tells the holder if the inbox has
// something. A log that is shorter than it must be, after a rollback of
// Redis, is doubt.
func (l *Lease) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.q.ttl)
	defer cancel()
	if err := l.turn(ctx); err != nil {
		return err
	}
	defer l.turned()
	l.mu.Lock()
	gen, known, settled := l.gen, l.known, l.settled()
	sent := time.Now()
	keep := sent.Sub(l.kept) > l.q.logTTL/20
	l.mu.Unlock()
	v, err := l.q.renewals.renew(ctx, []string{l.keys.own, l.keys.in, l.keys.due, l.keys.log},
		l.Conversation, gen, l.q.ttl.Milliseconds(), keep, ownTTL.Milliseconds(), inTTL.Milliseconds(), l.q.logTTL.Milliseconds())
	if err != nil {
		if l.ctx.Err() == nil { // else the lease has ended meanwhile, which says nothing of Redis
			l.q.trouble(l.Conversation)
		}
		return fmt.Errorf("chat: renew %s: %w", l.Conversation, err)
	}
	if v[0] != 1 || settled && v[2] < known {
		return errDoubt
	}
	l.mu.Lock()
	if l.gen == gen {
		l.until = sent.Add(l.q.ttl)
	}
	if keep {
		l.kept = sent
	}
	fresh := v[1] > l.noticed
	l.noticed = min(l.noticed, v[1])
	l.mu.Unlock()
	if fresh {
		signal(l.poked)
	}
	return nil
}

// turn waits until no renewal or release is on its way. A renewal that Redis
// took behind the release would bring the lease back, and the next question
// would wait for it to run out.
func (l *Lease) turn(ctx context.Context) error {
	select {
	case l.asking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.ctx.Err() != nil {
		l.turned()
		return context.Cause(l.ctx)
	}
	return nil
}

func (l *Lease) turned() { <-l.asking }

// Fresh waits until the lease is known to be held, and all that was put is in
// the log. Before it returns nil, nothing outside may be changed: a replica
// that was cut off from Redis begins no call past its lease.
func (l *Lease) Fresh(ctx context.Context) error {
	for {
		if err := l.Flush(ctx); err != nil {
			return err
		}
		err := l.Renew(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, errDoubt) {
			l.Doubt()
		}
		if pauseFor(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// Held reports whether the lease is known to be held at this moment.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.doubted && time.Now().Before(l.until)
}

// resolve ends doubt, however long Redis or the store are away.
func (l *Lease) resolve() {
	nonce := rand.Text() // one until it is answered: a lost reply gets the same generation
	ours := []uint64{l.Generation()}
	for l.ctx.Err() == nil {
		l.mu.Lock()
		doubted, busy := l.doubted, l.busy
		l.mu.Unlock()
		if !doubted {
			return
		}
		if busy { // the pipeline under way says when it is over
			pauseFor(l.ctx, time.Millisecond)
			continue
		}
		sent := time.Now()
		gen, err := l.q.reclaim(l.ctx, l.Conversation, nonce, ours)
		if err == nil {
			if gen != ours[len(ours)-1] {
				ours = append(ours, gen)
			}
			err = l.q.archive.Claimed(l.ctx, l.Conversation, gen, nonce)
		}
		if errors.Is(err, ErrFenced) || errors.Is(err, ErrNotFound) {
			l.stop(err)
			return
		}
		if err == nil {
			nonce = rand.Text()
			err = l.open(gen, "doubt", sent, nil)
		}
		if err != nil {
			l.q.trouble(l.Conversation)
			pauseFor(l.ctx, 50*time.Millisecond)
		}
	}
}

// open writes g-0, which says what it follows and what there is. With it in,
// whoever wrote before can write nothing more; it and its bell are one step,
// so that no late bell of theirs comes in between.
//
// same is the entry up to which the log says what the state does, nil if it
// does not. If the log has grown since, by the hand of a writer that did not
// know yet that its time was over, followers need the snapshot.
func (l *Lease) open(gen uint64, kind string, sent time.Time, same *Position) error {
	prev, err := l.q.log.head(l.ctx, l.Conversation)
	if err != nil {
		return err
	}
	l.mu.Lock()
	trim := l.over()
	at := Position{gen, 0}
	e := Entry{At: at, TS: time.Now().UnixMilli(), Ev: Event{Type: GenerationBegan, By: l.q.inc, Kind: kind, Same: same != nil && *same == prev}}
	if !prev.IsZero() {
		e.Ev.Prev = &prev
	}
	snap := l.state.window()
	e.Ev.Snapshot = &snap
	b, err := json.Marshal(e)
	if err != nil {
		l.mu.Unlock()
		return fmt.Errorf("chat: open %s: %w", l.Conversation, err)
	}
	l.gen, l.next, l.queue, l.queued = gen, 1, nil, 0
	l.busy, l.doubted = true, false
	l.mu.Unlock()

	length, err := l.writeFirst(record{at, string(b)}, trim)
	l.mu.Lock()
	l.busy = false
	if err != nil {
		l.doubted = true
		l.mu.Unlock()
		return err
	}
	l.known = length
	l.until = sent.Add(l.q.ttl)
	if trim {
		l.run, l.bytes = 0, 0
	}
	l.notify()
	offer := l.offer()
	l.mu.Unlock()
	if offer {
		l.q.pub.offer(l)
	}
	return nil
}

// writeFirst writes a generation's first entry, drops what is older than the
// log must reach, and returns the log's length.
func (l *Lease) writeFirst(r record, trim bool) (int64, error) {
	// A generation is about the time at which Redis gave it.
	oldest := Position{Generation: r.at.Generation - min(r.at.Generation, uint64(l.q.logTTL.Milliseconds()))}
	if trim {
		oldest = r.at
	}
	ctx, cancel := context.WithTimeout(l.ctx, 2*time.Second)
	defer cancel()
	var n *redis.IntCmd
	_, err := l.q.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.XAdd(ctx, &redis.XAddArgs{Stream: l.keys.log, ID: r.at.String(), Values: []any{field, r.raw}})
		p.XTrimMinID(ctx, l.keys.log, oldest.String())
		ring(ctx, l.q.rdb, p, l.keys.bell, r.bell())
		n = p.XLen(ctx, l.keys.log)
		p.PExpire(ctx, l.keys.log, l.q.logTTL)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("chat: open %s: %w", l.Conversation, err)
	}
	return n.Val(), nil
}

// Release gives the lease back. It reports false if the inbox has more, and
// then the holder goes on: what was asked meanwhile cannot be lost.
func (l *Lease) Release(ctx context.Context) (bool, error) {
	for {
		if err := l.Flush(ctx); err != nil {
			return false, err
		}
		v, err := l.release(ctx, false)
		switch {
		case err == nil && v == 1:
			l.End(errReleased)
			return true, nil
		case err == nil && v == 0:
			return false, nil
		}
		l.Doubt() // a lost reply, a short log, a generation that is no more ours: the claim tells
		if pauseFor(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
}

// HandOver gives the lease to whoever claims it next, at once, and ends it.
func (l *Lease) HandOver(ctx context.Context) error {
	defer l.End(errReleased)
	if err := l.Flush(ctx); err != nil {
		return err
	}
	_, err := l.release(ctx, true)
	return err
}

func (l *Lease) release(ctx context.Context, hand bool) (int, error) {
	if err := l.turn(ctx); err != nil {
		return 0, err
	}
	defer l.turned()
	l.mu.Lock()
	gen, known := l.gen, l.known
	l.mu.Unlock()
	flag := "0"
	if hand {
		flag = "1"
	}
	v, err := releaseScript.Run(ctx, l.q.rdb, []string{l.keys.own, l.keys.in, l.keys.due, l.keys.log},
		l.Conversation, gen, flag, known, wakeChannel, l.q.logTTL.Milliseconds()).Int()
	if err != nil {
		return 0, fmt.Errorf("chat: release %s: %w", l.Conversation, err)
	}
	if v == 1 {
		l.stop(errReleased)
	}
	return v, nil
}

// End ends the lease on this side only: nothing more is written, and it
// lapses unless it was released. It waits for what the lease started.
func (l *Lease) End(cause error) {
	l.stop(cause)
	l.q.forget(l)
	<-l.done
}
