package store

import (
	"path/filepath"
	"testing"
)

func BenchmarkAccept(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "parley.db"))
	for i := 0; b.Loop(); i++ {
		mustAccept(b, db, question("c"+string(rune('a'+i%20)), i))
	}
}

func BenchmarkArchive(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "parley.db"))
	mustAccept(b, db, question("c1", 0))
	if err := db.Claimed(b.Context(), "c1", 1, "n"); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if err := db.Archive(b.Context(), "c1", 1, batch("c1", i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHistory(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "parley.db"))
	mustAccept(b, db, question("c1", 0))
	if err := db.Claimed(b.Context(), "c1", 1, "n"); err != nil {
		b.Fatal(err)
	}
	for i := range 500 {
		if err := db.Archive(b.Context(), "c1", 1, batch("c1", i)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, _, err := db.History(b.Context(), "c1", "", 50); err != nil {
			b.Fatal(err)
		}
	}
}
