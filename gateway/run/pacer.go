package run

import (
	"context"
	"sync"
	"time"
)

// A pacer sends the pieces that answers have gathered, of all conversations
// on common ticks, so that they share one pipeline to Redis.
type pacer struct {
	every    time.Duration  // not positive: nothing is gathered
	together func(f func()) // has what is put during f go out as one
	kick     chan struct{}

	mu      sync.Mutex
	waiting map[*writer]struct{}
}

func newPacer(every time.Duration, together func(func())) *pacer {
	return &pacer{every: every, together: together, kick: make(chan struct{}, 1), waiting: map[*writer]struct{}{}}
}

// add has w flushed at the next tick. It may be called under w's lock.
func (p *pacer) add(w *writer) {
	p.mu.Lock()
	p.waiting[w] = struct{}{}
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// pause returns a function that waits until shortly before the next tick, for
// the one goroutine that reads a model's stream: what it reads then goes out
// on the tick. A stream costs a read for each tick instead of one, and one in
// vain, for each piece.
func (p *pacer) pause() func(ctx context.Context) {
	if p.every <= 0 {
		return nil
	}
	var t *time.Timer
	return func(ctx context.Context) {
		now := time.Duration(time.Now().UnixNano())
		wait := p.every - (now+p.every/lead)%p.every
		if t == nil {
			t = time.NewTimer(wait)
		} else {
			t.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
}

// lead is the part of the time between two ticks by which a stream is read
// ahead of the tick.
const lead = 8

func (p *pacer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		}
		for p.tick(ctx) {
		}
	}
}

// tick waits for the next tick and flushes. It reports whether some writer
// still waits, because what it sent before is still on its way.
func (p *pacer) tick(ctx context.Context) bool {
	if p.every > 0 {
		t := time.NewTimer(p.every - time.Duration(time.Now().UnixNano())%p.every)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	}
	p.mu.Lock()
	due := p.waiting
	p.waiting = map[*writer]struct{}{}
	p.mu.Unlock()
	p.together(func() {
		for w := range due {
			if !w.tick() {
				p.add(w)
			}
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0 && ctx.Err() == nil
}
