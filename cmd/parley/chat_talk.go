package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
)

const (
	patience   = 2 * time.Minute // without a connection, where nobody looks on
	silenceBye = 5 * time.Second // after bye the server closes; if not, we do
)

// A talk is a client's end of conversations: it keeps the connection, the
// state of the one conversation that is followed, and the question whose
// answer is awaited. One goroutine, run, does everything; nothing here may be
// called from another.
type talk struct {
	api         *client.Client
	screen      *screen
	lines       <-chan string // what is asked; closed at the end
	signals     <-chan os.Signal
	interactive bool // somebody sits before it
	maxMessage  int
	firstPause  time.Duration

	link    *client.Link // nil while none is dialled
	up      bool         // welcomed
	lastID  int
	pauses  int           // since the last welcome
	byeWait time.Duration // as bye asked for
	lostAt  time.Time     // since when there is no connection
	redial  *time.Timer
	retry   *time.Timer // of orders that the server was too busy for
	silence *time.Timer

	pending []*sending
	conv    string
	subID   string // of the sub under way, empty for none
	synced  bool   // state is what the server has
	state   chat.State
	at      chat.Position
	asked   *question       // whose answer is awaited
	ask     *chat.Interrupt // what the awaited answer waits for, and the person is asked
	told    string          // the interrupt about which they have told the server
	failed  bool            // an answer has
	stopped bool            // the person has stopped one, where that is the end
	over    bool            // there are no more lines
}

// A sending is an order that the server has not acknowledged. It is sent
// again over every new connection, which is safe by its client id.
type sending struct {
	client.Order
	tries int
}

// A question is what an answer is awaited for.
type question struct {
	clientID string // empty for one that was asked elsewhere
	run      string // empty until acknowledged
	message  string
	before   string // the run whose answer is given anew
	seen     bool   // in the conversation
	stops    int    // how often its answer was to be stopped
	told     bool   // that it waits
	ahead    int    // of it, as was told last
}

func newTalk(a *app, c *client.Client, f chatFlags, info serverInfo) *talk {
	st := style{colour: a.isTerminal(a.stdout) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb", quiet: f.quiet}
	t := &talk{
		api: c, screen: &screen{out: a.stdout, notes: a.stderr, style: st}, signals: a.signals,
		interactive: f.once == "" && a.isTerminal(a.stdin),
		maxMessage:  info.Limits.MaxMessage, firstPause: a.pause, conv: f.conversation, lostAt: time.Now(),
		redial: stoppedTimer(), retry: stoppedTimer(), silence: stoppedTimer(),
	}
	if t.firstPause == 0 {
		t.firstPause = client.FirstPause
	}
	if t.interactive {
		t.screen.note("%s at %s, model %s. /help shows what you can do.", plain.Line(info.Name), c.Target.URL, plain.Line(info.Model))
	}
	return t
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// close ends the connection and says how to go on later.
func (t *talk) close() {
	if t.link != nil {
		t.link.Close()
	}
	if t.conv != "" {
		t.screen.note("To go on with this conversation: parley chat --server %s --conversation %s", t.api.Target.URL, t.conv)
	}
}

// errLeave ends a talk because the person wants it.
var errLeave = errors.New("chat: leave")

func (t *talk) run(ctx context.Context) error {
	t.link = client.Dial(ctx, t.api.Target, t.api.HTTP.Jar)
	for {
		if t.idle() && t.over {
			return t.result()
		}
		if (t.idle() || t.deciding()) && t.interactive {
			t.screen.prompt()
		}
		if err := t.step(ctx); errors.Is(err, errLeave) {
			return t.result()
		} else if err != nil {
			return err
		}
	}
}

// result is how a talk that was held to its end went.
func (t *talk) result() error {
	switch {
	case t.stopped:
		return exitError(exitInterrupted)
	case t.failed && !t.interactive:
		return exitError(exitFailed)
	}
	return nil
}

// idle reports whether the next question may be asked.
func (t *talk) idle() bool {
	return t.asked == nil && len(t.pending) == 0 && (t.conv == "" || t.synced)
}

// step waits for one thing to happen and deals with it.
func (t *talk) step(ctx context.Context) error {
	var frames <-chan client.Frame
	if t.link != nil {
		frames = t.link.Frames
	}
	lines := t.lines
	if !t.idle() && !t.deciding() || t.over {
		lines = nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case f, ok := <-frames:
		if !ok {
			return t.lost(t.link.Err)
		}
		return t.frame(ctx, f)
	case line, ok := <-lines:
		return t.line(ctx, line, ok)
	case s := <-t.signals:
		return t.signal(ctx, s)
	case <-t.redial.C:
		t.link = client.Dial(ctx, t.api.Target, t.api.HTTP.Jar)
	case <-t.retry.C:
		if !t.synced && t.subID == "" {
			t.subscribe(ctx)
		}
		t.resend(ctx)
	case <-t.silence.C:
		t.link.Abort() // its end comes as a closed channel
	}
	return nil
}

// lost plans the next connection, if another is worth trying.
func (t *talk) lost(err error) error {
	t.link, t.up, t.synced, t.subID = nil, false, false, ""
	t.silence.Stop()
	var lost *client.LostError
	if err != nil && !errors.As(err, &lost) && !errors.Is(err, context.Canceled) {
		return err
	}
	if t.lostAt.IsZero() {
		t.lostAt = time.Now()
	}
	if !t.interactive && time.Since(t.lostAt) > patience {
		return err
	}
	wait := t.pause()
	if lost != nil && lost.Wait > 0 {
		wait = lost.Wait
	}
	if t.byeWait > 0 {
		wait, t.byeWait = t.byeWait, 0
	}
	if t.pauses++; t.pauses == 3 {
		t.screen.note("The connection is lost; trying again …")
	}
	t.redial.Reset(wait)
	return nil
}

// pause is how long to wait this time: a random part of a span that doubles.
func (t *talk) pause() time.Duration {
	span := min(t.firstPause<<min(t.pauses, 10), client.MaxPause)
	return span/2 + rand.N(span/2+1)
}

func (t *talk) nextID() string {
	t.lastID++
	return strconv.Itoa(t.lastID)
}

// signal stops the answer that is being written, or leaves.
func (t *talk) signal(ctx context.Context, s os.Signal) error {
	if t.asked == nil || s == syscall.SIGTERM {
		return t.leave()
	}
	if t.asked.stops++; t.asked.stops > 1 {
		return t.leave()
	}
	t.stop(ctx)
	return nil
}

func (t *talk) leave() error {
	t.screen.leavePrompt()
	if !t.interactive || t.asked != nil {
		return exitError(exitInterrupted)
	}
	return errLeave
}

// stop asks for the end of the awaited answer, once its run is known.
func (t *talk) stop(ctx context.Context) {
	if t.asked.run != "" {
		t.send(ctx, client.Order{Type: "cancel", C: t.conv, Run: t.asked.run})
	}
}
