package gatewaytest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"parley/gateway/store"
)

// tables is a SQLite file with all of a store's tables and nothing in them.
// To make them takes a fifth of a second under the race detector, which most
// tests would begin with.
var tables = sync.OnceValues(func() (b []byte, err error) {
	dir, err := os.MkdirTemp("", "parley-tables-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "parley.db")
	db, err := store.Open(context.Background(), path, nil)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// StoreFile returns the path of a new, empty store of the test's own.
func StoreFile(t testing.TB) string {
	t.Helper()
	b, err := tables()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "parley.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
