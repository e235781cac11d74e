package storetest

import (
	"testing"

	"parley/gateway/chat"
	"parley/llm"
)

func edit() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"gives a run for the new question":             editRun,
		"the same client id gives the first edit":      editTwice,
		"only while nothing is answered or waits":      editRunning,
		"of several at once one":                       editAtOnce,
		"of an edit and another answer at once one":    editOrReplace,
		"only what is there":                           editNothing,
		"only what a person said":                      editAnswer,
		"only what is shown":                           editHidden,
		"hides the old question and all behind it":     editHides,
		"of the first message leaves nothing before":   editFirst,
		"of an edited question edits again":            editAgain,
		"an edited question is answered anew":          editReplaced,
		"what is before it, before and after it began": editBefore,
	}
}

// editing returns the request to have question qn stand in the place of a
// message.
func editing(conv, n, message string) chat.Question {
	q := question(conv, n)
	q.Edits = message
	q.Message.Metadata.Parley.Edits = message
	return q
}

// three is answered with two more questions and their answers.
func three(t *testing.T, s Store) (conv string) {
	t.Helper()
	conv = answered(t, s)
	for _, n := range []string{"2", "3"} {
		mustAccept(t, s, question(conv, n))
		said(t, s, conv, n)
	}
	return conv
}

// edited archives an edit.
func edited(t *testing.T, s Store, conv, n, message string) {
	t.Helper()
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{
		Messages: []llm.Message{editing(conv, n, message).Message, answer("r"+n, "a"+n, "answer")}, Run: ended("r" + n), Edited: message,
	}))
}

func editRun(t *testing.T, s Store) {
	conv := three(t, s)
	want := editing(conv, "4", "q2")
	equal(t, "stored", mustAccept(t, s, want), want)
	qs, err := s.Pending(t.Context(), conv)
	ok(t, err)
	equal(t, "pending", qs, []chat.Question{want})
	r, err := s.RunRecord(t.Context(), "r4")
	ok(t, err)
	equal(t, "run", r, chat.RunRecord{
		ID: "r4", Conversation: conv, Question: "q4", Edits: "q2", Status: chat.RunAccepted, Created: start, Updated: start,
	})
	equal(t, "history", shown(t, s, conv), "q1 a1 q2 a2 q3 a3")
}

func editTwice(t *testing.T, s Store) {
	conv := three(t, s)
	first := mustAccept(t, s, editing(conv, "4", "q2"))
	again := editing(conv, "5", "q2")
	again.Message.Metadata.Parley.ClientID = "client4"
	for range 2 {
		stored, fresh, err := s.Accept(t.Context(), again)
		ok(t, err)
		equal(t, "fresh", fresh, false)
		equal(t, "stored", stored, first)
		edited(t, s, conv, "4", "q2") // and when all is done
	}
	equal(t, "history", shown(t, s, conv), "q1 a1 q4 a4")
}

func editRunning(t *testing.T, s Store) {
	conv := three(t, s)
	mustAccept(t, s, question(conv, "4"))
	refused(t, s, editing(conv, "5", "q2"))
	refused(t, s, editing(conv, "5", "q4")) // it waits itself
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{
		Messages: []llm.Message{question(conv, "4").Message}, Run: &chat.RunRecord{ID: "r4", Status: chat.RunRunning, Try: 1},
	}))
	refused(t, s, editing(conv, "5", "q2"))
	refused(t, s, editing(conv, "5", "q4"))
	said(t, s, conv, "4")
	mustAccept(t, s, editing(conv, "5", "q2"))
	refused(t, s, editing(conv, "6", "q2"))
	refused(t, s, editing(conv, "6", "q1"))
	refused(t, s, editing(conv, "6", "q5"))
}

func editAtOnce(t *testing.T, s Store) {
	conv := three(t, s)
	equal(t, "pending", race(t, s, conv, func(n string) chat.Question { return editing(conv, n, "q2") }), 1)
}

func editOrReplace(t *testing.T, s Store) {
	conv := answered(t, s)
	equal(t, "pending", race(t, s, conv, func(n string) chat.Question {
		if n[0]%2 == 0 {
			return anew(conv, n, "r1")
		}
		return editing(conv, n, "q1")
	}), 1)
}

func editNothing(t *testing.T, s Store) {
	conv := answered(t, s)
	other := question("c2", "9")
	other.Owner = "bob"
	mustAccept(t, s, other)
	mine, foreign := editing("c2", "2", "q1"), editing(conv, "2", "q1")
	mine.Owner, foreign.Owner = "bob", "bob" // another's message, in one's own conversation and in theirs
	for _, q := range []chat.Question{editing(conv, "2", "q7"), editing(conv, "2", "q9"), editing("c3", "2", "q1"), mine, foreign} {
		_, _, err := s.Accept(t.Context(), q)
		fails(t, err, chat.ErrNotFound)
	}
	_, err := s.RunRecord(t.Context(), "r2")
	fails(t, err, chat.ErrNotFound)
	equal(t, "history", shown(t, s, conv), "q1 a1")
}

func editAnswer(t *testing.T, s Store) {
	conv := answered(t, s)
	refused(t, s, editing(conv, "2", "a1"))
}

func editHidden(t *testing.T, s Store) {
	conv := three(t, s)
	mustAccept(t, s, editing(conv, "4", "q2"))
	edited(t, s, conv, "4", "q2")
	refused(t, s, editing(conv, "5", "q2"))
	refused(t, s, editing(conv, "5", "q3"))
	q := question(conv, "5")
	q.Message.ID, q.Replaces = "q3", "r3"
	refused(t, s, q) // nor is what it was answered with given anew
	mustAccept(t, s, editing(conv, "6", "q1"))
}

func editHides(t *testing.T, s Store) {
	conv := three(t, s)
	mustAccept(t, s, editing(conv, "4", "q2"))
	b := chat.Batch{Messages: []llm.Message{editing(conv, "4", "q2").Message}, Run: &chat.RunRecord{ID: "r4", Status: chat.RunRunning, Try: 1}, Edited: "q2"}
	ok(t, s.Archive(t.Context(), conv, 5, b))
	equal(t, "history", shown(t, s, conv), "q1 a1 q4")
	edited(t, s, conv, "4", "q2")
	edited(t, s, conv, "4", "q2")
	equal(t, "history", shown(t, s, conv), "q1 a1 q4 a4")
	mustAccept(t, s, question(conv, "5"))
	said(t, s, conv, "5")
	ok(t, s.Archive(t.Context(), conv, 5, b)) // late
	equal(t, "history", shown(t, s, conv), "q1 a1 q4 a4 q5 a5")
	for _, hidden := range []string{"q2", "a2", "q3", "a3"} {
		ms, _, err := s.History(t.Context(), conv, hidden, 10)
		ok(t, err)
		equal(t, "before "+hidden, ids(ms), "q1 a1")
	}
}

func editFirst(t *testing.T, s Store) {
	conv := three(t, s)
	mustAccept(t, s, editing(conv, "4", "q1"))
	edited(t, s, conv, "4", "q1")
	equal(t, "history", shown(t, s, conv), "q4 a4")
}

func editAgain(t *testing.T, s Store) {
	conv := three(t, s)
	mustAccept(t, s, editing(conv, "4", "q3"))
	edited(t, s, conv, "4", "q3")
	mustAccept(t, s, editing(conv, "5", "q4"))
	edited(t, s, conv, "5", "q4")
	equal(t, "history", shown(t, s, conv), "q1 a1 q2 a2 q5 a5")
}

func editReplaced(t *testing.T, s Store) {
	conv := three(t, s)
	mustAccept(t, s, editing(conv, "4", "q2"))
	edited(t, s, conv, "4", "q2")
	q := question(conv, "5")
	q.Message.ID, q.Replaces = "q4", "r4"
	stored := mustAccept(t, s, q)
	equal(t, "edits", stored.Edits, "")
	equal(t, "content", stored.Message.Content, "question 4")
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{answer("r5", "a5", "better")}, Run: ended("r5"), Replaced: "r4"}))
	equal(t, "history", shown(t, s, conv), "q1 a1 q4 a5")
}

// editBefore asks for what is before a question that is yet to take its
// place: as it will be.
func editBefore(t *testing.T, s Store) {
	conv := three(t, s)
	mustAccept(t, s, editing(conv, "4", "q2"))
	for range 2 {
		ms, _, err := s.History(t.Context(), conv, "q4", 10)
		ok(t, err)
		equal(t, "before it", ids(ms), "q1 a1")
		edited(t, s, conv, "4", "q2")
	}
}
