package bench

import (
	"context"
	"time"

	"parley/cmd/parley/client"
)

// openAnswers opens the connections of those who ask and follow.
func (l *load) openAnswers(ctx context.Context) error {
	if l.o.Answers == 0 {
		return nil
	}
	l.tell("Opening %s answers with %s followers", grouped(l.o.Answers), grouped(l.o.Answers*l.o.Followers))
	for n := range l.o.Answers {
		if err := l.openSlot(ctx, n); err != nil {
			return err
		}
	}
	return await(ctx, len(l.links)-l.o.Idle, l.ready)
}

// openSlot opens the connections of one conversation. With one address who
// asks follows as well, as a page does; with several nobody follows where it
// is asked.
func (l *load) openSlot(ctx context.Context, n int) error {
	if err := l.opens.Wait(ctx); err != nil {
		return err
	}
	conv, err := l.newConversation(ctx, n)
	if err != nil {
		return err
	}
	s := &slot{l: l, n: n, conv: conv}
	l.slots = append(l.slots, s)
	several := len(l.targets)
	if several > 1 {
		s.asker = &link{home: n, conv: conv, slot: s}
		l.start(ctx, s.asker)
	}
	for i := range l.o.Followers {
		k := &link{home: n, conv: conv, sub: true, f: s.follower(i == 0)}
		if several > 1 {
			k.home = n + 1 + i%(several-1)
		} else if i == 0 {
			k.slot, s.asker = s, k
		}
		if i > 0 {
			if err := l.opens.Wait(ctx); err != nil {
				return err
			}
		}
		l.start(ctx, k)
	}
	return nil
}

// follower returns a follower of the slot's conversation. The first of them
// has the next question asked.
func (s *slot) follower(first bool) *follower {
	f := &follower{tally: &s.l.tally, text: s.l.model.text, find: s.l.model.find}
	f.over = func(a *answer, failed bool) { s.over(a, failed, first) }
	if first {
		f.began = func() {
			if !s.begun.Swap(true) {
				s.l.begun <- struct{}{}
			}
		}
	}
	return f
}

// ask has every slot ask its first question, and waits until all are being
// answered.
func (l *load) ask(ctx context.Context) error {
	for _, s := range l.slots {
		if err := l.opens.Wait(ctx); err != nil {
			return err
		}
		s.ask()
	}
	late, cancel := context.WithTimeout(ctx, l.o.Length+time.Minute)
	defer cancel()
	if await(late, l.o.Answers, l.begun) != nil && ctx.Err() == nil {
		l.note("not all answers have begun after %v; the replicas may write fewer at once (PARLEY_ANSWERS)", l.o.Length+time.Minute)
	}
	return ctx.Err()
}

// window measures for as long as was asked.
func (l *load) window(ctx context.Context) error {
	l.figures.begin = l.cost(ctx)
	l.figures.open = true
	l.tally.open.Store(true)
	l.tell("Measuring for %v", l.o.Duration)
	if l.o.Drain {
		client.Pause(ctx, l.o.Duration/3)
		l.tell("Stopping %s", l.targets[0].URL)
		l.replicas[0].terminate()
		client.Pause(ctx, l.o.Duration-l.o.Duration/3)
	} else {
		client.Pause(ctx, l.o.Duration)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.shut(ctx)
	return nil
}

// shut ends the window.
func (l *load) shut(ctx context.Context) {
	l.tally.open.Store(false)
	if l.o.Drain { // who is gone cannot be asked
		l.ops = nil
	}
	l.figures.end = l.cost(context.WithoutCancel(ctx))
}

// grace is how long an answer may take beyond what the model takes.
const grace = 20 * time.Second

// finish lets the answers under way end, with every follower listening.
func (l *load) finish(ctx context.Context) error {
	l.closing.Store(true)
	if l.o.Answers > 0 {
		l.tell("Letting the last answers end")
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(l.o.Length + grace)
	for l.unheard.Load() > 0 {
		select {
		case <-tick.C:
		case <-late:
			l.figures.unended = l.unheard.Load()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
