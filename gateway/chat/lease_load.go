package chat

import (
	"context"
	"errors"

	"parley/llm"
)

// load finds out what the conversation is: what its log adds up to, unless
// the store knows better. It reports whether the log alone says the same.
func (l *Lease) load(ctx context.Context) (same bool, err error) {
	s, at, err := l.q.log.Fold(ctx, l.Conversation)
	if err != nil {
		return false, err
	}
	stored, _, err := l.q.archive.History(ctx, l.Conversation, "", windowMessages)
	if err != nil {
		return false, err
	}
	ended, err := l.endedUnseen(ctx, s)
	if err != nil {
		return false, err
	}
	if !at.IsZero() && ended == nil && agrees(s, stored) {
		l.state = s
		return true, nil
	}
	l.state = rebuilt(s, stored, ended)
	return at.IsZero() && len(stored) == 0, nil
}

// endedUnseen returns the record of the run that the log has as active and
// the store as ended: the finishing entry was lost.
func (l *Lease) endedUnseen(ctx context.Context, s State) (*RunRecord, error) {
	if !s.Active() {
		return nil, nil
	}
	rec, err := l.q.archive.RunRecord(ctx, s.Run.ID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil || !rec.Status.Ended() {
		return nil, err
	}
	return &rec, nil
}

// agrees reports whether the log's latest messages are the store's, but for
// what the active run has not archived yet. Redis may have been rolled back.
func agrees(s State, stored []llm.Message) bool {
	if len(stored) == 0 {
		return true
	}
	if s.find(stored[len(stored)-1].ID) == nil {
		return false // the log ends before the store does
	}
	found := 0
	for i := len(s.Messages) - 1; i >= 0 && found < len(stored); i-- {
		m := s.Messages[i]
		switch {
		case has(stored, m.ID):
			found++
		case s.Active() && s.latest(m):
		default:
			return false // shown, and not in the store: its answer was replaced
		}
	}
	return true
}

// rebuilt returns what the store knows of the conversation.
func rebuilt(s State, stored []llm.Message, ended *RunRecord) State {
	r := State{Messages: stored, Queued: s.Queued, Run: s.Run, Title: s.Title}
	if ended != nil {
		run := *s.Run
		run.Status = ended.Status
		r.Run = &run
	}
	return r.Clone()
}
