package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// Keys is where keys are kept. What is not there is [fs.ErrNotExist].
type Keys interface {
	Key(ctx context.Context, id string) (Key, error)
}

// How long a key is known without being asked for again: so long one that was
// taken back may still be used, and so long one goes on while the store is
// away.
const (
	knownFor = time.Second
	awayFor  = time.Minute
	mostKeys = 4096 // known at a time
)

// ErrUnknown is returned for a token that opens nothing (any more).
var ErrUnknown = errors.New("access: this key is not known")

// A Ring finds keys by their tokens. It remembers for a moment what it has
// asked for. All methods may be called concurrently.
type Ring struct {
	keys Keys

	mu    sync.Mutex
	known map[string]known
}

type known struct {
	key   Key
	there bool
	asked time.Time
}

// NewRing returns a ring of the keys in a store.
func NewRing(keys Keys) *Ring { return &Ring{keys: keys, known: map[string]known{}} }

// Of returns the key that a token is for. It returns [ErrUnknown] if there is
// none, or it has expired or was taken back; another error if that cannot be
// told.
func (r *Ring) Of(ctx context.Context, token string) (Key, error) {
	id, secret, ok := split(token)
	if !ok {
		return Key{}, ErrUnknown
	}
	k, err := r.find(ctx, id)
	if err != nil {
		return Key{}, err
	}
	if !k.opens(secret) || k.Expired(time.Now()) {
		return Key{}, ErrUnknown
	}
	return k, nil
}

// Good reports whether the key of an id can still be used. What cannot be told
// is taken for good.
func (r *Ring) Good(ctx context.Context, id string) bool {
	k, err := r.find(ctx, id)
	if errors.Is(err, ErrUnknown) {
		return false
	}
	return err != nil || !k.Expired(time.Now())
}

func (r *Ring) find(ctx context.Context, id string) (Key, error) {
	now := time.Now()
	r.mu.Lock()
	had, ok := r.known[id]
	r.mu.Unlock()
	if ok && now.Sub(had.asked) < knownFor {
		return had.found()
	}
	k, err := r.keys.Key(ctx, id)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if ok && now.Sub(had.asked) < awayFor {
			return had.found()
		}
		return Key{}, fmt.Errorf("access: key %s: %w", id, err)
	}
	one := known{k, there, now}
	r.note(id, one)
	return one.found()
}

func (k known) found() (Key, error) {
	if !k.there {
		return Key{}, ErrUnknown
	}
	return k.key, nil
}

// note remembers what was asked for. When there is too much, it all goes: the
// store is asked again.
func (r *Ring) note(id string, k known) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= mostKeys {
		clear(r.known)
	}
	r.known[id] = k
}
