// Package access is what other systems sign in with: API keys, each of a
// tenant, whose people it speaks for.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Scope is what a key may be used for.
type Scope string

// The scopes.
const (
	Chat  Scope = "chat"  // the conversations of the tenant's people
	Tools Scope = "tools" // tools and documents, which are the whole server's
)

// Patterns of names. A tenant's name and a person's, with a colon between
// them, are the owner of conversations.
var (
	goodTenant = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	goodPerson = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$`)
	goodName   = regexp.MustCompile(`^[\pL\pN]\PC{0,63}$`)
)

// A Key is what is kept of an API key: not the token, only its hash.
type Key struct {
	ID      string    `json:"id"`   // the public part of the token
	Name    string    `json:"name"` // for people, unique
	Tenant  string    `json:"tenant"`
	Scopes  []Scope   `json:"scopes"`
	Hash    []byte    `json:"-"` // SHA-256 of the token's secret part
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

// Errors that callers tell apart.
var (
	ErrTenant = errors.New("a tenant's name is 1 to 32 lower-case letters, digits and hyphens")
	ErrName   = errors.New("a key's name is 1 to 64 characters in one line, beginning with a letter or digit")
	ErrScope  = errors.New(`the scopes of a key are "chat" and "tools"`)
	ErrTaken  = errors.New("another key has this name")
	ErrExpiry = errors.New("a key must not have expired when it is made")
	ErrPerson = errors.New("a person's name is 1 to 64 of A-Z a-z 0-9 . _ @ + -, beginning with a letter or digit")
)

// Check reports what is wrong with what was asked for: one of the errors
// above.
func (k Key) Check(now time.Time) error {
	switch {
	case !goodName.MatchString(k.Name):
		return ErrName
	case !goodTenant.MatchString(k.Tenant):
		return ErrTenant
	case len(k.Scopes) == 0 || slices.ContainsFunc(k.Scopes, func(s Scope) bool { return s != Chat && s != Tools }):
		return ErrScope
	case !k.Expires.IsZero() && !k.Expires.After(now):
		return ErrExpiry
	}
	return nil
}

// Has reports whether the key may be used for something.
func (k Key) Has(s Scope) bool { return slices.Contains(k.Scopes, s) }

// Expired reports whether the key's time is up.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Owner returns whose conversations are those of one of the tenant's people;
// without a name they are the system's own.
func (k Key) Owner(person string) (string, error) {
	if person == "" {
		return k.Tenant + ":", nil
	}
	if !goodPerson.MatchString(person) {
		return "", ErrPerson
	}
	return k.Tenant + ":" + person, nil
}

// prefix begins every token, so that whoever finds one knows what it is.
const prefix = "parley_"

// Mint gives k an id and a hash and returns its token, which is kept nowhere.
func Mint(k *Key) (token string) {
	secret := rand.Text()
	k.ID = strings.ToLower(rand.Text()[:12])
	k.Hash = hashOf(secret)
	return prefix + k.ID + "_" + secret
}

// IsToken reports whether a text has the form of a token.
func IsToken(s string) bool {
	_, _, ok := split(s)
	return ok
}

func split(token string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return "", "", false
	}
	id, secret, ok = strings.Cut(rest, "_")
	return id, secret, ok && len(id) == 12 && len(secret) == 26
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func (k Key) opens(secret string) bool {
	return len(k.Hash) == sha256.Size && subtle.ConstantTimeCompare(k.Hash, hashOf(secret)) == 1
}
