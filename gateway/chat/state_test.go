package chat_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// entries makes entries of bytes, three each, of few ids so that they meet.
func entries(b []byte) (es []chat.Entry) {
	types := []chat.Type{
		chat.RunStarted, chat.RunFinished, chat.RunError, chat.TextStart, chat.TextContent, chat.TextContent, chat.TextEnd,
		chat.ReasoningStart, chat.ReasoningContent, chat.ReasoningEnd, chat.ToolCallStart, chat.ToolCallArgs, chat.ToolCallEnd, chat.ToolCallResult,
		chat.GenerationBegan, chat.MessageSaid, chat.MessageQueued, chat.RunTakenOver, chat.Titled, "of a later version",
	}
	for i := 0; i+2 < len(b); i += 3 {
		x, y, z := b[i], b[i+1], b[i+2]
		id, run, call := fmt.Sprint("m", y%5), fmt.Sprint("r", y>>6), fmt.Sprint("c", z%4)
		ev := chat.Event{Type: types[int(x)%len(types)], MessageID: id, RunID: run, Delta: fmt.Sprint("d", z), ToolCallID: call, ToolCallName: "tool", Content: "content"}
		switch ev.Type {
		case chat.RunStarted:
			ev.Metadata = &llm.Metadata{Parley: llm.Details{Question: id, Replaces: fmt.Sprint("r", z%5)}}
		case chat.RunFinished, chat.RunError:
			ev.Metadata = &llm.Metadata{Parley: llm.Details{Model: "model"}}
			ev.Usage = []llm.Usage{{Input: int(z)}}
			if z%2 == 0 {
				ev.Outcome = &chat.Outcome{Type: "cancelled"}
			}
		case chat.ToolCallStart:
			if z%2 == 0 {
				ev.ParentMessageID = id
			}
		case chat.ToolCallResult:
			ev.MessageID = "res" + call
			ev.Metadata = &llm.Metadata{Parley: llm.Details{Outcome: &tools.Outcome{Failed: z%2 == 0, Reason: "why"}}}
		case chat.MessageSaid, chat.MessageQueued:
			ev.Said = &llm.Message{ID: "q" + id, Role: llm.User, Content: "?"}
			if z%3 == 0 {
				ev.Said.Metadata = &llm.Metadata{Parley: llm.Details{Edits: fmt.Sprint("qm", z%7)}}
			}
		case chat.GenerationBegan:
			if z%4 == 0 {
				ev.Snapshot = &chat.State{Messages: []llm.Message{{ID: id, Role: llm.Assistant, Content: "so far"}}, Open: []string{id, "gone"}, Run: &chat.Run{ID: run, Status: chat.RunRunning, Try: 1}}
			}
		}
		es = append(es, chat.Entry{At: chat.Position{Generation: 1, N: uint64(i)}, Run: run, Try: int(z % 3), TS: int64(z), Ev: ev})
	}
	return es
}

func plain(t testing.TB, s chat.State) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkFold folds es and looks, at one place in their midst, at everything
// that is done with a State.
func checkFold(t testing.TB, es []chat.Entry, at int) {
	t.Helper()
	var s, onWire chat.State
	var clone chat.State
	var before string
	for i, e := range es {
		if i == at {
			before = plain(t, s)
			clone = s.Clone()
			if err := json.Unmarshal([]byte(before), &onWire); err != nil {
				t.Fatal(err)
			}
		}
		s.Apply(e)
		if i >= at {
			b, err := json.Marshal(e) // a follower gets it so
			if err != nil {
				t.Fatal(err)
			}
			d, err := chat.DecodeEntry(b)
			if err != nil {
				t.Fatal(err)
			}
			onWire.Apply(d)
		}
	}
	if at >= len(es) {
		return
	}
	if got := plain(t, clone); got != before {
		t.Errorf("a clone changed with its original (-before +after):\n%s", cmp.Diff(before, got))
	}
	if a, b := plain(t, s), plain(t, onWire); a != b {
		t.Errorf("whoever began with a snapshot before entry %d sees another conversation (-all +snapshot):\n%s", at, cmp.Diff(a, b))
	}
	after := plain(t, s)
	for _, e := range es[at:] {
		clone.Apply(e)
	}
	if got := plain(t, clone); got != after {
		t.Errorf("a clone folds on differently (-original +clone):\n%s", cmp.Diff(after, got))
	}
	if got := plain(t, s); got != after {
		t.Errorf("an original changed with its clone:\n%s", cmp.Diff(after, got))
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte{0, 0, 0, 3, 1, 1, 4, 1, 1, 0, 64, 0, 6, 1, 1}, uint8(2))
	f.Add([]byte{15, 0, 0, 0, 0, 1, 3, 1, 0, 4, 1, 7, 10, 1, 2, 11, 1, 2, 6, 1, 0, 13, 2, 2, 17, 0, 1, 1, 0, 1}, uint8(4))
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := make([]byte, 3*(5+r.IntN(40)))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b, uint8(r.Uint32()))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		if es := entries(b[:min(len(b), 600)]); len(es) > 0 {
			checkFold(t, es, int(at)%len(es))
		}
	})
}

func piece(run, id, text string) chat.Entry {
	return chat.Entry{Run: run, Try: 1, Ev: chat.Event{Type: chat.TextContent, MessageID: id, Delta: text}}
}

func event(run string, typ chat.Type, id string) chat.Entry {
	return chat.Entry{Run: run, Try: 1, Ev: chat.Event{Type: typ, RunID: run, MessageID: id}}
}

func saying(id string) chat.Entry {
	return chat.Entry{Ev: chat.Event{Type: chat.MessageSaid, Said: &llm.Message{ID: id, Role: llm.User, Content: id}}}
}

func queueing(id string) chat.Entry {
	e := saying(id)
	e.Ev.Type = chat.MessageQueued
	return e
}

func fold(es ...chat.Entry) (s chat.State) {
	for _, e := range es {
		s.Apply(e)
	}
	return s
}

func contents(ms []llm.Message) string {
	var out []string
	for _, m := range ms {
		out = append(out, string(m.Role)+":"+m.Content)
	}
	return strings.Join(out, " ")
}

func TestTakeoverRollsBackWhatWasOpen(t *testing.T) {
	s := fold(saying("q"), event("r", chat.RunStarted, ""), event("r", chat.TextStart, "m"), piece("r", "m", "Hel"),
		chat.Entry{Run: "r", Ev: chat.Event{Type: chat.RunTakenOver, RunID: "r", Try: 2}}, piece("r", "m", "lost"),
		event("r", chat.TextStart, "n"), piece("r", "n", "Hello"), event("r", chat.TextEnd, "n"), event("r", chat.RunFinished, ""))
	if got := contents(s.Messages); got != "user:q assistant:Hello" || s.Run.Try != 2 || s.Run.Status != chat.RunDone {
		t.Errorf("%s, %+v", got, s.Run)
	}
}

func TestARunThatEndsWithoutAWordIsSeen(t *testing.T) {
	s := fold(saying("q"), event("r", chat.RunStarted, ""), chat.Entry{Run: "r", Ev: chat.Event{Type: chat.RunError, RunID: "r", Code: "model_auth", Message: "advice"}})
	m := s.Messages[len(s.Messages)-1]
	if m.Role != llm.Assistant || m.Metadata.Parley.Status != "failed" || m.Metadata.Parley.Failure.Code != "model_auth" {
		t.Errorf("%+v", m)
	}
}

func TestAReplacedAnswerDisappearsEvenWhileItIsOpen(t *testing.T) {
	again := event("r2", chat.RunStarted, "")
	again.Ev.Metadata = &llm.Metadata{Parley: llm.Details{Question: "q", Replaces: "r1"}}
	s := fold(saying("q"), event("r1", chat.RunStarted, ""), event("r1", chat.TextStart, "m"), piece("r1", "m", "old"), again,
		piece("r1", "m", "late"), event("r1", chat.TextEnd, "m"), event("r2", chat.TextStart, "n"), piece("r2", "n", "new"), event("r2", chat.RunFinished, ""))
	if got := contents(s.Messages); got != "user:q assistant:new" {
		t.Error(got)
	}
}

// editing is the question id in the place of another.
func editing(id, old string) chat.Entry {
	e := saying(id)
	e.Ev.Said.Metadata = &llm.Metadata{Parley: llm.Details{Edits: old}}
	return e
}

func TestAnEditedQuestionDisappearsWithAllBehindIt(t *testing.T) {
	answered := func(q, run string) []chat.Entry {
		return []chat.Entry{saying(q), event(run, chat.RunStarted, ""), event(run, chat.TextStart, "a"+q), piece(run, "a"+q, "to "+q), event(run, chat.TextEnd, "a"+q), event(run, chat.RunFinished, "")}
	}
	both := slices.Concat(answered("q1", "r1"), answered("q2", "r2"))
	half := []chat.Entry{saying("q1"), event("r1", chat.RunStarted, ""), event("r1", chat.TextStart, "a"), piece("r1", "a", "half")}
	both = slices.Clip(both) // each case appends its own
	for name, c := range map[string]struct {
		es   []chat.Entry
		want string
	}{
		"the last":                 {append(both, editing("q3", "q2")), "user:q1 assistant:to q1 user:q3"},
		"the first":                {append(both, editing("q3", "q1")), "user:q3"},
		"one before the window":    {append(both, editing("q3", "q0")), "user:q3"},
		"again":                    {append(both, editing("q3", "q2"), editing("q4", "q3")), "user:q1 assistant:to q1 user:q4"},
		"the same twice":           {append(both, editing("q3", "q2"), event("r3", chat.RunStarted, ""), editing("q3", "q2")), "user:q1 assistant:to q1 user:q3"},
		"while a message is open":  {append(half, editing("q3", "q1"), piece("r1", "a", "late"), event("r1", chat.TextEnd, "a")), "user:q3"},
		"what waits is left alone": {append(both, queueing("q5"), editing("q3", "q1"), saying("q5")), "user:q3 user:q5"},
	} {
		s := fold(c.es...)
		if got := contents(s.Messages); got != c.want || len(s.Open) > 0 || len(s.Queued) > 0 {
			t.Errorf("%s: %q, want %q; open %v, queued %v", name, got, c.want, s.Open, s.Queued)
		}
	}
}

func TestAQuestionIsQueuedOrSaidNeverBoth(t *testing.T) {
	s := fold(queueing("q"), queueing("q"), saying("q"), queueing("q"))
	if len(s.Queued) != 0 || len(s.Messages) != 1 {
		t.Errorf("queued %v, said %v", s.Queued, s.Messages)
	}
	// A snapshot may have it as both, if the log was rolled back.
	s = chat.State{Queued: []llm.Message{{ID: "q"}}, Messages: []llm.Message{{ID: "q"}}}
	s.Apply(saying("q"))
	if len(s.Queued) != 0 || len(s.Messages) != 1 {
		t.Errorf("queued %v, said %v", s.Queued, s.Messages)
	}
}

func TestResultsStandInTheOrderOfTheirCalls(t *testing.T) {
	call := func(typ chat.Type, id string) chat.Entry {
		return chat.Entry{Run: "r", Ev: chat.Event{Type: typ, ToolCallID: id, ToolCallName: "tool", ParentMessageID: "m", MessageID: "result of " + id, Content: id}}
	}
	s := fold(event("r", chat.TextStart, "m"), call(chat.ToolCallStart, "a"), call(chat.ToolCallStart, "b"), call(chat.ToolCallStart, "c"), event("r", chat.TextEnd, "m"),
		call(chat.ToolCallResult, "c"), call(chat.ToolCallResult, "a"), call(chat.ToolCallResult, "b"), call(chat.ToolCallResult, "a"))
	if got := contents(s.Messages); got != "assistant: tool:a tool:b tool:c" {
		t.Error(got)
	}
}

func TestWindow(t *testing.T) {
	long := strings.Repeat("x", 10<<10)
	var es []chat.Entry
	for i := range 40 {
		es = append(es, saying(fmt.Sprint("old", i)))
	}
	small := fold(es...)
	if w := small.Window(); len(w.Messages) != 24 || w.Messages[23].ID != "old39" {
		t.Errorf("%d messages", len(w.Messages))
	}
	start := event("r", chat.RunStarted, "")
	start.Ev.Metadata = &llm.Metadata{Parley: llm.Details{Question: "q"}}
	es = append(es, saying("q"), start)
	for i := range 30 {
		id := fmt.Sprint("m", i)
		es = append(es, event("r", chat.TextStart, id), piece("r", id, long), event("r", chat.TextEnd, id))
	}
	es = append(es, event("r", chat.TextStart, "open"), piece("r", "open", "so far"))
	big := fold(es...)
	w := big.Window()
	if len(w.Messages) != 32 || w.Messages[0].ID != "q" || w.Messages[31].Content != "so far" {
		t.Errorf("the latest run has 32 messages, the window %d from %s", len(w.Messages), w.Messages[0].ID)
	}
	w.Apply(piece("r", "open", " and on"))
	if w.Apply(event("r", chat.TextEnd, "open")); w.Messages[31].Content != "so far and on" {
		t.Errorf("a window folds on to %q", w.Messages[31].Content)
	}
	if big.Apply(event("r", chat.TextEnd, "open")); big.Messages[len(big.Messages)-1].Content != "so far" {
		t.Error("a window shares what is being written")
	}
}
