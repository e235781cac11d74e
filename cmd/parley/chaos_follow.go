package main

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

// A chaosFollower follows a conversation as a client does: it dials again
// when its connection ends, through any of its doors, with its last position.
// Each step is checked by the log's rules. All methods may be called
// concurrently.
type chaosFollower struct {
	name   string
	way    func(*chaosFollower, context.Context, *client.Client, chat.Position) error
	doors  []*client.Client
	dice   *chaosDice
	conv   string
	stalls bool          // reads by fits and starts
	flips  time.Duration // of its own accord it dials again about this often; 0 for never

	// judge says what is wrong with a text of the assistant's that is shown.
	// nil for nothing.
	judge func(llm.Message) error

	mu      sync.Mutex // guards all below
	state   chat.State
	at      chat.Position
	wrong   error
	begun   []chaosBegun
	trace   []chaosStep // the latest ones
	lost    time.Time   // when the connection was lost, zero while there is one
	head    chat.Position
	heard   time.Time // of the last step
	silence time.Duration
	resumes []time.Duration

	cancel context.CancelFunc
	done   chan struct{}
}

// A chaosBegun is a generation of the log as a follower came to know of it.
type chaosBegun struct {
	gen    uint64
	at     time.Time
	during bool // while an answer was being written
}

// A chaosStep is one that a follower made.
type chaosStep struct {
	time time.Time
	at   chat.Position
	what string
}

const chaosTrace = 150 // steps

func (f *chaosFollower) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.done = cancel, make(chan struct{})
	go func() { defer close(f.done); f.run(ctx) }()
}

func (f *chaosFollower) stop() { f.cancel(); <-f.done }

func (f *chaosFollower) run(ctx context.Context) {
	const first = 50 * time.Millisecond
	for wait := first; ctx.Err() == nil; wait = min(2*wait, time.Second) {
		before := f.position()
		own, err := f.dial(ctx, before)
		f.noteLoss(own, err)
		if f.position() != before {
			wait = first
		}
		chaosPause(ctx, f.dice.span(wait/2, wait))
	}
}

// dial follows over one connection. own says that the follower itself ended
// it.
func (f *chaosFollower) dial(ctx context.Context, at chat.Position) (own bool, err error) {
	some, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.flips > 0 {
		t := time.AfterFunc(f.dice.span(f.flips/2, f.flips*3/2), cancel)
		defer t.Stop()
	}
	err = f.way(f, some, f.doors[f.dice.intn(len(f.doors))], at)
	return some.Err() != nil, err
}

func (f *chaosFollower) noteLoss(own bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(fmt.Sprintf("connection ended: %v", err))
	if !own && f.lost.IsZero() {
		f.lost, f.head = time.Now(), chat.Position{}
	}
}

// back takes note that a connection stands again, and where the log ends.
func (f *chaosFollower) back(head chat.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = head
	f.caughtUp()
}

// caughtUp requires f.mu.
func (f *chaosFollower) caughtUp() {
	if f.lost.IsZero() || f.head.IsZero() || f.at.Before(f.head) {
		return
	}
	f.resumes = append(f.resumes, time.Since(f.lost))
	f.lost = time.Time{}
}

// stall has a slow reader do nothing for a while, now and then.
func (f *chaosFollower) stall(ctx context.Context) {
	if f.stalls && f.dice.one(20) {
		chaosPause(ctx, f.dice.span(0, time.Second))
	}
}

// snapshot replaces the latest messages, and all if they do not meet.
func (f *chaosFollower) snapshot(at chat.Position, raw json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s chat.State
	if err := json.Unmarshal(raw, &s); err != nil {
		f.fail(fmt.Errorf("snapshot at %s: %w", at, err))
		return
	}
	f.arrive(at, "snapshot", f.state.Active())
	f.state = behind(f.state, s)
	f.examine()
}

// behind returns a snapshot with the messages that were shown before its first
// one: it replaces only what it covers.
func behind(shown, snapshot chat.State) chat.State {
	if len(snapshot.Messages) > 0 {
		i := slices.IndexFunc(shown.Messages, func(m llm.Message) bool { return m.ID == snapshot.Messages[0].ID })
		snapshot.Messages = slices.Concat(shown.Messages[:max(i, 0)], snapshot.Messages)
	}
	return snapshot
}

// entries takes what follows.
func (f *chaosFollower) entries(raws ...json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, raw := range raws {
		e, err := chat.DecodeEntry(raw)
		if err == nil {
			err = contiguous(f.at, e)
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

// contiguous says what is wrong with an entry behind a position. Pieces of
// text may have been merged under the last one's position.
func contiguous(at chat.Position, e chat.Entry) error {
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
func (f *chaosFollower) arrive(at chat.Position, what string, during bool) {
	now := time.Now()
	if during && !f.stalls && !f.heard.IsZero() {
		f.silence = max(f.silence, now.Sub(f.heard))
	}
	if at.Generation != f.at.Generation {
		f.begun = append(f.begun, chaosBegun{at.Generation, now, during})
	}
	f.heard, f.at = now, at
	f.note(what)
	f.caughtUp()
}

// note requires f.mu.
func (f *chaosFollower) note(what string) {
	if len(f.trace) >= chaosTrace {
		f.trace = slices.Delete(f.trace, 0, 1)
	}
	f.trace = append(f.trace, chaosStep{time.Now(), f.at, what})
}

// examine looks at what is shown. It requires f.mu.
func (f *chaosFollower) examine() {
	if f.judge == nil {
		return
	}
	for _, m := range f.state.Clone().Messages {
		if m.Role == llm.Assistant && m.Content != "" {
			f.fail(f.judge(m))
		}
	}
}

// fail requires f.mu.
func (f *chaosFollower) fail(err error) {
	if err != nil && f.wrong == nil {
		f.wrong = err
		f.note("WRONG: " + err.Error())
	}
}

func (f *chaosFollower) position() chat.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// shows returns a copy of what the follower has, and what was wrong.
func (f *chaosFollower) shows() (chat.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Clone(), f.wrong
}

// writing reports whether an answer is being written, as far as the follower
// knows.
func (f *chaosFollower) writing() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Active()
}

// takenOver returns when the follower heard of the first generation that
// began after some time, in the midst of an answer.
func (f *chaosFollower) takenOver(since time.Time) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.begun {
		if b.during && b.at.After(since) {
			return b.at, true
		}
	}
	return time.Time{}, false
}

// tell says what the follower went through.
func (f *chaosFollower) tell() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "follower %s of %s at %s\n", f.name, f.conv, f.at)
	for _, s := range f.trace {
		fmt.Fprintf(&b, "  %s %s %s\n", s.time.Format("15:04:05.000"), s.at, s.what)
	}
	return b.String()
}
