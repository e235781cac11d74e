// Package fleet is what replicas share besides conversations: it counts in
// Redis what one person may do so often on all of them together. Everything
// here may be lost: a limit that cannot be counted does not hold anybody up.
package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Limiter counts over all replicas. All methods may be called concurrently.
type Limiter struct {
	rdb redis.UniversalClient
}

// NewLimiter returns a Limiter that counts in rdb.
func NewLimiter(rdb redis.UniversalClient) *Limiter { return &Limiter{rdb} }

// Allow counts one more use of key and reports whether there were at most
// limit within the window; if not, wait is the time until the next begins.
// The window begins with the first use. An error means that nothing was
// counted.
func (l *Limiter) Allow(ctx context.Context, key string, limit int, window time.Duration) (ok bool, wait time.Duration, err error) {
	key = "parley:limit:" + key
	pipe := l.rdb.TxPipeline()
	pipe.SetNX(ctx, key, 0, window)
	used := pipe.Incr(ctx, key)
	left := pipe.PTTL(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil {
		return true, 0, fmt.Errorf("fleet: limit %s: %w", key, err)
	}
	return used.Val() <= int64(limit), max(left.Val(), 0), nil
}
