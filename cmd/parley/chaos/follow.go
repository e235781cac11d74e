package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/cmd/parley/client"
	"parley/gateway/chat"
	"parley/llm"
)

// A Follower follows a conversation as a client does: it dials again when its
// connection ends, through any of its doors, with its last position. Each step
// is checked by the log's rules. Its fields are set before [Talk.Follow]; all
// methods may be called concurrently.
type Follower struct {
	Name string

	// Way follows from a position over one connection, until that ends:
	// ByWebSocket, ByStream or ByPoll.
	Way func(*Follower, context.Context, *client.Client, chat.Position) error

	Doors  []*client.Client // nil for those of the person whose talk it is
	Stalls bool             // reads by fits and starts
	Flips  time.Duration    // of its own accord it dials again about this often; 0 for never

	// Judge says what is wrong with a text of the assistant's that is shown.
	// nil for nothing.
	Judge func(llm.Message) error

	dice *Dice // this and the next are set by [Talk.Follow]
	conv string

	mu      sync.Mutex // guards all below
	state   chat.State
	at      chat.Position
	wrong   error
	begun   []begun
	trace   []step    // the latest ones
	lost    time.Time // when the connection was lost, zero while there is one
	head    chat.Position
	heard   time.Time // of the last step
	silence time.Duration
	resumes []time.Duration

	cancel context.CancelFunc
	done   chan struct{}
}

// A begun is a generation of the log as a follower came to know of it.
type begun struct {
	gen    uint64
	at     time.Time
	during bool // while an answer was being written
}

// A step is one that a follower made.
type step struct {
	time time.Time
	at   chat.Position
	what string
}

const maxTrace = 150 // steps

func (f *Follower) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.done = cancel, make(chan struct{})
	go func() { defer close(f.done); f.run(ctx) }()
}

func (f *Follower) stop() { f.cancel(); <-f.done }

func (f *Follower) run(ctx context.Context) {
	const first = 50 * time.Millisecond
	for wait := first; ctx.Err() == nil; wait = min(2*wait, time.Second) {
		before := f.Position()
		own, err := f.dial(ctx, before)
		f.noteLoss(own, err)
		if f.Position() != before {
			wait = first
		}
		client.Pause(ctx, f.dice.Span(wait/2, wait))
	}
}

// dial follows over one connection. own says that the follower itself ended
// it.
func (f *Follower) dial(ctx context.Context, at chat.Position) (own bool, err error) {
	some, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.Flips > 0 {
		t := time.AfterFunc(f.dice.Span(f.Flips/2, f.Flips*3/2), cancel)
		defer t.Stop()
	}
	err = f.Way(f, some, f.Doors[f.dice.Intn(len(f.Doors))], at)
	return some.Err() != nil, err
}

func (f *Follower) noteLoss(own bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(fmt.Sprintf("connection ended: %v", err))
	if !own && f.lost.IsZero() {
		f.lost, f.head = time.Now(), chat.Position{}
	}
}

// back takes note that a connection stands again, and where the log ends.
func (f *Follower) back(head chat.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = head
	f.caughtUp()
}

// caughtUp requires f.mu.
func (f *Follower) caughtUp() {
	if f.lost.IsZero() || f.head.IsZero() || f.at.Before(f.head) {
		return
	}
	f.resumes = append(f.resumes, time.Since(f.lost))
	f.lost = time.Time{}
}

// stall has a slow reader do nothing for a while, now and then.
func (f *Follower) stall(ctx context.Context) {
	if f.Stalls && f.dice.One(20) {
		client.Pause(ctx, f.dice.Span(0, time.Second))
	}
}

// snapshot replaces the latest messages, and all if they do not meet.
func (f *Follower) snapshot(at chat.Position, raw json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s chat.State
	if err := json.Unmarshal(raw, &s); err != nil {
		f.fail(fmt.Errorf("snapshot at %s: %w", at, err))
		return
	}
	f.arrive(at, "snapshot", f.state.Active())
	f.state = Behind(f.state, s)
	f.examine()
}

// Behind returns a snapshot with the messages that were shown before its first
// one: it replaces only what it covers.
func Behind(shown, snapshot chat.State) chat.State {
	if len(snapshot.Messages) > 0 {
		i := slices.IndexFunc(shown.Messages, func(m llm.Message) bool { return m.ID == snapshot.Messages[0].ID })
		snapshot.Messages = slices.Concat(shown.Messages[:max(i, 0)], snapshot.Messages)
	}
	return snapshot
}

// entries takes what follows.
func (f *Follower) entries(raws ...json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, raw := range raws {
		e, err := chat.DecodeEntry(raw)
		if err == nil {
			err = Contiguous(f.at, e)
		}
		if err != nil {
			f.fail(err)
			return
		}
		f.arrive(e.At, string(e.Ev.Type), f.state.Active())
		f.state.Apply(e)
	}
	f.examine()
}

// Contiguous says what is wrong with an entry behind a position. Pieces of
// text may have been merged under the last one's position.
func Contiguous(at chat.Position, e chat.Entry) error {
	switch {
	case e.Ev.Type == chat.GenerationBegan && e.At.N == 0 && at.Before(e.At) && (e.Ev.Prev == nil || *e.Ev.Prev == at):
		return nil
	case e.At == at.Next():
		return nil
	case e.At.Generation == at.Generation && at.Before(e.At) && (e.Ev.Type == chat.TextContent || e.Ev.Type == chat.ReasoningContent):
		return nil
	}
	return fmt.Errorf("%s %s follows %s", e.Ev.Type, e.At, at)
}

// arrive moves the follower, during says whether an answer is being written.
// It requires f.mu.
func (f *Follower) arrive(at chat.Position, what string, during bool) {
	now := time.Now()
	if during && !f.Stalls && !f.heard.IsZero() {
		f.silence = max(f.silence, now.Sub(f.heard))
	}
	if at.Generation != f.at.Generation {
		f.begun = append(f.begun, begun{at.Generation, now, during})
	}
	f.heard, f.at = now, at
	f.note(what)
	f.caughtUp()
}

// note requires f.mu.
func (f *Follower) note(what string) {
	if len(f.trace) >= maxTrace {
		f.trace = slices.Delete(f.trace, 0, 1)
	}
	f.trace = append(f.trace, step{time.Now(), f.at, what})
}

// examine looks at what is shown. It requires f.mu.
func (f *Follower) examine() {
	if f.Judge == nil {
		return
	}
	for _, m := range f.state.Clone().Messages {
		if m.Role == llm.Assistant && m.Content != "" {
			f.fail(f.Judge(m))
		}
	}
}

// fail requires f.mu.
func (f *Follower) fail(err error) {
	if err != nil && f.wrong == nil {
		f.wrong = err
		f.note("WRONG: " + err.Error())
	}
}

// Position is how far the follower has come.
func (f *Follower) Position() chat.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// shows returns a copy of what the follower has, and what was wrong.
func (f *Follower) shows() (chat.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Clone(), f.wrong
}

// writing reports whether an answer is being written, as far as the follower
// knows.
func (f *Follower) writing() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Active()
}

// takenOver returns when the follower heard of the first generation that
// began after some time, in the midst of an answer.
func (f *Follower) takenOver(since time.Time) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.begun {
		if b.during && b.at.After(since) {
			return b.at, true
		}
	}
	return time.Time{}, false
}

// Tell says what the follower went through.
func (f *Follower) Tell() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "follower %s of %s at %s\n", f.Name, f.conv, f.at)
	for _, s := range f.trace {
		fmt.Fprintf(&b, "  %s %s %s\n", s.time.Format("15:04:05.000"), s.at, s.what)
	}
	return b.String()
}
