package gateway_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

var update = flag.Bool("update", false, "write the golden folds anew")

// goldenFolds is where the page's own tests find them.
const goldenFolds = "chat/testdata/fold"

// A goldenFold is entries and what they add up to, for every program that
// folds them.
type goldenFold struct {
	Name    string       `json:"name"`
	Entries []chat.Entry `json:"entries"`
	State   chat.State   `json:"state"`
}

// A script numbers entries.
type script struct {
	at      chat.Position
	run     string
	try     int
	entries []chat.Entry
}

func newScript() *script {
	return &script{at: chat.Position{Generation: 1795347242260}, run: "r1", try: 1}
}

func (s *script) put(evs ...chat.Event) *script {
	for _, ev := range evs {
		s.entries = append(s.entries, chat.Entry{At: s.at, Run: s.run, Try: s.try, TS: 1795347242264 + int64(len(s.entries))*10, Ev: ev})
		s.at = s.at.Next()
	}
	return s
}

func (s *script) inRun(run string, try int) *script { s.run, s.try = run, try; return s }

// generation begins a new generation, as followers get it: what it repeats
// they have.
func (s *script) generation(kind string) *script {
	prev := s.at
	prev.N--
	s.at = chat.Position{Generation: s.at.Generation + 5000}
	return s.put(chat.Event{Type: chat.GenerationBegan, Prev: &prev, By: "p1", Kind: kind, Same: true})
}

func user(id, content string) *llm.Message {
	return &llm.Message{ID: id, Role: llm.User, Content: content, Metadata: &llm.Metadata{Parley: llm.Details{ClientID: "k-" + id, At: 1795347242000}}}
}

func said(id, content string) chat.Event {
	return chat.Event{Type: chat.MessageSaid, Said: user(id, content)}
}

func queued(id, content string) chat.Event {
	return chat.Event{Type: chat.MessageQueued, Said: user(id, content)}
}

// edited is a question in the place of another.
func edited(id, old, content string) chat.Event {
	ev := said(id, content)
	ev.Said.Metadata.Parley.Edits = old
	return ev
}

// startedEdit begins the run that answers an edited question.
func startedEdit(run, question, old string) chat.Event {
	ev := started(run, question, "")
	ev.Metadata.Parley.Edits = old
	return ev
}

func started(run, question, replaces string) chat.Event {
	return chat.Event{Type: chat.RunStarted, ThreadID: "c1", RunID: run, Metadata: &llm.Metadata{Parley: llm.Details{Question: question, Replaces: replaces}}}
}

func finished(run, outcome string) chat.Event {
	return chat.Event{
		Type: chat.RunFinished, ThreadID: "c1", RunID: run, Outcome: &chat.Outcome{Type: outcome},
		Usage:    []llm.Usage{{Provider: "openai", Model: "m", Input: 12, Output: 7, Total: 19}},
		Metadata: &llm.Metadata{Parley: llm.Details{Model: "m", TookMs: 1234}},
	}
}

func failed(run, code, message string) chat.Event {
	return chat.Event{Type: chat.RunError, RunID: run, Code: code, Message: message, Metadata: &llm.Metadata{Parley: llm.Details{Model: "m", TookMs: 5}}}
}

func written(id string, pieces ...string) (evs []chat.Event) {
	evs = append(evs, chat.Event{Type: chat.TextStart, MessageID: id, Role: llm.Assistant})
	for _, p := range pieces {
		evs = append(evs, chat.Event{Type: chat.TextContent, MessageID: id, Delta: p})
	}
	return evs
}

func whole(id string, pieces ...string) []chat.Event {
	return append(written(id, pieces...), chat.Event{Type: chat.TextEnd, MessageID: id})
}

func thought(id string, pieces ...string) []chat.Event {
	evs := []chat.Event{{Type: chat.ReasoningStart, MessageID: id, Role: llm.Reasoning}}
	for _, p := range pieces {
		evs = append(evs, chat.Event{Type: chat.ReasoningContent, MessageID: id, Delta: p})
	}
	return append(evs, chat.Event{Type: chat.ReasoningEnd, MessageID: id})
}

func call(id, parent, name string, args ...string) []chat.Event {
	evs := []chat.Event{{
		Type: chat.ToolCallStart, ToolCallID: id, ToolCallName: name, ParentMessageID: parent,
		Metadata: &llm.Metadata{Parley: llm.Details{Method: "GET", Host: "shop.example", Effect: tools.Safe}},
	}}
	for _, a := range args {
		evs = append(evs, chat.Event{Type: chat.ToolCallArgs, ToolCallID: id, Delta: a})
	}
	return append(evs, chat.Event{Type: chat.ToolCallEnd, ToolCallID: id})
}

func result(id, call, content string) chat.Event {
	return chat.Event{
		Type: chat.ToolCallResult, MessageID: id, ToolCallID: call, Role: llm.ToolRole, Content: content,
		Metadata: &llm.Metadata{Parley: llm.Details{
			Outcome: &tools.Outcome{Method: "GET", Host: "shop.example", Status: 200, LatencyMs: 34, Requests: 1, Bytes: 120},
			Sources: []tools.Source{{Ref: "guide:3", Document: "guide", Title: "Guide", Headings: []string{"Oil"}, Text: "In spring.", Start: 3, End: 13}},
		}},
	}
}

func failedResult(id, call, reason string) chat.Event {
	return chat.Event{
		Type: chat.ToolCallResult, MessageID: id, ToolCallID: call, Role: llm.ToolRole, Content: "Error: " + reason,
		Metadata: &llm.Metadata{Parley: llm.Details{Outcome: &tools.Outcome{Failed: true, Reason: reason}}},
	}
}

// goldenFiles returns the interesting sequences by file.
func goldenFiles() map[string][]goldenFold {
	begin := func() *script { return newScript().put(said("m1", "hello?"), started("r1", "m1", "")) }
	begun := func() *script {
		evs := written("m2", "half ")
		evs[0].Metadata = &llm.Metadata{Parley: llm.Details{Model: "m"}}
		return begin().put(evs...)
	}
	answered := func() *script { return begin().put(whole("m2", "old")...).put(finished("r1", "success")) }
	fold := func(name string, s *script) goldenFold {
		return goldenFold{Name: name, Entries: append([]chat.Entry{}, s.entries...)}
	}
	missed := []llm.Missed{{Model: "first", Kind: llm.Truncated, Began: true}}
	stoodIn := finished("r1", "success")
	stoodIn.Metadata.Parley.Model, stoodIn.Metadata.Parley.Missed = "second", missed
	return map[string][]goldenFold{
		"text": {
			fold("nothing", newScript()),
			fold("a whole answer", begin().put(chat.Event{Type: chat.Titled, Title: "Hello"}).put(whole("m2", "Hel", "lo ", "– 你好 👋🏽")...).put(finished("r1", "success"))),
			fold("summarised, and suggestions", begin().put(whole("m2", "Hello")...).put(finished("r1", "success")).
				put(chat.Event{Type: chat.Summarised, MessageID: "m2", Summary: &llm.Summary{Text: "They met.", Model: "m", At: 7}},
					chat.Event{Type: chat.Summarised, MessageID: "m9", Summary: &llm.Summary{Text: "Before the window."}},
					chat.Event{Type: chat.Suggested, Suggestions: []string{"And then?", "Why?"}})),
			fold("suggestions give way to a question", begin().put(whole("m2", "Hello")...).put(finished("r1", "success")).
				put(chat.Event{Type: chat.Suggested, Suggestions: []string{"And then?"}}).
				put(chat.Event{Type: chat.RunStarted, ThreadID: "c1", RunID: "r2"})),
			fold("in the middle of a message", begin().put(written("m2", "Hel", "lo")...)),
			fold("a message without text yet", begin().put(written("m2")...)),
			fold("reasoning before the text", begin().put(thought("m2", "Let ", "me see.")...).put(whole("m3", "Yes.")...).put(finished("r1", "success"))),
			fold("a piece of a message that is not open", begin().put(chat.Event{Type: chat.TextContent, MessageID: "m9", Delta: "lost"})),
			fold("an end of a message that is not open", begin().put(chat.Event{Type: chat.TextEnd, MessageID: "m9"})),
			fold("pieces after the end", begin().put(whole("m2", "done")...).put(chat.Event{Type: chat.TextContent, MessageID: "m2", Delta: "late"})),
			fold("a message opened twice", begin().put(written("m2", "one ")...).put(written("m2", "two")...)),
			fold("an event of a later version", begin().put(chat.Event{Type: "conversation.future", Title: "x"}, chat.Event{Type: "CUSTOM"})),
		},
		"runs": {
			fold("stopped in the middle", begin().put(written("m2", "half ")...).put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}, finished("r1", "cancelled"))),
			fold("stopped with the message open", begin().put(written("m2", "half ")...).put(finished("r1", "cancelled"))),
			fold("stopped before a word", begin().put(finished("r1", "cancelled"))),
			fold("failed without a word", begin().put(failed("r1", "model_unavailable", "The model does not answer. Try again."))),
			fold("failed in the middle", begin().put(whole("m2", "half ")...).put(failed("r1", "truncated", "The answer broke off."))),
			fold("finished without a word", begin().put(finished("r1", "success"))),
			fold("an end without a beginning", newScript().put(failed("r1", "interrupted", "Interrupted."))),
			fold("questions that wait", begin().put(written("m2", "one")...).inRun("r2", 0).put(queued("m3", "two?"), queued("m3", "two?"), queued("m1", "hello?")).
				inRun("r3", 0).put(queued("m4", "three?"))),
			fold("a question that waited has its turn", begin().put(whole("m2", "one")...).inRun("r2", 0).put(queued("m3", "two?")).inRun("r1", 1).put(finished("r1", "success")).
				inRun("r2", 1).put(said("m3", "two?"), started("r2", "m3", "")).put(written("m4", "tw")...)),
			fold("a question said twice", begin().put(said("m1", "hello?"))),
			fold("an answer given anew", begin().put(whole("m2", "old")...).put(finished("r1", "success")).
				inRun("r2", 1).put(started("r2", "m1", "r1")).put(whole("m3", "new")...).put(finished("r2", "success"))),
			fold("an answer with tools given anew", begin().put(written("m2", "see: ")...).put(call("k1", "m2", "look", "{}")...).put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}, result("m3", "k1", "x")).
				put(whole("m4", "old")...).put(finished("r1", "success")).inRun("r2", 1).put(started("r2", "m1", "r1")).put(written("m5", "n")...)),
		},
		"formats": formatFolds(fold),
		"edits": {
			fold("the only question", answered().inRun("r3", 1).put(edited("m5", "m1", "hi?"), startedEdit("r3", "m5", "m1")).put(whole("m6", "new")...).put(finished("r3", "success"))),
			fold("the last of two", answered().inRun("r2", 1).put(said("m3", "two?"), started("r2", "m3", "")).put(whole("m4", "2")...).put(finished("r2", "success")).
				inRun("r3", 1).put(edited("m5", "m3", "three?"), startedEdit("r3", "m5", "m3")).put(written("m6", "new")...)),
			fold("the first of two", answered().inRun("r2", 1).put(said("m3", "two?"), started("r2", "m3", "")).put(whole("m4", "2")...).put(finished("r2", "success")).
				inRun("r3", 1).put(edited("m5", "m1", "three?"), startedEdit("r3", "m5", "m1")).put(written("m6", "new")...)),
			fold("its run has not begun", answered().inRun("r3", 1).put(edited("m5", "m1", "hi?"))),
			fold("one that lies before the window", answered().inRun("r3", 1).put(edited("m5", "m0", "hi?"), startedEdit("r3", "m5", "m0")).put(written("m6", "new")...)),
			fold("an edit of an edit", answered().inRun("r3", 1).put(edited("m5", "m1", "hi?"), startedEdit("r3", "m5", "m1")).put(whole("m6", "new")...).put(finished("r3", "success")).
				inRun("r4", 1).put(edited("m7", "m5", "ho?"), startedEdit("r4", "m7", "m5")).put(written("m8", "newest")...)),
			fold("answered anew behind it", answered().inRun("r3", 1).put(edited("m5", "m1", "hi?"), startedEdit("r3", "m5", "m1")).put(whole("m6", "new")...).put(finished("r3", "success")).
				inRun("r4", 1).put(started("r4", "m5", "r3")).put(whole("m7", "newest")...)),
			fold("said again by a successor", answered().inRun("r3", 1).put(edited("m5", "m1", "hi?"), startedEdit("r3", "m5", "m1")).put(written("m6", "ne")...).generation("claim").
				put(edited("m5", "m1", "hi?")).inRun("r3", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r3", Try: 2}).put(written("m7", "new")...)),
			fold("with tools, one still open", begin().put(written("m2", "see: ")...).put(call("k1", "m2", "look", "{}")...).
				inRun("r3", 1).put(edited("m5", "m1", "hi?"), startedEdit("r3", "m5", "m1")).put(result("m3", "k1", "late")).put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}).put(written("m6", "new")...)),
			fold("what waits stays", answered().inRun("r2", 0).put(queued("m3", "two?")).inRun("r3", 1).put(edited("m5", "m1", "hi?"), startedEdit("r3", "m5", "m1")).put(written("m6", "new")...)),
		},
		"tools": {
			fold("one call", begin().put(written("m2")...).put(call("k1", "m2", "get_order", `{"ord`, `er":"77"}`)...).put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}, result("m3", "k1", `{"state":"shipped"}`)).
				put(whole("m4", "It is shipped [guide:3].")...).put(finished("r1", "success"))),
			fold("parallel calls, results out of order", begin().put(written("m2", "Both: ")...).put(call("k1", "m2", "a", "{}")...).put(call("k2", "m2", "b", `{"x":1}`)...).put(call("k3", "m2", "c", "{}")...).
				put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}, result("m5", "k3", "three"), result("m3", "k1", "one"), failedResult("m4", "k2", "there was no whole answer in time"))),
			fold("a result twice", begin().put(written("m2")...).put(call("k1", "m2", "a", "{}")...).put(result("m3", "k1", "first"), result("m9", "k1", "second"))),
			fold("a call twice", begin().put(written("m2")...).put(call("k1", "m2", "a", `{"n":`)...).put(call("k1", "m2", "a", `1}`)...)),
			fold("a call without a message", begin().put(call("k1", "", "a", "{}")...).put(result("m3", "k1", "x"))),
			fold("a result without a call", begin().put(result("m3", "k9", "x"))),
			fold("two turns of calls", begin().put(written("m2")...).put(call("k1", "m2", "a", "{}")...).put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}, result("m3", "k1", "one")).
				put(written("m4", "and ")...).put(call("k2", "m4", "a", "{}")...).put(chat.Event{Type: chat.TextEnd, MessageID: "m4"}, result("m5", "k2", "two"))),
		},
		"interrupts": interruptFolds(fold),
		"takeovers": {
			fold("the half message is rolled back", begin().put(whole("m2", "kept")...).put(written("m3", "gone")...).generation("claim").
				inRun("r1", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2}).put(whole("m4", "again")...).put(finished("r1", "success"))),
			fold("the half message is gone on with", begun().generation("claim").
				inRun("r1", 2).put(chat.Event{Type: chat.RunContinued, RunID: "r1", Try: 2}, chat.Event{Type: chat.TextContent, MessageID: "m2", Delta: "whole"}, chat.Event{Type: chat.TextEnd, MessageID: "m2"}, finished("r1", "success"))),
			fold("the half message can be gone on with", begun()),
			fold("handed over twice", begin().put(written("m2", "gone")...).put(chat.Event{Type: chat.RunHandedOver, RunID: "r1"}).generation("claim").
				inRun("r1", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2}, chat.Event{Type: chat.RunHandedOver, RunID: "r1"})),
			fold("another message is begun by nobody who could", begun().put(written("m3", "more")...)),
			fold("nothing was open", begin().put(whole("m2", "kept")...).generation("claim").inRun("r1", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2})),
			fold("a call in an open message goes with it", begin().put(written("m2", "see")...).put(call("k1", "m2", "a", "{}")...).
				inRun("r1", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2})),
			fold("reasoning is rolled back", begin().put(chat.Event{Type: chat.ReasoningStart, MessageID: "m2", Role: llm.Reasoning}, chat.Event{Type: chat.ReasoningContent, MessageID: "m2", Delta: "Hm"}).
				inRun("r1", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2}).put(thought("m3", "Aha")...)),
			fold("another model answers in the same try", begin().put(thought("m2", "Hm")...).put(written("m3", "half ")...).
				put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 1, Metadata: &llm.Metadata{Parley: llm.Details{Model: "second", Missed: missed}}}).
				put(thought("m4", "So")...).put(whole("m5", "whole")...).put(stoodIn)),
			fold("thoughts of earlier turns stay", begin().put(thought("m2", "Hm")...).put(written("m3")...).put(call("k1", "m3", "a", "{}")...).put(chat.Event{Type: chat.TextEnd, MessageID: "m3"}, result("m4", "k1", "x")).
				put(thought("m5", "Gone")...).inRun("r1", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2})),
			fold("doubt in the middle of a message", begin().put(written("m2", "one ")...).generation("doubt").put(chat.Event{Type: chat.TextContent, MessageID: "m2", Delta: "two"}, chat.Event{Type: chat.TextEnd, MessageID: "m2"}, finished("r1", "success"))),
		},
	}
}

func TestGoldenFolds(t *testing.T) {
	for name, folds := range goldenFiles() {
		for i := range folds {
			for _, e := range folds[i].Entries {
				folds[i].State.Apply(e)
			}
		}
		var got bytes.Buffer
		enc := json.NewEncoder(&got)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(folds); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(goldenFolds, name+".json")
		if *update {
			if err := os.MkdirAll(goldenFolds, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got.String()); d != "" {
			t.Errorf("%s (go test -run GoldenFolds -update writes it anew):\n%s", path, d)
		}
	}
}

// TestGoldenFoldsByHalves folds the first entries, goes through the JSON of a
// snapshot as a client that joins late does, and folds on.
func TestGoldenFoldsByHalves(t *testing.T) {
	for file, folds := range goldenFiles() {
		for _, g := range folds {
			var all chat.State
			for _, e := range g.Entries {
				all.Apply(e)
			}
			want, _ := json.Marshal(all)
			for half := range g.Entries {
				var s chat.State
				for _, e := range g.Entries[:half] {
					s.Apply(e)
				}
				snapshot, _ := json.Marshal(s)
				var late chat.State
				if err := json.Unmarshal(snapshot, &late); err != nil {
					t.Fatal(err)
				}
				for _, e := range g.Entries[half:] {
					late.Apply(e)
				}
				if got, _ := json.Marshal(late); string(got) != string(want) {
					t.Errorf("%s, %s: joined after %d entries:\n%s", file, g.Name, half, cmp.Diff(string(want), string(got)))
				}
			}
		}
	}
}
