package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

func interrupts() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"a run that waits is not due":                    waitNotDue,
		"are what was asked":                             asksAsAsked,
		"the last answer makes the run due":              answerLast,
		"the same answer again changes nothing":          answerAgain,
		"the first answer counts":                        answerFirst,
		"of many at once one answer counts":              answerRace,
		"are answered all or none":                       answerAll,
		"belong to one conversation":                     answerForeign,
		"are stored twice and answered in between":       answerBetween,
		"a new question abandons":                        abandonByQuestion,
		"an edit abandons":                               abandonByEdit,
		"an answer given anew abandons":                  abandonByReplacing,
		"a question that waits abandons":                 abandonQueued,
		"stopping abandons one run":                      abandonOne,
		"expire":                                         expire,
		"an answer or the end of time counts, not both":  expireRace,
		"a tool is allowed in one conversation":          allowHere,
		"a zombie's are refused":                         asksFenced,
		"go with their conversation":                     asksDeleted,
		"a conversation says that it waits for somebody": listWaiting,
	}
}

func anAsk(id string, expires time.Duration) chat.Ask {
	return chat.Ask{
		Interrupt: chat.Interrupt{
			ID: id, Reason: tools.AskApproval, Message: "May it?", ToolCallID: "k" + id, Schema: json.RawMessage(`{"type":"object"}`),
			Expires: time.Now().Add(expires).UTC().Truncate(time.Millisecond), Metadata: &chat.InterruptMetadata{Parley: chat.InterruptDetails{Tool: "pay"}},
		},
		State: "state " + id,
	}
}

// waiting is a conversation whose run waits for answers to i1 and i2.
func waiting(t *testing.T, s Store) (conv string) {
	t.Helper()
	conv = claimed(t, s)
	ok(t, s.Archive(t.Context(), conv, 5, waits(anAsk("i1", time.Hour), anAsk("i2", time.Hour))))
	return conv
}

func waits(asks ...chat.Ask) chat.Batch {
	return chat.Batch{
		Messages: []llm.Message{question("c1", "1").Message, answer("r1", "a1", "calling")},
		Run:      &chat.RunRecord{ID: "r1", Status: chat.RunWaiting, Try: 1}, Asks: asks,
	}
}

func yes(id string) chat.Decision {
	return chat.Decision{Interrupt: id, Status: tools.AnswerResolved, Payload: json.RawMessage(`{"approved":true}`), By: "owner"}
}

func no(id string) chat.Decision {
	return chat.Decision{Interrupt: id, Status: tools.AnswerResolved, Payload: json.RawMessage(`{"approved":false}`), By: "owner"}
}

func mustAnswer(t *testing.T, s Store, ds ...chat.Decision) {
	t.Helper()
	_, err := s.Answer(t.Context(), "c1", ds)
	ok(t, err)
}

// standing is how far r1 is, and whether it is due.
func standing(t *testing.T, s Store) string {
	t.Helper()
	rec, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	for _, q := range qs {
		if q.Run == "r1" {
			return string(rec.Status) + ", due"
		}
	}
	return string(rec.Status)
}

func statuses(t *testing.T, s Store) (out string) {
	t.Helper()
	asks, err := s.Asks(t.Context(), "r1")
	ok(t, err)
	for _, a := range asks {
		out += a.ID + " " + string(a.Status) + string(a.Payload) + ";"
	}
	return out
}

func waitNotDue(t *testing.T, s Store) {
	waiting(t, s)
	equal(t, "it", standing(t, s), "waiting")
	qs, err := s.Due(t.Context(), time.Now().Add(time.Hour), 10)
	ok(t, err)
	equal(t, "due", len(qs), 0)
	rec, asks, err := s.Waiting(t.Context(), "c1")
	ok(t, err)
	equal(t, "what waits", rec.ID+fmt.Sprint(len(asks)), "r12")
}

func asksAsAsked(t *testing.T, s Store) {
	waiting(t, s)
	got, err := s.Ask(t.Context(), "c1", "i2")
	ok(t, err)
	want := anAsk("i2", time.Hour)
	want.Conversation, want.Run, want.Created, want.Expires = "c1", "r1", got.Created, got.Expires
	equal(t, "the ask", got, want)
	if got.Created.IsZero() || !got.Open() {
		t.Errorf("%+v", got)
	}
}

func answerLast(t *testing.T, s Store) {
	waiting(t, s)
	mustAnswer(t, s, no("i1"))
	equal(t, "after one", standing(t, s), "waiting")
	mustAnswer(t, s, yes("i2"))
	equal(t, "after both", standing(t, s), "answered, due")
	equal(t, "decided", statuses(t, s), `i1 resolved{"approved":false};i2 resolved{"approved":true};`)
	_, _, err := s.Waiting(t.Context(), "c1")
	fails(t, err, chat.ErrNotFound)
}

func answerAgain(t *testing.T, s Store) {
	waiting(t, s)
	mustAnswer(t, s, yes("i1"), yes("i2"))
	ok(t, s.Archive(t.Context(), "c1", 5, chat.Batch{Run: ended("r1")}))
	d := yes("i1")
	d.Payload = json.RawMessage(` { "approved" : true } `)
	mustAnswer(t, s, d)
	equal(t, "it", standing(t, s), "finished")
}

func answerFirst(t *testing.T, s Store) {
	waiting(t, s)
	mustAnswer(t, s, yes("i1"))
	for _, d := range []chat.Decision{no("i1"), {Interrupt: "i1", Status: tools.AnswerCancelled}} {
		_, err := s.Answer(t.Context(), "c1", []chat.Decision{d})
		fails(t, err, chat.ErrAnswered)
	}
	equal(t, "decided", statuses(t, s), `i1 resolved{"approved":true};i2 ;`)
}

func answerRace(t *testing.T, s Store) {
	waiting(t, s)
	var wg sync.WaitGroup
	var won atomic.Int32
	for n := range 8 {
		wg.Go(func() {
			d := chat.Decision{Interrupt: "i1", Status: tools.AnswerResolved, Payload: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
			_, err := s.Answer(t.Context(), "c1", []chat.Decision{d})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, chat.ErrAnswered) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "winners", won.Load(), int32(1))
}

func answerAll(t *testing.T, s Store) {
	waiting(t, s)
	for _, other := range []string{"i9", ""} {
		_, err := s.Answer(t.Context(), "c1", []chat.Decision{yes("i1"), yes(other)})
		fails(t, err, chat.ErrNotFound)
	}
	equal(t, "decided", statuses(t, s), `i1 ;i2 ;`)
}

func answerForeign(t *testing.T, s Store) {
	waiting(t, s)
	mustAccept(t, s, question("c2", "2"))
	_, err := s.Answer(t.Context(), "c2", []chat.Decision{yes("i1")})
	fails(t, err, chat.ErrNotFound)
	_, err = s.Answer(t.Context(), "c9", []chat.Decision{yes("i1")})
	fails(t, err, chat.ErrNotFound)
	_, err = s.Ask(t.Context(), "c2", "i1")
	fails(t, err, chat.ErrNotFound)
}

// A reply of the store was lost: the writer stores it again, when it has been
// answered already.
func answerBetween(t *testing.T, s Store) {
	waiting(t, s)
	mustAnswer(t, s, yes("i1"), yes("i2"))
	ok(t, s.Archive(t.Context(), "c1", 5, waits(anAsk("i1", time.Hour), anAsk("i2", time.Hour))))
	equal(t, "it", standing(t, s), "answered, due")
	equal(t, "decided", statuses(t, s), `i1 resolved{"approved":true};i2 resolved{"approved":true};`)
}

func abandonByQuestion(t *testing.T, s Store) {
	waiting(t, s)
	mustAnswer(t, s, yes("i1"))
	mustAccept(t, s, question("c1", "2"))
	equal(t, "it", standing(t, s), "abandoned, due")
	equal(t, "decided", statuses(t, s), `i1 resolved{"approved":true};i2 cancelled;`)
	_, err := s.Answer(t.Context(), "c1", []chat.Decision{yes("i2")})
	fails(t, err, chat.ErrAnswered)
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "first", qs[0].Run, "r1")
}

func abandonByEdit(t *testing.T, s Store) {
	waiting(t, s)
	q := question("c1", "2")
	q.Edits = "q1"
	mustAccept(t, s, q)
	equal(t, "it", standing(t, s), "abandoned, due")
}

func abandonByReplacing(t *testing.T, s Store) {
	waiting(t, s)
	q := question("c1", "1")
	q.Run, q.Replaces = "r2", "r1"
	q.Message.Metadata = &llm.Metadata{Parley: llm.Details{ClientID: "again"}}
	mustAccept(t, s, q)
	equal(t, "it", standing(t, s), "abandoned, due")
}

func abandonQueued(t *testing.T, s Store) {
	claimed(t, s)
	mustAccept(t, s, question("c1", "2"))
	ok(t, s.Archive(t.Context(), "c1", 5, waits(anAsk("i1", time.Hour))))
	equal(t, "it", standing(t, s), "abandoned, due")
	equal(t, "decided", statuses(t, s), `i1 cancelled;`)
}

func abandonOne(t *testing.T, s Store) {
	waiting(t, s)
	run, err := s.Abandon(t.Context(), "c1", "r9")
	ok(t, err)
	equal(t, "another run", run+" "+standing(t, s), " waiting")
	run, err = s.Abandon(t.Context(), "c1", "r1")
	ok(t, err)
	equal(t, "this run", run+" "+standing(t, s), "r1 abandoned, due")
	run, err = s.Abandon(t.Context(), "c1", "r1")
	ok(t, err)
	equal(t, "again", run, "")
	_, err = s.Abandon(t.Context(), "c9", "r1")
	fails(t, err, chat.ErrNotFound)
}

func expire(t *testing.T, s Store) {
	claimed(t, s)
	ok(t, s.Archive(t.Context(), "c1", 5, waits(anAsk("i1", -time.Second), anAsk("i2", time.Hour))))
	_, err := s.Answer(t.Context(), "c1", []chat.Decision{yes("i1")})
	fails(t, err, chat.ErrExpired)
	due, err := s.Expire(t.Context(), 10)
	ok(t, err)
	equal(t, "expired", fmt.Sprint(due), "[{c1 r1 i1}]")
	equal(t, "with one open", standing(t, s), "waiting")
	mustAnswer(t, s, yes("i2"))
	equal(t, "it", standing(t, s), "answered, due")
	equal(t, "decided", statuses(t, s), `i1 expired;i2 resolved{"approved":true};`)
	due, err = s.Expire(t.Context(), 10)
	ok(t, err)
	equal(t, "expired again", len(due), 0)
}

func expireRace(t *testing.T, s Store) {
	claimed(t, s)
	ok(t, s.Archive(t.Context(), "c1", 5, waits(anAsk("i1", 30*time.Millisecond))))
	var wg sync.WaitGroup
	var answered, expired atomic.Int32
	for range 4 {
		wg.Go(func() {
			for end := time.Now().Add(60 * time.Millisecond); time.Now().Before(end); {
				due, err := s.Expire(t.Context(), 10)
				expired.Add(int32(len(due)))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		_, err := s.Answer(t.Context(), "c1", []chat.Decision{yes("i1")})
		if err == nil {
			answered.Add(1)
		}
	})
	wg.Wait()
	equal(t, "decisions", answered.Load()+expired.Load(), int32(1))
	equal(t, "it", standing(t, s), "answered, due")
}

func allowHere(t *testing.T, s Store) {
	waiting(t, s)
	d := yes("i1")
	d.Always = "pay"
	mustAnswer(t, s, d)
	for _, c := range []struct {
		conv, tool string
		want       tools.Approval
	}{{"c1", "pay", tools.ApprovalAuto}, {"c1", "look", ""}, {"c2", "pay", ""}} {
		got, err := s.Allowed(t.Context(), c.conv, c.tool)
		ok(t, err)
		equal(t, c.tool+" in "+c.conv, got, c.want)
	}
	names, err := s.Allowances(t.Context(), "c1")
	ok(t, err)
	equal(t, "allowed", strings.Join(names, " "), "pay")
	fails(t, s.Disallow(t.Context(), "c2", "pay"), chat.ErrNotFound)
	ok(t, s.Disallow(t.Context(), "c1", "pay"))
	fails(t, s.Disallow(t.Context(), "c1", "pay"), chat.ErrNotFound)
	got, err := s.Allowed(t.Context(), "c1", "pay")
	ok(t, err)
	equal(t, "taken back", got, "")
	names, err = s.Allowances(t.Context(), "c1")
	ok(t, err)
	equal(t, "allowed after that", len(names), 0)
}

func asksFenced(t *testing.T, s Store) {
	claimed(t, s)
	ok(t, s.Claimed(t.Context(), "c1", 6, "other"))
	fails(t, s.Archive(t.Context(), "c1", 5, waits(anAsk("i1", time.Hour))), chat.ErrFenced)
	equal(t, "asked", statuses(t, s), "")
}

func asksDeleted(t *testing.T, s Store) {
	waiting(t, s)
	ok(t, s.DeleteConversation(t.Context(), "c1"))
	_, err := s.Answer(t.Context(), "c1", []chat.Decision{yes("i1")})
	fails(t, err, fs.ErrNotExist)
	equal(t, "asked", statuses(t, s), "")
}

func listWaiting(t *testing.T, s Store) {
	waiting(t, s)
	mustAccept(t, s, question("c2", "2"))
	list := func() (out string) {
		cs, _, err := s.Conversations(t.Context(), "ann", "", 10)
		ok(t, err)
		for _, c := range cs {
			if c.Waiting {
				out += c.ID
			}
		}
		return out
	}
	equal(t, "waiting", list(), "c1")
	mustAnswer(t, s, yes("i1"), yes("i2"))
	equal(t, "waiting", list(), "")
}
