package run

import (
	"context"
	"maps"
	"sync"
	"time"
)

// ownersMost is how many conversations' owners are known at least of those
// that were asked for last, and half of how many there are at most.
const ownersMost = 16 << 10

// ownersWithin is how long the store may take to say whose conversations are.
const ownersWithin = 2 * time.Second

// An owners knows whose conversations are, which never changes. All methods
// may be called concurrently.
type owners struct {
	ask func(ctx context.Context, convs []string) (map[string]string, error)

	mu       sync.Mutex
	now, old map[string]string // by conversation; old is forgotten when now is full
}

func newOwners(ask func(context.Context, []string) (map[string]string, error)) *owners {
	return &owners{ask: ask, now: map[string]string{}}
}

func (o *owners) know(conv, owner string) {
	if owner == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(conv, owner)
}

func (o *owners) known(conv string) (owner string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.find(conv)
}

// find requires o.mu.
func (o *owners) find(conv string) (owner string, ok bool) {
	if owner, ok = o.now[conv]; ok {
		return owner, true
	}
	if owner, ok = o.old[conv]; ok {
		o.note(conv, owner)
	}
	return owner, ok
}

// note requires o.mu.
func (o *owners) note(conv, owner string) {
	if len(o.now) >= ownersMost {
		o.old, o.now = o.now, map[string]string{}
	}
	o.now[conv] = owner
}

// of returns whose conversations are. Those that are not there are left out.
func (o *owners) of(ctx context.Context, convs []string) (map[string]string, error) {
	whose := make(map[string]string, len(convs))
	var unknown []string
	o.mu.Lock()
	for _, c := range convs {
		if owner, ok := o.find(c); ok {
			whose[c] = owner
		} else {
			unknown = append(unknown, c)
		}
	}
	o.mu.Unlock()
	if len(unknown) == 0 {
		return whose, nil
	}
	ctx, cancel := context.WithTimeout(ctx, ownersWithin)
	defer cancel()
	found, err := o.ask(ctx, unknown)
	if err != nil {
		return nil, err
	}
	maps.Copy(whose, found)
	o.mu.Lock()
	defer o.mu.Unlock()
	for c, owner := range found {
		o.note(c, owner)
	}
	return whose, nil
}
