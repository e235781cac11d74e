package llm

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"

	"parley/tools"
)

// A turn gathers what a model says in one request.
type turn struct {
	run    *agentRun
	text   strings.Builder
	calls  []ToolCall
	usage  *Usage
	finish Finish
	state  *ProviderState
	said   bool // something was passed on
	mused  bool // and thoughts among it
	held   bool // text is passed on when all of it is known

	standIn *StandIn
}

// chunk takes one piece and reports whether the consumer wants more.
func (t *turn) chunk(c Chunk) bool {
	if c.StandIn != nil {
		return t.anew(c.StandIn)
	}
	if c.Usage != nil {
		t.usage = c.Usage
	}
	if c.Finish != "" {
		t.finish = c.Finish
	}
	if c.State != nil {
		t.state = c.State
	}
	if c.Call != nil {
		t.calls = append(t.calls, t.named(*c.Call))
	}
	if c.Reasoning != "" {
		t.said, t.mused = true, true
		if !t.run.yield(Step{Reasoning: c.Reasoning}, nil) {
			return false
		}
	}
	if c.Text == "" {
		return true
	}
	by := t.by()
	t.text.WriteString(c.Text)
	if t.held {
		return true
	}
	t.said = true
	return t.run.yield(Step{Text: c.Text, By: by}, nil)
}

// by returns who begins to say something, if that model can go on with it: not
// with thoughts before it, which it would have to be given too.
func (t *turn) by() string {
	if t.text.Len() > 0 || t.mused || t.run.Format != nil { // a format is begun anew: the repair of it cannot be told apart
		return ""
	}
	name := t.run.Model.Name()
	if t.standIn != nil {
		name = t.standIn.Model
	}
	if !Continues(t.run.Model, name) {
		return ""
	}
	return name
}

// anew begins the turn again, said by another model, unless that has said it
// from its beginning.
func (t *turn) anew(by *StandIn) bool {
	if !by.Anew {
		t.standIn = by
		return true
	}
	said := t.said
	*t = turn{run: t.run, standIn: by, held: t.held}
	return !said || t.run.yield(Step{StandIn: by}, nil)
}

// named gives a call an id of its own: some servers send none, or the same
// again in every turn.
func (t *turn) named(c ToolCall) ToolCall {
	c.Type = "function"
	if c.ID == "" || taken(t.calls, c.ID) {
		c.ID = "call_" + strings.ToLower(rand.Text()[:16])
	}
	for _, m := range t.run.msgs {
		if taken(m.ToolCalls, c.ID) {
			c.ID = "call_" + strings.ToLower(rand.Text()[:16])
			break
		}
	}
	return c
}

func taken(cs []ToolCall, id string) bool {
	for _, c := range cs {
		if c.ID == id {
			return true
		}
	}
	return false
}

// failed marks a model's error that came after something was passed on: the
// turn must not be asked again behind it.
func (t *turn) failed(err error) error {
	var e *Error
	if t.said && errors.As(err, &e) && !e.MidStream {
		c := *e
		c.MidStream = true
		return &c
	}
	return err
}

func (t *turn) message() Message {
	m := Message{Role: Assistant, Content: t.text.String(), ToolCalls: t.calls}
	if t.state != nil {
		m.Metadata = &Metadata{Parley: Details{Provider: t.state}}
	}
	return m
}

// callAll calls tools at the same time, bounded, and passes on each result as
// it comes. It returns when all have answered and none runs any more: which of
// them need something of a person, in the order of the calls.
func (r *agentRun) callAll(calls []ToolCall) (asks []Asked, err error) {
	results := make(chan called)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	slots := make(chan struct{}, orDefault(r.Parallel, 8))
	limit := orDefault(r.MaxCalls, 16)
	for i, c := range calls {
		wg.Go(func() {
			res := refusedCall(limit)
			if i < limit {
				res = r.call(ctx, slots, c)
			}
			select {
			case results <- called{i, res}:
			case <-ctx.Done():
			}
		})
	}
	asking := make([]*tools.Ask, len(calls))
	for range calls {
		select {
		case done := <-results:
			if r.ctx.Err() != nil { // a call that was cut off says nothing
				return nil, r.ctx.Err()
			}
			if asking[done.i] = done.res.Ask; done.res.Ask != nil {
				continue
			}
			m := resultMessage(calls[done.i], done.res)
			r.msgs = append(r.msgs, m)
			if !r.yield(Step{Result: &m}, nil) {
				return nil, errStopped
			}
		case <-r.ctx.Done():
			return nil, r.ctx.Err()
		}
	}
	for i, ask := range asking {
		if ask != nil {
			asks = append(asks, Asked{calls[i], *ask})
		}
	}
	return asks, nil
}

// A called is the result of one of several calls.
type called struct {
	i   int
	res tools.Result
}

// call makes one call when a slot is free. It is not made if ctx has ended by
// then: nobody would learn what it changed.
func (r *agentRun) call(ctx context.Context, slots chan struct{}, c ToolCall) tools.Result {
	slots <- struct{}{}
	defer func() { <-slots }()
	if ctx.Err() != nil {
		return tools.Failure("cut off")
	}
	if !IsObject(c.Function.Arguments) {
		return tools.Failure("the call was not made: its arguments are not a JSON object; call again with arguments that fit the tool's schema")
	}
	return r.set.Call(ctx, tools.Call{ID: c.ID, Name: c.Function.Name, Arguments: c.Raw()})
}

func resultMessage(c ToolCall, res tools.Result) Message {
	m := Message{Role: ToolRole, ToolCallID: c.ID, Content: res.Content}
	m.Metadata = &Metadata{Parley: Details{Outcome: &res.Outcome, Sources: res.Sources}}
	if res.Failed {
		line, _, _ := strings.Cut(strings.TrimPrefix(res.Content, "Error: "), "\n")
		res.Outcome.Failed, res.Outcome.Reason = true, cmp.Or(res.Outcome.Reason, line)
		m.Error = res.Outcome.Reason
	}
	return m
}

// unanswered returns the calls of msgs that have no result, if they were made
// after the last question.
func unanswered(msgs []Message) (open []ToolCall) {
	for _, m := range sinceQuestion(msgs) {
		open = append(open, m.ToolCalls...)
	}
	done := map[string]bool{}
	for _, m := range msgs {
		done[m.ToolCallID] = true
	}
	rest := open[:0]
	for _, c := range open {
		if !done[c.ID] {
			rest = append(rest, c)
		}
	}
	return rest
}

func turnsSinceQuestion(msgs []Message) (n int) {
	for _, m := range sinceQuestion(msgs) {
		if m.Role == Assistant && len(m.ToolCalls) > 0 {
			n++
		}
	}
	return n
}

func sinceQuestion(msgs []Message) []Message {
	for i := len(msgs) - 1; i >= 0; i-- {
		if msgs[i].Role == User {
			return msgs[i+1:]
		}
	}
	return nil
}

// ordered returns msgs with every result behind its call's message, in the
// order of that message's calls, as model APIs want them. Calls of earlier
// runs that never had a result are left out, and results without a call.
func ordered(msgs []Message) []Message {
	results := map[string]Message{}
	for _, m := range msgs {
		if m.Role == ToolRole {
			results[m.ToolCallID] = m
		}
	}
	var out []Message
	for _, m := range msgs {
		switch m.Role {
		case ToolRole, Reasoning:
			continue
		case Assistant:
			m.ToolCalls = answered(m.ToolCalls, results)
			if m.Content == "" && len(m.ToolCalls) == 0 {
				continue
			}
		}
		out = append(out, m)
		for _, c := range m.ToolCalls {
			out = append(out, results[c.ID])
		}
	}
	return out
}

func answered(calls []ToolCall, results map[string]Message) (done []ToolCall) {
	for _, c := range calls {
		if _, ok := results[c.ID]; ok {
			done = append(done, c)
		}
	}
	return done
}
