package run

import (
	"context"
	"slices"

	"parley/gateway/chat"
)

// Pins is where the feeds that conversations have pinned are kept.
type Pins interface {
	Pin(ctx context.Context, conv, feed string, most int) error
	Unpin(ctx context.Context, conv, feed string) error
	Pins(ctx context.Context, conv string) ([]string, error)
}

// Live says what feeds say at this moment, as data for a model.
type Live interface {
	Pinned(ctx context.Context, feeds []string) string
}

// Pin pins a feed to a conversation, or takes it away. It is in the store
// when Pin returns; whoever follows the conversation sees it in the log.
func (r *Runner) Pin(ctx context.Context, conv, feed string, pinned bool) error {
	var err error
	if pinned {
		err = r.o.Pins.Pin(ctx, conv, feed, r.o.PinsMost)
	} else {
		err = r.o.Pins.Unpin(ctx, conv, feed)
	}
	if err != nil {
		return err
	}
	return r.post(ctx, conv, "", chat.Item{ID: chat.NewID("pin"), Kind: chat.Pin})
}

// showPins says in the log what is pinned, if the inbox has it that this has
// changed.
func (s *session) showPins(ctx context.Context, its []chat.Item) error {
	var news []string
	for _, it := range its {
		if it.Kind == chat.Pin && !s.isSettled(it.ID) {
			news = append(news, it.ID)
		}
	}
	if len(news) == 0 || s.r.o.Pins == nil {
		return nil
	}
	pins, err := s.r.o.Pins.Pins(ctx, s.lease.Conversation)
	if err != nil {
		return err
	}
	if !slices.Equal(pins, s.lease.State().Pins) {
		s.lease.Put("", 0, chat.Event{Type: chat.Pinned, Pins: pins})
	}
	if err := s.lease.Flush(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range news {
		s.seen[id], s.settled[id] = true, true
	}
	return nil
}

func (s *session) isSettled(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled[id]
}

// live returns what the feeds that are pinned say, for the model.
func (a *answer) live(ctx context.Context) string {
	if a.r.o.Live == nil {
		return ""
	}
	pins := a.lease.State().Pins
	if len(pins) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, a.r.o.Hold)
	defer cancel()
	return a.r.o.Live.Pinned(ctx, pins)
}

// Pins returns the feeds that a conversation has pinned, nil if nothing can be.
func (r *Runner) Pins(ctx context.Context, conv string) ([]string, error) {
	if r.o.Pins == nil {
		return nil, nil
	}
	return r.o.Pins.Pins(ctx, conv)
}
