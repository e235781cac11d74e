package vault

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// LeastPassphrase is how many bytes a passphrase must have at least: anybody
// who has the store can try them.
const LeastPassphrase = 20

// passphraseRounds of PBKDF2-HMAC-SHA256 make a key of a passphrase: what
// OWASP's cheat sheet on storing passwords asks for. The salt is the same
// everywhere, because all replicas must come to the same key before they have
// read anything.
const (
	passphraseRounds = 600_000
	passphraseSalt   = "parley secret key"
)

// ParseKeys reads a list of keys with commas between them, the newest first.
// Each is 32 bytes in base64 or hex, or else a passphrase. Its error shows
// none of it.
func ParseKeys(list string) (keys [][]byte, err error) {
	for i, text := range strings.Split(list, ",") {
		k, err := parseKey(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("key %d of the list %w", i+1, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func parseKey(text string) ([]byte, error) {
	bare := strings.TrimRight(text, "=")
	for _, decode := range []func(string) ([]byte, error){
		base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString, hex.DecodeString,
	} {
		if k, err := decode(bare); err == nil && len(k) == KeySize {
			return k, nil
		}
	}
	if len(text) < LeastPassphrase {
		return nil, fmt.Errorf("is neither %d bytes in base64, such as `openssl rand -base64 32` makes, nor a passphrase of at least %d characters", KeySize, LeastPassphrase)
	}
	return pbkdf2.Key(sha256.New, text, []byte(passphraseSalt), passphraseRounds, KeySize)
}

// ReadKeyFile returns the key in a file, or [fs.ErrNotExist].
func ReadKeyFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	k, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(k) != KeySize {
		return nil, fmt.Errorf("vault: %s does not hold a key of %d bytes in base64", path, KeySize)
	}
	return k, nil
}

// KeyFile is [ReadKeyFile] that makes a new key, in a file that its owner
// alone may read, if there is none. Of processes that do so at once all get
// the same key.
func KeyFile(path string) ([]byte, error) {
	k, err := ReadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := makeKeyFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return ReadKeyFile(path)
}

// makeKeyFile lets the file appear whole, or fails with [fs.ErrExist].
func makeKeyFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	k := make([]byte, KeySize)
	_, _ = rand.Read(k) // never fails
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(k) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
