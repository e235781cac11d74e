package toolstest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"parley/tools"
)

var _ tools.EndpointStore = (*Store)(nil)

// A Store keeps endpoints in memory. The zero value is empty. All methods may
// be called concurrently.
type Store struct {
	mu     sync.Mutex
	byName map[string]tools.Endpoint
}

// Endpoints implements [tools.EndpointStore].
func (s *Store) Endpoints(context.Context) ([]tools.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.byName)), nil
}

// Endpoint implements [tools.EndpointStore].
func (s *Store) Endpoint(_ context.Context, name string) (tools.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byName[name]
	if !ok {
		return e, fmt.Errorf("toolstest: %q: %w", name, fs.ErrNotExist)
	}
	return e, nil
}

// PutEndpoint implements [tools.EndpointStore]. It does not validate.
func (s *Store) PutEndpoint(_ context.Context, e tools.Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = map[string]tools.Endpoint{}
	}
	s.byName[e.Name] = e
	return nil
}

// DeleteEndpoint implements [tools.EndpointStore].
func (s *Store) DeleteEndpoint(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.byName[name]; !ok {
		return fmt.Errorf("toolstest: %q: %w", name, fs.ErrNotExist)
	}
	delete(s.byName, name)
	return nil
}
