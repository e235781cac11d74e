package tools

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Versions tells the replicas of changes, in an [EndpointStore] for one. All methods
// must be safe for concurrent use.
type Versions interface {
	Version(ctx context.Context) (string, error) // another text after each change
	Changed(ctx context.Context) error           // there has been one
}

// How long a set is used while its version stays the same, so that a change of
// which nobody was told is seen too, and how long a version is waited for.
const (
	maxSetAge       = 10 * time.Second
	versionPatience = 100 * time.Millisecond
)

// A latest is the endpoints as the store had them when it was read last.
type latest struct {
	tools   []Tool
	set     *Set   // of them and what is built in, nil until it was made
	version string // before it was read
	at      time.Time
}

// registered returns the registered endpoints as tools. The store is read if
// they have another version than before.
func (r *Registry) registered(ctx context.Context) (latest, error) {
	version := r.news.Version(ctx, r.Versions, r.log())
	r.mu.Lock()
	had := r.latest
	r.mu.Unlock()
	if version != "" && version == had.version && time.Since(had.at) < maxSetAge {
		return had, nil
	}
	ts, err := r.read(ctx)
	if err != nil {
		return latest{}, err
	}
	now := latest{tools: ts, version: version, at: time.Now()}
	r.mu.Lock()
	r.latest = now
	r.mu.Unlock()
	return now, nil
}

// made remembers the set of what was read, unless it was read again since.
func (r *Registry) made(of latest, set *Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest.at.Equal(of.at) {
		r.latest.set = set
	}
}

// tell says that there has been a change, and forgets what was read before.
func (r *Registry) tell(ctx context.Context) {
	r.news.Tell(ctx, r.Versions, r.log())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latest = latest{}
}

// News is what a replica has to tell the others of changes that were made on
// it: what could not be told is told before anybody looks again. The zero value
// is ready. All methods may be called concurrently.
type News struct {
	mu     sync.Mutex
	untold bool
}

// Version returns the version of what v tells of, empty if it is not known, as
// without v.
func (n *News) Version(ctx context.Context, v Versions, log *slog.Logger) string {
	if v == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, versionPatience)
	defer cancel()
	n.mu.Lock()
	untold := n.untold
	n.mu.Unlock()
	if untold {
		n.Tell(ctx, v, log)
	}
	version, err := v.Version(ctx)
	if err != nil {
		return ""
	}
	return version
}

// Tell says that there has been a change, or remembers that it must be said.
func (n *News) Tell(ctx context.Context, v Versions, log *slog.Logger) {
	if v == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := v.Changed(ctx)
	if err != nil {
		log.WarnContext(ctx, "other replicas could not be told of a change yet", "err", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.untold = err != nil
}
