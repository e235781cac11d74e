// Package bench is a load generator for Parley that checks what it is told: it
// is the model that answers, all who ask and all who follow, so that it knows
// of every piece when it was said, when it was heard, and whether any was
// missed, doubled or changed on the way.
package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/llm"
)

// A load is one run of `parley bench`: the model, the clients, and the
// replicas if they are its own. run is called once; what links and slots call
// may be called concurrently.
type load struct {
	o        Options
	nonce    string // in every question: other runs' are none of this one's
	stderr   io.Writer
	began    time.Time // zero of the load's clock
	model    *model
	tally    tally
	targets  []client.Target
	apis     []*client.Client
	ops      []string
	redis    *redis.Client // whose CPU time is measured; nil for none
	replicas []*ownReplica
	folder   string

	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // links
	ready  chan struct{}  // one for each link that stands for the first time
	begun  chan struct{}  // one for each slot whose first answer is heard
	opens  *rate.Limiter

	closing atomic.Bool  // no more questions are asked
	unheard atomic.Int64 // ends of answers that followers are yet to hear

	mu    sync.Mutex // guards all below
	convs []string   // that were made
	links []*link
	notes int

	slots   []*slot // this and the next are owned by run
	figures figures
}

// figures are what run has measured beside the tally.
type figures struct {
	machine        float64 // load before anything began
	opening        time.Duration
	dialled        int
	idleKiB        float64 // resident, for each idle connection
	hasIdle        bool
	begin, end     cost
	open           bool // the window has been opened
	interrupted    bool
	unended        int64 // followers that have not heard the end of an answer
	generatorBytes int64
}

// Run measures what the options say, tells stderr what it does meanwhile,
// and returns what it has found, also if it was ended early: then the error
// is why. The report is nil if nothing was measured. When it returns, all
// clients are gone, and so is what it has started.
func Run(ctx context.Context, o Options, stderr io.Writer) (*Report, error) {
	l := newLoad(o, stderr)
	defer l.stopOwn()
	defer l.model.close()
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	err := l.run(ctx)
	if !l.measured() {
		return nil, err
	}
	r := l.report()
	return &r, err
}

// begin has the model listen, and starts the replicas if they are bench's own.
func (l *load) begin(ctx context.Context) error {
	if len(l.o.Targets) == 0 {
		return l.startOwn(ctx)
	}
	l.targets, l.ops = l.o.Targets, l.o.Ops
	return l.model.listen(ctx, cmp.Or(l.o.ModelAddr, "127.0.0.1:9099"))
}

func newLoad(o Options, stderr io.Writer) *load {
	l := &load{
		o: o, nonce: strings.ToLower(rand.Text()[:8]), stderr: stderr, began: time.Now(),
		ready: make(chan struct{}, o.sockets()), begun: make(chan struct{}, o.Answers),
		opens: rate.NewLimiter(rate.Limit(o.Dials), max(1, o.Dials/50)),
	}
	l.model = &model{
		text: text{o.Size}, every: time.Duration(float64(time.Second) / o.Rate), now: l.now, answers: map[string]*answer{},
	}
	return l
}

// now is the load's clock, in nanoseconds: that of the model and of all
// followers.
func (l *load) now() int64 { return int64(time.Since(l.began)) }

// pieces is how many pieces an answer has.
func (l *load) pieces() int { return max(1, int(l.o.Rate*l.o.Length.Seconds())) }

// stop ends the run for a reason that no client can mend.
func (l *load) stop(err error) { l.cancel(err) }

// note tells the person something, if that was not told very often.
func (l *load) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.notes++; l.notes <= 20 {
		fmt.Fprintf(l.stderr, "parley bench: "+format+"\n", args...)
	}
}

// tell says what is being done.
func (l *load) tell(format string, args ...any) { fmt.Fprintf(l.stderr, format+" …\n", args...) }

// measured reports whether there is anything to report.
func (l *load) measured() bool { return l.figures.open }

// run measures. Whatever it returns, all clients are gone then.
func (l *load) run(ctx context.Context) error {
	ctx, l.cancel = context.WithCancelCause(ctx)
	l.prepare()
	err := l.phases(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	l.figures.interrupted = err != nil
	if l.figures.open && l.figures.end.at.IsZero() {
		l.shut(ctx)
	}
	l.cancel(nil)
	l.hangUp()
	l.cleanUp(ctx)
	return err
}

// prepare makes what the phases use.
func (l *load) prepare() {
	for _, t := range l.targets {
		l.apis = append(l.apis, &client.Client{Target: t, HTTP: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 16, MaxConnsPerHost: 16}}})
	}
	if l.o.Redis != "" {
		o, err := redis.ParseURL(l.o.Redis)
		if err == nil {
			l.redis = redis.NewClient(o)
		} else {
			l.note("the CPU time of a Redis of several servers is not measured")
		}
	}
	l.figures.machine = machineLoad()
}

func (l *load) phases(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{l.checkModel, l.openIdle, l.openAnswers, l.ask, l.window, l.finish} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checkModel asks each address one question, to see that bench is its model.
func (l *load) checkModel(ctx context.Context) error {
	for i, c := range l.apis {
		a := newAnswer(fmt.Sprintf("%s-check-%d", l.nonce, i), min(5, l.pieces()), 0)
		l.model.add(a)
		err := l.checkOne(ctx, c, a)
		l.model.remove(a)
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *load) checkOne(ctx context.Context, c *client.Client, a *answer) error {
	var out struct {
		Conversation, Status string
		Answer               *llm.Message
		Failure              *llm.Failure
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second+time.Duration(a.pieces)*l.model.every)
	defer cancel()
	err := c.SendJSON(ctx, http.MethodPost, "/v1/conversations/new/messages?wait=60s", client.Said{ClientID: a.key, Content: a.question()}, &out)
	l.made(out.Conversation)
	f := follower{text: l.model.text}
	switch {
	case a.arrived.Load() == 0 && (err == nil || errors.Is(err, context.DeadlineExceeded)):
		return fmt.Errorf("bench is not the model of the Parley at %s: it was asked a question, and bench was not. Start that Parley with\n"+
			"  PARLEY_MODEL=bench PARLEY_TITLES=false PARLEY_MODEL_URL=%s PARLEY_ANSWERS=%d PARLEY_MAX_CONNECTIONS_PER_PERSON=%d parley serve\n"+
			"or leave --url out, and bench starts one of its own", c.Target.URL, l.model.url(), max(256, l.o.Answers+16), maxSockets)
	case err != nil:
		return fmt.Errorf("%s: %w", c.Target.URL, err)
	case out.Failure != nil:
		return fmt.Errorf("the Parley at %s did not answer a question: %s", c.Target.URL, plain.Text(out.Failure.Message))
	case out.Answer == nil || out.Answer.Content != f.whole(a.pieces):
		return fmt.Errorf("the Parley at %s did not answer a question with what the model said (the run is %s)", c.Target.URL, plain.Text(out.Status))
	}
	return nil
}

func (l *load) made(conv string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conv != "" {
		l.convs = append(l.convs, conv)
	}
}

// newConversation makes a conversation at an address.
func (l *load) newConversation(ctx context.Context, at int) (string, error) {
	var c struct{ ID string }
	a := l.apis[at%len(l.apis)]
	if err := a.Do(ctx, client.Request{Method: http.MethodPost, Path: "/v1/conversations"}, &c); err != nil {
		return "", fmt.Errorf("%s: %w", a.Target.URL, err)
	}
	l.made(c.ID)
	return c.ID, nil
}

// start has a link live until the end.
func (l *load) start(ctx context.Context, k *link) {
	k.l = l
	l.mu.Lock()
	l.links = append(l.links, k)
	l.mu.Unlock()
	l.wg.Go(func() {
		if k.conv == "" {
			apart(func() { k.begin(ctx) })
		}
		k.live(ctx)
	})
}

// begin makes the conversation that is followed.
func (k *link) begin(ctx context.Context) {
	var err error
	if k.conv, err = k.l.newConversation(ctx, k.home); err != nil {
		k.l.stop(err)
	}
}

// await waits for n of something.
func await(ctx context.Context, n int, of <-chan struct{}) error {
	for range n {
		select {
		case <-of:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// warm is how many of the idle connections are opened before memory is read:
// what the first ones bring is no part of the rest.
const warm = 50

// openIdle opens the connections in which nothing happens.
func (l *load) openIdle(ctx context.Context) error {
	if l.o.Idle == 0 {
		return nil
	}
	l.tell("Opening %s idle connections", grouped(l.o.Idle))
	first := min(warm, l.o.Idle/2)
	if err := l.idlers(ctx, 0, first); err != nil {
		return err
	}
	before := l.settled(ctx)
	begin := time.Now()
	if err := l.idlers(ctx, first, l.o.Idle); err != nil {
		return err
	}
	l.figures.opening, l.figures.dialled = time.Since(begin), l.o.Idle-first
	after := l.settled(ctx)
	l.figures.hasIdle = before.hasReplicas && after.hasReplicas
	l.figures.idleKiB = (after.rss - before.rss) / 1024 / float64(l.o.Idle-first)
	return ctx.Err()
}

func (l *load) idlers(ctx context.Context, from, to int) error {
	for i := from; i < to; i++ {
		if err := l.opens.Wait(ctx); err != nil {
			return err
		}
		l.start(ctx, &link{home: i, sub: true})
	}
	return await(ctx, to-from, l.ready)
}

// settled returns what is used once memory has settled.
func (l *load) settled(ctx context.Context) cost {
	if len(l.ops) == 0 {
		return cost{}
	}
	l.collect(ctx)
	client.Pause(ctx, l.o.Settle)
	l.collect(ctx)
	return l.cost(ctx)
}

// hangUp ends all connections and waits for their goroutines.
func (l *load) hangUp() {
	l.figures.generatorBytes = ownRSS()
	l.mu.Lock()
	links := slices.Clone(l.links)
	l.mu.Unlock()
	for _, k := range links {
		k.close()
	}
	l.wg.Wait()
}

// Bounds of removing what was made.
const (
	cleanTimeout = 30 * time.Second
	cleaners     = 16
)

// cleanUp removes the conversations from a Parley that is not bench's own.
func (l *load) cleanUp(ctx context.Context) {
	if l.redis != nil {
		_ = l.redis.Close()
	}
	if l.folder != "" || len(l.convs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	convs, left := make(chan string), atomic.Int64{}
	var wg sync.WaitGroup
	for i := range cleaners {
		wg.Go(func() {
			for conv := range convs {
				if l.apis[i%len(l.apis)].Do(ctx, client.Request{Method: http.MethodDelete, Path: "/v1/conversations/" + conv}, nil) != nil {
					left.Add(1)
				}
			}
		})
	}
	for _, conv := range l.convs {
		convs <- conv
	}
	close(convs)
	wg.Wait()
	if n := left.Load(); n > 0 {
		l.note("%d of the conversations that were made could not be removed", n)
	}
}
