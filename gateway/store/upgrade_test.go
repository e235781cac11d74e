package store

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"parley/gateway/chat"
)

// A store of a version that knew no edits is brought up to date, and keeps what
// it has.
func TestOldStoreLearnsOfEdits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	old := open(t, path)
	mustAccept(t, old, question("c1", 1))
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, old.write, files)
	if err == nil {
		_, err = p.DownTo(t.Context(), 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	mustPend(t, db, "c1", 1)
	if err := db.Claimed(t.Context(), "c1", 1, "n"); err != nil {
		t.Fatal(err)
	}
	if err := db.Archive(t.Context(), "c1", 1, batch("c1", 1)); err != nil {
		t.Fatal(err)
	}
	q := question("c1", 2)
	q.Edits = "q000001"
	mustAccept(t, db, q)
	qs, err := db.Pending(t.Context(), "c1")
	if err != nil || len(qs) != 1 || qs[0].Edits != "q000001" {
		t.Errorf("%+v, %v", qs, err)
	}
	var rec chat.RunRecord
	if rec, err = db.RunRecord(t.Context(), question("c1", 1).Run); err != nil || rec.Edits != "" {
		t.Errorf("%+v, %v", rec, err)
	}
}
