package storetest

import (
	"testing"
	"time"

	"parley/gateway/chat"
)

func pending() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"is what has not ended, in order":       pendingOrder,
		"is due when nothing was heard of it":   pendingDue,
		"is due a page at a time, oldest first": pendingDueLimit,
	}
}

func pendingOrder(t *testing.T, s Store) {
	conv := claimed(t, s)
	for _, n := range []string{"9", "2", "5"} { // all in the same millisecond
		mustAccept(t, s, question(conv, n))
	}
	mustAccept(t, s, question("c2", "7"))
	for _, step := range []struct {
		run    string
		status chat.RunStatus
		want   string
	}{
		{"r1", chat.RunRunning, "r1 r9 r2 r5"},
		{"r1", chat.RunDone, "r9 r2 r5"},
		{"r2", chat.RunCancelled, "r9 r5"},
		{"r9", chat.RunFailed, "r5"},
	} {
		ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Run: &chat.RunRecord{ID: step.run, Status: step.status}}))
		qs, err := s.Pending(t.Context(), conv)
		ok(t, err)
		equal(t, "pending", runs(qs), step.want)
	}
	qs, err := s.Pending(t.Context(), conv)
	ok(t, err)
	equal(t, "question", qs, []chat.Question{question(conv, "5")})
}

func pendingDue(t *testing.T, s Store) {
	conv := claimed(t, s)
	late := question("c2", "2")
	late.Accepted = start.Add(time.Minute)
	mustAccept(t, s, late)
	due := func(before time.Time, want string) {
		t.Helper()
		qs, err := s.Due(t.Context(), before, 10)
		ok(t, err)
		equal(t, "due", runs(qs), want)
	}
	due(start, "")
	due(start.Add(time.Millisecond), "r1")
	due(start.Add(time.Hour), "r1 r2")
	qs, err := s.Due(t.Context(), start.Add(time.Second), 10)
	ok(t, err)
	equal(t, "question", qs, []chat.Question{question(conv, "1")})

	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Run: &chat.RunRecord{ID: "r1", Status: chat.RunRunning}}))
	due(start.Add(time.Hour), "r2") // r1 was heard of just now
	due(time.Now().Add(time.Hour), "r2 r1")
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Run: ended("r1")}))
	due(time.Now().Add(time.Hour), "r2")
}

func pendingDueLimit(t *testing.T, s Store) {
	for i, n := range []string{"3", "1", "2"} {
		q := question("c"+n, n)
		q.Accepted = start.Add(time.Duration(i) * time.Second)
		mustAccept(t, s, q)
	}
	for limit, want := range map[int]string{1: "r3", 2: "r3 r1", 3: "r3 r1 r2", 9: "r3 r1 r2"} {
		qs, err := s.Due(t.Context(), start.Add(time.Hour), limit)
		ok(t, err)
		equal(t, "due", runs(qs), want)
	}
}
