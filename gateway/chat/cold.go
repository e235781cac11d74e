package chat

import (
	"context"
	"errors"
	"math"
)

// FromArchive returns a conversation as the store has it, for followers that
// come when Redis has no log of it: its latest messages, and a position that
// lies before the latest generation and behind the one before it, so that
// whatever generation is in the log next begins with a snapshot for them. The
// generation is read first: what is archived meanwhile is then shown early,
// and never missed.
func FromArchive(ctx context.Context, a Archive, conv string) (State, Position, error) {
	gen, err := a.Generation(ctx, conv)
	if err != nil && !errors.Is(err, ErrNotFound) { // not found: nothing was said yet
		return State{}, Position{}, err
	}
	msgs, _, err := a.History(ctx, conv, "", windowMessages)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return State{}, Position{}, err
	}
	s := State{Messages: msgs}
	if s.Pins, err = pinsOf(ctx, a, conv); err != nil {
		return State{}, Position{}, err
	}
	if gen == 0 {
		return s, Position{}, nil
	}
	if err := s.wait(ctx, a, conv); err != nil {
		return State{}, Position{}, err
	}
	return s, Position{Generation: gen - 1, N: math.MaxUint64}, nil
}

// A Pinner is an [Archive] that knows what conversations have pinned.
type Pinner interface {
	Pins(ctx context.Context, conv string) ([]string, error)
}

func pinsOf(ctx context.Context, a Archive, conv string) ([]string, error) {
	p, ok := a.(Pinner)
	if !ok {
		return nil, nil
	}
	return p.Pins(ctx, conv)
}
