package chaos

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

// A Talk is one conversation with all who follow it. Its methods may be
// called concurrently.
type Talk struct {
	Person    *Person
	Conv      string // set by the first question
	Followers []*Follower

	mu    sync.Mutex      // guards all below
	Asked []*Asked        // in their order; to be read when nobody asks
	stops []time.Duration // from a cancel to the end that everybody sees
}

// Ask puts the next question.
func (t *Talk) Ask(ctx context.Context, text string) (*Asked, error) {
	q, err := t.Person.Ask(ctx, t.Conv, text)
	if err == nil {
		t.Remember(q)
	}
	return q, err
}

// AskTwice puts a question through two doors at once: it must be one.
func (t *Talk) AskTwice(ctx context.Context, text string) (*Asked, error) {
	q, other, err := t.Person.twice(ctx, t.Conv, text)
	if err != nil {
		return nil, err
	}
	t.Remember(q)
	if q.Run != other.Run || q.MessageID != other.MessageID || q.Conv != other.Conv {
		return nil, fmt.Errorf("said twice under one client id it became the runs %s and %s", q.Run, other.Run)
	}
	return q, nil
}

// Remember has a question expected in the conversation.
func (t *Talk) Remember(q *Asked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Asked = append(t.Asked, q)
	t.Conv = q.Conv
}

// StopAnswer cancels, and measures how long it takes until a follower sees
// the end.
func (t *Talk) StopAnswer(ctx context.Context, q *Asked) error {
	t.mu.Lock()
	q.Stopped = true
	t.mu.Unlock()
	late, since := t.SeenEnded(q.Run), time.Now()
	if err := t.Person.cancel(ctx, q); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	for !t.SeenEnded(q.Run) {
		if !client.Pause(ctx, 2*time.Millisecond) {
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

// SeenEnded reports whether any follower has seen the end of a run.
func (t *Talk) SeenEnded(run string) bool {
	return slices.ContainsFunc(t.Followers, func(f *Follower) bool {
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

// AnswerAnew regenerates the last answer. A refusal because somebody else was
// quicker, or a question waits, is none of ours.
func (t *Talk) AnswerAnew(ctx context.Context, q *Asked) error {
	run, err := t.Person.again(ctx, q)
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

// TakenOver returns how long after a fault somebody first heard of a new
// writer.
func (t *Talk) TakenOver(fault time.Time) (first time.Duration, ok bool) {
	for _, f := range t.Followers {
		at, heard := f.takenOver(fault)
		if heard && (!ok || at.Sub(fault) < first) {
			first, ok = at.Sub(fault), true
		}
	}
	return first, ok
}

// A Verdict is what was found when everything had come to rest.
type Verdict struct {
	Lost, Doubled int // questions
	BadFollowers  int
	Wrong         []string
}

// Add says one more thing that is wrong.
func (v *Verdict) Add(format string, args ...any) {
	v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...))
}

// An Expectation says what is wrong with how a question was answered: its
// run's record, and all that the assistant has said in it.
type Expectation func(q *Asked, rec chat.RunRecord, said string) error

// Settle waits until every question is answered and every follower shows what
// the store has, for as long as ctx lets it, and says what is wrong then.
func (t *Talk) Settle(ctx context.Context, expect Expectation) (v Verdict) {
	look := context.WithoutCancel(ctx)
	for {
		limit, cancel := context.WithTimeout(look, client.SilenceActive)
		v = t.examine(limit, expect)
		cancel()
		if len(v.Wrong) == 0 || !client.Pause(ctx, 100*time.Millisecond) {
			return v
		}
	}
}

func (t *Talk) examine(ctx context.Context, expect Expectation) (v Verdict) {
	stored, err := t.Person.Messages(ctx, t.Conv)
	if err != nil {
		v.Add("conversation %s cannot be read: %v", t.Conv, err)
		return v
	}
	t.mu.Lock()
	asked := slices.Clone(t.Asked)
	t.mu.Unlock()
	t.examineQuestions(stored, asked, &v)
	for _, q := range asked {
		t.examineAnswer(ctx, stored, q, expect, &v)
	}
	for _, f := range t.Followers {
		if err := f.agrees(stored); err != nil {
			v.BadFollowers++
			v.Add("%s of %s: %v", f.Name, t.Conv, err)
		}
	}
	return v
}

// examineQuestions sees that each is stored once, in its order.
func (t *Talk) examineQuestions(stored []llm.Message, asked []*Asked, v *Verdict) {
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
			v.Lost++
		case n > 1:
			v.Doubled++
		}
	}
	if !slices.Equal(got, want) {
		v.Add("%s has the questions %v, acknowledged were %v", t.Conv, got, want)
	}
}

// examineAnswer sees that a question has one answer, and the right one.
func (t *Talk) examineAnswer(ctx context.Context, stored []llm.Message, q *Asked, expect Expectation, v *Verdict) {
	rec, err := t.Person.Run(ctx, q.Run)
	if err != nil {
		v.Lost++
		v.Add("run %s of %q: %v", q.Run, q.Text, err)
		return
	}
	if !rec.Status.Ended() {
		v.Lost++
		v.Add("run %s of %q has not ended: %s, attempt %d", q.Run, q.Text, rec.Status, rec.Try)
		return
	}
	said, runs := answerOf(stored, q)
	if len(runs) > 1 {
		v.Doubled++
		v.Add("%q is answered by the runs %v", q.Text, runs)
	}
	if len(runs) == 0 || runs[0] != q.Run {
		v.Lost++
		v.Add("%q is not answered by run %s, which is %s, but by %v", q.Text, q.Run, rec.Status, runs)
		return
	}
	if err := expect(q, rec, said); err != nil {
		v.Add("run %s of %q, %s, attempt %d: %v", q.Run, q.Text, rec.Status, rec.Try, err)
	}
}

// answerOf returns what the assistant says behind a question, and in which
// runs.
func answerOf(stored []llm.Message, q *Asked) (said string, runs []string) {
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
func endedWell(q *Asked, rec chat.RunRecord, _ string) error {
	if rec.Status == chat.RunDone || rec.Status == chat.RunCancelled && q.Stopped {
		return nil
	}
	return fmt.Errorf("it ended with %+v", rec.Failure)
}

// agrees says how what the follower shows differs from what the store has.
// One that joined late has the latest messages alone.
func (f *Follower) agrees(stored []llm.Message) error {
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
	shown, kept := essence(st.Messages), essence(stored[len(stored)-len(st.Messages):])
	for i := range shown {
		if shown[i] != kept[i] {
			return fmt.Errorf("shows %s where the store has %s", plain.Cut(shown[i], 600), plain.Cut(kept[i], 600))
		}
	}
	return nil
}

// essence is what people see of messages, one text each. Results of calls
// that were made at the same time stand in the order in which they came, or
// in that of the calls; neither is wrong.
func essence(ms []llm.Message) []string {
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

// Tell says what everybody went through.
func (t *Talk) Tell() string {
	var b strings.Builder
	t.mu.Lock()
	for _, q := range t.Asked {
		fmt.Fprintf(&b, "asked %+v\n", *q)
	}
	t.mu.Unlock()
	for _, f := range t.Followers {
		b.WriteString(f.Tell())
	}
	return b.String()
}

// Follow begins to follow the conversation.
func (t *Talk) Follow(f *Follower) {
	f.conv, f.dice = t.Conv, t.Person.Dice
	if f.Doors == nil {
		f.Doors = t.Person.Doors
	}
	t.Followers = append(t.Followers, f)
	f.start()
}

// End stops all followers.
func (t *Talk) End() {
	for _, f := range t.Followers {
		f.cancel()
	}
	for _, f := range t.Followers {
		f.stop()
	}
}
