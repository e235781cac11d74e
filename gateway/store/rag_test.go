package store_test

import (
	"testing"

	"parley/gateway/store"
	"parley/tools/rag"
	"parley/tools/rag/ragtest"
)

func TestDocuments(t *testing.T) {
	ragtest.Run(t, func(t *testing.T) rag.Tables {
		db, err := store.Open(t.Context(), t.TempDir()+"/parley.db", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db.Documents()
	})
}
