package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

func question(conv string, i int) chat.Question {
	n := fmt.Sprintf("%06d", i)
	return chat.Question{
		Conversation: conv, Owner: "ann", Run: conv + "-r" + n,
		Message: llm.Message{
			ID: "q" + n, Role: llm.User, Content: strings.Repeat("text ", 100),
			Metadata: &llm.Metadata{Parley: llm.Details{ClientID: n}},
		},
	}
}

func mustAccept(t testing.TB, db *DB, q chat.Question) {
	t.Helper()
	if _, _, err := db.Accept(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}

func mustPend(t *testing.T, db *DB, conv string, want int) {
	t.Helper()
	qs, err := db.Pending(t.Context(), conv)
	if err != nil || len(qs) != want {
		t.Fatalf("%d questions are pending in %s, not %d: %v", len(qs), conv, want, err)
	}
}

// pragma reads or sets one on the writer.
func pragma(t *testing.T, db *DB, p string) (value string) {
	t.Helper()
	if err := db.write.QueryRow("PRAGMA " + p).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestFileIsPrivateAndDurable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "a b?#%41")
	path := filepath.Join(dir, "parley.db")
	db := open(t, path)
	mustAccept(t, db, question("c1", 1))
	for name, want := range map[string]os.FileMode{
		dir: os.ModeDir | 0o700, filepath.Dir(dir): os.ModeDir | 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
	} {
		if fi, err := os.Stat(name); err != nil || fi.Mode() != want {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
	for p, want := range map[string]string{"journal_mode": "wal", "synchronous": "1", "foreign_keys": "1", "busy_timeout": "5000"} {
		if got := pragma(t, db, p); got != want {
			t.Errorf("%s is %s", p, got)
		}
	}
}

func TestReopenKeepsEverythingAndMigratesOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	var first string
	for i := range 4 {
		db, err := Open(t.Context(), path, testVault(t))
		if err != nil {
			t.Fatal(err)
		}
		mustPend(t, db, "c1", i)
		mustAccept(t, db, question("c1", i))
		var done string
		if err := db.read.QueryRow(`SELECT group_concat(id || ' ' || version_id || ' ' || tstamp) FROM goose_db_version`).Scan(&done); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = done
		}
		if done != first {
			t.Errorf("migrations are %q, were %q", done, first)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "notes.txt")
	text := strings.Repeat("not a database\n", 100)
	if err := os.WriteFile(garbage, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                           "PARLEY_STORE",
		garbage:                      "notes.txt",
		garbage + "/below/parley.db": "below",
		t.TempDir():                  "store: open",
	} {
		db, err := Open(t.Context(), path, testVault(t))
		if err == nil {
			db.Close()
			t.Errorf("%q is opened", path)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if b, err := os.ReadFile(garbage); err != nil || string(b) != text {
		t.Error("a file that is no store was changed", err)
	}
}

func TestMemoriesAreApart(t *testing.T) {
	a, b := open(t, ":memory:"), open(t, ":memory:")
	mustAccept(t, a, question("c1", 1))
	mustPend(t, a, "c1", 1)
	mustPend(t, b, "c1", 0)
}

// A statement that is cancelled costs a file its connection, and SQLite
// forgets a database in memory with its last one.
func TestMemoryOutlivesCancelledStatements(t *testing.T) {
	db := open(t, ":memory:")
	mustAccept(t, db, question("c1", 1))
	const long = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT COUNT(*) FROM n`
	for range 2 * readers {
		for _, pool := range []*sql.DB{db.read, db.write} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
			pool.ExecContext(ctx, long) // mostly cancelled; the driver does nothing if it is not yet running
			cancel()
		}
	}
	mustPend(t, db, "c1", 1)
}

func TestFullDisk(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "parley.db"))
	mustAccept(t, db, question("c1", 0))
	if err := db.Claimed(t.Context(), "c1", 5, "n"); err != nil {
		t.Fatal(err)
	}
	answer := llm.Message{ID: "a1", Role: llm.Assistant, Content: "answer"}
	if err := db.Archive(t.Context(), "c1", 5, chat.Batch{Messages: []llm.Message{answer}}); err != nil {
		t.Fatal(err)
	}
	pages := pragma(t, db, "page_count")
	pragma(t, db, "max_page_count("+pages+")")

	n := 1
	var err error
	for ; err == nil; n++ {
		_, _, err = db.Accept(t.Context(), question("c1", n))
	}
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "free some space") {
		t.Fatal(err)
	}
	long := answer
	long.Content = strings.Repeat("x", 1<<16)
	err = db.Archive(t.Context(), "c1", 5, chat.Batch{Messages: []llm.Message{long, {ID: "a2"}}, Run: &chat.RunRecord{ID: "c1-r000000", Status: chat.RunDone}})
	if !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}

	mustPend(t, db, "c1", n-1) // all that was acknowledged, and nothing of the rest
	ms, _, err := db.History(t.Context(), "c1", "", 10)
	if err != nil || len(ms) != 1 || ms[0].Content != "answer" {
		t.Fatal(ms, err)
	}
	pragma(t, db, "max_page_count(1000000)")
	mustAccept(t, db, question("c1", n-1)) // the one that was refused
	mustPend(t, db, "c1", n)
	if got := pragma(t, db, "integrity_check"); got != "ok" {
		t.Error(got)
	}
}
