package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

func conversation(n int) chat.Conversation {
	return chat.Conversation{
		ID: fmt.Sprintf("c%02d", n), Owner: "ann", Title: fmt.Sprintf("title %d", n),
		Created: start, Updated: start.Add(time.Duration(n/2) * time.Second), // two and two at the same time
	}
}

func conversations() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"is read as it was created":                  readConversation,
		"gets times if it has none":                  timeConversation,
		"is created once":                            createTwice,
		"that is not there is not found":             noConversation,
		"are listed for their owner, latest first":   listConversations,
		"pages hold under inserts and activity":      pageConversations,
		"a strange cursor is refused":                strangeCursor,
		"renaming does not move it":                  renameConversation,
		"a better title, unless it was renamed":      retitle,
		"deleting removes everything":                deleteConversation,
		"a deleted one does not come back":           deleteForGood,
		"names and titles may be in any script":      scripts,
		"what no text may hold does no harm":         oddTexts,
		"deleting wins over those who ask meanwhile": deleteRace,
		"others are not touched by what one does":    apart,
		"the same message id may be in two":          sameMessageID,
		"answers to pings":                           func(t *testing.T, s Store) { ok(t, s.Ping(t.Context())) },
		"limits of a page are kept when none is set": defaultPage,
		"many are asked whose they are at once":      owners,
	}
}

func owners(t *testing.T, s Store) {
	want := map[string]string{}
	convs := []string{"absent", "o'clock"}
	for i := range 300 {
		c := chat.Conversation{ID: fmt.Sprintf("c%03d", i), Owner: fmt.Sprintf("owner%d", i%7)}
		convs = append(convs, c.ID)
		if i%10 == 0 {
			continue
		}
		ok(t, s.CreateConversation(t.Context(), c))
		want[c.ID] = c.Owner
	}
	ok(t, s.DeleteConversation(t.Context(), "c007"))
	delete(want, "c007")
	got, err := s.Owners(t.Context(), convs)
	ok(t, err)
	equal(t, "owners", got, want)
	got, err = s.Owners(t.Context(), nil)
	ok(t, err)
	equal(t, "owners of nothing", got, map[string]string{})
}

func readConversation(t *testing.T, s Store) {
	ok(t, s.CreateConversation(t.Context(), conversation(3)))
	c, err := s.Conversation(t.Context(), "c03")
	ok(t, err)
	equal(t, "conversation", c, conversation(3))
}

func timeConversation(t *testing.T, s Store) {
	before := time.Now().Truncate(time.Millisecond)
	ok(t, s.CreateConversation(t.Context(), chat.Conversation{ID: "c1", Owner: "ann"}))
	c, err := s.Conversation(t.Context(), "c1")
	ok(t, err)
	if c.Created.Before(before) || c.Created.After(time.Now()) || !c.Updated.Equal(c.Created) {
		t.Fatalf("created %v, updated %v", c.Created, c.Updated)
	}
}

func createTwice(t *testing.T, s Store) {
	ok(t, s.CreateConversation(t.Context(), conversation(1)))
	other := conversation(1)
	other.Owner, other.Title = "bob", "mine"
	fails(t, s.CreateConversation(t.Context(), other), fs.ErrExist)
	c, err := s.Conversation(t.Context(), "c01")
	ok(t, err)
	equal(t, "conversation", c, conversation(1))
}

func noConversation(t *testing.T, s Store) {
	_, err := s.Conversation(t.Context(), "c1")
	fails(t, err, chat.ErrNotFound)
	_, err = s.Generation(t.Context(), "c1")
	fails(t, err, chat.ErrNotFound)
	_, err = s.RunRecord(t.Context(), "r1")
	fails(t, err, chat.ErrNotFound)
	fails(t, s.RenameConversation(t.Context(), "c1", "title"), chat.ErrNotFound)
	fails(t, s.DeleteConversation(t.Context(), "c1"), chat.ErrNotFound)
	equal(t, "history", shown(t, s, "c1"), "")
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "pending", qs, nil)
}

func create(t *testing.T, s Store, n int) {
	t.Helper()
	for i := range n {
		ok(t, s.CreateConversation(t.Context(), conversation(i)))
	}
}

// list reads all pages, and calls between before the second.
func list(t *testing.T, s Store, limit int, between func()) string {
	t.Helper()
	var all []string
	next := ""
	for range 20 {
		cs, n, err := s.Conversations(t.Context(), "ann", next, limit)
		ok(t, err)
		if len(cs) > limit || len(cs) == 0 && next != "" {
			t.Fatalf("a page of %d with limit %d", len(cs), limit)
		}
		for _, c := range cs {
			all = append(all, c.ID)
		}
		if n == "" {
			return strings.Join(all, " ")
		}
		if next == "" {
			between()
		}
		next = n
	}
	t.Fatalf("the list does not end: %v", all)
	return ""
}

func listConversations(t *testing.T, s Store) {
	create(t, s, 5)
	bobs := conversation(9)
	bobs.Owner = "bob"
	ok(t, s.CreateConversation(t.Context(), bobs))
	for _, limit := range []int{1, 2, 3, 4, 5, 6} {
		equal(t, fmt.Sprint("by ", limit), list(t, s, limit, func() {}), "c04 c03 c02 c01 c00")
	}
	cs, next, err := s.Conversations(t.Context(), "eve", "", 10)
	ok(t, err)
	equal(t, "of nobody", cs, nil)
	equal(t, "cursor", next, "")
}

func pageConversations(t *testing.T, s Store) {
	create(t, s, 6)
	got := list(t, s, 2, func() {
		late := conversation(7)
		ok(t, s.CreateConversation(t.Context(), late))
		q := question("c01", "1") // c01 has not been listed yet
		q.Accepted = start.Add(time.Hour)
		mustAccept(t, s, q)
		ok(t, s.DeleteConversation(t.Context(), "c04")) // the last of the first page
	})
	equal(t, "pages", got, "c05 c04 c03 c02 c00")
	equal(t, "afterwards", list(t, s, 2, func() {}), "c01 c07 c05 c03 c02 c00")
}

func strangeCursor(t *testing.T, s Store) {
	create(t, s, 3)
	for _, c := range []string{"x", "c01", "MTIz", "-", "%", strings.Repeat("A", 10_000)} {
		if cs, _, err := s.Conversations(t.Context(), "ann", c, 2); err == nil {
			t.Errorf("cursor %.20q lists %d conversations", c, len(cs))
		}
	}
}

func renameConversation(t *testing.T, s Store) {
	create(t, s, 3)
	ok(t, s.RenameConversation(t.Context(), "c00", "new"))
	c, err := s.Conversation(t.Context(), "c00")
	ok(t, err)
	want := conversation(0)
	want.Title = "new"
	equal(t, "conversation", c, want)
	equal(t, "order", list(t, s, 9, func() {}), "c02 c01 c00")
}

func deleteConversation(t *testing.T, s Store) {
	conv := answered(t, s)
	mustAccept(t, s, question(conv, "2"))
	_, err := s.Guard(t.Context(), "r1", "call", "me")
	ok(t, err)
	ok(t, s.DeleteConversation(t.Context(), conv))

	noConversation(t, s)
	due, err := s.Due(t.Context(), time.Now().Add(time.Hour), 10)
	ok(t, err)
	equal(t, "due", due, nil)
	_, err = s.Guard(t.Context(), "r1", "call2", "me")
	fails(t, err, chat.ErrNotFound)
	fails(t, s.DeleteConversation(t.Context(), conv), chat.ErrNotFound)
}

func deleteForGood(t *testing.T, s Store) {
	conv := answered(t, s)
	ok(t, s.DeleteConversation(t.Context(), conv))
	fails(t, s.Claimed(t.Context(), conv, 9, "n"), chat.ErrFenced)
	fails(t, s.Archive(t.Context(), conv, 5, chat.Batch{Messages: []llm.Message{answer("r1", "a2", "late")}}), chat.ErrFenced)
	_, _, err := s.Accept(t.Context(), question(conv, "2"))
	fails(t, err, chat.ErrNotFound)
	eves := question(conv, "3") // the log in Redis may still be ann's
	eves.Owner = "eve"
	_, _, err = s.Accept(t.Context(), eves)
	fails(t, err, chat.ErrNotFound)
	fails(t, s.CreateConversation(t.Context(), chat.Conversation{ID: conv, Owner: "ann"}), fs.ErrExist)
	_, err = s.Conversation(t.Context(), conv)
	fails(t, err, chat.ErrNotFound)
}

func scripts(t *testing.T, s Store) {
	c := conversation(1)
	c.Title, c.Owner = "Grüße, 日本語, हिन्दी, עברית, 🧑‍🚀 'quoted' \"twice\" -- ; DROP TABLE", "ΆννΑ ŒÜ"
	ok(t, s.CreateConversation(t.Context(), c))
	cs, _, err := s.Conversations(t.Context(), c.Owner, "", 10)
	ok(t, err)
	equal(t, "list", cs, []chat.Conversation{c})
	cs, _, err = s.Conversations(t.Context(), "άννα œü", "", 10)
	ok(t, err)
	equal(t, "list of another owner", cs, nil)
}

// oddTexts has NUL and what is no UTF-8 come from everywhere. A store need not
// keep them, but it must neither fail for good nor find what is not there.
func oddTexts(t *testing.T, s Store) {
	conv := claimed(t, s)
	for i, odd := range []string{"\x00", "a\x00b", "\xff\xfe", "ok\xc3"} {
		ok(t, s.RenameConversation(t.Context(), conv, odd))
		ok(t, s.CreateConversation(t.Context(), chat.Conversation{ID: fmt.Sprint("odd", i), Owner: odd, Title: odd}))
		cs, _, err := s.Conversations(t.Context(), odd, "", 10)
		ok(t, err)
		if len(cs) == 0 {
			t.Errorf("the conversation of %q is not listed", odd)
		}

		q := question(conv, fmt.Sprint("odd", i))
		q.Message.Metadata.Parley.ClientID = odd + fmt.Sprint(i)
		mustAccept(t, s, q)
		_, fresh, err := s.Accept(t.Context(), q)
		ok(t, err)
		equal(t, "fresh", fresh, false)
		ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{
			Messages: []llm.Message{answer(q.Run, odd+fmt.Sprint(i), odd)}, Title: odd,
			Run: &chat.RunRecord{ID: q.Run, Status: chat.RunFailed, Model: odd, Failure: &llm.Failure{Message: odd}},
		}))
		for _, want := range []bool{true, false} {
			first, err := s.Guard(t.Context(), q.Run, odd, odd)
			ok(t, err)
			equal(t, "first", first, want)
		}
		e := endpoint("odd")
		e.Parameters = json.RawMessage("{\"description\":\"\xff\"}")
		ok(t, s.PutEndpoint(t.Context(), e))
		_, err = s.Endpoint(t.Context(), "odd")
		ok(t, err)

		_, err = s.Conversation(t.Context(), "no"+odd)
		fails(t, err, chat.ErrNotFound)
		_, err = s.RunRecord(t.Context(), "no"+odd)
		fails(t, err, chat.ErrNotFound)
		_, _, err = s.History(t.Context(), conv, "no"+odd, 1)
		fails(t, err, chat.ErrNotFound)
	}
}

// deleteRace deletes a conversation while others ask, and make tool calls, in
// it. Whatever they are told, it is gone for good.
func deleteRace(t *testing.T, s Store) {
	for i := range 20 {
		conv := fmt.Sprint("c", i)
		first := question(conv, fmt.Sprint(i, "-0"))
		mustAccept(t, s, first)
		var wg sync.WaitGroup
		for j := range 4 {
			wg.Go(func() {
				_, _, err := s.Accept(t.Context(), question(conv, fmt.Sprint(i, "-", j+1)))
				if err != nil && !errors.Is(err, chat.ErrNotFound) {
					t.Error(err)
				}
				_, err = s.Guard(t.Context(), first.Run, "call", "me")
				if err != nil && !errors.Is(err, chat.ErrNotFound) {
					t.Error(err)
				}
				err = s.CreateConversation(t.Context(), chat.Conversation{ID: conv, Owner: "ann"})
				if !errors.Is(err, fs.ErrExist) {
					t.Error("created again:", err)
				}
			})
		}
		ok(t, s.DeleteConversation(t.Context(), conv))
		wg.Wait()
		_, err := s.Conversation(t.Context(), conv)
		fails(t, err, chat.ErrNotFound)
	}
	due, err := s.Due(t.Context(), time.Now().Add(time.Hour), 100)
	ok(t, err)
	equal(t, "due", runs(due), "")
}

func apart(t *testing.T, s Store) {
	conv := answered(t, s)
	q := question("c2", "2")
	mustAccept(t, s, q)
	fails(t, s.Archive(t.Context(), "c2", 5, chat.Batch{}), chat.ErrFenced)
	ok(t, s.Claimed(t.Context(), "c2", 7, "n"))
	ok(t, s.Archive(t.Context(), "c2", 7, chat.Batch{
		Messages: []llm.Message{q.Message}, Replaced: "r1",
		Run: &chat.RunRecord{ID: "r1", Status: chat.RunFailed},
	}))
	ok(t, s.DeleteConversation(t.Context(), "c2"))
	equal(t, "history", shown(t, s, conv), "q1 a1")
	r, err := s.RunRecord(t.Context(), "r1")
	ok(t, err)
	equal(t, "conversation of r1", r.Conversation, conv)
	equal(t, "status of r1", r.Status, chat.RunDone)
	g, err := s.Generation(t.Context(), conv)
	ok(t, err)
	equal(t, "generation", g, 5)
}

func sameMessageID(t *testing.T, s Store) {
	q := question("c1", "1")
	mustAccept(t, s, q)
	q.Conversation, q.Owner, q.Run, q.Message.Content = "c2", "bob", "r2", "bob's"
	mustAccept(t, s, q)
	for conv, want := range map[string]string{"c1": "question 1", "c2": "bob's"} {
		qs, err := s.Pending(t.Context(), conv)
		ok(t, err)
		equal(t, "content in "+conv, qs[0].Message.Content, want)
	}
}

func defaultPage(t *testing.T, s Store) {
	create(t, s, 60)
	for _, limit := range []int{0, -1} {
		cs, next, err := s.Conversations(t.Context(), "ann", "", limit)
		ok(t, err)
		if len(cs) != 50 || next == "" {
			t.Errorf("limit %d gives %d, next %q", limit, len(cs), next)
		}
	}
}

// A title gives way to a better one only if nobody has changed it.
func retitle(t *testing.T, s Store) {
	create(t, s, 1)
	ok(t, s.Claimed(t.Context(), "c00", 5, "n"))
	is := func(want string) {
		t.Helper()
		c, err := s.Conversation(t.Context(), "c00")
		ok(t, err)
		equal(t, "title", c.Title, want)
	}
	old := conversation(0).Title
	fails(t, s.Retitle(t.Context(), "c00", 4, old, "of a zombie"), chat.ErrFenced)
	is(old)
	ok(t, s.Retitle(t.Context(), "c00", 5, old, "better"))
	ok(t, s.Retitle(t.Context(), "c00", 5, old, "once more"))
	is("better")
	fails(t, s.Retitle(t.Context(), "c9", 5, old, "x"), chat.ErrFenced)
}
