package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"parley/gateway/chat"
	"parley/llm"
)

// Errors of [Runner.Regenerate].
var (
	ErrBusy    = errors.New("run: the answer is still being written")
	ErrNotLast = errors.New("run: only the last answer can be given anew")
)

// Regenerate has the last question answered anew. message is the question or
// any message of its answer, which the new one replaces. The same client id
// again gets the first run.
func (r *Runner) Regenerate(ctx context.Context, owner, conv, message, clientID string) (chat.Question, error) {
	if q, err := r.questions.Asked(ctx, conv, clientID); err == nil {
		return r.Say(ctx, q)
	}
	msgs, _, err := r.answers.History(ctx, conv, "", r.o.History)
	if err != nil {
		return chat.Question{}, fmt.Errorf("run: regenerate: %w", err)
	}
	question, answer := lastExchange(msgs)
	if question == nil || message != question.ID && !slices.ContainsFunc(answer, func(m llm.Message) bool { return m.ID == message }) {
		return chat.Question{}, ErrNotLast
	}
	if len(answer) == 0 {
		return chat.Question{}, ErrBusy
	}
	old := runID(answer[len(answer)-1])
	rec, err := r.answers.RunRecord(ctx, old)
	if err != nil {
		return chat.Question{}, fmt.Errorf("run: regenerate: %w", err)
	}
	if !rec.Status.Rests() { // one that waits is given up
		return chat.Question{}, ErrBusy
	}
	waiting, err := r.questions.Pending(ctx, conv)
	if err != nil {
		return chat.Question{}, fmt.Errorf("run: regenerate: %w", err)
	}
	if slices.ContainsFunc(waiting, func(q chat.Question) bool { return q.Message.ID == question.ID }) {
		return chat.Question{}, ErrBusy // somebody else was quicker
	}
	q := *question
	q.Metadata = &llm.Metadata{Parley: llm.Details{ClientID: clientID}}
	return r.Say(ctx, chat.Question{Conversation: conv, Owner: owner, Run: chat.NewID("r"), Message: q, Replaces: old, Format: rec.Format})
}

// lastExchange returns the last question and what answers it.
func lastExchange(msgs []llm.Message) (*llm.Message, []llm.Message) {
	for i := len(msgs) - 1; i >= 0; i-- {
		if msgs[i].Role == llm.User {
			return &msgs[i], msgs[i+1:]
		}
	}
	return nil, nil
}

// replaced returns the run whose answer is to give way: the one that was named
// when the question was accepted, or one that has replaced it since.
func (s *session) replaced(ctx context.Context, it chat.Item) (string, error) {
	if it.Replaces == "" {
		return "", nil
	}
	old := it.Replaces
	st := s.lease.State()
	err := s.patiently(ctx, func(ctx context.Context) error {
		asked := map[string]bool{"": true, it.Run: true}
		for _, m := range slices.Backward(st.Messages) {
			run := runID(m)
			if m.Role == llm.User || asked[run] {
				continue
			}
			asked[run] = true
			rec, err := s.r.answers.RunRecord(ctx, run)
			if err != nil && !errors.Is(err, chat.ErrNotFound) {
				return err
			}
			if err == nil && rec.Question == it.Message.ID {
				old = run
				return nil
			}
		}
		return nil
	})
	return old, err
}
