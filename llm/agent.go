package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"parley/tools"
)

// Tools are what an agent can call during one run.
type Tools interface {
	Specs() []tools.Spec
	Call(ctx context.Context, call tools.Call) tools.Result
}

// A Chooser is Tools of which a model is offered only those that fit what was
// said. Offer must depend on nothing but the tools and msgs, and what it
// returns must begin what it returns for the same messages with more behind
// them, up to the next question: providers keep what requests begin with.
type Chooser interface {
	Offer(msgs []Message) []tools.Spec
}

// An Agent answers questions: it asks its model, calls the tools that the
// model asks for, and asks again with their results, until the model is done.
// All methods may be called concurrently.
type Agent struct {
	Model    Model
	System   string // instructions; empty for none
	MaxTurns int    // model turns a run, the last one without tools: 12
	MaxCalls int    // tool calls a turn; the rest fail: 16
	Parallel int    // tool calls at the same time: 8
	Restarts int    // of a turn on another model, after something of it was said: 2; negative: none

	Format      *Format  // of the answer; nil for text
	Temperature *float64 // nil: the provider's default
	MaxTokens   int      // of each turn; 0: the model's default

	Data string // that goes with the last question; see [WithContext]

	// Begun is what was said of the first turn before, by a model for which
	// [Continues] is true; nil: nothing. Unless a Step says that it is void, the
	// turn goes on behind it.
	Begun *Begun

	Pause func(ctx context.Context) // see [Request]; nil for none
	Purse Purse                     // asked before each request; nil: nothing is bounded
}

// A Step is one thing that happens during a run. Exactly one of its fields is
// set, but for what comes with Turn.
type Step struct {
	Text      string     // a piece of the answer
	By        string     // with the first Text of a turn: who says it, if that model can go on with what it has begun
	Reasoning string     // a piece of the model's thoughts
	Turn      *Message   // the model's turn is over: all that it said, and the calls that it asks for
	Finish    Finish     // with Turn: why it is over
	Usage     *Usage     // with Turn: what it cost; alone: what a turn has cost that failed
	StandIn   *StandIn   // with Turn: who said it, if not the first model; alone: what was said of this turn so far is void
	Anew      bool       // alone: what was said of this turn so far is void, the same model says it again
	Format    *Formatted // with Turn: whether it has the format that was asked for
	Result    *Message   // a tool has answered
	Asks      []Asked    // the last step of a run that cannot go on before a person has answered these
}

// An Asked is a call that needs something of a person first.
type Asked struct {
	Call ToolCall
	Ask  tools.Ask
}

// ErrTurns ends a run whose model asked for tools even when it had none.
var ErrTurns = errors.New("llm: the model asked for tools in its last turn, where it has none")

// Run answers the last question of msgs. It begins wherever msgs end: calls
// without a result are made first, so that a run can be taken up in its
// middle. It ends behind a Turn without calls, or with an error: an [*Error]
// of the model's, [ErrTurns], a [*FormatError] behind the Turn that has not the
// format, or ctx's; or with Asks, once all other calls of
// the turn have their results. Running it again, with those, makes exactly the
// calls that asked.
//
// Results come in the order in which the tools answer; the model reads them
// in the order of its calls.
func (a *Agent) Run(ctx context.Context, msgs []Message, set Tools) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		r := &agentRun{Agent: a, ctx: ctx, msgs: append([]Message(nil), msgs...), begun: a.Begun, set: set, yield: yield}
		if err := r.loop(); err != nil && err != errStopped {
			yield(Step{}, err)
		}
	}
}

// Tokens estimates how many tokens the model reads of the first request of a
// Run with the same arguments.
func (a *Agent) Tokens(msgs []Message, set Tools) int {
	r := &agentRun{Agent: a, msgs: msgs, set: set}
	return r.request(false).tokens()
}

// errStopped says that the consumer wants no more.
var errStopped = errors.New("llm: stopped")

// agentRun is the state of one Run, owned by its goroutine.
type agentRun struct {
	*Agent
	ctx   context.Context
	msgs  []Message
	begun *Begun // of the next turn
	set   Tools
	yield func(Step, error) bool
}

func (r *agentRun) loop() error {
	turns := turnsSinceQuestion(r.msgs)
	for {
		if open := unanswered(r.msgs); len(open) > 0 {
			if asks, err := r.callAll(open); err != nil || len(asks) > 0 {
				return r.asked(asks, err)
			}
		}
		last := turns+1 >= orDefault(r.MaxTurns, 12)
		m, last, err := r.turn(last)
		if err != nil {
			return err
		}
		turns++
		if len(m.ToolCalls) == 0 {
			return nil
		}
		if last {
			return ErrTurns
		}
		r.msgs = append(r.msgs, m)
	}
}

// asked ends a run with what is needed of people.
func (r *agentRun) asked(asks []Asked, err error) error {
	if err == nil {
		r.yield(Step{Asks: asks}, nil)
	}
	return err
}

// turn has the model say one turn, and reports whether it could not call
// tools.
func (r *agentRun) turn(last bool) (Message, bool, error) {
	req := r.request(last)
	req.Begun = r.begun
	last, err := r.allow(&req)
	if err != nil {
		return Message{}, last, err
	}
	if last && len(req.Tools) > 0 {
		req.System += lastTurn
	}
	m, err := r.say(req)
	return m, last, err
}

func (r *agentRun) request(last bool) Request {
	return Request{
		System: r.System, Messages: WithContext(ordered(r.msgs), r.Data), Tools: r.offered(), NoTools: last, Pause: r.Pause,
		Restarts: max(cmp.Or(r.Restarts, 2), 0), Format: r.Format, Temperature: r.Temperature, MaxTokens: r.MaxTokens,
	}
}

// say has the model say a turn, and once more what has not its format.
func (r *agentRun) say(req Request) (Message, error) {
	t, err := r.ask(req)
	if err != nil {
		return Message{}, err
	}
	fault := t.fit()
	if again := (*FormatError)(nil); errors.As(fault, &again) && again.Finish == "" {
		if t, err = r.again(t, req, again); err != nil {
			return Message{}, err
		}
		fault = t.fit()
	}
	if errors.Is(fault, errStopped) {
		return Message{}, errStopped
	}
	m := t.message()
	if !t.letGo() || !r.yield(Step{Turn: &m, Finish: t.finish, Usage: t.usage, StandIn: t.standIn, Format: t.formatted(fault)}, nil) {
		return m, errStopped
	}
	return m, fault
}

// ask makes one request.
func (r *agentRun) ask(req Request) (*turn, error) {
	t := r.begin(&req)
	t.held = req.Format != nil && !Forms(r.Model, req)
	for c, err := range r.Model.Stream(r.ctx, req) {
		if err != nil {
			t.usage = cmp.Or(c.Usage, t.usage)
			return t, r.spent(t, t.failed(err))
		}
		if !t.chunk(c) {
			return t, errStopped
		}
	}
	if t.finish == "" {
		return t, t.failed(&Error{Kind: Truncated, Provider: r.Model.Name(), Message: "the model's stream ended before its answer did"})
	}
	return t, nil
}

// allow asks what a request may cost, and reports whether it must be the last
// one.
func (r *agentRun) allow(req *Request) (last bool, err error) {
	if r.Purse == nil {
		return req.NoTools, nil
	}
	grant, err := r.Purse.Take(r.ctx, req.tokens())
	if err != nil {
		return req.NoTools, err
	}
	if grant.Tokens > 0 && (req.MaxTokens == 0 || grant.Tokens < req.MaxTokens) {
		req.MaxTokens = grant.Tokens
	}
	req.NoTools = req.NoTools || grant.Last
	return req.NoTools, nil
}

// more asks what a model may cost that is asked once more for the same turn,
// behind what it has cost so far. The turn is in its midst, so it keeps its
// tools: what they would need is asked for when they have answered.
func (r *agentRun) more(spent *Usage, need int) (Grant, error) {
	if !r.yield(Step{Usage: spent}, nil) {
		return Grant{}, errStopped
	}
	return r.Purse.Take(r.ctx, need)
}

// begin returns the turn that a request asks for: with what was said of it
// before, if that is the first one.
func (r *agentRun) begin(req *Request) *turn {
	t := &turn{run: r}
	if r.Purse != nil {
		req.More = r.more
	}
	if req.Begun, r.begun = r.begun, nil; req.Begun != nil {
		t.said = true
		t.text.WriteString(req.Begun.Text)
	}
	return t
}

// spent passes on what a turn has cost that failed, and returns why it did.
func (r *agentRun) spent(t *turn, err error) error {
	if t.usage != nil && !r.yield(Step{Usage: t.usage}, nil) {
		return errStopped
	}
	return err
}

func (r *agentRun) offered() []tools.Spec {
	if c, ok := r.set.(Chooser); ok {
		return c.Offer(r.msgs)
	}
	return r.set.Specs()
}

// lastTurn tells a model that has used up its turns to answer with what it
// has.
const lastTurn = "\n\nYou cannot call tools any more. Answer now with what you have learned, and say what is missing."

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

func refusedCall(limit int) tools.Result {
	return tools.Failure("more than %d calls in one turn are not made; ask for fewer", limit)
}

// Describe returns what a person is told of a run's failure.
func Describe(err error) Failure {
	var e *Error
	var unfit *FormatError
	switch {
	case errors.As(err, &e):
		return Failure{Code: "model_" + string(e.Kind), Message: e.advice()}
	case errors.As(err, &unfit):
		return Failure{Code: "format", Message: unfit.advice()}
	case errors.Is(err, ErrTurns):
		return Failure{Code: "too_many_turns", Message: "The model kept asking for tools and never answered. Ask again, more narrowly."}
	}
	return Failure{Code: "internal", Message: "Something went wrong on our side. Try again."}
}

// advice says what happened and what to do about it.
func (e *Error) advice() string {
	said := ""
	if e.Message != "" {
		said = fmt.Sprintf(" It said: %s", e.Message)
	}
	switch e.Kind {
	case RateLimited:
		return "The model is asked too often at the moment. Try again in a little while." + said
	case Quota:
		return "The account at the model's provider is used up. Its owner has to look at the plan." + said
	case TooLong:
		return "This conversation has become too long for the model. Begin a new one." + said
	case Auth:
		return "The model's provider does not accept the key. The operator has to check PARLEY_MODEL_KEY." + said
	case NotFound:
		return "The model or its address does not exist. The operator has to check PARLEY_MODEL and PARLEY_MODEL_URL." + said
	case Refused:
		return "The model's provider refuses to answer this. Ask differently." + said
	case BadRequest:
		return "The model's provider did not understand the request." + said
	case Timeout:
		return "The model did not answer in time. Try again." + said
	case Truncated:
		return "The model's answer broke off. What came is kept; try again for a whole answer."
	case Malformed:
		return "The model's provider sent something that is not an answer. Try again." + said
	}
	return "The model cannot be reached at the moment. Try again." + said
}
