// Package vault is how secrets lie in a store: encrypted, each for its own
// place, under a key that the store does not have.
package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// KeySize is how many bytes a key has.
const KeySize = 32

// prefix is what every sealed value begins with. Behind it stand the key's id
// and, after a dot, nonce, ciphertext and tag in base64.
const prefix = "pv1."

// Errors of [Vault.Open].
var (
	// ErrKey means that the value was sealed under a key that the vault has not.
	ErrKey = errors.New("it is encrypted under a key that was not given")

	// ErrBroken means that the value was changed, or sealed for another place.
	ErrBroken = errors.New("it is damaged, or was put in a place that is not its own")
)

// A Vault seals and opens values with AES-256-GCM. It seals under its first
// key and opens what any of them has sealed. All methods may be called
// concurrently.
type Vault struct{ keys []key }

type key struct {
	id   string
	aead cipher.AEAD
}

// New returns a vault of one or more keys of [KeySize] bytes, the newest
// first.
func New(keys ...[]byte) (*Vault, error) {
	if len(keys) == 0 {
		return nil, errors.New("vault: no key")
	}
	v := &Vault{}
	for _, k := range keys {
		if len(k) != KeySize {
			return nil, fmt.Errorf("vault: a key has %d bytes, not %d", len(k), KeySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, fmt.Errorf("vault: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("vault: %w", err)
		}
		v.keys = append(v.keys, key{idOf(k), aead})
	}
	return v, nil
}

// idOf names a key without telling anything of it.
func idOf(k []byte) string {
	sum := sha256.Sum256(append([]byte("parley key id\x00"), k...))
	return hex.EncodeToString(sum[:4])
}

// ID names the key that the vault seals under. It is no secret.
func (v *Vault) ID() string { return v.keys[0].id }

// Seal encrypts a value for a place, such as a table, a row and a field. It
// can be opened for that place alone.
func (v *Vault) Seal(plain []byte, place string) string {
	k := v.keys[0]
	sealed := k.aead.Seal(nil, nil, plain, []byte(place))
	return prefix + k.id + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open decrypts what [Vault.Seal] returned for the same place. Its error is
// [ErrKey] or [ErrBroken].
func (v *Vault) Open(sealed []byte, place string) ([]byte, error) {
	id, text, ok := cut(sealed)
	if !ok {
		return nil, ErrBroken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return nil, ErrBroken
	}
	failed := ErrKey
	for _, k := range v.keys {
		if k.id != id {
			continue
		}
		plain, err := k.aead.Open(nil, nil, b, []byte(place))
		if err == nil {
			return plain, nil
		}
		failed = ErrBroken
	}
	return nil, failed
}

// Sealed reports whether a value has the form of a sealed one.
func Sealed(b []byte) bool {
	_, _, ok := cut(b)
	return ok
}

// Current reports whether a value is sealed under the vault's newest key.
func (v *Vault) Current(sealed []byte) bool {
	id, _, ok := cut(sealed)
	return ok && id == v.ID()
}

// KeyID returns the id of the key that a value is sealed under, "" if it is
// not sealed.
func KeyID(sealed []byte) string {
	id, _, _ := cut(sealed)
	return id
}

func cut(b []byte) (id string, text []byte, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(prefix))
	if !ok || len(rest) < 9 || rest[8] != '.' {
		return "", nil, false
	}
	return string(rest[:8]), rest[9:], true
}
