package chat

import (
	"context"
	"errors"
)

// FromArchive returns a conversation as the store has it, for followers that
// come when Redis has no log of it: its latest messages, and a position that
// lies before every generation that will begin.
func FromArchive(ctx context.Context, a Archive, conv string) (State, Position, error) {
	msgs, _, err := a.History(ctx, conv, "", windowMessages)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return State{}, Position{}, err
	}
	gen, err := a.Generation(ctx, conv)
	if err != nil && !errors.Is(err, ErrNotFound) { // not found: nothing was said yet
		return State{}, Position{}, err
	}
	return State{Messages: msgs}, Position{Generation: gen}, nil
}
