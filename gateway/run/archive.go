package run

import (
	"context"
	"errors"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// errNotSaved says that the store has been refusing for so long that the
// person should know.
var errNotSaved = errors.New("run: not saved")

// archiveSaid stores what the run has finished saying so far.
func (a *answer) archiveSaid(ctx context.Context) error {
	return a.archiveSoFar(ctx, nil)
}

func (a *answer) archiveSoFar(ctx context.Context, rec *chat.RunRecord) error {
	err := a.archive(ctx, a.batch(a.lease.State(), rec))
	if errors.Is(err, errNotSaved) {
		return nil // the run goes on; its end says what became of it
	}
	return err
}

// batch returns all that the store is to have of the run, each time: what was
// sent before may not have been saved.
func (a *answer) batch(st chat.State, rec *chat.RunRecord) chat.Batch {
	b := chat.Batch{Run: rec, Replaced: a.it.Replaces, Edited: a.it.Edits}
	if a.it.Kind != chat.Regenerate {
		b.Messages = []llm.Message{*a.it.Message}
		b.Title = Title(a.it.Message.Content)
	}
	b.Messages = append(b.Messages, st.RunMessages(a.it.Run)...)
	return b
}

// logFirst is how long what was said may be on its way to the log before the
// store has it all the same: Redis is away then, and the store keeps it safe.
const logFirst = 250 * time.Millisecond

// logged waits until all that was said is in the log. A store that knows more
// than the log means to followers that the log was rolled back.
func (a *answer) logged(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, logFirst)
	defer cancel()
	_ = a.lease.Flush(ctx) // what ends the lease is found out behind it
}

// archive stores a batch under the lease's generation. A store that is away
// is waited for, since the answer goes on in the log meanwhile; one that is
// full is not.
func (a *answer) archive(ctx context.Context, b chat.Batch) error {
	a.logged(ctx)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		gen := a.lease.Generation()
		err := a.r.answers.Archive(ctx, a.lease.Conversation, gen, b)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, chat.ErrNotFound):
			a.lease.End(err) // deleted meanwhile
			return err
		case errors.Is(err, chat.ErrFull):
			a.r.log.Error("archive", "conversation", a.lease.Conversation, "error", err)
			return errNotSaved
		case errors.Is(err, chat.ErrFenced):
			if gen == a.lease.Generation() {
				a.lease.Doubt() // ends the lease if it is fenced indeed
			}
			if err := a.lease.Flush(ctx); err != nil {
				return err
			}
		default:
			a.r.log.Warn("archive", "conversation", a.lease.Conversation, "error", err)
		}
		pause(ctx, wait)
	}
}

func failedResult(call, reason string) llm.Message {
	res := tools.Failure("%s", reason)
	return llm.Message{
		Role: llm.ToolRole, ToolCallID: call, Content: res.Content, Error: reason,
		Metadata: &llm.Metadata{Parley: llm.Details{Outcome: &res.Outcome}},
	}
}
