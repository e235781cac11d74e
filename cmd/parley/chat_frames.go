package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
	"parley/llm"
)

// frame deals with one frame.
func (t *talk) frame(ctx context.Context, f client.Frame) error {
	t.listen()
	switch f.Type {
	case client.FrameOpen:
		t.link.Write(ctx, client.Order{Type: "hello", ID: t.nextID(), Client: "cli/1"})
	case "welcome":
		t.welcome(ctx, f)
	case "sub.ok":
		t.subscribed(f)
	case "ok":
		t.acknowledged(ctx, f)
	case "err":
		return t.refused(f)
	case "ev":
		t.events(f)
	case "snap":
		return t.snap(f)
	case "eph":
		t.waits(f)
	case "bye":
		t.byeWait = max(time.Duration(f.RetryMs)*time.Millisecond, time.Millisecond)
		t.silence.Reset(silenceBye)
	}
	return nil
}

// listen begins to wait for the next frame.
func (t *talk) listen() {
	span := client.SilenceIdle
	if t.state.Active() || t.asked != nil {
		span = client.SilenceActive
	}
	if t.byeWait > 0 {
		span = silenceBye
	}
	t.silence.Reset(span)
}

// welcome takes everything up again where the last connection left it.
func (t *talk) welcome(ctx context.Context, f client.Frame) {
	if t.pauses >= 3 {
		t.screen.note("Connected again.")
	}
	t.up, t.pauses, t.lostAt = true, 0, time.Time{}
	if f.MaxMessage > 0 {
		t.maxMessage = f.MaxMessage
	}
	t.subscribe(ctx)
	t.resend(ctx)
}

// subscribe asks for what the conversation has behind what is known of it.
func (t *talk) subscribe(ctx context.Context) {
	if t.conv == "" || !t.up {
		return
	}
	t.subID = t.nextID()
	o := client.Order{Type: "sub", ID: t.subID, C: t.conv}
	if !t.at.IsZero() {
		o.After = &t.at
	}
	t.link.Write(ctx, o)
}

func (t *talk) subscribed(f client.Frame) {
	if f.C != t.conv || f.ID != t.subID {
		return
	}
	t.subID, t.synced = "", true
	if !f.Recovered && f.Snapshot != nil {
		t.state, t.at = *f.Snapshot, f.At
	}
	t.changed()
}

// send sends an order until it is acknowledged.
func (t *talk) send(ctx context.Context, o client.Order) {
	o.ID = t.nextID()
	s := &sending{Order: o}
	t.pending = append(t.pending, s)
	t.write(ctx, s)
}

func (t *talk) write(ctx context.Context, s *sending) {
	if t.up {
		t.link.Write(ctx, s.Order)
	}
}

func (t *talk) resend(ctx context.Context) {
	for _, s := range t.pending {
		t.write(ctx, s)
	}
}

// take removes a pending order that was answered.
func (t *talk) take(id string) *sending {
	i := slices.IndexFunc(t.pending, func(s *sending) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	s := t.pending[i]
	t.pending = slices.Delete(t.pending, i, i+1)
	return s
}

func (t *talk) acknowledged(ctx context.Context, f client.Frame) {
	s := t.take(f.ID)
	if s == nil || !s.Asks() || t.asked == nil {
		return
	}
	t.asked.run, t.asked.message = f.Run, f.MessageID
	if t.conv == "" {
		t.conv = f.C
		t.subscribe(ctx)
	}
	if t.asked.stops > 0 {
		t.stop(ctx)
	}
	t.changed()
}

const maxTries = 5 // of an order that the server was too busy for

// refused deals with an order that the server does not carry out.
func (t *talk) refused(f client.Frame) error {
	p := f.Problem
	if p == nil {
		p = &client.Problem{Title: "the server refused without a reason"}
	}
	busy := p.Code == "rate_limited" || p.Code == "unavailable"
	if f.ID != "" && f.ID == t.subID {
		if busy {
			t.subID = ""
			t.again(p)
			return nil
		}
		return t.closed(p)
	}
	i := slices.IndexFunc(t.pending, func(s *sending) bool { return s.ID == f.ID })
	if i < 0 {
		return nil
	}
	s := t.pending[i]
	if s.tries++; s.tries < maxTries && busy {
		t.again(p)
		return nil
	}
	t.take(f.ID)
	switch {
	case s.Asks():
		t.screen.fail("%v", p)
		t.asked, t.failed = nil, true
	case s.Type == "answer":
		t.screen.fail("%v", p)
		t.ask, t.told = nil, ""
		t.changed() // it may still be open
	}
	return nil
}

// again has what was refused sent again, when the server wants it.
func (t *talk) again(p *client.Problem) {
	t.retry.Reset(min(max(time.Duration(p.RetryMs)*time.Millisecond, t.firstPause), client.MaxPause))
}

// errDeleted is why nothing more comes of a conversation.
var errDeleted = errors.New("it was deleted")

// closed deals with a conversation that the server does not show.
func (t *talk) closed(cause error) error {
	conv := t.conv
	t.conv, t.subID = "", ""
	if !t.interactive {
		return fmt.Errorf("conversation %s: %w", conv, cause)
	}
	t.asked = nil
	t.screen.fail("Conversation %s: %v. The next question begins a new one.", conv, cause)
	return nil
}

// events folds entries into the state. What was there before, because a
// connection came back or a server sent it twice, is left out.
func (t *talk) events(f client.Frame) {
	if f.C != t.conv {
		return
	}
	for _, e := range f.Items {
		if t.at.Before(e.At) {
			t.state.Apply(e)
			t.at = e.At
		}
	}
	t.changed()
}

// snap replaces the window: what is older stays.
func (t *talk) snap(f client.Frame) error {
	if f.C != t.conv || f.Snapshot == nil {
		return nil
	}
	if f.Snapshot.Deleted {
		return t.closed(errDeleted)
	}
	old := t.state.Messages
	t.state, t.at = *f.Snapshot, f.At
	if len(t.state.Messages) > 0 {
		first := t.state.Messages[0].ID
		i := max(slices.IndexFunc(old, func(m llm.Message) bool { return m.ID == first }), 0)
		t.state.Messages = slices.Concat(old[:i], t.state.Messages)
	}
	t.changed()
	return nil
}

// waits says how many come before the awaited answer: when that is told first,
// and then whenever it has halved.
func (t *talk) waits(f client.Frame) {
	q := t.asked
	if f.Kind != "queue" || f.C != t.conv || q == nil || t.screen.style.quiet || q.told && f.Data.Ahead > q.ahead/2 {
		return
	}
	if !q.told || f.Data.Ahead < q.ahead {
		t.screen.note("%s", waitText(f.Data.Ahead))
	}
	q.told, q.ahead = true, f.Data.Ahead
}

func waitText(ahead int) string {
	if ahead <= 0 {
		return "Waiting for a free place: you are next."
	}
	return fmt.Sprintf("Waiting for a free place: %d ahead of you.", ahead)
}

// changed prints what is new in the awaited answer.
func (t *talk) changed() {
	t.follow()
	q := t.asked
	if q == nil || q.run == "" || !t.synced {
		return
	}
	if r := t.state.Run; r != nil && r.Question == q.message && q.message != "" && r.ID != q.before {
		q.run = r.ID // somebody has asked for another answer
	}
	s := t.state.Clone()
	text := answerText(&s, q.run, t.screen.style)
	how, ended := endOf(&s, q.run)
	switch {
	case ended:
		t.screen.end(text)
		t.ended(how)
	case q.seen && !present(&s, q):
		t.screen.fail("The answer has gone from the conversation.")
		t.asked, t.failed, t.screen.printed = nil, true, ""
	default:
		q.seen = q.seen || present(&s, q)
		t.screen.show(text)
		t.askNext(&s, q)
	}
}

// present reports whether a question or its run is in the conversation.
func present(s *chat.State, q *question) bool {
	is := func(m llm.Message) bool { return m.ID == q.message || client.RunOf(&m) == q.run }
	return slices.ContainsFunc(s.Messages, is) || slices.ContainsFunc(s.Queued, is) || s.Run != nil && s.Run.ID == q.run
}

func (t *talk) ended(how llm.Details) {
	q := t.asked
	t.asked, t.ask = nil, nil
	switch chat.RunStatus(how.Status) {
	case chat.RunFailed:
		t.failed = true
		message := "no reason is known"
		if how.Failure != nil {
			message = plain.Text(how.Failure.Message)
		}
		t.screen.fail("The answer failed: %s", message)
	case chat.RunCancelled:
		t.screen.note("(stopped)")
		t.failed = true
		if q.stops > 0 && !t.interactive {
			t.stopped, t.over = true, true
		}
	}
}

// follow awaits an answer to a question that was asked elsewhere, in another
// window, if somebody looks on.
func (t *talk) follow() {
	if !t.interactive || t.asked != nil || len(t.pending) > 0 || !t.state.Active() && !t.state.Waits() {
		return
	}
	r := t.state.Run
	t.asked = &question{run: r.ID, message: r.Question, seen: true}
	for _, m := range t.state.Messages {
		if m.ID == r.Question && m.ID != "" {
			t.screen.note("asked elsewhere: %s", plain.Cut(plain.Line(m.Content), 200))
		}
	}
}
