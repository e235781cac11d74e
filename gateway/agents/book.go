package agents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"parley/llm"
	"parley/tools"
)

// A Store keeps agents and all their versions. All methods must be safe for
// concurrent use. What is not there is [fs.ErrNotExist].
type Store interface {
	// Agents returns the newest version of each agent, by name.
	Agents(ctx context.Context) ([]Version, error)
	// AgentVersions returns versions of an agent, the newest first, those
	// before one of them, or all for 0.
	AgentVersions(ctx context.Context, name string, before, limit int) ([]Version, error)
	// AgentVersion returns one version, also of an agent that was deleted.
	AgentVersion(ctx context.Context, name string, version int) (Version, error)
	// PutAgent stores a new version, unless the newest says the same: then that
	// is returned, and fresh is false. If the newest is not the one expected
	// (0 for none, negative for any), the error is [ErrChanged].
	PutAgent(ctx context.Context, a Agent, by string, expected int) (v Version, fresh bool, err error)
	// DeleteAgent removes an agent. Its versions stay, for runs that name them,
	// and are gone on with if there is one of the name again.
	DeleteAgent(ctx context.Context, name string) error
}

// Errors that callers tell apart.
var (
	ErrChanged = errors.New("agents: somebody else has changed this agent")
	ErrDefault = errors.New("agents: the default agent cannot be deleted")
	ErrTooMany = errors.New("agents: there are as many as may be")
)

// maxAgents is how many agents there may be.
const maxAgents = 200

// Chosen is who answers a run. All methods may be called concurrently.
type Chosen struct {
	llm.AgentRef
	Agent *llm.Agent
	uses  func(tools.Spec) bool      // nil: all
	last  *atomic.Pointer[tools.Set] // that Tools returned
}

// Tools returns those of a set that the agent may use.
func (c *Chosen) Tools(s *tools.Set) *tools.Set {
	if c.uses == nil {
		return s
	}
	only := s.Only(c.uses, c.last.Load())
	c.last.Store(only)
	return only
}

// Ref returns what is kept with a run of who answers it: nil for the default
// that nobody has configured.
func (c *Chosen) Ref() *llm.AgentRef {
	if c.AgentRef == (llm.AgentRef{Name: Default}) {
		return nil
	}
	ref := c.AgentRef
	return &ref
}

// A Book knows all agents. Its fields do not change once it is in use; all
// methods may be called concurrently.
type Book struct {
	Builtin  *llm.Agent     // what the settings say
	Chain    *llm.Chain     // whose models agents may choose; nil: none
	Store    Store          // nil: there is the default agent alone
	Versions tools.Versions // nil: each run reads the store
	Log      *slog.Logger   // nil means slog.Default()

	news tools.News // of changes that were made here

	mu      sync.Mutex // guards all below
	latest  latest
	earlier map[versionKey]*Chosen
}

// A latest is the agents as the store had them when it was read last.
type latest struct {
	list    []Version
	chosen  map[string]*Chosen
	version string // before it was read
	at      time.Time
}

type versionKey struct {
	name    string
	version int
}

// How long agents are used while their version stays the same, and how many
// earlier versions are kept at hand.
const (
	maxAge     = 10 * time.Second
	maxEarlier = 64
)

// Newest returns who answers a run that begins now: the newest version of the
// agent of that name, or the default for one that is no more.
func (b *Book) Newest(ctx context.Context, name string) (*Chosen, error) {
	now, err := b.read(ctx)
	if err != nil {
		return nil, err
	}
	name = cmp.Or(name, Default)
	if c := now.chosen[name]; c != nil {
		return c, nil
	}
	c := now.chosen[Default]
	if c == nil {
		c = b.builtin()
	}
	if name == Default {
		return c, nil
	}
	instead := *c
	instead.Instead = name
	return &instead, nil
}

// Version returns who answers a run that has begun: that version of the agent,
// whatever has become of it since.
func (b *Book) Version(ctx context.Context, ref llm.AgentRef) (*Chosen, error) {
	if ref.Version == 0 || b.Store == nil {
		c := b.builtin()
		c.Instead = ref.Instead
		return c, nil
	}
	key := versionKey{ref.Name, ref.Version}
	b.mu.Lock()
	c := b.earlier[key]
	if newest := b.latest.chosen[ref.Name]; newest != nil && newest.Version == ref.Version {
		c = newest
	}
	b.mu.Unlock()
	if c == nil {
		v, err := b.Store.AgentVersion(ctx, ref.Name, ref.Version)
		if errors.Is(err, fs.ErrNotExist) { // a store that was rolled back
			return b.Newest(ctx, ref.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("agents: %s, version %d: %w", ref.Name, ref.Version, err)
		}
		c = b.compile(v)
		b.keep(key, c)
	}
	if ref.Instead != "" {
		instead := *c
		instead.Instead = ref.Instead
		return &instead, nil
	}
	return c, nil
}

func (b *Book) keep(key versionKey, c *Chosen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.earlier == nil || len(b.earlier) >= maxEarlier { // they are quickly read again
		b.earlier = map[versionKey]*Chosen{}
	}
	b.earlier[key] = c
}

// builtin returns what the settings say.
func (b *Book) builtin() *Chosen {
	return &Chosen{AgentRef: llm.AgentRef{Name: Default}, Agent: b.Builtin}
}

// read returns the agents as they are now. The store is read if they have
// another version than before.
func (b *Book) read(ctx context.Context) (latest, error) {
	if b.Store == nil {
		return latest{}, nil
	}
	version := b.news.Version(ctx, b.Versions, b.log())
	b.mu.Lock()
	had := b.latest
	b.mu.Unlock()
	same := version != "" && version == had.version
	if same && time.Since(had.at) < maxAge {
		return had, nil
	}
	list, err := b.Store.Agents(ctx)
	if err != nil && same { // nobody has told of a change
		return had, nil
	}
	if err != nil {
		return latest{}, fmt.Errorf("agents: %w", err)
	}
	now := latest{list: list, version: version, at: time.Now(), chosen: make(map[string]*Chosen, len(list))}
	for _, v := range list {
		if c := had.chosen[v.Name]; c != nil && c.Version == v.Version {
			now.chosen[v.Name] = c
		} else {
			now.chosen[v.Name] = b.compile(v)
		}
	}
	b.mu.Lock()
	b.latest = now
	b.mu.Unlock()
	return now, nil
}

// compile returns an agent that does what a version says. Models that are no
// longer configured are left out; if none is left, all that are answer.
func (b *Book) compile(v Version) *Chosen {
	a := *b.Builtin
	a.System = cmp.Or(v.Instructions, a.System)
	a.MaxTurns = cmp.Or(v.MaxTurns, a.MaxTurns)
	a.MaxCalls = cmp.Or(v.MaxCalls, a.MaxCalls)
	a.MaxTokens = cmp.Or(v.MaxTokens, a.MaxTokens)
	if v.Temperature != nil {
		a.Temperature = v.Temperature
	}
	if len(v.Models) > 0 && b.Chain != nil {
		picked, unknown := b.Chain.Pick(v.Models...)
		if len(unknown) > 0 {
			b.log().Warn("models of an agent are not configured", "agent", v.Name, "version", v.Version, "models", unknown)
		}
		if picked != nil {
			a.Model = picked
		}
	}
	c := &Chosen{AgentRef: llm.AgentRef{Name: v.Name, Version: v.Version}, Agent: &a}
	if v.Tools != nil {
		c.uses, c.last = v.uses, new(atomic.Pointer[tools.Set])
	}
	return c
}

// tell says that there has been a change, and has the store read again.
func (b *Book) tell(ctx context.Context) {
	b.news.Tell(ctx, b.Versions, b.log())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest.version, b.latest.at = "", time.Time{}
}

func (b *Book) log() *slog.Logger { return cmp.Or(b.Log, slog.Default()) }
