package chat

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"parley/llm"
)

// load finds out what the conversation is: what its log adds up to, unless
// the store knows better. It returns the entry up to which the log alone says
// the same, nil if it does not.
func (l *Lease) load(ctx context.Context) (same *Position, err error) {
	var s State
	var at Position
	var stored []llm.Message
	var both errgroup.Group
	both.Go(func() (err error) {
		s, at, err = l.q.log.Fold(ctx, l.Conversation)
		return err
	})
	both.Go(func() (err error) {
		stored, _, err = l.q.archive.History(ctx, l.Conversation, "", windowMessages)
		return err
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	run, err := l.latest(ctx, s)
	if err != nil {
		return nil, err
	}
	if run.Replaces != "" { // the store may not have heard of it yet
		stored = slices.DeleteFunc(stored, func(m llm.Message) bool { return answers(m, run.Replaces) })
	}
	spared, err := l.spared(ctx, s, stored, run)
	if err != nil {
		return nil, err
	}
	asks, err := l.waits(ctx, s, run)
	if err != nil {
		return nil, err
	}
	if at.IsZero() || s.behind(run) || !agrees(s, spared, run) || s.lacksAsk(asks) {
		if unheard(stored, run) {
			s.Run = nil // what it has said is lost, its question too: it begins anew
		}
		l.state = rebuilt(s, stored, run)
		if err := l.state.wait(ctx, l.q.archive, l.Conversation); err != nil {
			return nil, err
		}
		if l.state.Pins, err = pinsOf(ctx, l.q.archive, l.Conversation); err != nil {
			return nil, err
		}
		if at.IsZero() && len(stored) == 0 && len(l.state.Pins) == 0 {
			return &at, nil
		}
		return nil, nil
	}
	l.state = s
	if l.state.forget() {
		return nil, nil
	}
	return &at, nil
}

// latest returns what the store has of the latest run that the log has. If
// only the store has it as ended, the finishing entry was lost.
func (l *Lease) latest(ctx context.Context, s State) (RunRecord, error) {
	if s.Run == nil {
		return RunRecord{}, nil
	}
	rec, err := l.q.archive.RunRecord(ctx, s.Run.ID)
	if errors.Is(err, ErrNotFound) {
		return RunRecord{}, nil
	}
	return rec, err
}

// behind reports whether the store knows of an end of the latest run, or that
// it waits, of which the log does not: the finishing entry was lost.
func (s *State) behind(run RunRecord) bool {
	return s.Run != nil && !s.Run.Status.Ended() && run.Status.Ended() || s.Active() && run.Status == RunWaiting
}

// waits returns what the latest run asks people, if log and store say that it
// waits for them.
func (l *Lease) waits(ctx context.Context, s State, run RunRecord) ([]Ask, error) {
	if !s.Waits() || run.Status != RunWaiting {
		return nil, nil
	}
	_, asks, err := l.q.archive.Waiting(ctx, l.Conversation)
	if errors.Is(err, ErrNotFound) { // it goes on since
		return nil, nil
	}
	return asks, err
}

// lacksAsk reports whether something is asked that s does not show.
func (s *State) lacksAsk(asks []Ask) bool {
	return slices.ContainsFunc(asks, func(a Ask) bool {
		return a.Open() && !slices.ContainsFunc(s.Interrupts, func(i Interrupt) bool { return i.ID == a.ID })
	})
}

// wait has s say what the store knows of a run that waits for people, if one
// does.
func (s *State) wait(ctx context.Context, a Archive, conv string) error {
	run, asks, err := a.Waiting(ctx, conv)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Run = &Run{ID: run.ID, Question: run.Question, Status: RunWaiting, Try: run.Try, Started: run.Created.UnixMilli(), Agent: run.ref()}
	s.Interrupts = interruptsOf(asks)
	return nil
}

// unheard reports whether the store has not been told yet that a run has
// begun: its question is not among the messages.
func unheard(stored []llm.Message, run RunRecord) bool {
	return run.Status == RunAccepted && run.Replaces == "" && !has(stored, run.Question)
}

// spared returns what the latest run leaves of the stored messages. If its
// question stands in the place of an older one, and the store has not heard of
// that yet, those are the ones before the older one, and none of them if the
// log does not reach back so far.
func (l *Lease) spared(ctx context.Context, s State, stored []llm.Message, run RunRecord) ([]llm.Message, error) {
	if run.Edits == "" || !unheard(stored, run) {
		return stored, nil
	}
	if s.first() == run.Question {
		return nil, nil
	}
	left, _, err := l.q.archive.History(ctx, l.Conversation, run.Edits, windowMessages)
	return left, err
}

// forget takes away the thoughts of a turn that is not whole, which will be
// thought again, and reports whether there were any. What else is unfinished
// is open, and rolled back by the run's next attempt.
func (s *State) forget() bool {
	gone := map[string]bool{}
	for i := len(s.Messages) - 1; i >= 0 && s.Active(); i-- {
		m := s.Messages[i]
		if slices.Contains(s.Open, m.ID) {
			continue
		}
		if m.Role != llm.Reasoning || runOf(m) != s.Run.ID {
			break
		}
		gone[m.ID] = true
	}
	s.drop(func(m llm.Message) bool { return gone[m.ID] })
	return len(gone) > 0
}

// agrees reports whether the log's latest messages are the store's, but for
// what the latest run has not archived yet: it goes on, or the store was full.
// Redis may have been rolled back.
func agrees(s State, stored []llm.Message, run RunRecord) bool {
	if len(stored) == 0 {
		return true
	}
	if s.lacks(stored) {
		return false // the log ends before the store does
	}
	shown := false
	for _, m := range stored {
		if s.find(m.ID) != nil {
			shown = true
		} else if shown {
			return false // lost in between: only what lies before the log's window may be missing
		}
	}
	found := 0
	for i := len(s.Messages) - 1; i >= 0 && found < len(stored); i-- {
		m := s.Messages[i]
		switch {
		case has(stored, m.ID):
			found++
		case !run.Status.Ended() && s.latest(m):
		default:
			return false // shown, and not in the store: its answer was replaced
		}
	}
	return true
}

// lacks reports whether the store has a message that s has not, or not whole.
func (s *State) lacks(stored []llm.Message) bool {
	return len(stored) > 0 && s.find(stored[len(stored)-1].ID) == nil ||
		slices.ContainsFunc(s.Open, func(id string) bool { return has(stored, id) })
}

// rebuilt returns what the store knows of the conversation. What waits is not
// in it: who writes next says so.
func rebuilt(s State, stored []llm.Message, latest RunRecord) State {
	r := State{Messages: stored, Run: s.Run, Title: s.Title, Interrupts: s.Interrupts}
	if latest.Status.Ended() {
		run := *s.Run
		run.Status = latest.Status
		r.Run, r.Interrupts = &run, nil
	}
	return r.Clone()
}
