package agents

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// List returns the newest version of each agent, the default first and the
// others by name. The version of a default that nobody has configured is 0.
func (b *Book) List(ctx context.Context) ([]Version, error) {
	now, err := b.read(ctx)
	if err != nil {
		return nil, err
	}
	all := []Version{{Agent: Agent{Name: Default}}}
	for _, v := range now.list {
		if v.Name == Default {
			all[0] = v
		} else {
			all = append(all, v)
		}
	}
	return all, nil
}

// Get returns the newest version of an agent, or [fs.ErrNotExist].
func (b *Book) Get(ctx context.Context, name string) (Version, error) {
	all, err := b.List(ctx)
	if err != nil {
		return Version{}, err
	}
	for _, v := range all {
		if v.Name == name {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("agents: %s: %w", name, fs.ErrNotExist)
}

// Models returns the models that agents can choose, in the order in which the
// operator has configured them.
func (b *Book) Models() []string {
	if b.Chain == nil {
		return nil
	}
	return b.Chain.Refs()
}

// Put stores a new version of an agent, see [Store].PutAgent. What is wrong
// with it is a [*tools.FieldError].
func (b *Book) Put(ctx context.Context, a Agent, by string, expected int) (Version, bool, error) {
	if b.Store == nil {
		return Version{}, false, errNoStore
	}
	if err := a.validate(); err != nil {
		return Version{}, false, err
	}
	if err := b.checkModels(a); err != nil {
		return Version{}, false, err
	}
	if err := b.checkRoom(ctx, a.Name); err != nil {
		return Version{}, false, err
	}
	v, fresh, err := b.Store.PutAgent(ctx, a, by, expected)
	if err != nil {
		return Version{}, false, fmt.Errorf("agents: put %s: %w", a.Name, err)
	}
	if fresh {
		b.tell(ctx)
	}
	return v, fresh, nil
}

func (b *Book) checkModels(a Agent) error {
	if len(a.Models) == 0 {
		return nil
	}
	if b.Chain == nil {
		return fault("models", "this server's models cannot be chosen")
	}
	if _, unknown := b.Chain.Pick(a.Models...); len(unknown) > 0 {
		return fault("models", "%q is not configured; the operator has configured %s (PARLEY_MODEL, PARLEY_MODEL_FALLBACK)", unknown[0], strings.Join(b.Models(), ", "))
	}
	return nil
}

func (b *Book) checkRoom(ctx context.Context, name string) error {
	all, err := b.List(ctx)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Name == name {
			return nil
		}
	}
	if len(all) >= maxAgents {
		return ErrTooMany
	}
	return nil
}

// Delete removes an agent. Conversations that chose it go on with the default.
func (b *Book) Delete(ctx context.Context, name string) error {
	if name == Default {
		return ErrDefault
	}
	if b.Store == nil {
		return fmt.Errorf("agents: delete %s: %w", name, fs.ErrNotExist)
	}
	if err := b.Store.DeleteAgent(ctx, name); err != nil {
		return fmt.Errorf("agents: delete %s: %w", name, err)
	}
	b.tell(ctx)
	return nil
}

var errNoStore = errors.New("agents: there is no store to keep agents in")
