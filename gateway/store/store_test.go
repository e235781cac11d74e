package store

import (
	"bytes"
	"path/filepath"
	"testing"

	"parley/gateway/store/storetest"
	"parley/gateway/store/vault"
	"parley/tools"
)

var (
	_ storetest.Store       = (*DB)(nil)
	_ tools.EndpointStore   = (*DB)(nil)
	_ tools.CredentialStore = (*DB)(nil)
	_ tools.TokenStore      = (*DB)(nil)
	_ tools.DepartureStore  = (*DB)(nil)
)

func open(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, testVault(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// testVault is what the tests' stores are opened with.
func testVault(t testing.TB, keys ...byte) *vault.Vault {
	t.Helper()
	var all [][]byte
	for _, k := range append(keys, 1) {
		all = append(all, bytes.Repeat([]byte{k}, vault.KeySize))
	}
	if len(keys) > 0 {
		all = all[:len(keys)]
	}
	v, err := vault.New(all...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFile(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		return open(t, filepath.Join(t.TempDir(), "parley.db"))
	})
}

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, ":memory:") })
}
