//go:build integration

package store

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/gateway/chat"
	"parley/gateway/store/storetest"
)

func testCopyThere(t *testing.T, c *storetest.Cluster) {
	file, pg, back := open(t, filepath.Join(t.TempDir(), "parley.db")), openSealed(t, c.URL(t)), openSealed(t, ":memory:")
	fill(t, file)
	mustCopy(t, file, pg)
	mustCopy(t, pg, back)
	want := dump(t, file)
	if d := cmp.Diff(want, dump(t, pg)); d != "" {
		t.Error("there:", d)
	}
	if d := cmp.Diff(want, dump(t, back)); d != "" {
		t.Error("and back:", d)
	}
	if a, b, c := reserve(t, file), reserve(t, pg), reserve(t, back); a != b || a != c {
		t.Errorf("the next segments are %d, %d, %d", a, b, c)
	}
	mustAccept(t, pg, question("c1", 1000)) // and it works
}

func testCopyFails(t *testing.T, c *storetest.Cluster) {
	file, pg := open(t, ":memory:"), openSealed(t, c.URL(t))
	fill(t, file)
	inTable(t, pg, "rag_postings", `RAISE 'no' USING ERRCODE = '53100';`)
	if err := Copy(t.Context(), file, pg, func(string, int64, int64) {}); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	for table, rows := range dump(t, pg) {
		t.Errorf("%s has %d rows", table, len(rows))
	}
}

func testCopyMoment(t *testing.T, c *storetest.Cluster) {
	from, to := open(t, c.URL(t)), openSealed(t, c.URL(t))
	mustAccept(t, from, question("c1", 1))
	first := true
	err := Copy(t.Context(), from, to, func(string, int64, int64) {
		if first { // the conversations are copied, nothing else is
			mustAccept(t, from, question("c2", 2))
			mustAccept(t, from, question("c1", 3))
		}
		first = false
	})
	if err != nil {
		t.Fatal(err)
	}
	mustPend(t, to, "c1", 1)
	if _, err := to.Conversation(t.Context(), "c2"); !errors.Is(err, chat.ErrNotFound) {
		t.Error(err)
	}
}
