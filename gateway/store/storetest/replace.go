package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"parley/gateway/chat"
	"parley/llm"
)

func replace() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"gives a run for the old question":           replaceRun,
		"the same client id gives the first run":     replaceTwice,
		"only what has ended":                        replaceRunning,
		"only while nothing waits":                   replaceWaits,
		"of several at once one":                     replaceAtOnce,
		"only the last":                              replaceLast,
		"only what is there":                         replaceNothing,
		"the old answer is hidden, the question not": replaceHides,
		"again and again shows the last":             replaceAgain,
		"a run keeps its format":                     keepFormat,
	}
}

// anew returns the request to answer question q1 again.
func anew(conv, n, replaces string) chat.Question {
	q := question(conv, n)
	q.Message.ID, q.Message.Content, q.Replaces = "q1", "", replaces
	return q
}

func replaceRun(t *testing.T, s Store) {
	conv := answered(t, s)
	want := anew(conv, "2", "r1")
	want.Message.Content = "question 1"
	equal(t, "stored", mustAccept(t, s, anew(conv, "2", "r1")), want)
	qs, err := s.Pending(t.Context(), conv)
	ok(t, err)
	equal(t, "pending", qs, []chat.Question{want})
	r, err := s.RunRecord(t.Context(), "r2")
	ok(t, err)
	equal(t, "run", r, chat.RunRecord{
		ID: "r2", Conversation: conv, Question: "q1", Replaces: "r1", Status: chat.RunAccepted, Created: start, Updated: start,
	})
	equal(t, "history", shown(t, s, conv), "q1 a1")
}

func keepFormat(t *testing.T, s Store) {
	q := question("c1", "1")
	q.Format = llm.NewFormat("list", []byte(`{"type":"array"}`), true)
	mustAccept(t, s, q)
	r, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	want, err := q.Format.MarshalJSON()
	ok(t, err)
	got, err := r.Format.MarshalJSON()
	ok(t, err)
	equal(t, "format", string(got), string(want))
	ok(t, s.Claimed(t.Context(), "c1", 5, "nonce"))
	ok(t, s.Archive(t.Context(), "c1", 5, chat.Batch{
		Messages: []llm.Message{q.Message, answer("r1", "a1", "[]")}, Run: ended("r1"),
	}))
	e := question("c1", "2")
	e.Edits, e.KeepFiles = "q1", true
	mustAccept(t, s, e)
	r, err = s.RunRecord(t.Context(), "r2")
	ok(t, err)
	equal(t, "format of an edit", r.Format != nil && r.Format.Name == "list" && r.Format.Strict, true)
}

func replaceTwice(t *testing.T, s Store) {
	conv := answered(t, s)
	first := mustAccept(t, s, anew(conv, "2", "r1"))
	again := anew(conv, "3", "r1")
	again.Message.Metadata.Parley.ClientID = "client2"
	stored, fresh, err := s.Accept(t.Context(), again)
	ok(t, err)
	equal(t, "fresh", fresh, false)
	equal(t, "stored", stored, first)
	stored, fresh, err = s.Accept(t.Context(), question(conv, "1")) // its own client id is still known
	ok(t, err)
	equal(t, "fresh", fresh, false)
	equal(t, "stored", stored, question(conv, "1"))
}

func replaceRunning(t *testing.T, s Store) {
	conv := claimed(t, s)
	is := func(run string, status chat.RunStatus) {
		t.Helper()
		ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{
			Messages: []llm.Message{question(conv, "1").Message}, Run: &chat.RunRecord{ID: run, Status: status},
		}))
	}
	for _, status := range []chat.RunStatus{chat.RunAccepted, chat.RunRunning} {
		is("r1", status)
		if _, _, err := s.Accept(t.Context(), anew(conv, "2", "r1")); err == nil || errors.Is(err, chat.ErrNotFound) {
			t.Errorf("replacing a run that is %s: %v", status, err)
		}
	}
	for i, status := range []chat.RunStatus{chat.RunFailed, chat.RunCancelled, chat.RunDone} {
		is("r1", status)
		n := string(rune('3' + i))
		mustAccept(t, s, anew(conv, n, "r1"))
		is("r"+n, chat.RunDone)
	}
}

func replaceWaits(t *testing.T, s Store) {
	conv := answered(t, s)
	mustAccept(t, s, question(conv, "2"))
	refused(t, s, anew(conv, "3", "r1"))
	qs, err := s.Pending(t.Context(), conv)
	ok(t, err)
	equal(t, "pending", runs(qs), "r2")
}

// replaceAtOnce has several ask for another answer at the same moment.
func replaceAtOnce(t *testing.T, s Store) {
	conv := answered(t, s)
	equal(t, "pending", race(t, s, conv, func(n string) chat.Question { return anew(conv, n, "r1") }), 1)
}

func replaceLast(t *testing.T, s Store) {
	conv := answered(t, s)
	mustAccept(t, s, question(conv, "2"))
	said(t, s, conv, "2")
	refused(t, s, anew(conv, "3", "r1"))
	q := question(conv, "4")
	q.Message.ID, q.Replaces = "q2", "r2"
	mustAccept(t, s, q)
}

// refused has a question not accepted, though all is there that it names.
func refused(t *testing.T, s Store, q chat.Question) {
	t.Helper()
	_, _, err := s.Accept(t.Context(), q)
	if err == nil || errors.Is(err, chat.ErrNotFound) {
		t.Errorf("accepting %s: %v", q.Run, err)
	}
	_, err = s.RunRecord(t.Context(), q.Run)
	fails(t, err, chat.ErrNotFound)
}

// said archives question n, and an answer to it.
func said(t *testing.T, s Store, conv, n string) {
	t.Helper()
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{
		Messages: []llm.Message{question(conv, n).Message, answer("r"+n, "a"+n, "answer")}, Run: ended("r" + n),
	}))
}

// race has several questions asked at once and returns how many of them wait
// for an answer then.
func race(t *testing.T, s Store, conv string, q func(n string) chat.Question) int {
	t.Helper()
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			if _, _, err := s.Accept(t.Context(), q(string(rune('s'+i)))); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	qs, err := s.Pending(t.Context(), conv)
	ok(t, err)
	equal(t, "accepted", int(won.Load()), len(qs))
	return len(qs)
}

func replaceNothing(t *testing.T, s Store) {
	conv := answered(t, s)
	other := question("c2", "9")
	other.Owner = "bob"
	mustAccept(t, s, other)
	foreign := anew("c2", "2", "r1") // another's run in one's own conversation
	foreign.Owner = "bob"
	mismatch := anew(conv, "2", "r1")
	mismatch.Message.ID = "a1"
	for _, q := range []chat.Question{anew(conv, "2", "r9"), anew(conv, "2", "rX"), anew("c3", "2", "r1"), foreign, mismatch} {
		_, _, err := s.Accept(t.Context(), q)
		fails(t, err, chat.ErrNotFound)
	}
	_, err := s.RunRecord(t.Context(), "r2")
	fails(t, err, chat.ErrNotFound)
}

func replaceHides(t *testing.T, s Store) {
	conv := answered(t, s)
	mustAccept(t, s, anew(conv, "2", "r1"))
	b := chat.Batch{Messages: []llm.Message{answer("r2", "a2", "better")}, Run: ended("r2"), Replaced: "r1"}
	for range 2 {
		ok(t, s.Archive(t.Context(), conv, 5, b))
		equal(t, "history", shown(t, s, conv), "q1 a2")
	}
	ms, _, err := s.History(t.Context(), conv, "a1", 10)
	ok(t, err)
	equal(t, "before the hidden one", ids(ms), "q1")
}

func replaceAgain(t *testing.T, s Store) {
	conv := answered(t, s)
	for _, n := range []string{"2", "3", "4"} {
		old := "r" + string(n[0]-1)
		mustAccept(t, s, anew(conv, n, old))
		ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{
			Messages: []llm.Message{answer("r"+n, "a"+n, "better")}, Run: ended("r" + n), Replaced: old,
		}))
	}
	equal(t, "history", shown(t, s, conv), "q1 a4")
}
