package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"parley/tools"
)

// A Store keeps declared feeds, with their secrets. All methods must be safe
// for concurrent use. What is not there is [fs.ErrNotExist].
type Store interface {
	Feeds(ctx context.Context) ([]Feed, error) // by name
	Feed(ctx context.Context, name string) (Feed, error)
	PutFeed(ctx context.Context, f Feed) error // replaces one of the same name
	DeleteFeed(ctx context.Context, name string) error
}

// Windows is where the feeds' values are, the same for all replicas.
type Windows interface {
	Read(ctx context.Context, f Feed) (Reading, error)
	Changed() // the feeds in the store are others now; what is not told is found out soon
}

// A Book is the feeds of a server. Its fields do not change once it is in use;
// all methods may be called concurrently.
type Book struct {
	Store   Store
	Windows Windows
	Limits  Limits
	Max     int // feeds at the most; zero means 32
}

// ErrTooMany is returned if there is no room for another feed.
var ErrTooMany = errors.New("there are as many feeds as are allowed: delete one, or raise PARLEY_FEEDS")

// Put declares f, or changes the feed of that name, and returns what is stored
// now. Masked secrets are taken from the stored one: see [Merge].
func (b *Book) Put(ctx context.Context, f Feed) (Feed, error) {
	all, err := b.Store.Feeds(ctx)
	if err != nil {
		return Feed{}, fmt.Errorf("feed: put %s: %w", f.Name, err)
	}
	var old Feed
	for _, have := range all {
		if have.Name == f.Name {
			old = have
		}
	}
	if f, err = Merge(old, f); err != nil {
		return Feed{}, err
	}
	if old.Name == "" && len(all) >= cmp.Or(b.Max, 32) {
		return Feed{}, ErrTooMany
	}
	if err := b.Store.PutFeed(ctx, f); err != nil {
		return Feed{}, fmt.Errorf("feed: put %s: %w", f.Name, err)
	}
	b.Windows.Changed()
	return f, nil
}

// Delete removes a feed; it returns [fs.ErrNotExist] if there is none.
func (b *Book) Delete(ctx context.Context, name string) error {
	if err := b.Store.DeleteFeed(ctx, name); err != nil {
		return fmt.Errorf("feed: delete %q: %w", name, err)
	}
	b.Windows.Changed()
	return nil
}

// Read returns a feed and what its window holds.
func (b *Book) Read(ctx context.Context, name string) (Feed, Reading, error) {
	if !goodName.MatchString(name) {
		return Feed{}, Reading{}, fmt.Errorf("feed: %q: %w", name, fs.ErrNotExist)
	}
	f, err := b.Store.Feed(ctx, name)
	if err != nil {
		return Feed{}, Reading{}, fmt.Errorf("feed: %q: %w", name, err)
	}
	r, err := b.Windows.Read(ctx, f)
	return f, r, err
}

// Tools returns a tool for each feed that is not disabled: see
// [tools.Supplier].
func (b *Book) Tools(ctx context.Context) ([]tools.Tool, error) {
	all, err := b.Store.Feeds(ctx)
	if err != nil {
		return nil, fmt.Errorf("feed: tools: %w", err)
	}
	var ts []tools.Tool
	for _, f := range all {
		if !f.Disabled {
			ts = append(ts, b.tool(f))
		}
	}
	return ts, nil
}

var _ tools.Supplier = (*Book)(nil)
