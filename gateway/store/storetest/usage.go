package storetest

import (
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

func usage() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"is what runs have spent":           usageOfRuns,
		"of a run counts once":              usageOnce,
		"outlives its conversation":         usageOutlives,
		"is nobody's who is fenced":         usageFenced,
		"of a tenant is its people's":       usageOfTenants,
		"is summed up by what is asked for": usageBy,
		"of days long ago is forgotten":     usageSwept,
	}
}

// spent is what a run has spent so far.
func spent(model string, tokens int, micros int64) *llm.Usage {
	return &llm.Usage{Model: model, Input: tokens - 1, Output: 1, Total: tokens, Cost: micros}
}

// spend stores how far a run is.
func spend(t *testing.T, s Store, conv, run string, status chat.RunStatus, u *llm.Usage) {
	t.Helper()
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Run: &chat.RunRecord{ID: run, Status: status, Try: 1, Model: "m", Usage: u}}))
}

func today() string { return chat.Day(time.Now()) }

func usageOfRuns(t *testing.T, s Store) {
	conv := claimed(t, s)
	spend(t, s, conv, "r1", chat.RunRunning, spent("m", 100, 7))
	spend(t, s, conv, "r1", chat.RunDone, spent("m", 150, 9))
	mustAccept(t, s, question(conv, "2"))
	spend(t, s, conv, "r2", chat.RunFailed, spent("other", 1000, 0))
	wantSpent(t, s, conv, 1150, 9)
	rows, err := s.Usage(t.Context(), chat.UsageQuery{From: today(), To: today(), Person: "ann", By: "model"})
	ok(t, err)
	equal(t, "by model", rows, []chat.UsageRow{
		{Model: "other", Runs: 1, Tokens: 1000, Input: 999, Output: 1},
		{Model: "m", Runs: 1, Tokens: 150, Input: 149, Output: 1, Micros: 9},
	})
}

// wantSpent checks what ann has spent in one conversation, and so today.
func wantSpent(t *testing.T, s Store, conv string, tokens, micros int64) {
	t.Helper()
	want := llm.Amount{Tokens: tokens, Micros: micros}
	got, err := s.ConversationSpent(t.Context(), conv)
	ok(t, err)
	equal(t, "of the conversation", got, want)
	wantDay(t, s, "ann", "", want)
	wantDay(t, s, "", "", want)
}

func wantDay(t *testing.T, s Store, person, tenant string, want llm.Amount) {
	t.Helper()
	got, err := s.DaySpent(t.Context(), today(), person, tenant)
	ok(t, err)
	equal(t, "of the day of "+person+tenant, got, want)
}

func usageOnce(t *testing.T, s Store) {
	conv := claimed(t, s)
	for range 3 {
		spend(t, s, conv, "r1", chat.RunDone, spent("m", 100, 7))
	}
	spend(t, s, conv, "r1", chat.RunDone, spent("m", 60, 5)) // of a writer that knows less
	spend(t, s, conv, "r1", chat.RunDone, nil)
	wantSpent(t, s, conv, 100, 7)
	rows, err := s.Usage(t.Context(), chat.UsageQuery{From: today(), To: today()})
	ok(t, err)
	equal(t, "runs", rows[0].Runs, 1)
}

func usageOutlives(t *testing.T, s Store) {
	conv := claimed(t, s)
	spend(t, s, conv, "r1", chat.RunDone, spent("m", 100, 7))
	ok(t, s.DeleteConversation(t.Context(), conv))
	wantDay(t, s, "ann", "", llm.Amount{Tokens: 100, Micros: 7})
	_, err := s.ConversationSpent(t.Context(), conv)
	fails(t, err, chat.ErrNotFound)
}

func usageFenced(t *testing.T, s Store) {
	conv := claimed(t, s)
	ok(t, s.Claimed(t.Context(), conv, 6, "later"))
	b := chat.Batch{Run: &chat.RunRecord{ID: "r1", Status: chat.RunDone, Try: 1, Usage: spent("m", 100, 7)}}
	fails(t, s.Archive(t.Context(), conv, 5, b), chat.ErrFenced)
	wantSpent(t, s, conv, 0, 0)
}

func usageOfTenants(t *testing.T, s Store) {
	for i, owner := range []string{"acme:ann", "acme:bob", "acme", "other:ann"} {
		n := string(rune('1' + i))
		q := question("c"+n, n)
		q.Owner = owner
		mustAccept(t, s, q)
		ok(t, s.Claimed(t.Context(), q.Conversation, 5, "nonce"))
		spend(t, s, q.Conversation, q.Run, chat.RunDone, spent("m", 100, 10))
	}
	wantDay(t, s, "", "acme", llm.Amount{Tokens: 200, Micros: 20})
	wantDay(t, s, "acme:bob", "", llm.Amount{Tokens: 100, Micros: 10})
	wantDay(t, s, "", "", llm.Amount{Tokens: 400, Micros: 40})
	got, err := s.DaySpent(t.Context(), "2001-01-01", "", "")
	ok(t, err)
	equal(t, "of another day", got, llm.Amount{})
}

func usageBy(t *testing.T, s Store) {
	conv := claimed(t, s)
	spend(t, s, conv, "r1", chat.RunDone, &llm.Usage{Model: "m", Input: 10, CachedInput: 4, CacheWritten: 2, Output: 5, Total: 15, Cost: 3, Unpriced: 6})
	all := chat.UsageRow{Runs: 1, Tokens: 15, Input: 10, Cached: 4, Written: 2, Output: 5, Micros: 3, Unpriced: 6}
	for by, name := range map[string]func(*chat.UsageRow){
		"": func(*chat.UsageRow) {}, "day": func(r *chat.UsageRow) { r.Day = today() }, "person": func(r *chat.UsageRow) { r.Person = "ann" },
		"tenant": func(*chat.UsageRow) {}, "model": func(r *chat.UsageRow) { r.Model = "m" },
	} {
		want := all
		name(&want)
		rows, err := s.Usage(t.Context(), chat.UsageQuery{From: "2001-01-01", To: today(), By: by})
		ok(t, err)
		equal(t, "by "+by, rows, []chat.UsageRow{want})
	}
	rows, err := s.Usage(t.Context(), chat.UsageQuery{From: "2001-01-01", To: "2001-01-02", By: "day"})
	ok(t, err)
	equal(t, "of other days", rows, nil)
	if _, err := s.Usage(t.Context(), chat.UsageQuery{By: "owner"}); err == nil {
		t.Error("by owner: no error")
	}
}

func usageSwept(t *testing.T, s Store) {
	conv := claimed(t, s)
	for i, model := range []string{"a", "b", "c"} {
		id := string(rune('1' + i))
		if i > 0 {
			mustAccept(t, s, question(conv, id))
		}
		spend(t, s, conv, "r"+id, chat.RunDone, spent(model, 100, 7))
	}
	sweep := func(before string, most int, want int64) {
		t.Helper()
		n, err := s.SweepUsage(t.Context(), before, most)
		ok(t, err)
		equal(t, "forgotten before "+before, n, want)
	}
	sweep(today(), 10, 0)
	wantSpent(t, s, conv, 300, 21)
	tomorrow := chat.Day(time.Now().Add(24 * time.Hour))
	sweep(tomorrow, 2, 2)
	wantDay(t, s, "ann", "", llm.Amount{Tokens: 100, Micros: 7})
	sweep(tomorrow, 2, 1)
	sweep(tomorrow, 2, 0)
	wantDay(t, s, "ann", "", llm.Amount{})
	sum, err := s.ConversationSpent(t.Context(), conv)
	ok(t, err)
	equal(t, "of the conversation", sum, llm.Amount{Tokens: 300, Micros: 21})
}
