// Package inprocess is a Redis inside this process, for running Parley with
// nothing else installed and for clusters inside a test. It is the same code
// as with a real Redis: only what is dialled differs. Nothing listens on a
// port, and nothing outlives the process.
package inprocess

import (
	"context"
	"net"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A Redis is an in-process Redis. All methods may be called concurrently.
type Redis struct {
	mini *miniredis.Miniredis
}

// New returns a Redis, empty.
func New() *Redis {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true) // or keys would never expire and leases never lapse
	return &Redis{m}
}

// Client returns a client of r, which the caller closes.
func (r *Redis) Client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:       "127.0.0.1:0", // a literal address, which nothing resolves; the dialer below ignores it
		MaxRetries: -1,            // an error never means that nothing was written
		PoolSize:   64,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return r.Dial()
		},
		DialerRetries:            1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// Dial returns a connection to r.
func (r *Redis) Dial() (net.Conn, error) {
	c, err := r.mini.Dial()
	if err != nil {
		return nil, err
	}
	return newPump(c), nil
}

// Wipe forgets everything, as a Redis does that restarts without persistence.
func (r *Redis) Wipe() { r.mini.FlushAll() }

// Close ends r and its connections.
func (r *Redis) Close() { r.mini.Close() }
