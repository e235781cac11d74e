package fleet

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const versionTTL = 24 * time.Hour

// A Notice tells all replicas that something in the store has changed. All
// methods may be called concurrently.
type Notice struct {
	rdb redis.UniversalClient
	key string
}

// NewNotice returns the Notice of that name.
func NewNotice(rdb redis.UniversalClient, name string) *Notice {
	return &Notice{rdb, "parley:version:" + name}
}

// Version returns a text that is another after each change. It is another one
// too when Redis has forgotten it.
func (n *Notice) Version(ctx context.Context) (string, error) {
	v, err := n.rdb.Get(ctx, n.key).Result()
	if err == redis.Nil {
		if err = n.rdb.SetNX(ctx, n.key, rand.Text(), versionTTL).Err(); err == nil {
			v, err = n.rdb.Get(ctx, n.key).Result()
		}
	}
	if err != nil {
		return "", fmt.Errorf("fleet: version: %w", err)
	}
	return v, nil
}

// Changed tells of a change that has been made.
func (n *Notice) Changed(ctx context.Context) error {
	if err := n.rdb.Set(ctx, n.key, rand.Text(), versionTTL).Err(); err != nil {
		return fmt.Errorf("fleet: version: %w", err)
	}
	return nil
}
