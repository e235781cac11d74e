// Package run answers whatever is due: it joins an agent, which knows nothing
// of Redis, to conversations' logs, which know nothing of models.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// Questions is where a question is kept before it is acknowledged.
type Questions interface {
	// Accept stores a question once: the same client id again in one
	// conversation gets the question stored first, and fresh is false.
	Accept(ctx context.Context, q chat.Question) (stored chat.Question, fresh bool, err error)
	// Asked returns the question that was accepted under a client id.
	Asked(ctx context.Context, conv, clientID string) (chat.Question, error)
	// Pending returns the questions of a conversation whose runs have not
	// ended, in the order in which they were accepted.
	Pending(ctx context.Context, conv string) ([]chat.Question, error)
	// Due returns questions without a whole answer, accepted before a time.
	Due(ctx context.Context, before time.Time, limit int) ([]chat.Question, error)
}

// Answers is where the holder of a conversation's lease keeps what is
// finished.
type Answers interface {
	Archive(ctx context.Context, conv string, generation uint64, b chat.Batch) error
	History(ctx context.Context, conv, before string, limit int) (msgs []llm.Message, next string, err error)
	RunRecord(ctx context.Context, run string) (chat.RunRecord, error)
	// Guard reports whether this is the first time that anybody is about to
	// make a call. It is asked before each call that must not be made twice.
	Guard(ctx context.Context, run, call, by string) (first bool, err error)
}

// Toolbox says which tools a run that begins now may use.
type Toolbox interface {
	Set(ctx context.Context) (*tools.Set, error)
}

// Options are the settings of a [Runner]. Zero values are the defaults.
type Options struct {
	Answers   int           // runs at once on this replica, the rest waits: 256
	Gather    time.Duration // pieces of answers go out together on common ticks: 33 ms; negative: each by itself
	Scan      time.Duration // how often what is due is looked for: 250 ms
	Reconcile time.Duration // how often the store is asked what Redis has forgotten: 30 s
	MaxTries  int           // attempts at a run before it ends as interrupted: 5
	MaxRun    time.Duration // of one attempt at a run: 10 min
	History   int           // earlier messages that a model is shown: 100
	Drain     time.Duration // for handing runs over: 10 s
}

func (o Options) withDefaults() Options {
	o.Answers = or(o.Answers, 256)
	if o.Gather == 0 {
		o.Gather = 33 * time.Millisecond
	}
	o.Scan = or(o.Scan, 250*time.Millisecond)
	o.Reconcile = or(o.Reconcile, 30*time.Second)
	o.MaxTries = or(o.MaxTries, 5)
	o.MaxRun = or(o.MaxRun, 10*time.Minute)
	o.History = or(o.History, 100)
	o.Drain = or(o.Drain, 10*time.Second)
	return o
}

func or[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// A Runner answers the conversations that are due. Every replica has one, and
// any of them may take up any run. All methods may be called concurrently;
// Serve is called once.
type Runner struct {
	queue     *chat.Queue
	inbox     *chat.Inbox
	questions Questions
	answers   Answers
	agent     *llm.Agent
	toolbox   Toolbox
	log       *slog.Logger
	o         Options

	slots  chan struct{}
	nudges chan string   // conversations that this replica has just made due
	rescan chan struct{} // 1 slot: a slot has become free while something waited
	pacer  *pacer
	wg     sync.WaitGroup // sessions
}

// New returns a Runner. Nothing is answered before Serve.
func New(queue *chat.Queue, inbox *chat.Inbox, questions Questions, answers Answers, agent *llm.Agent, toolbox Toolbox, log *slog.Logger, o Options) *Runner {
	o = o.withDefaults()
	return &Runner{
		queue: queue, inbox: inbox, questions: questions, answers: answers, agent: agent, toolbox: toolbox, log: log, o: o,
		slots: make(chan struct{}, o.Answers), nudges: make(chan string, 64), rescan: make(chan struct{}, 1), pacer: newPacer(o.Gather, queue.Together),
	}
}

// Running returns how many conversations this replica writes at the moment.
func (r *Runner) Running() int { return len(r.slots) }

// errDrain is the cause of the end of what is handed over.
var errDrain = errors.New("run: this replica is shutting down")

// Serve answers what is due until ctx ends; then it hands over what it was
// answering and returns.
func (r *Runner) Serve(ctx context.Context) error {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var own sync.WaitGroup
	own.Go(func() { r.pacer.run(work) })
	own.Go(func() { r.reconcile(ctx) })
	r.schedule(ctx, work)
	stop(errDrain)
	r.wg.Wait()
	own.Wait()
	return nil
}

func (r *Runner) schedule(ctx, work context.Context) {
	scan := time.NewTimer(0)
	defer scan.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case conv := <-r.nudges:
			r.try(work, conv, true)
		case conv := <-r.queue.Due():
			r.try(work, conv, false)
		case <-r.rescan:
			r.scan(ctx, work)
		case <-scan.C:
			r.scan(ctx, work)
			scan.Reset(r.o.Scan + rand.N(r.o.Scan/4))
		}
	}
}

func (r *Runner) scan(ctx, work context.Context) {
	room := cap(r.slots) - len(r.slots)
	if room == 0 {
		return
	}
	due, err := r.queue.Scan(ctx, room)
	if err != nil && ctx.Err() == nil {
		r.log.Warn("looking for what is due", "error", err)
	}
	for _, conv := range due {
		r.try(work, conv, false)
	}
}

// try claims a conversation and answers it, if this replica has room.
// Otherwise it wakes the others, if only this one knows.
func (r *Runner) try(work context.Context, conv string, alone bool) {
	select {
	case r.slots <- struct{}{}:
	default:
		if alone {
			r.wg.Go(func() { r.queue.Wake(work, conv) })
		}
		return
	}
	r.wg.Go(func() {
		defer r.free()
		r.serve(work, conv)
	})
}

func (r *Runner) free() {
	full := len(r.slots) == cap(r.slots)
	<-r.slots
	if full {
		select {
		case r.rescan <- struct{}{}:
		default:
		}
	}
}

func (r *Runner) serve(work context.Context, conv string) {
	if work.Err() != nil {
		return
	}
	// A claim that has begun is carried through, also when this replica shuts
	// down meanwhile: half of it would keep the conversation waiting for a ttl.
	ctx, done := context.WithTimeout(context.WithoutCancel(work), r.o.Drain)
	defer done()
	lease, err := r.queue.Claim(ctx, conv)
	if err != nil {
		r.log.Warn("claim", "conversation", conv, "error", err)
	}
	if err != nil || lease == nil {
		return
	}
	s := newSession(r, lease)
	if err := s.serve(work); err != nil && !errors.Is(err, chat.ErrFenced) && !errors.Is(err, errDrain) {
		r.log.Error("conversation", "id", conv, "error", err)
	}
}

// Say takes a question: when it returns, the question is in the store and
// will be answered. The same client id again gets the first question.
func (r *Runner) Say(ctx context.Context, q chat.Question) (chat.Question, error) {
	stored, fresh, err := r.questions.Accept(ctx, q)
	if err != nil {
		return stored, fmt.Errorf("run: accept: %w", err)
	}
	if !fresh {
		rec, err := r.answers.RunRecord(ctx, stored.Run)
		if err != nil || rec.Status.Ended() {
			return stored, err
		}
	}
	return stored, r.post(ctx, stored.Conversation, itemOf(stored))
}

// Cancel ends a run, on whichever replica it is. It takes effect through the
// log.
func (r *Runner) Cancel(ctx context.Context, conv, run string) error {
	return r.post(ctx, conv, chat.Item{ID: cancelID(run), Kind: chat.Cancel, Run: run})
}

func (r *Runner) post(ctx context.Context, conv string, it chat.Item) error {
	claimable, err := r.inbox.Post(ctx, conv, it)
	if err != nil {
		return err
	}
	if claimable {
		select {
		case r.nudges <- conv:
		default: // the next scan finds it
		}
	}
	return nil
}

func cancelID(run string) string { return "cancel." + run }

func itemOf(q chat.Question) chat.Item {
	it := chat.Item{ID: q.Run, Kind: chat.Say, Run: q.Run, Message: &q.Message, Replaces: q.Replaces}
	if q.Replaces != "" {
		it.Kind = chat.Regenerate
	}
	return it
}
