package storetest

import (
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

func accept() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"makes the conversation":                         acceptNew,
		"keeps an existing one and moves it forward":     acceptMore,
		"does not move it back":                          acceptLate,
		"another owner finds nothing":                    acceptForeign,
		"the same client id gives the first question":    acceptTwice,
		"the same client id in another conversation":     acceptElsewhere,
		"without client ids all are new":                 acceptAnonymous,
		"a taken id is refused and stores nothing":       acceptTaken,
		"ids are needed":                                 acceptWithoutIDs,
		"of one client id at once, one is fresh":         acceptAtOnce,
		"of many questions at once, none is lost":        acceptMany,
		"a question waits outside the history":           acceptWaits,
		"a message of 1 MB and of odd text is kept":      acceptOdd,
		"a cancelled context stores all of it or none":   acceptCancelled,
		"the run is accepted, and nothing more is known": acceptRun,
	}
}

func acceptNew(t *testing.T, s Store) {
	q := question("c1", "1")
	equal(t, "stored", mustAccept(t, s, q), q)
	c, err := s.Conversation(t.Context(), "c1")
	ok(t, err)
	equal(t, "conversation", c, chat.Conversation{ID: "c1", Owner: "ann", Created: start, Updated: start})
}

func acceptMore(t *testing.T, s Store) {
	ok(t, s.CreateConversation(t.Context(), conversation(1)))
	q := question("c01", "1")
	q.Accepted = start.Add(time.Minute)
	mustAccept(t, s, q)
	c, err := s.Conversation(t.Context(), "c01")
	ok(t, err)
	want := conversation(1)
	want.Updated = q.Accepted
	equal(t, "conversation", c, want)
}

func acceptLate(t *testing.T, s Store) {
	c := conversation(1)
	c.Updated = start.Add(time.Hour)
	ok(t, s.CreateConversation(t.Context(), c))
	mustAccept(t, s, question("c01", "1")) // a replica whose clock is behind
	got, err := s.Conversation(t.Context(), "c01")
	ok(t, err)
	equal(t, "conversation", got, c)
}

func acceptForeign(t *testing.T, s Store) {
	mustAccept(t, s, question("c1", "1"))
	for _, n := range []string{"1", "2"} { // not even what was asked before
		q := question("c1", n)
		q.Owner = "eve"
		stored, fresh, err := s.Accept(t.Context(), q)
		fails(t, err, chat.ErrNotFound)
		equal(t, "stored", stored, chat.Question{})
		equal(t, "fresh", fresh, false)
	}
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "pending", runs(qs), "r1")
}

func acceptTwice(t *testing.T, s Store) {
	first := mustAccept(t, s, question("c1", "1"))
	for _, n := range []string{"1", "2"} { // with the same ids, and with others
		again := question("c1", n)
		again.Message.Content, again.Accepted = "something else", start.Add(time.Hour)
		again.Message.Metadata.Parley.ClientID = "client1"
		stored, fresh, err := s.Accept(t.Context(), again)
		ok(t, err)
		equal(t, "fresh", fresh, false)
		equal(t, "stored", stored, first)
	}
	c, err := s.Conversation(t.Context(), "c1")
	ok(t, err)
	equal(t, "updated", c.Updated, start)
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "pending", qs, []chat.Question{first})
}

func acceptElsewhere(t *testing.T, s Store) {
	mustAccept(t, s, question("c1", "1"))
	q := question("c2", "2")
	q.Message.Metadata.Parley.ClientID = "client1"
	mustAccept(t, s, q)
}

func acceptAnonymous(t *testing.T, s Store) {
	for _, n := range []string{"1", "2", "3"} {
		q := question("c1", n)
		q.Message.Metadata = nil
		equal(t, "stored", mustAccept(t, s, q), q)
	}
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "pending", runs(qs), "r1 r2 r3")
}

func acceptTaken(t *testing.T, s Store) {
	mustAccept(t, s, question("c1", "1"))
	run, message := question("c2", "2"), question("c1", "3")
	run.Run, message.Message.ID = "r1", "q1"
	for _, q := range []chat.Question{run, message} {
		_, fresh, err := s.Accept(t.Context(), q)
		fails(t, err, fs.ErrExist)
		equal(t, "fresh", fresh, false)
	}
	_, err := s.Conversation(t.Context(), "c2")
	fails(t, err, chat.ErrNotFound)
	_, err = s.RunRecord(t.Context(), "r3")
	fails(t, err, chat.ErrNotFound)
}

func acceptWithoutIDs(t *testing.T, s Store) {
	for _, q := range []chat.Question{
		{Owner: "ann", Run: "r1", Message: llm.Message{ID: "q1"}},
		{Owner: "ann", Conversation: "c1", Message: llm.Message{ID: "q1"}},
		{Owner: "ann", Conversation: "c1", Run: "r1"},
	} {
		if _, _, err := s.Accept(t.Context(), q); err == nil {
			t.Errorf("%+v is accepted", q)
		}
	}
}

func acceptAtOnce(t *testing.T, s Store) {
	var wg sync.WaitGroup
	var fresh atomic.Int32
	got := make([]chat.Question, 16)
	for i := range got {
		wg.Go(func() {
			q := question("c1", string(rune('a'+i)))
			q.Message.Metadata.Parley.ClientID = "one"
			stored, first, err := s.Accept(t.Context(), q)
			if err != nil {
				t.Error(err)
			}
			if first {
				fresh.Add(1)
			}
			got[i] = stored
		})
	}
	wg.Wait()
	equal(t, "fresh", fresh.Load(), 1)
	for i := range got {
		equal(t, "stored", got[i], got[0])
	}
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "pending", qs, got[:1])
}

func acceptMany(t *testing.T, s Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 5 {
				n := string(rune('a'+i)) + string(rune('0'+j))
				if _, fresh, err := s.Accept(t.Context(), question("c1", n)); err != nil || !fresh {
					t.Error(n, fresh, err)
				}
			}
		})
	}
	wg.Wait()
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "pending", len(qs), 80)
	last := map[byte]string{}
	for _, q := range qs { // each asker's in the order in which they were acknowledged
		if q.Run <= last[q.Run[1]] {
			t.Errorf("%s stands behind %s", q.Run, last[q.Run[1]])
		}
		last[q.Run[1]] = q.Run
	}
}

func acceptWaits(t *testing.T, s Store) {
	conv := answered(t, s)
	mustAccept(t, s, question(conv, "2"))
	equal(t, "history", shown(t, s, conv), "q1 a1")
	ms, _, err := s.History(t.Context(), conv, "q2", 10)
	ok(t, err)
	equal(t, "before a question that waits", ids(ms), "q1 a1")
}

func acceptOdd(t *testing.T, s Store) {
	for n, text := range map[string]string{
		"1": strings.Repeat("αβγ 🧑‍🚀 \x00\n\\\"'", 1<<20/24),
		"2": "\u2028 \u202e rtl \ufeff <script>&amp;</script> $1 ? %s",
		"3": "",
	} {
		q := question("c1", n)
		q.Message.Content = text
		mustAccept(t, s, q)
		stored, fresh, err := s.Accept(t.Context(), q)
		ok(t, err)
		equal(t, "fresh", fresh, false)
		if stored.Message.Content != text {
			t.Errorf("%d bytes become %d: %.80q", len(text), len(stored.Message.Content), stored.Message.Content)
		}
	}
}

func acceptCancelled(t *testing.T, s Store) {
	ctx, cancel := contextWithCancel(t)
	cancel()
	_, _, err := s.Accept(ctx, question("c1", "1"))
	fails(t, err, ctx.Err())
	_, err = s.Conversation(t.Context(), "c1")
	fails(t, err, chat.ErrNotFound)
	for i := range 50 { // somewhere in the midst of it
		ctx, cancel := contextWithCancel(t)
		n := string(rune('A' + i))
		time.AfterFunc(time.Duration(i)*4*time.Microsecond, cancel)
		_, _, err := s.Accept(ctx, question("c"+n, n))
		cancel()
		allOrNone(t, s, "c"+n, err == nil)
	}
}

// allOrNone waits until a conversation and its question are both there, or
// both not: a server may be about to commit what was cancelled.
func allOrNone(t *testing.T, s Store, conv string, accepted bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; {
		qs, err := s.Pending(t.Context(), conv)
		ok(t, err)
		_, cerr := s.Conversation(t.Context(), conv)
		if (len(qs) == 1) == (cerr == nil) && (len(qs) == 1 || !accepted) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("accepted: %v, pending: %d, conversation: %v", accepted, len(qs), cerr)
		}
	}
}

func acceptRun(t *testing.T, s Store) {
	mustAccept(t, s, question("c1", "1"))
	r, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	equal(t, "run", r, chat.RunRecord{
		ID: "r1", Conversation: "c1", Question: "q1", Status: chat.RunAccepted, Created: start, Updated: start,
	})
}
