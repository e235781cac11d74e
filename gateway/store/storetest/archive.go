package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func generations() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"only grow":                         claimGrows,
		"may be noted again by their nonce": claimAgain,
		"of two claimers one wins":          claimRace,
		"a later one fences the archive":    claimFences,
		"fence in the midst of archiving":   claimWhileArchiving,
	}
}

func claimGrows(t *testing.T, s Store) {
	mustAccept(t, s, question("c1", "1"))
	for _, c := range []struct {
		generation uint64
		want       error
		then       uint64
	}{{0, chat.ErrFenced, 0}, {1795347242260, nil, 1795347242260}, {5, chat.ErrFenced, 1795347242260}, {1795347242261, nil, 1795347242261}} {
		err := s.Claimed(t.Context(), "c1", c.generation, "n"+fmt.Sprint(c.generation))
		if !errors.Is(err, c.want) {
			t.Fatalf("generation %d: %v", c.generation, err)
		}
		g, err := s.Generation(t.Context(), "c1")
		ok(t, err)
		equal(t, "generation", g, c.then)
	}
	fails(t, s.Claimed(t.Context(), "c9", 1, "n"), chat.ErrFenced)
}

func claimAgain(t *testing.T, s Store) {
	conv := claimed(t, s)
	ok(t, s.Claimed(t.Context(), conv, 5, "nonce"))
	fails(t, s.Claimed(t.Context(), conv, 5, "another"), chat.ErrFenced)
	ok(t, s.Claimed(t.Context(), conv, 6, "another"))
	fails(t, s.Claimed(t.Context(), conv, 5, "nonce"), chat.ErrFenced)
}

func claimRace(t *testing.T, s Store) {
	mustAccept(t, s, question("c1", "1"))
	for g := range uint64(20) {
		var wg sync.WaitGroup
		var errs [4]error
		for i := range errs {
			wg.Go(func() { errs[i] = s.Claimed(t.Context(), "c1", g+1, fmt.Sprint("nonce ", i)) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, chat.ErrFenced) {
				t.Fatal(err)
			}
		}
		equal(t, "winners", won, 1)
	}
}

func claimFences(t *testing.T, s Store) {
	conv := claimed(t, s)
	b := chat.Batch{Messages: []llm.Message{answer("r1", "a1", "answer")}, Run: ended("r1"), Title: "title"}
	ok(t, s.Claimed(t.Context(), conv, 6, "later"))
	for _, g := range []uint64{0, 4, 5, 7} {
		fails(t, s.Archive(t.Context(), conv, g, b), chat.ErrFenced)
	}
	equal(t, "history", shown(t, s, conv), "")
	r, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	equal(t, "status", r.Status, chat.RunAccepted)
	c, err := s.Conversation(t.Context(), conv)
	ok(t, err)
	equal(t, "title", c.Title, "")
	ok(t, s.Archive(t.Context(), conv, 6, b))
	equal(t, "history", shown(t, s, conv), "a1")
}

// claimWhileArchiving has an old writer that does not know that it is fenced.
// Once the claim is noted, nothing of the old writer's may appear.
func claimWhileArchiving(t *testing.T, s Store) {
	conv := claimed(t, s)
	last := func() string { // of as many as there are by then
		ms, _, err := s.History(t.Context(), conv, "", 1)
		ok(t, err)
		return ms[0].ID
	}
	var wg sync.WaitGroup
	begun := make(chan struct{})
	wg.Go(func() {
		for i := range 5000 {
			err := s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{answer("r1", fmt.Sprint("m", i), "old")}})
			if i == 3 {
				close(begun)
			}
			if err != nil {
				if !errors.Is(err, chat.ErrFenced) || i < 3 {
					t.Errorf("archive %d: %v", i, err)
				}
				return
			}
		}
		t.Error("the old writer was never fenced")
	})
	<-begun
	ok(t, s.Claimed(t.Context(), conv, 6, "later"))
	before := last()
	wg.Wait()
	equal(t, "the last message", last(), before)
}

func archive() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"puts messages behind the last":             archiveAppends,
		"the same batch again changes nothing":      archiveTwice,
		"a known message keeps its place":           archiveReplaces,
		"a question gets its place when it is said": archivePlaces,
		"everything of a run is kept":               archiveRun,
		"a run is what the last batch says":         archiveRunAgain,
		"the first title stays":                     archiveTitle,
		"moves the conversation forward":            archiveUpdates,
		"all of a message comes back":               archiveWhole,
		"two conversations at once":                 archiveParallel,
	}
}

func archiveAppends(t *testing.T, s Store) {
	conv := answered(t, s)
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{}))
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{answer("r1", "z", ""), answer("r1", "b", "")}}))
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{answer("r1", "a", "")}}))
	equal(t, "history", shown(t, s, conv), "q1 a1 z b a")
}

func archiveTwice(t *testing.T, s Store) {
	conv := claimed(t, s)
	b := chat.Batch{
		Messages: []llm.Message{question(conv, "1").Message, answer("r1", "a1", "answer")},
		Run:      ended("r1"), Title: "title",
	}
	ok(t, s.Archive(t.Context(), conv, 5, b))
	c1, err := s.Conversation(t.Context(), conv)
	ok(t, err)
	r1, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	for time.Now().UnixMilli() <= c1.Updated.UnixMilli() { // the clock has to move for a change to be seen
	}
	ok(t, s.Archive(t.Context(), conv, 5, b))
	c2, err := s.Conversation(t.Context(), conv)
	ok(t, err)
	r2, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	equal(t, "conversation", c2, c1)
	equal(t, "run", r2, r1)
	ms, _, err := s.History(t.Context(), conv, "", 10)
	ok(t, err)
	equal(t, "history", ms, b.Messages)
}

func archiveReplaces(t *testing.T, s Store) {
	conv := answered(t, s)
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{answer("r1", "a2", "last")}}))
	better := answer("r1", "a1", "better")
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{answer("r1", "a3", "new"), better}}))
	ms, _, err := s.History(t.Context(), conv, "", 10)
	ok(t, err)
	equal(t, "history", ids(ms), "q1 a1 a2 a3")
	equal(t, "message", ms[1], better)
}

func archivePlaces(t *testing.T, s Store) {
	conv := claimed(t, s)
	q1, q2, q3 := question(conv, "1"), question(conv, "2"), question(conv, "3")
	mustAccept(t, s, q2)
	mustAccept(t, s, q3)
	said := func(ms ...llm.Message) { ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: ms})) }
	said(q1.Message)
	said(answer("r1", "a1", ""))
	said(q3.Message, answer("r3", "a3", ""))
	said(q2.Message, q1.Message)
	said(answer("r2", "a2", ""))
	equal(t, "history", shown(t, s, conv), "q1 a1 q3 a3 q2 a2")
}

func archiveRun(t *testing.T, s Store) {
	conv := claimed(t, s)
	want := chat.RunRecord{
		ID: "r1", Status: chat.RunFailed, Try: 3, Model: "gpt-x",
		Usage:   &llm.Usage{Provider: "openai", Model: "gpt-x", Input: 12, Output: 34, Total: 46, Reasoning: 5, CachedInput: 6, CacheWritten: 7},
		Failure: &llm.Failure{Code: "model_unavailable", Message: "Versuchen Sie es später noch einmal."},
	}
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Run: &want}))
	got, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	if !got.Updated.After(got.Created) {
		t.Errorf("created %v, updated %v", got.Created, got.Updated)
	}
	want.Conversation, want.Question, want.Created, want.Updated = conv, "q1", start, got.Updated
	equal(t, "run", got, want)
}

func archiveRunAgain(t *testing.T, s Store) {
	conv := claimed(t, s)
	for _, r := range []chat.RunRecord{
		{ID: "r1", Status: chat.RunRunning, Try: 1, Failure: &llm.Failure{Code: "x"}},
		{ID: "r1", Status: chat.RunRunning, Try: 2},
		{ID: "r1", Status: chat.RunDone, Try: 2, Model: "demo", Usage: &llm.Usage{Total: 1}},
	} {
		ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Run: &r}))
		got, err := s.RunRecord(t.Context(), "r1")
		ok(t, err)
		r.Conversation, r.Question, r.Created, r.Updated = conv, "q1", start, got.Updated
		equal(t, "run", got, r)
	}
}

func archiveTitle(t *testing.T, s Store) {
	conv := claimed(t, s)
	for _, title := range []string{"", "first", "second", ""} {
		ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Title: title}))
	}
	c, err := s.Conversation(t.Context(), conv)
	ok(t, err)
	equal(t, "title", c.Title, "first")
}

func archiveUpdates(t *testing.T, s Store) {
	before := time.Now().Truncate(time.Millisecond)
	conv := answered(t, s)
	c, err := s.Conversation(t.Context(), conv)
	ok(t, err)
	if c.Updated.Before(before) || c.Updated.After(time.Now()) {
		t.Errorf("updated %v, not now", c.Updated)
	}
	equal(t, "created", c.Created, start)
}

func archiveWhole(t *testing.T, s Store) {
	conv := claimed(t, s)
	call := llm.NewToolCall("call_1", "get_weather", `{"city":"Zürich","days":[1, 2]}`)
	call.Metadata = &llm.Metadata{Parley: llm.Details{Method: "GET", Host: "api.example", Effect: "safe"}}
	ms := []llm.Message{
		{ID: "m1", Role: llm.Reasoning, Content: "hm"},
		{ID: "m2", Role: llm.Assistant, ToolCalls: []llm.ToolCall{call}},
		{ID: "m3", Role: llm.ToolRole, ToolCallID: "call_1", Content: `{"t":21.5}`, Error: "partly"},
		answer("r1", "m4", strings.Repeat("21 °C \x00 🌤 <b>", 1<<20/22)),
	}
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: ms}))
	got, _, err := s.History(t.Context(), conv, "", 10)
	ok(t, err)
	equal(t, "messages", got, ms)
}

func archiveParallel(t *testing.T, s Store) {
	var wg sync.WaitGroup
	for c := range 4 {
		conv := fmt.Sprint("c", c)
		q := question(conv, fmt.Sprint(c))
		mustAccept(t, s, q)
		ok(t, s.Claimed(t.Context(), conv, 1, conv))
		wg.Go(func() {
			for i := range 20 {
				m := answer(q.Run, fmt.Sprint("m", i), conv)
				if err := s.Archive(t.Context(), conv, 1, chat.Batch{Messages: []llm.Message{m}}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() { // a reader sees a beginning of it, in order
			for range 20 {
				ms, _, err := s.History(t.Context(), conv, "", 100)
				if err != nil {
					t.Error(err)
				}
				for i, m := range ms {
					if m.ID != fmt.Sprint("m", i) {
						t.Errorf("%s has %s at %d", conv, m.ID, i)
					}
				}
			}
		})
	}
	wg.Wait()
	for c := range 4 {
		if n := len(strings.Fields(shown(t, s, fmt.Sprint("c", c)))); n != 20 {
			t.Errorf("c%d has %d messages", c, n)
		}
	}
}
