package tools

import (
	"context"
	"time"
)

// Versions tells the replicas of changes in an [EndpointStore]. All methods
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
	version := r.version(ctx)
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

// version returns the version of the tools, empty if it is not known.
func (r *Registry) version(ctx context.Context) string {
	if r.Versions == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, versionPatience)
	defer cancel()
	r.mu.Lock()
	untold := r.untold
	r.mu.Unlock()
	if untold {
		r.tell(ctx)
	}
	v, err := r.Versions.Version(ctx)
	if err != nil {
		return ""
	}
	return v
}

// tell says that there has been a change, or remembers that it must be said.
func (r *Registry) tell(ctx context.Context) {
	if r.Versions == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := r.Versions.Changed(ctx)
	if err != nil {
		r.log().WarnContext(ctx, "other replicas could not be told of a changed tool yet", "err", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.untold = err != nil
	r.latest = latest{}
}
