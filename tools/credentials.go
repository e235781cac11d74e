package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A CredentialStore keeps credentials, with their secrets. All methods must
// be safe for concurrent use. What is not there is [fs.ErrNotExist].
type CredentialStore interface {
	Credentials(ctx context.Context) ([]Credential, error)
	Credential(ctx context.Context, name string) (Credential, error)
	PutCredential(ctx context.Context, c Credential) error   // replaces one of the same name
	DeleteCredential(ctx context.Context, name string) error // and all its tokens
}

// A TokenKey says whose token of a credential is meant; Person is empty for
// the one that serves everybody.
type TokenKey struct{ Credential, Person string }

// A Token is what an OAuth 2 server gave.
type Token struct {
	Access   string    `json:"access"`
	Type     string    `json:"type,omitempty"`
	Refresh  string    `json:"refresh,omitempty"`
	Expires  time.Time `json:"expires,omitzero"` // zero for never
	Renew    time.Time `json:"renew,omitzero"`   // when a new one is to be had, ahead of Expires
	Since    time.Time `json:"since"`            // when the person connected
	Revision string    `json:"revision"`         // of the credential

	Version int64 `json:"-"` // set by the store: 0 if there is no token yet
}

// AnyVersion stands for whatever version is stored.
const AnyVersion = -1

// A TokenStore keeps tokens for all replicas, and lets one of them at a time
// ask for a new one. All methods must be safe for concurrent use.
type TokenStore interface {
	// Token returns a token, or [fs.ErrNotExist].
	Token(ctx context.Context, k TokenKey) (Token, error)

	// LeaseToken gives holder the right to replace a token of that version, 0
	// for none, until a time; a zero time gives it back. It is false if
	// somebody else has the right, or the version is another by now.
	LeaseToken(ctx context.Context, k TokenKey, version int64, holder string, until time.Time) (bool, error)

	// PutToken stores a token in the place of that version, 0 for none or
	// [AnyVersion], and ends the lease. It is false if the version is another
	// by now. For a credential that is not there it is [fs.ErrNotExist].
	PutToken(ctx context.Context, k TokenKey, t Token, version int64) (bool, error)

	// DeleteToken removes a token of that version, or of [AnyVersion]. It is
	// false if there is none.
	DeleteToken(ctx context.Context, k TokenKey, version int64) (bool, error)
}

// Credentials is what tools prove who calls with, and with it the people's
// connections to services. Its fields do not change once it is in use; all
// methods may be called concurrently.
type Credentials struct {
	Store      CredentialStore
	Tokens     TokenStore
	Departures DepartureStore // of those who connect
	Client     *Client        // asks for tokens; nil means one with default limits
	Log        *slog.Logger   // nil means slog.Default()

	AskTimeout time.Duration // of a request for a token; zero means 15 s

	asking sync.WaitGroup // requests for tokens
	once   sync.Once
	http   *http.Client
}

// Put stores c, or changes the credential of that name, and returns what is
// stored now. Masked secrets are taken from the stored one: see
// [MergeCredential].
func (cs *Credentials) Put(ctx context.Context, c Credential) (Credential, error) {
	old, err := cs.Store.Credential(ctx, c.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Credential{}, fmt.Errorf("tools: put credential %s: %w", c.Name, err)
	}
	if c, err = MergeCredential(old, c); err != nil {
		return Credential{}, err
	}
	if err := cs.Store.PutCredential(ctx, c); err != nil {
		return Credential{}, fmt.Errorf("tools: put credential %s: %w", c.Name, err)
	}
	return c, nil
}

// Get returns a credential with its secrets, or [fs.ErrNotExist].
func (cs *Credentials) Get(ctx context.Context, name string) (Credential, error) {
	c, err := cs.Store.Credential(ctx, name)
	if err != nil {
		return Credential{}, fmt.Errorf("tools: credential %q: %w", name, err)
	}
	return c, nil
}

// List returns all credentials by name, with their secrets.
func (cs *Credentials) List(ctx context.Context) ([]Credential, error) {
	all, err := cs.Store.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("tools: credentials: %w", err)
	}
	slices.SortFunc(all, func(a, b Credential) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Delete removes a credential with all its tokens, or returns
// [fs.ErrNotExist]. Tools that name it fail from then on.
func (cs *Credentials) Delete(ctx context.Context, name string) error {
	if err := cs.Store.DeleteCredential(ctx, name); err != nil {
		return fmt.Errorf("tools: delete credential %q: %w", name, err)
	}
	return nil
}

// Wait returns when no request for a token is under way: a token that was
// given and not stored is lost.
func (cs *Credentials) Wait() { cs.asking.Wait() }

// Check returns a [*FieldError] if an endpoint names credentials that are not
// there or may not be sent where it calls.
func (cs *Credentials) Check(ctx context.Context, e Endpoint) error {
	for i, r := range e.requests() {
		if r.Auth == "" {
			continue
		}
		at := ""
		if len(e.Steps) > 0 {
			at = fmt.Sprintf("steps[%d].", i)
		}
		if cs == nil {
			return faultf(at+"auth", "cannot be used: this server keeps no credentials")
		}
		c, err := cs.Store.Credential(ctx, r.Auth)
		if errors.Is(err, fs.ErrNotExist) {
			return faultf(at+"auth", "there is no credential %q: put it to /v1/credentials/%[1]s first", r.Auth)
		}
		if err != nil {
			return fmt.Errorf("tools: credential %q: %w", r.Auth, err)
		}
		if err := c.check(r, at); err != nil {
			return err
		}
	}
	return nil
}

func (c *Credential) check(r *Request, at string) error {
	if to := originOf(r.URL); !c.fits(to) {
		return faultf(at+"auth", "the credential %s is for %s, and must not be sent to %s", c.Name, strings.Join(c.Origins, ", "), to)
	}
	for name := range r.Headers {
		if canonical := http.CanonicalHeaderKey(name); canonical == c.header() {
			return faultf(at+"headers."+oneLine(name, 80), "is set by the credential %s", c.Name)
		}
	}
	for name := range r.SecretQuery {
		if c.In == "query" && name == c.Parameter {
			return faultf(at+"secretQuery."+oneLine(name, 80), "is set by the credential %s", c.Name)
		}
	}
	return nil
}

// client returns what asks for tokens.
func (cs *Credentials) client() *http.Client {
	cs.once.Do(func() {
		c := cs.Client
		if c == nil {
			c = NewClient(ClientOptions{})
		}
		cs.http = c.HTTP()
	})
	return cs.http
}

func (cs *Credentials) log() *slog.Logger { return cmp.Or(cs.Log, slog.Default()) }
