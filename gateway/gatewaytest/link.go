package gatewaytest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat/inprocess"
)

// A Link is a replica's way to the Redis of the cluster, which can be cut:
// whoever is behind it is then as good as dead to all others, and everything
// that it had under way fails. All methods may be called concurrently.
type Link struct {
	server *inprocess.Redis

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
}

// NewLink returns a link to server.
func NewLink(server *inprocess.Redis) *Link {
	return &Link{server: server, conns: map[net.Conn]struct{}{}}
}

// Client returns a client that goes through the link. The caller closes it.
func (l *Link) Client() *redis.Client {
	c := l.server.Client()
	o := c.Options()
	_ = c.Close()
	o.MaxRetries = -1 // a client has made 0 of it, which would mean 3
	o.Dialer = func(context.Context, string, string) (net.Conn, error) { return l.dial() }
	return redis.NewClient(o)
}

func (l *Link) dial() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errors.New("gatewaytest: the link is cut")
	}
	c, err := l.server.Dial()
	if err == nil {
		l.conns[c] = struct{}{}
	}
	return c, err
}

// Cut ends all connections and lets none be made until Mend.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	l.drop(func() bool { return true })
}

// Mend lets connections be made again.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// Flicker ends some connections, subscriptions among them: bells are lost.
func (l *Link) Flicker(r *rand.Rand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(func() bool { return r.IntN(2) == 0 })
}

func (l *Link) drop(which func() bool) {
	for c := range l.conns {
		if which() {
			_ = c.Close()
			delete(l.conns, c)
		}
	}
}
