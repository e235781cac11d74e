// Package run answers whatever is due: it joins an agent, which knows nothing
// of Redis, to conversations' logs, which know nothing of models.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/picture"
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
	// Ask returns one interrupt of a conversation.
	Ask(ctx context.Context, conv, id string) (chat.Ask, error)
	// Answer stores decisions about interrupts, all or none; the first about
	// one counts. A run that waits for nothing more becomes due.
	Answer(ctx context.Context, conv string, ds []chat.Decision) ([]chat.Ask, error)
	// Abandon has a run that waits become due, to be ended; which one is
	// returned, "" for none.
	Abandon(ctx context.Context, conv, run string) (string, error)
	// Expire decides what nobody has decided in time.
	Expire(ctx context.Context, limit int) ([]chat.Expired, error)
	// Owners returns whose conversations are, those left out that are not there.
	Owners(ctx context.Context, convs []string) (map[string]string, error)
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
	// Asks returns all that a run has asked people, in that order.
	Asks(ctx context.Context, run string) ([]chat.Ask, error)
	// Conversation returns a conversation.
	Conversation(ctx context.Context, conv string) (chat.Conversation, error)
	// Retitle gives a conversation another title in the place of the one named,
	// unless it has yet another.
	Retitle(ctx context.Context, conv string, generation uint64, from, to string) error
	// Allowed returns the approval of a tool in a conversation, if it has one
	// of its own there.
	Allowed(ctx context.Context, conv, tool string) (tools.Approval, error)
}

// Toolbox says which tools a run that begins now may use.
type Toolbox interface {
	Set(ctx context.Context) (*tools.Set, error)
}

// Agents knows who answers. The default agent has the empty name too.
type Agents interface {
	// Newest returns who answers a run that begins now.
	Newest(ctx context.Context, name string) (*agents.Chosen, error)
	// Version returns who answers a run that has begun, whatever has become of
	// the agent since.
	Version(ctx context.Context, ref llm.AgentRef) (*agents.Chosen, error)
}

// Options are the settings of a [Runner]. Zero values are the defaults.
type Options struct {
	Answers   int           // runs at once on this replica, the rest waits: 256
	Gather    time.Duration // pieces of answers go out together on common ticks: 33 ms; negative: each by itself
	Scan      time.Duration // how often what is due is looked for: 250 ms
	Reconcile time.Duration // how often the store is asked what Redis has forgotten: 30 s
	MaxTries  int           // attempts at a run before it ends as interrupted, but for those that a drain ended: 5
	MaxRun    time.Duration // of one attempt at a run: 10 min
	History   int           // earlier messages that are read for a model, of which it is shown what fits: 400
	Drain     time.Duration // for handing runs over: 10 s
	Offered   int           // tools that a model is offered, the best of those that there are: 40; negative: all
	Approval  time.Duration // for which people are waited for: 24 h
	Hold      time.Duration // for which a message is held while Redis is away, before it is refused: 3 s

	Pins     Pins // where what conversations pin is kept; nil: nothing can be pinned
	PinsMost int  // feeds that a conversation may pin: 4
	Live     Live // what those say; nil: nothing

	PerPerson int                      // answers of one person at once, on all replicas: 3; negative: any number
	PerTenant int                      // answers of one tenant's people at once, on all replicas: any number
	Unbounded func(person string) bool // who may have any number all the same; nil: nobody
	Seats     Seats                    // where those are counted; nil: each replica counts for itself
	Files     Files                    // what is attached to messages; nil: it is only named
	PDFs      PDFs                     // reads PDFs for models that take none; nil: they are only named
	Shown     Shown                    // how much a model is shown of it
	Tending   Tending                  // what is done for a conversation once it is answered
	Short     func() bool              // there is no memory for another answer; nil: never
	Budgets   Budgets                  // what may be spent; zero: anything
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
	o.History = or(o.History, 400)
	o.Drain = or(o.Drain, 10*time.Second)
	if o.Offered == 0 {
		o.Offered = 40
	}
	o.Approval = or(o.Approval, 24*time.Hour)
	o.Hold = or(o.Hold, 3*time.Second)
	o.PinsMost = or(o.PinsMost, 4)
	o.Shown, o.Tending = o.Shown.withDefaults(), o.Tending.withDefaults()
	if o.PerPerson == 0 {
		o.PerPerson = 3
	}
	if o.Short == nil {
		o.Short = func() bool { return false }
	}
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
	agents    Agents
	toolbox   Toolbox
	log       *slog.Logger
	o         Options

	slots  chan struct{}
	nudges chan string   // conversations that this replica has just made due
	freed  chan struct{} // 1 slot: a slot has become free
	line   *line
	owners *owners
	room   waitingRoom
	fails  atomic.Int32 // claims in a row that failed
	probe  time.Time    // no claim before, if too many have; owned by schedule, as is hints
	hints  []string     // conversations that may be due
	pacer  *pacer

	pictures *picture.Shop
	held     *semaphore.Weighted // bytes of files that answers hold

	tendings chan struct{} // 1 slot for each conversation that is tended

	wg sync.WaitGroup // sessions
}

// New returns a Runner. Nothing is answered before Serve.
func New(queue *chat.Queue, inbox *chat.Inbox, questions Questions, answers Answers, agents Agents, toolbox Toolbox, log *slog.Logger, o Options) *Runner {
	o = o.withDefaults()
	return &Runner{
		queue: queue, inbox: inbox, questions: questions, answers: answers, agents: agents, toolbox: toolbox, log: log, o: o,
		slots: make(chan struct{}, o.Answers), tendings: make(chan struct{}, o.Tending.AtOnce), nudges: make(chan string, 64), freed: make(chan struct{}, 1),
		line: newLine(limits{o.most, o.mostOf}), owners: newOwners(questions.Owners), pacer: newPacer(o.Gather, queue.Together),
		pictures: picture.New(picture.Options{Side: o.Shown.Side}), held: semaphore.NewWeighted(o.Shown.Held),
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
	own.Go(func() { r.expire(ctx) })
	r.schedule(ctx, work)
	stop(errDrain)
	r.wg.Wait()
	own.Wait()
	return nil
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
		if err != nil || rec.Status.Rests() {
			return stored, err
		}
	}
	return stored, r.post(ctx, stored.Conversation, stored.Owner, itemOf(stored))
}

// Cancel ends a run, on whichever replica it is. It takes effect through the
// log. One that waits for people ends in the store first.
func (r *Runner) Cancel(ctx context.Context, conv, run string) error {
	waited, err := r.questions.Abandon(ctx, conv, run)
	if err != nil {
		return fmt.Errorf("run: cancel: %w", err)
	}
	if waited != "" {
		return r.post(ctx, conv, "", lookItem(run, "abandoned"))
	}
	return r.post(ctx, conv, "", chat.Item{ID: cancelID(run), Kind: chat.Cancel, Run: run})
}

// Deleted ends what goes on in a conversation that the store has no more, and
// tells all who follow it, on all replicas.
func (r *Runner) Deleted(ctx context.Context, conv string) error {
	return r.inbox.Deleted(ctx, conv)
}

// ErrUnheard is returned when Redis is away: a question is in the store then,
// and will be answered, but nobody could be told of it.
var ErrUnheard = errors.New("run: Redis is away")

// post puts an item into the inbox. While Redis is away, for a moment, it is
// held; longer than that the person is to know.
func (r *Runner) post(ctx context.Context, conv, owner string, it chat.Item) error {
	held, cancel := context.WithTimeout(ctx, r.o.Hold)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		claimable, err := r.inbox.Post(held, conv, it)
		if err == nil {
			if claimable {
				r.nudge(conv, owner)
			}
			return nil
		}
		if pause(held, wait); held.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnheard, err)
		}
	}
}

func cancelID(run string) string { return "cancel." + run }

func itemOf(q chat.Question) chat.Item {
	it := chat.Item{ID: q.Run, Kind: chat.Say, Run: q.Run, Message: &q.Message, Replaces: q.Replaces, Edits: q.Edits}
	switch {
	case q.Replaces != "":
		it.Kind = chat.Regenerate
	case q.Edits != "":
		it.Kind = chat.Edit
	}
	return it
}
