// Package inprocess is a Redis inside this process, for running Parley with
// nothing else installed and for clusters inside a test. It is the same code
// as with a real Redis: only what is dialled differs. Nothing listens on a
// port, and nothing outlives the process.
package inprocess

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A Redis is an in-process Redis. All methods may be called concurrently.
type Redis struct {
	mini *miniredis.Miniredis

	mu   sync.Mutex
	aged time.Time     // up to when keys have aged
	took time.Duration // what that took the last time, since every key is looked at
}

// agePart is the part of the time, one in so many, that may be spent on keys
// that expire; the more there are, the less exactly they do. miniredis's own
// ClockTTL looks at every key before every command.
const agePart = 50

// New returns a Redis, empty.
func New() *Redis {
	return &Redis{mini: miniredis.NewMiniRedis(), aged: time.Now()}
}

// age lets keys grow older, or they would never expire.
func (r *Redis) age() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if d := now.Sub(r.aged); d > agePart*r.took {
		r.mini.FastForward(d)
		r.aged, r.took = now, time.Since(now)
	}
}

// An agingConn lets keys age before whatever is asked of them.
type agingConn struct {
	net.Conn
	r *Redis
}

func (c agingConn) Write(b []byte) (int, error) {
	c.r.age()
	return c.Conn.Write(b)
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
	return agingConn{newPump(c), r}, nil
}

// Wipe forgets everything, as a Redis does that restarts without persistence.
func (r *Redis) Wipe() { r.mini.FlushAll() }

// Close ends r and its connections.
func (r *Redis) Close() { r.mini.Close() }
