package tools

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
)

// An EndpointStore keeps registered endpoints, with their secrets. All
// methods must be safe for concurrent use. What is not there is
// [fs.ErrNotExist].
type EndpointStore interface {
	Endpoints(ctx context.Context) ([]Endpoint, error)
	Endpoint(ctx context.Context, name string) (Endpoint, error)
	PutEndpoint(ctx context.Context, e Endpoint) error // replaces one of the same name
	DeleteEndpoint(ctx context.Context, name string) error
}

// A Supplier offers tools that somebody else declares, such as MCP servers. It
// must be safe for concurrent use.
type Supplier interface {
	// Tools returns those that there are at this moment, each with a name of
	// its own. It is called when a run begins and must not go to the network
	// for it.
	Tools(ctx context.Context) ([]Tool, error)
}

// ErrBuiltin is returned for a change of a tool that is built in.
var ErrBuiltin = errors.New("this name belongs to a built-in tool: choose another")

// A Registry knows every tool that this server offers: those built in and the
// endpoints registered by their owners. Its fields do not change once it is in
// use; all methods may be called concurrently.
type Registry struct {
	Builtins  []Tool
	Endpoints EndpointStore // nil means none can be registered
	Suppliers []Supplier    // their tools give way to built-in and registered ones of the same name
	Client    *Client       // nil means one with default limits

	Credentials *Credentials // what endpoints may name; nil means none

	MaxTokens int          // of a result, where an endpoint does not say; zero means 8,000
	Files     Files        // where answers are kept that are no text; nil means nowhere
	Versions  Versions     // nil means that each set is read from the store
	Observer  Observer     // told of every call; nil means nobody
	Max       int          // registered endpoints in a set, by name; zero means 2,000
	Log       *slog.Logger // nil means slog.Default()

	news News // of changes that were made here

	mu       sync.Mutex        // guards all below
	compiled map[[32]byte]Tool // of the latest set, so bounded by Max
	finder   *finder           // of the latest set
	latest   latest
	fallback *Client
}

// Set returns the tools as they are at this moment. It reads the store if the
// tools have another version than before, so that every replica sees every
// change at its next run. An endpoint that cannot be compiled is logged and
// left out, as is one that has come to have a built-in's name. If the store
// fails, so does Set.
func (r *Registry) Set(ctx context.Context) (*Set, error) {
	var all []Tool
	for _, supplier := range r.Suppliers {
		offered, err := supplier.Tools(ctx)
		if err != nil {
			return nil, fmt.Errorf("tools: read a supplier: %w", err)
		}
		all = append(all, offered...)
	}
	all = append(all, r.Builtins...) // of two with one name the later wins
	if r.Endpoints == nil {
		return r.set(all), nil
	}
	now, err := r.registered(ctx)
	if err != nil {
		return nil, err
	}
	if now.set != nil && len(r.Suppliers) == 0 {
		return now.set, nil
	}
	set := r.set(append(all, now.tools...))
	r.made(now, set)
	return set, nil
}

// read returns the endpoints that the store has now, as tools.
func (r *Registry) read(ctx context.Context) ([]Tool, error) {
	stored, err := r.Endpoints.Endpoints(ctx)
	if err != nil {
		return nil, fmt.Errorf("tools: read endpoints: %w", err)
	}
	slices.SortFunc(stored, func(a, b Endpoint) int { return cmp.Compare(a.Name, b.Name) })
	if most := r.Most(); len(stored) > most {
		r.log().WarnContext(ctx, "too many tools, the rest is left out", "stored", len(stored), "max", most)
		stored = stored[:most]
	}
	return r.compile(ctx, stored), nil
}

// Most returns how many registered endpoints a set can have.
func (r *Registry) Most() int { return cmp.Or(r.Max, 2000) }

// set returns the set of ts. If they are those of the latest set, what they
// are found by is used again.
func (r *Registry) set(ts []Tool) *Set {
	s := NewSet(ts...)
	s.observer, s.tokens = r.Observer, r.MaxTokens
	s.pinned = make(map[string]bool, len(r.Builtins))
	for _, t := range r.Builtins {
		s.pinned[t.Spec().Name] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finder.knows(s.specs) {
		s.finder = r.finder
	}
	r.finder = s.finder
	return s
}

// compile returns the usable ones of es as tools. What was compiled for the
// last set and has not changed is used again.
func (r *Registry) compile(ctx context.Context, es []Endpoint) []Tool {
	r.mu.Lock()
	had := r.compiled
	r.mu.Unlock()
	have := make(map[[32]byte]Tool, len(es))
	var usable []Tool
	for _, e := range es {
		if e.Disabled {
			continue
		}
		key := revision(e)
		t, ok := had[key]
		if !ok {
			var err error
			if t, err = r.tool(e); err != nil {
				r.log().WarnContext(ctx, "a registered tool cannot be used", "tool", e.Name, "err", err)
				continue
			}
		}
		have[key] = t
		usable = append(usable, t)
	}
	r.mu.Lock()
	r.compiled = have
	r.mu.Unlock()
	return usable
}

func (r *Registry) tool(e Endpoint) (Tool, error) {
	if r.builtin(e.Name) {
		return nil, ErrBuiltin
	}
	p, err := e.usable()
	if err != nil {
		return nil, err
	}
	t := e.planned(p, r.client(), r.Credentials)
	t.files, t.tokens = r.Files, cmp.Or(e.MaxTokens, r.MaxTokens, DefaultMaxTokens)
	return t, nil
}

// revision identifies an endpoint as it is stored.
func revision(e Endpoint) [32]byte {
	b, err := json.Marshal(e)
	if err != nil { // a field holds bytes that are no JSON: it will not compile
		b = []byte(e.Name)
	}
	return sha256.Sum256(b)
}

// Put registers e, or changes the endpoint of that name, and returns what is
// stored now. Masked secrets are taken from the stored one: see [Merge].
func (r *Registry) Put(ctx context.Context, e Endpoint) (Endpoint, error) {
	if r.builtin(e.Name) {
		return Endpoint{}, faultf("name", "%v", ErrBuiltin)
	}
	if r.Endpoints == nil {
		return Endpoint{}, errors.New("tools: put endpoint: there is no store to register tools in")
	}
	old, err := r.Endpoints.Endpoint(ctx, e.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Endpoint{}, fmt.Errorf("tools: put endpoint %s: %w", e.Name, err)
	}
	if e, err = Merge(old, e); err != nil {
		return Endpoint{}, err
	}
	if err := r.Credentials.Check(ctx, e); err != nil {
		return Endpoint{}, err
	}
	if err := r.Endpoints.PutEndpoint(ctx, e); err != nil {
		return Endpoint{}, fmt.Errorf("tools: put endpoint %s: %w", e.Name, err)
	}
	r.tell(ctx)
	return e, nil
}

// Get returns a registered endpoint with its secrets, or [fs.ErrNotExist].
func (r *Registry) Get(ctx context.Context, name string) (Endpoint, error) {
	if r.Endpoints == nil || r.builtin(name) {
		return Endpoint{}, fmt.Errorf("tools: endpoint %q: %w", name, fs.ErrNotExist)
	}
	e, err := r.Endpoints.Endpoint(ctx, name)
	if err != nil {
		return Endpoint{}, fmt.Errorf("tools: endpoint %q: %w", name, err)
	}
	return e, nil
}

// Delete removes a registered endpoint. It returns [ErrBuiltin] for a tool
// that is built in and [fs.ErrNotExist] for one that is not there.
func (r *Registry) Delete(ctx context.Context, name string) error {
	if r.builtin(name) {
		return fmt.Errorf("tools: delete %s: %w", name, ErrBuiltin)
	}
	if r.Endpoints == nil {
		return fmt.Errorf("tools: delete %q: %w", name, fs.ErrNotExist)
	}
	if err := r.Endpoints.DeleteEndpoint(ctx, name); err != nil {
		return fmt.Errorf("tools: delete %q: %w", name, err)
	}
	r.tell(ctx)
	return nil
}

func (r *Registry) builtin(name string) bool {
	return name == FindName || slices.ContainsFunc(r.Builtins, func(t Tool) bool { return t.Spec().Name == name })
}

func (r *Registry) log() *slog.Logger { return cmp.Or(r.Log, slog.Default()) }

// client returns the registry's client, making one if it was given none.
func (r *Registry) client() *Client {
	if r.Client != nil {
		return r.Client
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fallback == nil {
		r.fallback = NewClient(ClientOptions{})
	}
	return r.fallback
}
