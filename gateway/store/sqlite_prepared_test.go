package store

import (
	"fmt"
	"path/filepath"
	"testing"
)

// The same statement may be asked while its rows are being read, also in one
// transaction, which has one connection.
func TestStatementWithinItself(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "parley.db"))
	tx, err := db.write.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was changed
	const three = `SELECT 1 UNION SELECT 2 UNION SELECT 3`
	for range 2 { // the second time it is prepared
		rows, err := tx.Query(three)
		if err != nil {
			t.Fatal(err)
		}
		outer := 0
		for ; rows.Next(); outer++ {
			var first int
			if err := tx.QueryRow(three).Scan(&first); err != nil || first != 1 {
				t.Fatalf("within itself it begins with %d: %v", first, err)
			}
		}
		if rows.Close(); rows.Err() != nil || outer != 3 {
			t.Fatalf("%d rows: %v", outer, rows.Err())
		}
	}
}

// Many different statements do not fill the memory, and each still does what
// it says.
func TestManyStatements(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "parley.db"))
	for i := range 3 * preparedMost {
		var got int
		if err := db.write.QueryRow(fmt.Sprintf("SELECT %d + $1", i), 1).Scan(&got); err != nil || got != i+1 {
			t.Fatalf("SELECT %d + 1 is %d: %v", i, got, err)
		}
	}
	kept := 0
	conn, err := db.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Raw(func(c any) error { kept = len(c.(*sqliteConn).kept); return nil }); err != nil {
		t.Fatal(err)
	}
	if kept == 0 || kept > preparedMost {
		t.Errorf("%d statements are kept", kept)
	}
}

// A statement that was kept sees what became of its table meanwhile.
func TestStatementAfterItsTableChanged(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "parley.db"))
	for _, change := range []string{`CREATE TABLE t (a)`, `INSERT INTO t (a) VALUES (1)`} {
		if _, err := db.write.Exec(change); err != nil {
			t.Fatal(err)
		}
	}
	columns := func() int {
		rows, err := db.read.Query(`SELECT * FROM t`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil || !rows.Next() {
			t.Fatalf("no row: %v, %v", err, rows.Err())
		}
		return len(names)
	}
	if n := columns(); n != 1 {
		t.Fatalf("%d columns", n)
	}
	if _, err := db.write.Exec(`ALTER TABLE t ADD COLUMN b`); err != nil {
		t.Fatal(err)
	}
	if n := columns(); n != 2 {
		t.Errorf("%d columns after one was added", n)
	}
}
