package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"parley/gateway/store"
	"parley/gateway/store/vault"
)

// openStore opens the store with the key of its secrets.
func openStore(ctx context.Context, s settings) (*store.DB, error) {
	v, err := openVault(s)
	if err != nil {
		return nil, fmt.Errorf("PARLEY_SECRET_KEY: %w", err)
	}
	db, err := store.Open(ctx, s.Store, v)
	if errors.Is(err, store.ErrKey) {
		return nil, fmt.Errorf("PARLEY_SECRET_KEY: %w. %s", err, keyAdvice(s))
	}
	if err != nil {
		return nil, fmt.Errorf("PARLEY_STORE: %w", err)
	}
	return db, nil
}

// keyAdvice says what to do where the key does not fit.
func keyAdvice(s settings) string {
	if s.SecretKey == "" {
		return "Servers that share a store need the same key: set PARLEY_SECRET_KEY on all of them, to what is in the file secret.key of the first one's data folder; or copy that file to " + keyFile(s)
	}
	return "Set it to the key that the store's other servers have; while it is changed, to new,old"
}

// keyFile is where a key is kept that nobody has set.
func keyFile(s settings) string { return filepath.Join(s.Data, "secret.key") }

// openVault returns the vault of the key that is set, with that of the key
// file, if there is one, as an older one; or else of the key file alone.
func openVault(s settings) (*vault.Vault, error) {
	if s.SecretKey == "" {
		return ownVault(s)
	}
	keys, err := vault.ParseKeys(string(s.SecretKey))
	if err != nil {
		return nil, err
	}
	was, err := vault.ReadKeyFile(keyFile(s))
	switch {
	case err == nil:
		keys = append(keys, was)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return vault.New(keys...)
}

func ownVault(s settings) (*vault.Vault, error) {
	if s.Store == ":memory:" { // it ends with the process
		k := make([]byte, vault.KeySize)
		_, _ = rand.Read(k)
		return vault.New(k)
	}
	k, err := vault.KeyFile(keyFile(s))
	if err != nil {
		return nil, fmt.Errorf("none is set, and none could be made: %w", err)
	}
	return vault.New(k)
}
