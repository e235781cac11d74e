package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/gateway/chat"
	"parley/tools"
)

// A PayloadError says what is wrong with an answer to an interrupt.
type PayloadError struct {
	Index int    // of the answer
	Path  string // in its payload, as a JSON Pointer
	Err   error
}

func (e *PayloadError) Error() string { return fmt.Sprintf("run: answer %d: %v", e.Index, e.Err) }
func (e *PayloadError) Unwrap() error { return e.Err }

// Answer takes decisions of people about interrupts of a conversation: when it
// returns they are in the store, and a run that waits for nothing more goes
// on, on whichever replica. The same decisions again get the same answer. It
// returns the interrupts as they are now.
func (r *Runner) Answer(ctx context.Context, conv string, ds []chat.Decision) ([]chat.Ask, error) {
	for i := range ds {
		if err := r.check(ctx, conv, &ds[i]); err != nil {
			return nil, &PayloadError{Index: i, Path: pathOf(err), Err: err}
		}
	}
	asks, err := r.questions.Answer(ctx, conv, ds)
	if err != nil {
		return nil, fmt.Errorf("run: answer: %w", err)
	}
	for _, a := range asks {
		if err := r.post(ctx, conv, "", lookItem(a.Run, a.ID)); err != nil {
			return asks, err
		}
	}
	return asks, nil
}

// lookItem asks whoever writes a conversation to look what was decided about
// a run.
func lookItem(run, what string) chat.Item {
	return chat.Item{ID: "answer." + run + "." + what, Kind: chat.Answer, Run: run}
}

// pathOf returns where in a payload an error is.
func pathOf(err error) string {
	var field *tools.FieldError
	if errors.As(err, &field) {
		return field.Field
	}
	return ""
}

// check makes sure that a payload is what its interrupt asks for.
func (r *Runner) check(ctx context.Context, conv string, d *chat.Decision) error {
	ask, err := r.questions.Ask(ctx, conv, d.Interrupt)
	if err != nil {
		return err
	}
	if d.Status != tools.AnswerResolved {
		d.Payload = nil
		return nil
	}
	if len(ask.Schema) > 0 {
		if err := tools.Check(ask.Schema, orObject(d.Payload)); err != nil {
			return err
		}
	}
	if ask.Reason != tools.AskApproval || !ask.Open() {
		return nil
	}
	var p approval
	if err := json.Unmarshal(d.Payload, &p); err != nil {
		return &tools.FieldError{Reason: "must be an object with approved"}
	}
	if p.Approved && p.Always {
		d.Always = ask.Metadata.Parley.Tool
	}
	if !p.Approved || len(p.EditedArgs) == 0 {
		return nil
	}
	return r.checkArguments(ctx, ask.Metadata.Parley.Tool, p.EditedArgs)
}

// checkArguments makes sure that edited arguments are what the tool takes, as
// it is declared now.
func (r *Runner) checkArguments(ctx context.Context, tool string, args json.RawMessage) error {
	set, err := r.toolbox.Set(ctx)
	if err != nil {
		return err
	}
	spec, ok := set.Spec(tool)
	if !ok {
		return nil // the call will say so
	}
	err = tools.Check(spec.Parameters, args)
	var field *tools.FieldError
	if errors.As(err, &field) {
		return &tools.FieldError{Field: "/editedArgs" + field.Field, Reason: field.Reason}
	}
	return err
}

// expireEvery is how often it is looked for what nobody has decided in time.
const expireEvery = 10 * time.Second

// expire has runs go on that have waited too long.
func (r *Runner) expire(ctx context.Context) {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		due, err := r.questions.Expire(ctx, 100)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("looking for what nobody answered", "error", err)
		}
		for _, e := range due { // what cannot be posted the reconciler finds
			_ = r.post(ctx, e.Conversation, "", lookItem(e.Run, e.Interrupt))
		}
	}
}
