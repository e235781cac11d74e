package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
	"parley/llm"
)

// A chaosTalk is one conversation with all who follow it. Its methods may be
// called concurrently.
type chaosTalk struct {
	person    *chaosPerson
	conv      string // set by the first question
	followers []*chaosFollower

	mu    sync.Mutex // guards all below
	asked []*chaosAsked
	stops []time.Duration // from a cancel to the end that everybody sees
}

// ask puts the next question.
func (t *chaosTalk) ask(ctx context.Context, text string) (*chaosAsked, error) {
	q, err := t.person.ask(ctx, t.conv, text)
	if err == nil {
		t.remember(q)
	}
	return q, err
}

// askTwice puts a question through two doors at once: it must be one.
func (t *chaosTalk) askTwice(ctx context.Context, text string) (*chaosAsked, error) {
	q, other, err := t.person.twice(ctx, t.conv, text)
	if err != nil {
		return nil, err
	}
	t.remember(q)
	if q.Run != other.Run || q.MessageID != other.MessageID || q.Conv != other.Conv {
		return nil, fmt.Errorf("said twice under one client id it became the runs %s and %s", q.Run, other.Run)
	}
	return q, nil
}

func (t *chaosTalk) remember(q *chaosAsked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, q)
	t.conv = q.Conv
}

// stopAnswer cancels, and measures how long it takes until a follower sees
// the end.
func (t *chaosTalk) stopAnswer(ctx context.Context, q *chaosAsked) error {
	t.mu.Lock()
	q.Stopped = true
	t.mu.Unlock()
	late, since := t.seenEnded(q.Run), time.Now()
	if err := t.person.cancel(ctx, q); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	for !t.seenEnded(q.Run) {
		if !chaosPause(ctx, 2*time.Millisecond) {
			return ctx.Err()
		}
		if time.Since(since) > client.SilenceActive {
			return nil // settle says what became of it
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !late {
		t.stops = append(t.stops, time.Since(since))
	}
	return nil
}

// seenEnded reports whether any follower has seen the end of a run.
func (t *chaosTalk) seenEnded(run string) bool {
	return slices.ContainsFunc(t.followers, func(f *chaosFollower) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return runEnded(f.state.Messages, run)
	})
}

func runEnded(ms []llm.Message, run string) bool {
	return slices.ContainsFunc(ms, func(m llm.Message) bool {
		return m.Metadata != nil && m.Metadata.Parley.Run == run && m.Metadata.Parley.Status != ""
	})
}

// answerAnew regenerates the last answer. A refusal because somebody else was
// quicker, or a question waits, is none of ours.
func (t *chaosTalk) answerAnew(ctx context.Context, q *chaosAsked) error {
	run, err := t.person.again(ctx, q)
	var p *client.Problem
	if errors.As(err, &p) && p.Status == 409 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("regenerate: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	q.Run, q.Replaced, q.Stopped = run, true, false
	return nil
}

// takenOver returns how long after a fault somebody first heard of a new
// writer.
func (t *chaosTalk) takenOver(fault time.Time) (first time.Duration, ok bool) {
	for _, f := range t.followers {
		at, heard := f.takenOver(fault)
		if heard && (!ok || at.Sub(fault) < first) {
			first, ok = at.Sub(fault), true
		}
	}
	return first, ok
}

// A chaosVerdict is what was found when everything had come to rest.
type chaosVerdict struct {
	lost, doubled int // questions
	badFollowers  int
	wrong         []string
}

func (v *chaosVerdict) add(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// An expectation says what is wrong with how a question was answered: its
// run's record, and all that the assistant has said in it.
type expectation func(q *chaosAsked, rec chat.RunRecord, said string) error

// settle waits until every question is answered and every follower shows what
// the store has, for as long as ctx lets it, and says what is wrong then.
func (t *chaosTalk) settle(ctx context.Context, expect expectation) (v chaosVerdict) {
	look := context.WithoutCancel(ctx)
	for {
		limit, cancel := context.WithTimeout(look, client.SilenceActive)
		v = t.examine(limit, expect)
		cancel()
		if len(v.wrong) == 0 || !chaosPause(ctx, 100*time.Millisecond) {
			return v
		}
	}
}

func (t *chaosTalk) examine(ctx context.Context, expect expectation) (v chaosVerdict) {
	stored, err := t.person.messages(ctx, t.conv)
	if err != nil {
		v.add("conversation %s cannot be read: %v", t.conv, err)
		return v
	}
	t.mu.Lock()
	asked := slices.Clone(t.asked)
	t.mu.Unlock()
	t.examineQuestions(stored, asked, &v)
	for _, q := range asked {
		t.examineAnswer(ctx, stored, q, expect, &v)
	}
	for _, f := range t.followers {
		if err := f.agrees(stored); err != nil {
			v.badFollowers++
			v.add("%s of %s: %v", f.name, t.conv, err)
		}
	}
	return v
}

// examineQuestions sees that each is stored once, in its order.
func (t *chaosTalk) examineQuestions(stored []llm.Message, asked []*chaosAsked, v *chaosVerdict) {
	var got, want []string
	count := map[string]int{}
	for _, m := range stored {
		if m.Role == llm.User {
			got = append(got, m.ID)
			count[m.Content]++
		}
	}
	for _, q := range asked {
		want = append(want, q.MessageID)
		switch n := count[q.Text]; {
		case n == 0:
			v.lost++
		case n > 1:
			v.doubled++
		}
	}
	if !slices.Equal(got, want) {
		v.add("%s has the questions %v, acknowledged were %v", t.conv, got, want)
	}
}

// examineAnswer sees that a question has one answer, and the right one.
func (t *chaosTalk) examineAnswer(ctx context.Context, stored []llm.Message, q *chaosAsked, expect expectation, v *chaosVerdict) {
	rec, err := t.person.run(ctx, q.Run)
	if err != nil {
		v.lost++
		v.add("run %s of %q: %v", q.Run, q.Text, err)
		return
	}
	if !rec.Status.Ended() {
		v.lost++
		v.add("run %s of %q has not ended: %s, attempt %d", q.Run, q.Text, rec.Status, rec.Try)
		return
	}
	said, runs := answerOf(stored, q)
	if len(runs) > 1 {
		v.doubled++
		v.add("%q is answered by the runs %v", q.Text, runs)
	}
	if len(runs) == 0 || runs[0] != q.Run {
		v.lost++
		v.add("%q is not answered by run %s, which is %s, but by %v", q.Text, q.Run, rec.Status, runs)
		return
	}
	if err := expect(q, rec, said); err != nil {
		v.add("run %s of %q, %s, attempt %d: %v", q.Run, q.Text, rec.Status, rec.Try, err)
	}
}

// answerOf returns what the assistant says behind a question, and in which
// runs.
func answerOf(stored []llm.Message, q *chaosAsked) (said string, runs []string) {
	behind := false
	for _, m := range stored {
		if m.Role == llm.User {
			behind = m.ID == q.MessageID
			continue
		}
		if !behind {
			continue
		}
		if run := client.RunOf(&m); !slices.Contains(runs, run) {
			runs = append(runs, run)
		}
		if m.Role == llm.Assistant {
			said += m.Content
		}
	}
	return said, runs
}

// endedWell expects whole answers, but for those that were stopped.
func endedWell(q *chaosAsked, rec chat.RunRecord, _ string) error {
	if rec.Status == chat.RunDone || rec.Status == chat.RunCancelled && q.Stopped {
		return nil
	}
	return fmt.Errorf("it ended with %+v", rec.Failure)
}

// agrees says how what the follower shows differs from what the store has.
// One that joined late has the latest messages alone.
func (f *chaosFollower) agrees(stored []llm.Message) error {
	st, wrong := f.shows()
	if wrong != nil {
		return wrong
	}
	if len(st.Messages) == 0 || len(st.Messages) > len(stored) {
		return fmt.Errorf("shows %d messages of %d", len(st.Messages), len(stored))
	}
	if len(st.Queued) > 0 || len(st.Open) > 0 || st.Active() {
		return fmt.Errorf("still shows %d waiting, %d being written", len(st.Queued), len(st.Open))
	}
	shown, kept := chaosEssence(st.Messages), chaosEssence(stored[len(stored)-len(st.Messages):])
	for i := range shown {
		if shown[i] != kept[i] {
			return fmt.Errorf("shows %s where the store has %s", plain.Cut(shown[i], 600), plain.Cut(kept[i], 600))
		}
	}
	return nil
}

// chaosEssence is what people see of messages, one text each. Results of calls
// that were made at the same time stand in the order in which they came, or
// in that of the calls; neither is wrong.
func chaosEssence(ms []llm.Message) []string {
	ms = slices.Clone(ms)
	for i := range ms {
		for j := i; j > 0 && ms[j].Role == llm.ToolRole && ms[j-1].Role == llm.ToolRole && ms[j].ToolCallID < ms[j-1].ToolCallID; j-- {
			ms[j], ms[j-1] = ms[j-1], ms[j]
		}
	}
	var out []string
	for _, m := range ms {
		d := llm.Details{}
		if m.Metadata != nil {
			d = m.Metadata.Parley
		}
		b, err := json.Marshal([]any{m.ID, m.Role, m.Content, m.ToolCalls, m.ToolCallID, m.Error, d.Run, d.Status, d.Failure})
		if err != nil {
			panic("chaos: " + err.Error()) // what came as JSON goes as JSON
		}
		out = append(out, string(b))
	}
	return out
}

// tell says what everybody went through.
func (t *chaosTalk) tell() string {
	var b strings.Builder
	t.mu.Lock()
	for _, q := range t.asked {
		fmt.Fprintf(&b, "asked %+v\n", *q)
	}
	t.mu.Unlock()
	for _, f := range t.followers {
		b.WriteString(f.tell())
	}
	return b.String()
}

// follow begins to follow the conversation.
func (t *chaosTalk) follow(f *chaosFollower) {
	f.conv, f.dice = t.conv, t.person.dice
	if f.doors == nil {
		f.doors = t.person.doors
	}
	t.followers = append(t.followers, f)
	f.start()
}

// end stops all followers.
func (t *chaosTalk) end() {
	for _, f := range t.followers {
		f.cancel()
	}
	for _, f := range t.followers {
		f.stop()
	}
}
