// Package mcp is the way to other people's MCP servers: their tools are tools
// of Parley's. It speaks the Model Context Protocol, 2026-07-28 and older, as
// a client.
//
// A server is a stranger. What it says of its tools is bounded and, unless it
// is trusted, not believed; what it answers is data for the model; what it
// asks a person goes through an [tools.Ask]. A call is never repeated where
// the server may have carried it out.
//
// Delivery: a replica keeps a list of each server's tools and refreshes it in
// the background. Where a server is away the last list stays, and its calls
// fail.
package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"parley/tools"
)

// A Store keeps the servers that were registered, with their secrets. All
// methods must be safe for concurrent use. What is not there is
// [fs.ErrNotExist].
type Store interface {
	MCPServers(ctx context.Context) ([]Server, error) // by name
	MCPServer(ctx context.Context, name string) (Server, error)
	PutMCPServer(ctx context.Context, s Server) error // replaces one of the same name
	DeleteMCPServer(ctx context.Context, name string) error
}

// Options are what [Servers] are made of. Store and HTTP must be set; the
// zero value of anything else is the default.
type Options struct {
	Store Store
	HTTP  *http.Client // the guarded way out, [tools.Client.HTTP]: with a transport of its own
	Stdio []Command    // servers that run here; nobody can register more
	Files tools.Files  // nil: images and the like are only described
	Log   *slog.Logger // nil means slog.Default()

	Version   string // of Parley, that servers are told
	UserAgent string // zero means "Parley"

	MaxServers  int // registered ones that are used, by name; zero means 64
	MaxTools    int // of one server; zero means 256
	MaxBytes    int // of an answer; zero means 8 MiB
	MaxSessions int // with one server of an old protocol; zero means 64

	Look           time.Duration // between looks at what is registered; zero means 1 s
	Refresh        time.Duration // the longest that a list is believed; zero means 60 s
	MinRefresh     time.Duration // the shortest, whatever ttlMs says; zero means 5 s
	Settle         time.Duration // between lists of a server whose tools keep changing; zero means 500 ms
	Backoff        time.Duration // before a server is tried again, at first; zero means 1 s
	MaxBackoff     time.Duration // at last; zero means 60 s
	ConnectTimeout time.Duration // zero means 10 s
	ListTimeout    time.Duration // zero means 30 s
	SessionIdle    time.Duration // after which an old server's session is closed; zero means 10 min
	PutWait        time.Duration // that Put waits for a server to be connected; zero means 3 s
}

func (o Options) withDefaults() Options {
	o.Log = cmp.Or(o.Log, slog.Default())
	o.UserAgent, o.Version = cmp.Or(o.UserAgent, "Parley"), cmp.Or(o.Version, "0")
	o.MaxServers, o.MaxTools, o.MaxSessions = cmp.Or(o.MaxServers, 64), cmp.Or(o.MaxTools, 256), cmp.Or(o.MaxSessions, 64)
	o.MaxBytes = cmp.Or(o.MaxBytes, 8<<20)
	o.Look, o.Settle = cmp.Or(o.Look, time.Second), cmp.Or(o.Settle, 500*time.Millisecond)
	o.Refresh, o.MinRefresh = cmp.Or(o.Refresh, time.Minute), cmp.Or(o.MinRefresh, 5*time.Second)
	o.Backoff, o.MaxBackoff = cmp.Or(o.Backoff, time.Second), cmp.Or(o.MaxBackoff, time.Minute)
	o.ConnectTimeout, o.ListTimeout = cmp.Or(o.ConnectTimeout, 10*time.Second), cmp.Or(o.ListTimeout, 30*time.Second)
	o.SessionIdle, o.PutWait = cmp.Or(o.SessionIdle, 10*time.Minute), cmp.Or(o.PutWait, 3*time.Second)
	return o
}

// Servers are the MCP servers that a replica uses: those that are registered
// and those that the operator has it run. They are a [tools.Supplier]. Run is
// called once; all other methods may be called concurrently.
type Servers struct {
	o    Options
	look chan struct{}

	mu    sync.Mutex
	links map[string]*link // by name
	moved chan struct{}    // closed and replaced when links changes
}

var _ tools.Supplier = (*Servers)(nil)

// New returns Servers that are connected while Run runs.
func New(o Options) *Servers {
	return &Servers{o: o.withDefaults(), look: make(chan struct{}, 1), links: map[string]*link{}, moved: make(chan struct{})}
}

// Run keeps the servers connected and their lists fresh until ctx ends. Then
// it ends every session and process, and waits for that.
func (s *Servers) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	start := func(l *link) { running.Go(l.run) }
	for _, c := range s.o.Stdio {
		s.adopt(c.Name, stdioLink(ctx, &s.o, c), start)
	}
	tick := time.NewTicker(s.o.Look)
	defer tick.Stop()
	for {
		s.reconcile(ctx, start)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.look:
		}
	}
}

// reconcile has links to exactly what is registered and enabled. If the store
// fails they stay as they are.
func (s *Servers) reconcile(ctx context.Context, start func(*link)) {
	stored, err := s.registered(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.WarnContext(ctx, "mcp servers cannot be read", "error", err)
		}
		return
	}
	want := map[string]Server{}
	for _, server := range stored {
		want[server.Name] = server
	}
	for name, l := range s.all() {
		if server, ok := want[name]; !l.stdio && (!ok || server.connection() != l.key) {
			s.adopt(name, nil, start)
		}
	}
	for _, server := range stored {
		if s.link(server.Name) == nil {
			s.adopt(server.Name, httpLink(ctx, &s.o, server), start)
		}
	}
}

// registered returns the servers that are to be connected.
func (s *Servers) registered(ctx context.Context) ([]Server, error) {
	stored, err := s.o.Store.MCPServers(ctx)
	if err != nil {
		return nil, fmt.Errorf("mcp: read servers: %w", err)
	}
	stored = slices.DeleteFunc(stored, func(server Server) bool { return server.Disabled || s.runsHere(server.Name) })
	return stored[:min(len(stored), s.o.MaxServers)], nil
}

// adopt puts a link in the place of the one with that name, nil for none, and
// lets that one end.
func (s *Servers) adopt(name string, l *link, start func(*link)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.links[name]; old != nil {
		old.retire()
	}
	delete(s.links, name)
	if l != nil {
		s.links[name] = l
		start(l)
	}
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *Servers) link(name string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.links[name]
}

func (s *Servers) all() map[string]*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]*link, len(s.links))
	for name, l := range s.links {
		all[name] = l
	}
	return all
}

func (s *Servers) runsHere(name string) bool {
	return slices.ContainsFunc(s.o.Stdio, func(c Command) bool { return c.Name == name })
}

// Tools implements [tools.Supplier]: it reads what is registered, and of each
// server the list that this replica has.
func (s *Servers) Tools(ctx context.Context) ([]tools.Tool, error) {
	servers, err := s.registered(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range s.o.Stdio {
		servers = append(servers, c.server())
	}
	slices.SortFunc(servers, func(a, b Server) int { return cmp.Compare(a.Name, b.Name) })
	var all []tools.Tool
	names := naming{}
	for _, server := range servers {
		l := s.link(server.Name)
		if l == nil || !l.stdio && l.key != server.connection() {
			poke(s.look)
			continue
		}
		all = append(all, l.tools(server, names)...)
	}
	return all, nil
}

// A Status is a server as it may be shown, and how this replica stands with
// it.
type Status struct {
	Server
	Stdio bool  `json:"stdio,omitempty"` // the operator has it run here
	State State `json:"state"`
}

func (s *Servers) status(server Server) Status {
	st := Status{Server: server.Public(), Stdio: s.runsHere(server.Name)}
	if l := s.link(server.Name); l != nil && (l.stdio || l.key == server.connection()) {
		st.State = l.state()
	}
	return st
}

// List returns all servers, by name.
func (s *Servers) List(ctx context.Context) ([]Status, error) {
	stored, err := s.o.Store.MCPServers(ctx)
	if err != nil {
		return nil, fmt.Errorf("mcp: read servers: %w", err)
	}
	stored = slices.DeleteFunc(stored, func(server Server) bool { return s.runsHere(server.Name) })
	for _, c := range s.o.Stdio {
		stored = append(stored, c.server())
	}
	slices.SortFunc(stored, func(a, b Server) int { return cmp.Compare(a.Name, b.Name) })
	list := make([]Status, len(stored))
	for i, server := range stored {
		list[i] = s.status(server)
	}
	return list, nil
}

// Get returns one server, or [fs.ErrNotExist].
func (s *Servers) Get(ctx context.Context, name string) (Status, error) {
	for _, c := range s.o.Stdio {
		if c.Name == name {
			return s.status(c.server()), nil
		}
	}
	server, err := s.o.Store.MCPServer(ctx, name)
	if err != nil {
		return Status{}, fmt.Errorf("mcp: server %q: %w", name, err)
	}
	return s.status(server), nil
}

// Put registers a server, or changes the one of that name: masked headers are
// taken from it. It waits a moment for it to be connected and returns it as
// it then stands. What is wrong with it is a [*tools.FieldError].
func (s *Servers) Put(ctx context.Context, server Server) (Status, error) {
	if s.runsHere(server.Name) {
		return Status{}, fault("name", "belongs to a server that the operator has set up: choose another")
	}
	old, err := s.o.Store.MCPServer(ctx, server.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Status{}, fmt.Errorf("mcp: put server %s: %w", server.Name, err)
	}
	if server, err = merge(old, server); err != nil {
		return Status{}, err
	}
	if err := s.o.Store.PutMCPServer(ctx, server); err != nil {
		return Status{}, fmt.Errorf("mcp: put server %s: %w", server.Name, err)
	}
	poke(s.look)
	if !server.Disabled {
		s.await(ctx, server)
	}
	return s.status(server), nil
}

// await waits until this replica has tried to connect a server, but not for
// long.
func (s *Servers) await(ctx context.Context, server Server) {
	ctx, cancel := context.WithTimeout(ctx, s.o.PutWait)
	defer cancel()
	for ctx.Err() == nil {
		s.mu.Lock()
		l, next := s.links[server.Name], s.moved
		s.mu.Unlock()
		tried := l != nil && l.key == server.connection()
		if tried {
			next = l.tried
		}
		select {
		case <-next:
			if tried {
				return
			}
		case <-ctx.Done():
		}
	}
}

// Delete removes a registered server, or returns [fs.ErrNotExist]. Calls that
// are under way may end.
func (s *Servers) Delete(ctx context.Context, name string) error {
	if s.runsHere(name) {
		return fault("name", "belongs to a server that the operator has set up: it cannot be removed here")
	}
	if err := s.o.Store.DeleteMCPServer(ctx, name); err != nil {
		return fmt.Errorf("mcp: delete server %q: %w", name, err)
	}
	poke(s.look)
	return nil
}
