package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/gateway/access"
	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
	"parley/tools/feed"
	"parley/tools/mcp"
	"parley/tools/rag"
)

// openSealed opens a store as whoever copies it does, who has no key.
func openSealed(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// fill puts something into every table, and a gap at the end of the segments.
func fill(t *testing.T, db *DB) {
	t.Helper()
	for i := range 300 { // more than one statement inserts
		conv := fmt.Sprint("c", i%7)
		mustAccept(t, db, question(conv, i))
		if err := db.Claimed(t.Context(), conv, 1, "n"); err != nil {
			t.Fatal(err)
		}
		if i%3 > 0 {
			if err := db.Archive(t.Context(), conv, 1, batch(conv, i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Guard(t.Context(), question(conv, i).Run, "call", "me"); err != nil {
			t.Fatal(err)
		}
	}
	edit := question("c8", 2)
	edit.Edits = "q000001"
	mustAccept(t, db, question("c8", 1))
	if err := errors.Join(db.Claimed(t.Context(), "c8", 1, "n"), db.Archive(t.Context(), "c8", 1, batch("c8", 1))); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, db, edit)
	waits := chat.Batch{
		Run:  &chat.RunRecord{ID: edit.Run, Status: chat.RunWaiting, Try: 1, Usage: &llm.Usage{Model: "m", Input: 2, Output: 1, Total: 3, Cost: 4}},
		Asks: []chat.Ask{{Interrupt: chat.Interrupt{ID: "i1", Expires: time.Now().Add(time.Hour)}, State: "s"}},
	}
	if err := db.Archive(t.Context(), "c8", 1, waits); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Answer(t.Context(), "c8", []chat.Decision{{Interrupt: "i1", Status: tools.AnswerResolved, Always: "a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Secret(t.Context(), "key", []byte("\x00\xff secret")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		db.DeleteConversation(t.Context(), "c6"), db.PutEndpoint(t.Context(), tools.Endpoint{Name: "a", Description: "Ä"}),
		db.PutMCPServer(t.Context(), mcp.Server{Name: "a", URL: "http://a.example/"}),
		db.PutCredential(t.Context(), tools.Credential{Name: "a", Value: "secret"}),
		db.PutDeparture(t.Context(), "state", tools.Departure{Verifier: "secret", Expires: time.Now().Add(time.Hour)}),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := db.PutToken(t.Context(), tools.TokenKey{Credential: "a", Person: "ann"}, tools.Token{Access: "secret"}, 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.PutFeed(t.Context(), feed.Feed{Name: "a"}), db.Pin(t.Context(), "c1", "a", 1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.PutAgent(t.Context(), agents.Agent{Name: "a", Instructions: "Ä"}, "ann", -1); err != nil {
		t.Fatal(err)
	}
	if err := db.AddKey(t.Context(), access.Key{ID: "k1", Name: "a", Tenant: "acme", Hash: []byte("\x00\xff")}); err != nil {
		t.Fatal(err)
	}
	w, err := db.NewFile(t.Context(), chat.NewFile{ID: "f1", Owner: "ann", Conversation: "c1", ClientID: "k", Name: "a.bin"})
	if err == nil {
		err = w.Write(t.Context(), make([]byte, chunkSize+1))
	}
	if err == nil {
		_, err = w.Commit(t.Context(), "image/png")
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := rag.New(db.Documents(), rag.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one text", "another text", "the last text"} {
		if _, err := s.Add(t.Context(), rag.Upload{Name: "a.txt", Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		reserve(t, db)
	}
	if _, err := db.write.Exec(`DELETE FROM rag_segments WHERE state = 0`); err != nil {
		t.Fatal(err)
	}
}

func reserve(t *testing.T, db *DB) int64 {
	t.Helper()
	id, err := db.Documents().Reserve(t.Context(), "documents", time.UnixMilli(1))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// dump returns all rows of all tables, sorted.
func dump(t *testing.T, db *DB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range copied() {
		rows, err := db.read.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			row, _, err := scanAny(rows, len(columns))
			if err != nil {
				t.Fatal(err)
			}
			all[table] = append(all[table], fmt.Sprintf("%v %v", columns, row))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all[table])
	}
	return all
}

func mustCopy(t *testing.T, from, to *DB) (told map[string]int64) {
	t.Helper()
	told = map[string]int64{}
	err := Copy(t.Context(), from, to, func(table string, rows, of int64) {
		if rows > of || rows < told[table] {
			t.Errorf("%s: %d rows of %d after %d", table, rows, of, told[table])
		}
		told[table] = rows
	})
	if err != nil {
		t.Fatal(err)
	}
	return told
}

func TestCopyIsTheSame(t *testing.T) {
	from, to := open(t, ":memory:"), openSealed(t, filepath.Join(t.TempDir(), "parley.db"))
	fill(t, from)
	told := mustCopy(t, from, to)
	want := dump(t, from)
	if d := cmp.Diff(want, dump(t, to)); d != "" {
		t.Error(d)
	}
	for _, table := range copied() {
		if n := len(want[table]); n == 0 || told[table] != int64(n) {
			t.Errorf("%s has %d rows, of which progress told %d", table, n, told[table])
		}
	}
	if here, there := reserve(t, from), reserve(t, to); here != there {
		t.Errorf("the next segment is %d there, not %d", there, here)
	}
}

func TestCopyNeedsAnEmptyStore(t *testing.T) {
	from, to := open(t, ":memory:"), open(t, ":memory:")
	mustAccept(t, from, question("c1", 1))
	if _, err := to.Secret(t.Context(), "cookie", []byte("a server was here")); err != nil {
		t.Fatal(err)
	}
	err := Copy(t.Context(), from, to, func(string, int64, int64) {})
	if !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "2 rows of secrets") {
		t.Error(err)
	}
	if _, err := to.Conversation(t.Context(), "c1"); !errors.Is(err, chat.ErrNotFound) {
		t.Error(err)
	}
}

func TestEveryTableIsCopied(t *testing.T) {
	rows, err := open(t, ":memory:").read.Query(
		`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'`)
	names, err := collect(rows, err, func(row interface{ Scan(...any) error }) (name string, err error) {
		return name, row.Scan(&name)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := copied()
	slices.Sort(names)
	slices.Sort(want)
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}
