package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// approvalSchema is that of the answer to an approval. That it has editedArgs
// is, in AG-UI, the sign that a client may offer editing.
const approvalSchema = `{"type":"object","properties":{` +
	`"approved":{"type":"boolean"},` +
	`"editedArgs":{"type":"object","description":"instead of the call's arguments, whole"},` +
	`"reason":{"type":"string","maxLength":2000,"description":"why not, for the model"},` +
	`"always":{"type":"boolean","description":"do not ask again about this tool in this conversation"}},` +
	`"required":["approved"],"additionalProperties":false}`

// An approval is the payload of the answer to one.
type approval struct {
	Approved   bool            `json:"approved"`
	EditedArgs json.RawMessage `json:"editedArgs"`
	Reason     string          `json:"reason"`
	Always     bool            `json:"always"`
}

// Bounds of what a tool may ask.
const (
	askText  = 4 << 10
	askData  = 32 << 10 // of a schema, and of a state
	askTimes = 16       // of one call
)

// permit decides whether a call may be made, before anything of it is: it
// returns the call as it is to be made, or what stands in the way. edited says
// that a person has changed its arguments.
func (g *guarded) permit(ctx context.Context, c tools.Call, spec tools.Spec) (_ tools.Call, edited bool, no *tools.Result) {
	switch spec.Policy() {
	case tools.ApprovalNever:
		return c, false, failure("this tool's owner does not let it be called here: go on without it")
	case tools.ApprovalAuto:
		return c, false, nil
	}
	if spec.Name == "" {
		return c, false, nil // there is no such tool, which the model is told
	}
	if err := fits(spec, c.Arguments); err != nil { // nobody need be asked
		return c, false, err
	}
	if ask := g.a.asked(c.ID, func(a chat.Ask) bool { return a.Reason == tools.AskApproval && sameTarget(a, spec) }); ask != nil {
		c, edited, no = decided(c, *ask)
		if edited {
			no = fits(spec, c.Arguments) // the tool may have been declared anew since
		}
		return c, edited, no
	}
	allowed, err := g.a.r.answers.Allowed(ctx, g.a.lease.Conversation, spec.Name)
	if err == nil && allowed == tools.ApprovalAuto {
		return c, false, nil
	}
	return c, false, &tools.Result{Ask: &tools.Ask{
		Reason: tools.AskApproval, Schema: json.RawMessage(approvalSchema), Message: fmt.Sprintf("May %s be called?", spec.Name),
	}}
}

// fits returns what the model is told of arguments that the tool does not
// take, nil if it does.
func fits(spec tools.Spec, args json.RawMessage) *tools.Result {
	err := tools.Check(spec.Parameters, orObject(args))
	if err == nil {
		return nil
	}
	return failure("the call was not made: the arguments do not fit, %v", err)
}

func failure(format string, args ...any) *tools.Result {
	r := tools.Failure(format, args...)
	return &r
}

func orObject(args json.RawMessage) json.RawMessage {
	if len(args) == 0 {
		return json.RawMessage(`{}`)
	}
	return args
}

// sameTarget reports whether what was asked is what would be called now: the
// tool may have been declared anew since.
func sameTarget(a chat.Ask, spec tools.Spec) bool {
	return a.Metadata != nil && a.Metadata.Parley.Method == spec.Method && a.Metadata.Parley.Host == spec.Host
}

// decided returns what a person's decision makes of a call.
func decided(c tools.Call, ask chat.Ask) (_ tools.Call, edited bool, no *tools.Result) {
	switch ask.Status {
	case tools.AnswerCancelled:
		return c, false, failure("the call was not made: the person was asked and did not decide. Do not try it again unless they ask for it")
	case tools.AnswerExpired:
		return c, false, failure("the call was not made: nobody decided in time whether it may be. Do not try it again unless the person asks for it")
	}
	var p approval
	if json.Unmarshal(ask.Payload, &p) != nil || !p.Approved {
		reason := "the call was not made: the person refused it"
		if p.Reason != "" {
			reason += ", saying: " + p.Reason
		}
		return c, false, failure("%s", reason)
	}
	if len(p.EditedArgs) > 0 && string(p.EditedArgs) != "null" {
		c.Arguments = p.EditedArgs
		return c, true, nil
	}
	return c, false, nil
}

// asked returns the latest decided ask of a call of which is holds, nil if
// there is none.
func (a *answer) asked(call string, is func(chat.Ask) bool) *chat.Ask {
	for _, ask := range slices.Backward(a.asks) {
		if ask.ToolCallID == call && !ask.Open() && is(ask) {
			return &ask
		}
	}
	return nil
}

// told returns what was answered to the call's own latest question, and which
// that was.
func (g *guarded) told(call string) (_ *tools.Answer, interrupt string) {
	ask := g.a.asked(call, func(a chat.Ask) bool { return a.Reason != tools.AskApproval })
	if ask == nil {
		return nil, ""
	}
	return &tools.Answer{Status: ask.Status, Payload: ask.Payload, State: ask.State}, ask.ID
}

// bounded turns an ask that no person should be shown into a failure.
func (g *guarded) bounded(call string, r tools.Result) tools.Result {
	if r.Ask == nil {
		return r
	}
	n := 0
	for _, a := range g.a.asks {
		if a.ToolCallID == call {
			n++
		}
	}
	switch {
	case n >= askTimes:
		return tools.Failure("the tool has asked %d times and is not asked again", n)
	case len(r.Ask.Message) > askText, len(r.Ask.URL) > askText, len(r.Ask.Schema) > askData, len(r.Ask.State) > askData:
		return tools.Failure("the tool asks for too much at once")
	case len(r.Ask.Schema) > 0 && !json.Valid(r.Ask.Schema):
		return tools.Failure("the tool asks for something that nobody can answer: its schema is not valid JSON")
	}
	return r
}

// changed tells the model that a call was not made as it asked.
func changed(r tools.Result, args json.RawMessage) tools.Result {
	r.Content = fmt.Sprintf("(The person changed the arguments before allowing the call. It was made with %s)\n\n%s", args, r.Content)
	return r
}

// suspend has the run wait for people: what it asks is in the store before it
// is shown, and this replica has nothing more to do with it.
func (a *answer) suspend(ctx context.Context) error {
	if ctx.Err() != nil {
		a.w.flush()
		return context.Cause(ctx)
	}
	a.w.closeAll(llm.Details{})
	asks := a.newAsks()
	ev := chat.Event{
		Type: chat.RunFinished, ThreadID: a.lease.Conversation, RunID: a.it.Run,
		Outcome: &chat.Outcome{Type: chat.Interrupted}, Metadata: a.endDetails(),
	}
	for _, ask := range asks {
		ev.Outcome.Interrupts = append(ev.Outcome.Interrupts, ask.Interrupt)
	}
	b := a.batch(a.lease.State(), a.standing(chat.RunWaiting))
	b.Asks = asks
	err := a.archive(ctx, b)
	if errors.Is(err, errNotSaved) {
		return a.end(ctx, err)
	}
	if err != nil {
		return err
	}
	a.w.put(ev)
	a.purse.close(ctx)
	return nil
}

// newAsks makes interrupts of what the agent's calls ask.
func (a *answer) newAsks() (asks []chat.Ask) {
	expires := time.Now().Add(a.r.o.Approval).UTC().Truncate(time.Millisecond)
	for _, asked := range a.asking {
		spec, _ := a.set.Spec(asked.Call.Function.Name)
		asks = append(asks, chat.Ask{
			Interrupt: chat.Interrupt{
				ID: chat.NewID("i"), Reason: asked.Ask.Reason, Message: asked.Ask.Message, ToolCallID: asked.Call.ID,
				Schema: asked.Ask.Schema, Expires: expires,
				Metadata: &chat.InterruptMetadata{Parley: chat.InterruptDetails{
					Tool: asked.Call.Function.Name, Method: spec.Method, Host: spec.Host, URL: asked.Ask.URL,
				}},
			},
			Run: a.it.Run, State: asked.Ask.State,
		})
	}
	return asks
}

// standing returns how far the run is.
func (a *answer) standing(s chat.RunStatus) *chat.RunRecord {
	rec := chat.RunRecord{ID: a.it.Run, Status: s, Try: a.try, Agent: a.chosen.Name, AgentVersion: a.chosen.Version}
	if a.usage != (llm.Usage{}) {
		u := a.usage
		rec.Usage = &u
	}
	return &rec
}

// showAnswers writes to the log what people have decided of asks and the log
// does not show yet.
func (s *session) showAnswers(run string, try int, asks []chat.Ask) {
	st := s.lease.State()
	for _, ask := range asks {
		shown := st.Knows(ask.ToolCallID, ask.ID) && !slices.ContainsFunc(st.Interrupts, func(i chat.Interrupt) bool { return i.ID == ask.ID })
		if !ask.Open() && !shown {
			s.lease.Put(run, try, chat.Event{Type: chat.AskAnswered, RunID: run, ToolCallID: ask.ToolCallID, Answered: ask.Answer()})
		}
	}
}

// attend looks after a run that waits: what is answered so far is shown, and
// if somebody stopped it, it is due.
func (s *session) attend(ctx context.Context) error {
	st := s.lease.State()
	if !st.Waits() {
		return nil
	}
	s.mu.Lock()
	stopped := s.stopped[st.Run.ID]
	s.mu.Unlock()
	return s.patiently(ctx, func(ctx context.Context) error {
		if stopped {
			if _, err := s.r.questions.Abandon(ctx, s.lease.Conversation, st.Run.ID); err != nil {
				return err
			}
		}
		asks, err := s.r.answers.Asks(ctx, st.Run.ID)
		if err == nil {
			s.showAnswers(st.Run.ID, st.Run.Try, asks)
		}
		return err
	})
}
