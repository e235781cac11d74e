package run

import (
	"context"
	"errors"
	"slices"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// step writes one step of the agent to the log, and to the store what is
// finished with it.
func (a *answer) step(ctx context.Context, st llm.Step, set *tools.Set) error {
	if err := a.isBegun(); err != nil {
		return err
	}
	switch {
	case st.Text != "":
		a.purse.came(len(st.Text))
		a.w.text(st.Text, st.By)
	case st.Reasoning != "":
		a.purse.came(len(st.Reasoning))
		a.w.reasoning(st.Reasoning)
	case st.Turn != nil:
		return a.turn(ctx, st, set)
	case st.Result != nil:
		return a.result(ctx, *st.Result)
	case st.StandIn != nil:
		a.w.rollBack(chat.Event{
			Type: chat.RunTakenOver, RunID: a.it.Run, Try: a.try,
			Metadata: &llm.Metadata{Parley: llm.Details{Model: st.StandIn.Model, Missed: st.StandIn.Missed}},
		})
	case st.Anew:
		a.w.rollBack(chat.Event{Type: chat.RunTakenOver, RunID: a.it.Run, Try: a.try})
	case st.Usage != nil:
		a.spend(st.Usage)
	}
	return a.lease.Room(ctx)
}

// turn writes the calls of a turn inside its message, whose end says that the
// turn is whole: without it a successor rolls the turn back.
func (a *answer) turn(ctx context.Context, st llm.Step, set *tools.Set) error {
	a.spend(st.Usage)
	a.answeredBy(st.StandIn)
	a.finish = a.finishOf(st)
	if st.Turn.Content == "" && len(st.Turn.ToolCalls) == 0 {
		a.w.closeAll(llm.Details{Finish: a.finish})
		return nil
	}
	id := a.w.message()
	for _, c := range st.Turn.ToolCalls {
		spec, _ := set.Spec(c.Function.Name)
		a.w.put(chat.Event{
			Type: chat.ToolCallStart, ToolCallID: c.ID, ToolCallName: c.Function.Name, ParentMessageID: id,
			Metadata: &llm.Metadata{Parley: llm.Details{Method: spec.Method, Host: spec.Host, Effect: spec.Effect}},
		})
		a.w.put(chat.Event{Type: chat.ToolCallArgs, ToolCallID: c.ID, Delta: c.Function.Arguments})
		a.w.put(chat.Event{Type: chat.ToolCallEnd, ToolCallID: c.ID})
	}
	said := llm.Details{Finish: a.finish, Format: st.Format}
	if st.Turn.Metadata != nil {
		said.Provider = st.Turn.Metadata.Parley.Provider
	}
	if st.StandIn != nil {
		said.Model, said.Missed = st.StandIn.Model, st.StandIn.Missed
	}
	if len(st.Turn.ToolCalls) > 0 && a.usage != (llm.Usage{}) { // the run's end says it of the last turn
		u := a.usage
		said.Usage = &u
	}
	a.w.closeAll(said)
	return a.archiveSoFar(ctx, a.standing(chat.RunRunning))
}

// spend counts what a request has cost, nil if nobody can tell.
func (a *answer) spend(u *llm.Usage) {
	if u != nil {
		a.usage = a.usage.Add(*u)
		a.purse.counted(*u)
	}
}

// finishOf is why a turn ended, if not because the model was done.
func (a *answer) finishOf(st llm.Step) llm.Finish {
	switch {
	case st.Finish == llm.FinishLength || st.Finish == llm.FinishRefused:
		return st.Finish
	case a.purse.grant.Last && len(st.Turn.ToolCalls) == 0 && len(a.set.Specs()) > 0:
		return llm.FinishBudget
	}
	return ""
}

// answeredBy notes who said a turn, nil for the model that is asked first, and
// who of a chain should have and did not.
func (a *answer) answeredBy(by *llm.StandIn) {
	if a.model = a.chosen.Agent.Model.Name(); by == nil {
		return
	}
	a.model = by.Model
	for _, m := range by.Missed {
		a.miss(m)
	}
}

// miss notes that a model did not answer, once for each way in which it did not.
func (a *answer) miss(m llm.Missed) {
	if !slices.Contains(a.missed, m) {
		a.missed = append(a.missed, m)
	}
}

func (a *answer) result(ctx context.Context, m llm.Message) error {
	a.w.put(chat.Event{
		Type: chat.ToolCallResult, MessageID: chat.NewID("m"), ToolCallID: m.ToolCallID,
		Role: llm.ToolRole, Content: m.Content, Metadata: m.Metadata,
	})
	return a.archiveSaid(ctx)
}

// guarded are the tools of a run, called only while the lease is held, and
// those that may not be called twice only once.
type guarded struct {
	a   *answer
	set *tools.Set
}

func (g *guarded) Specs() []tools.Spec { return g.set.Specs() }

func (g *guarded) Call(ctx context.Context, c tools.Call) tools.Result {
	spec, _ := g.set.Spec(c.Name)
	call := c.ID
	c, edited, no := g.permit(ctx, c, spec)
	if no != nil {
		return *no
	}
	var interrupt string
	c.Answer, interrupt = g.told(call)
	if err := g.admit(ctx, guardID(call, interrupt), spec.Effect); errors.Is(err, errUnknown) {
		return tools.Failure("%v", err)
	} else if err != nil {
		return tools.Failure("the call could not be recorded, so it was not made")
	}
	c.ID = g.a.it.Run + "." + call
	c.Generation = g.a.lease.Generation()
	c.Person, c.Conversation = g.a.owner, g.a.lease.Conversation
	r := g.bounded(call, g.set.Call(ctx, c))
	if edited && r.Ask == nil {
		r = changed(r, c.Arguments)
	}
	return r
}

// guardID names what is done once: a call, and again each time that a person
// has answered what it asked, for until then it has done nothing.
func guardID(call, interrupt string) string {
	if interrupt == "" {
		return call
	}
	return call + "#" + interrupt
}

// admit returns once the call may be made: an unsafe one after the intent is
// in the log and the guard row in the store, and every one only while the
// lease is known to be held.
func (g *guarded) admit(ctx context.Context, guard string, effect tools.Effect) error {
	if err := g.a.isBegun(); err != nil {
		return err
	}
	if effect != tools.Unsafe {
		if g.a.lease.Held() {
			return nil
		}
		return g.a.lease.Fresh(ctx)
	}
	if err := g.a.lease.Flush(ctx); err != nil {
		return err
	}
	first, err := g.a.r.answers.Guard(ctx, g.a.it.Run, guard, g.a.r.queue.Incarnation())
	if err != nil {
		return err
	}
	if !first {
		return errUnknown
	}
	return g.a.lease.Fresh(ctx)
}
