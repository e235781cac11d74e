package toolstest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"parley/tools"
)

var (
	_ tools.CredentialStore = (*Credentials)(nil)
	_ tools.TokenStore      = (*Credentials)(nil)
	_ tools.DepartureStore  = (*Credentials)(nil)
)

// Credentials keeps credentials, tokens and departures in memory. The zero
// value is empty. All methods may be called concurrently.
type Credentials struct {
	mu         sync.Mutex
	byName     map[string]tools.Credential
	tokens     map[tools.TokenKey]*heldToken
	departures map[string]tools.Departure
	versions   int64
}

type heldToken struct {
	token  tools.Token
	holder string
	until  time.Time
}

func notThere(what string) error { return fmt.Errorf("toolstest: %s: %w", what, fs.ErrNotExist) }

// Credentials implements [tools.CredentialStore].
func (s *Credentials) Credentials(context.Context) ([]tools.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.byName)), nil
}

// Credential implements [tools.CredentialStore].
func (s *Credentials) Credential(_ context.Context, name string) (tools.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.byName[name]
	if !ok {
		return c, notThere(name)
	}
	return c, nil
}

// PutCredential implements [tools.CredentialStore].
func (s *Credentials) PutCredential(_ context.Context, c tools.Credential) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName, s.tokens, s.departures = map[string]tools.Credential{}, map[tools.TokenKey]*heldToken{}, map[string]tools.Departure{}
	}
	s.byName[c.Name] = c
	return nil
}

// DeleteCredential implements [tools.CredentialStore].
func (s *Credentials) DeleteCredential(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.byName[name]; !ok {
		return notThere(name)
	}
	delete(s.byName, name)
	maps.DeleteFunc(s.tokens, func(k tools.TokenKey, _ *heldToken) bool { return k.Credential == name })
	return nil
}

// Token implements [tools.TokenStore].
func (s *Credentials) Token(_ context.Context, k tools.TokenKey) (tools.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[k]
	if !ok || t.token.Version == 0 {
		return tools.Token{}, notThere("token")
	}
	return t.token, nil
}

// LeaseToken implements [tools.TokenStore].
func (s *Credentials) LeaseToken(_ context.Context, k tools.TokenKey, version int64, holder string, until time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.byName[k.Credential]; !ok {
		return false, notThere(k.Credential)
	}
	t, ok := s.tokens[k]
	if !ok && version == 0 {
		t, ok = &heldToken{}, true
		s.tokens[k] = t
	}
	if !ok || t.token.Version != version || t.holder != holder && time.Now().Before(t.until) {
		return false, nil
	}
	t.holder, t.until = holder, until
	return true, nil
}

// PutToken implements [tools.TokenStore].
func (s *Credentials) PutToken(_ context.Context, k tools.TokenKey, token tools.Token, version int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.byName[k.Credential]; !ok {
		return false, notThere(k.Credential)
	}
	t, ok := s.tokens[k]
	if ok && version != tools.AnyVersion && t.token.Version != version || !ok && version > 0 {
		return false, nil
	}
	s.versions++
	token.Version = s.versions
	s.tokens[k] = &heldToken{token: token}
	return true, nil
}

// DeleteToken implements [tools.TokenStore].
func (s *Credentials) DeleteToken(_ context.Context, k tools.TokenKey, version int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[k]
	if !ok || t.token.Version == 0 || version != tools.AnyVersion && t.token.Version != version {
		return false, nil
	}
	delete(s.tokens, k)
	return true, nil
}

// PutDeparture implements [tools.DepartureStore].
func (s *Credentials) PutDeparture(_ context.Context, state string, d tools.Departure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.departures[state] = d
	return nil
}

// TakeDeparture implements [tools.DepartureStore].
func (s *Credentials) TakeDeparture(_ context.Context, state string) (tools.Departure, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.departures[state]
	delete(s.departures, state)
	if !ok || time.Now().After(d.Expires) {
		return tools.Departure{}, notThere("departure")
	}
	return d, nil
}

// Connections implements [tools.DepartureStore].
func (s *Credentials) Connections(_ context.Context, person string) (all []tools.Connection, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, t := range s.tokens {
		if k.Person == person && t.token.Version > 0 {
			all = append(all, tools.Connection{Credential: k.Credential, Since: t.token.Since, Revision: t.token.Revision})
		}
	}
	return all, nil
}
