package llm

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// ChainOptions are the settings of a [Chain]. Zero values are the defaults.
type ChainOptions struct {
	Retry    time.Duration // before the one retry with the same model, and up to a quarter second more: 500 ms
	Patience time.Duration // longest Retry-After that is waited for: 5 s
	Budget   int           // retries with one provider in a row; ten requests earn one back: 10
	Failures int           // of a model in a row, after which it rests: 3
	Rest     time.Duration // before a resting model is tried with one request: 30 s
	Log      *slog.Logger  // who did not answer, and who rests; nil: nobody is told
	Prices   Prices        // of the models; nil: nothing is known of what they cost, and what nobody counts is not estimated
}

// A Chain is models of which each stands in for those before it. As a [Model]
// it bears the name of the first. All methods may be called concurrently.
//
// What fails before the first piece is asked of the same model once more if
// that may help, and then of the next. A model whose operator made a mistake
// (its key, its name, its account) is not asked again and the next is; what
// is wrong with the request itself (a bad request, too long, refused) fails
// at once, since the next would be sent the same. What fails behind the first
// piece goes on with the same model, if that continues what it has begun, and
// else begins anew with the next one, as often as [Request.Restarts] allows:
// two models' halves never become one answer. An answer that has [Request.Begun]
// is first asked of the model that has begun it. Calls and usage are
// handed on at the end of an answer, usage with what failed answers cost.
//
// A model that fails again and again rests: it is passed over, and asked only
// if all others fail. Each process finds that out for itself.
type Chain struct {
	links []*link
	opts  ChainOptions
}

var _ Model = (*Chain)(nil)

// A link is one model of a chain.
type link struct {
	model    Model
	provider string
	protocol string // name of the provider alone
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}]
	budget   *budget // shared by all models of the provider

	refuses atomic.Bool // to go on with what it has begun, whatever its provider says

	asked, failed, retried, stoodIn atomic.Int64
	tally                           tally
}

// NewChain returns a chain of models, the first choice first. There must be
// one at least.
func NewChain(opts ChainOptions, models ...Model) *Chain {
	opts.Retry = orDefault(opts.Retry, 500*time.Millisecond)
	opts.Patience = orDefault(opts.Patience, 5*time.Second)
	opts.Budget = orDefault(opts.Budget, 10)
	opts.Failures = orDefault(opts.Failures, 3)
	opts.Rest = orDefault(opts.Rest, 30*time.Second)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	c := &Chain{opts: opts}
	budgets := map[string]*budget{}
	for _, m := range models {
		at := placeOf(m)
		if budgets[at] == nil {
			budgets[at] = newBudget(opts.Budget)
		}
		c.links = append(c.links, &link{model: m, provider: at, protocol: protocolOf(m), breaker: opts.breaker(m.Name(), at), budget: budgets[at]})
	}
	return c
}

// placeOf names who has a model, and where: "" if it does not say.
func placeOf(m Model) string {
	p, ok := Bare(m).(interface {
		Provider() string
		Host() string
	})
	if !ok {
		return ""
	}
	return p.Provider() + " at " + p.Host()
}

// protocolOf names a model's provider.
func protocolOf(m Model) string {
	if p, ok := m.(interface{ Provider() string }); ok {
		return p.Provider()
	}
	return m.Name()
}

func (o ChainOptions) breaker(model, provider string) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: model, MaxRequests: 1, Timeout: o.Rest,
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= o.Failures },
		IsExcluded:  func(err error) bool { return err == errNobody },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			o.Log.Warn("model", "model", model, "provider", provider, "was", stateName(from), "is", stateName(to))
		},
	})
}

// errNobody is the outcome of a request that says nothing of its model.
var errNobody = errors.New("llm: nobody's fault")

// Name returns the name of the first model.
func (c *Chain) Name() string { return c.links[0].model.Name() }

// Takes returns what any of the models takes: whichever is asked says in words
// what it does not.
func (c *Chain) Takes(ctx context.Context) (all Input) {
	for _, l := range c.links {
		in := InputOf(ctx, l.model)
		all = Input{Image: all.Image || in.Image, Audio: all.Audio || in.Audio, PDF: all.PDF || in.PDF}
	}
	return all
}

// Stream asks the models, see [Chain] and [Model].
func (c *Chain) Stream(ctx context.Context, req Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		t := &chainTurn{Chain: c, ctx: ctx, req: req, yield: yield, told: c.links[0]}
		t.takeUp(req.Begun)
		if err := t.run(); err != nil && err != errStopped {
			t.fail(err)
		}
	}
}

// A chainTurn is one request to a chain.
type chainTurn struct {
	*Chain
	ctx      context.Context
	req      Request
	yield    func(Chunk, error) bool
	missed   []Missed
	spent    *Usage // of what failed
	poor     bool   // no more may be spent
	said     bool   // something was handed on
	begun    bool   // by the model that is asked now
	restarts int
	resumed  int // times that a model was asked to go on with what it had just said

	by    *link           // who has said text
	text  strings.Builder // of the answer, if by continues what it has begun
	mused bool            // there were thoughts among it
	seam  *seam           // to what was said before, nil for none
	told  *link           // who the consumer has been told answers
	news  int             // how much of missed it has been told
}

// run asks all models that do not rest, then those that do: somebody must.
func (t *chainTurn) run() error {
	var err error
	var resting []*link
	for _, l := range t.order() {
		done, ok := l.admit()
		if !ok {
			resting = append(resting, l)
			t.missed = append(t.missed, Missed{Model: l.model.Name(), Kind: Resting})
			continue
		}
		if err = t.try(l, done); !t.goesOn(l, err) {
			return err
		}
	}
	for _, l := range resting {
		t.missed = slices.DeleteFunc(t.missed, func(m Missed) bool { return m.Model == l.model.Name() && m.Kind == Resting })
		if err = t.ask(l, func(error) {}); !t.goesOn(l, err) {
			return err
		}
	}
	return err
}

// admit returns what to call with the outcome of a request, unless the model
// rests.
func (l *link) admit() (done func(error), ok bool) {
	done, err := l.breaker.Allow()
	return done, err == nil
}

// try asks a model, and once more if it failed before it said anything and
// may do better.
func (t *chainTurn) try(l *link, done func(error)) error {
	err := t.ask(l, done)
	for t.goesOnWith(l, err) {
		done, ok := l.admit()
		if !ok {
			return err
		}
		err = t.ask(l, done)
	}
	var e *Error
	if t.begun || !errors.As(err, &e) || !e.Retryable() || t.ctx.Err() != nil {
		return err
	}
	last := l == t.links[len(t.links)-1]
	if e.RetryAfter > t.opts.Patience && !last || !l.budget.spend() {
		return err
	}
	wait := max(t.opts.Retry, min(e.RetryAfter, t.opts.Patience))
	if !sleep(t.ctx, wait+rand.N(250*time.Millisecond)) {
		return t.ctx.Err()
	}
	done, ok := l.admit()
	if !ok {
		return err
	}
	l.retried.Add(1)
	return t.ask(l, done)
}

func sleep(ctx context.Context, d time.Duration) (slept bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// ask makes one request and settles what it says of the model.
func (t *chainTurn) ask(l *link, done func(error)) error {
	if err := t.afford(l); err != nil {
		done(errNobody)
		return err
	}
	l.asked.Add(1)
	l.budget.earn()
	t.begun = false
	err := t.stream(l)
	if t.ctx.Err() != nil && err != nil && err != errStopped {
		err = t.ctx.Err()
	}
	switch {
	case err == errStopped, t.ctx.Err() != nil:
		done(errNobody)
	case err != nil && t.atFault(err):
		l.failed.Add(1)
		done(err)
	default:
		done(nil)
	}
	return err
}

// atFault reports whether an error is the model's, and not the request's.
func (t *chainTurn) atFault(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Kind != BadRequest && e.Kind != TooLong && e.Kind != Refused
}

// goesOn reports whether the next model is asked after what came of l.
func (t *chainTurn) goesOn(l *link, err error) bool {
	if err == nil || err == errStopped || t.poor || t.ctx.Err() != nil || !t.atFault(err) {
		return false
	}
	began := t.spoke(l)
	if began && t.restarts >= t.req.Restarts {
		return false
	}
	if began {
		t.restarts++
	}
	t.missed = append(t.missed, Missed{Model: l.model.Name(), Kind: kindOf(err), Began: began})
	t.opts.Log.Warn("model did not answer", "model", l.model.Name(), "provider", l.provider, "began", began, "error", err)
	return true
}

func kindOf(err error) Kind {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Kind
	}
	return Unavailable
}

// fail ends the turn with an error, behind what it cost.
func (t *chainTurn) fail(err error) {
	if t.spent != nil && !t.yield(Chunk{Usage: t.spent}, nil) {
		return
	}
	t.yield(Chunk{}, err)
}

// stream hands on what a model says: words at once, calls and usage when it
// is done.
func (t *chainTurn) stream(l *link) error {
	var calls []*ToolCall
	var usage *Usage
	said := 0
	for c, err := range l.model.Stream(t.ctx, t.asked(l)) {
		if c.Usage != nil {
			usage = c.Usage
		}
		if c.Call != nil {
			calls = append(calls, c.Call)
			said += len(c.Call.Function.Arguments)
		}
		if said += len(c.Text) + len(c.Reasoning); err != nil {
			t.spend(t.account(l, usage, said, err))
			return err
		}
		c.Usage, c.Call = nil, nil
		t.join(&c)
		if c.Finish != "" {
			return t.finish(l, c, calls, t.account(l, usage, said, nil))
		}
		if (c.Text != "" || c.Reasoning != "") && !t.hand(l, c) {
			return errStopped
		}
	}
	err := &Error{Kind: Truncated, Provider: l.provider, Message: "the model's stream ended before its answer did"}
	t.spend(t.account(l, usage, said, err))
	return err
}

func (t *chainTurn) spend(u *Usage) {
	if u == nil {
		return
	}
	sum := *u
	if t.spent != nil {
		sum = t.spent.Add(sum)
	}
	t.spent = &sum
}

// finish hands on the end of an answer.
func (t *chainTurn) finish(l *link, end Chunk, calls []*ToolCall, usage *Usage) error {
	if t.spent != nil || usage != nil {
		t.spend(usage)
		end.Usage = t.spent
	}
	for _, c := range calls {
		if !t.hand(l, Chunk{Call: c}) {
			return errStopped
		}
	}
	if !t.hand(l, end) {
		return errStopped
	}
	return nil
}

// hand hands on one piece, behind the news that another model says it than was
// said before, or that what was said is void.
func (t *chainTurn) hand(l *link, c Chunk) bool {
	if !t.begun && !t.tell(l) {
		return false
	}
	t.begun, t.said = true, true
	t.note(l, c)
	return t.yield(c, nil)
}

func (t *chainTurn) tell(l *link) bool {
	anew := t.said && t.seam == nil
	if anew {
		t.text.Reset()
		t.mused = false
	}
	if l == t.told && len(t.missed) == t.news && !anew {
		return true
	}
	if len(t.missed) > t.news {
		l.stoodIn.Add(1)
	}
	t.told, t.news = l, len(t.missed)
	return t.yield(Chunk{StandIn: &StandIn{Model: l.model.Name(), Missed: slices.Clone(t.missed), Anew: anew}}, nil)
}
