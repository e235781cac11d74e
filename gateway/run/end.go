package run

import (
	"cmp"
	"context"
	"errors"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// errUnknown is what the model reads of a call that may or may not have been
// made by a replica that died.
var errUnknown = errors.New("this call was begun before and its outcome is not known; it changes something, so it is not made again: ask the person to check whether it took effect")

// end writes how the run ended: in the store first, then in the log. A run
// that is handed over, or whose lease is lost, does not end.
func (a *answer) end(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		a.w.flush()
		return context.Cause(ctx)
	}
	if cause != nil && !errors.Is(cause, errCancelled) {
		a.r.log.Warn("run failed", "conversation", a.lease.Conversation, "run", a.it.Run, "error", cause)
	}
	a.w.closeAll(llm.Details{})
	a.answerOpenCalls(cause)
	last := a.lastEvent(cause)
	st := a.lease.State()
	st.Apply(chat.Entry{Run: a.it.Run, Try: a.try, TS: time.Now().UnixMilli(), Ev: last})
	err := a.archive(ctx, a.batch(st, a.endRecord(last)))
	if err != nil && !errors.Is(err, errNotSaved) {
		return err
	}
	if err != nil {
		last = a.failed(llm.Failure{Code: "storage_full", Message: "The answer is complete but could not be saved: the server's storage is full. The operator has to make room."})
	}
	a.w.put(last)
	if a.purse != nil {
		a.purse.close(ctx)
	}
	return nil
}

// answerOpenCalls gives each call without a result one, so that nothing of
// the run stays open.
func (a *answer) answerOpenCalls(cause error) {
	reason := "the run ended before this call did"
	switch {
	case a.rec.Status == chat.RunAbandoned:
		reason = "not called: the person went on without deciding about it"
	case errors.Is(cause, errCancelled):
		reason = "stopped by the person"
	}
	for _, c := range openCalls(a.lease.State(), a.it.Run) {
		m := failedResult(c.ID, reason)
		a.w.put(chat.Event{
			Type: chat.ToolCallResult, MessageID: chat.NewID("m"), ToolCallID: c.ID,
			Role: llm.ToolRole, Content: m.Content, Metadata: m.Metadata,
		})
	}
}

// lastEvent returns the entry with which the run ends.
func (a *answer) lastEvent(cause error) chat.Event {
	outcome := "success"
	var budget *BudgetError
	switch {
	case errors.As(cause, &budget):
		return a.failed(llm.Failure{Code: budget.Code(), Message: budget.Advice()})
	case errors.Is(cause, errCancelled):
		outcome = "cancelled"
	case errors.Is(cause, errInterrupted):
		return a.failed(llm.Failure{Code: "interrupted", Message: "This answer was interrupted too often. Try again."})
	case errors.Is(cause, errTooLong):
		return a.failed(llm.Failure{Code: "too_long", Message: "This answer took longer than allowed and was ended. Ask for less at once."})
	case cause != nil:
		return a.failed(llm.Describe(cause))
	}
	ev := chat.Event{Type: chat.RunFinished, ThreadID: a.lease.Conversation, RunID: a.it.Run, Outcome: &chat.Outcome{Type: outcome}, Metadata: a.endDetails()}
	ev.Usage = a.cost()
	return ev
}

func (a *answer) failed(f llm.Failure) chat.Event {
	return chat.Event{Type: chat.RunError, RunID: a.it.Run, Message: f.Message, Code: f.Code, Usage: a.cost(), Metadata: a.endDetails()}
}

// cost is what all requests of the run have cost, nil if nobody counted.
func (a *answer) cost() []llm.Usage {
	if a.usage == (llm.Usage{}) {
		return nil
	}
	return []llm.Usage{a.usage}
}

func (a *answer) endDetails() *llm.Metadata {
	return &llm.Metadata{Parley: llm.Details{
		Model: cmp.Or(a.model, a.chosen.Agent.Model.Name()), Missed: a.missed, Unseen: a.unseen,
		TookMs: time.Since(a.started).Milliseconds(), Finish: a.finish, Agent: a.chosen.Ref(),
	}}
}

func (a *answer) endRecord(last chat.Event) *chat.RunRecord {
	rec := chat.RunRecord{ID: a.it.Run, Status: chat.RunDone, Try: a.try, Model: last.Metadata.Parley.Model, Agent: a.chosen.Name, AgentVersion: a.chosen.Version}
	if len(last.Usage) > 0 {
		rec.Usage = &last.Usage[0]
	}
	if last.Outcome != nil && last.Outcome.Type == "cancelled" {
		rec.Status = chat.RunCancelled
	}
	if last.Type == chat.RunError {
		rec.Status, rec.Failure = chat.RunFailed, &llm.Failure{Code: last.Code, Message: last.Message}
	}
	return &rec
}

// settleEnded stores the end of a run that only the log knows of.
func (a *answer) settleEnded(ctx context.Context, st chat.State) error {
	rec := chat.RunRecord{ID: a.it.Run, Status: st.Run.Status, Try: st.Run.Try}
	for _, m := range st.RunMessages(a.it.Run) {
		if m.Metadata != nil && m.Metadata.Parley.Status != "" {
			d := m.Metadata.Parley
			rec.Model, rec.Usage, rec.Failure = d.Model, d.Usage, d.Failure
			if d.Agent != nil {
				rec.Agent, rec.AgentVersion = d.Agent.Name, d.Agent.Version
			}
		}
	}
	err := a.archive(ctx, a.batch(st, &rec))
	if errors.Is(err, errNotSaved) {
		return nil
	}
	return err
}

// openCalls returns the calls of a run that have no result.
func openCalls(st chat.State, run string) (open []llm.ToolCall) {
	done := map[string]bool{}
	for _, m := range st.Messages {
		done[m.ToolCallID] = true
	}
	for _, m := range st.Messages {
		for _, c := range m.ToolCalls {
			if runID(m) == run && !done[c.ID] {
				open = append(open, c)
			}
		}
	}
	return open
}
