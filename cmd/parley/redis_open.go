package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/chat/inprocess"
)

// quietRedis has go-redis's own words go to our log, where they are details:
// what matters of them comes back as errors.
func quietRedis(log *slog.Logger) { redis.SetLogger(redisLog{log}) }

type redisLog struct{ log *slog.Logger }

// Printf implements go-redis's logging interface.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis: "+fmt.Sprintf(format, v...))
}

// openRedis connects to the Redis that the settings name, or starts one
// inside this process.
func openRedis(ctx context.Context, s settings, log *slog.Logger) (redis.UniversalClient, func(), error) {
	if s.Redis == "" {
		r := inprocess.New()
		c := r.Client()
		return c, func() { _ = c.Close(); r.Close() }, nil
	}
	a, err := parseRedis(s.Redis)
	if err != nil {
		return nil, nil, fmt.Errorf("PARLEY_REDIS: it %w", err)
	}
	c := a.client()
	warnings, err := chat.CheckRedis(ctx, c)
	if err != nil {
		_ = c.Close()
		return nil, nil, fmt.Errorf("PARLEY_REDIS: %w", err)
	}
	for _, w := range warnings {
		log.Warn("PARLEY_REDIS: " + w)
	}
	return c, func() { _ = c.Close() }, nil
}

// client returns a client of the Redis at a, which connects when it is used.
func (a redisAddress) client() redis.UniversalClient {
	switch {
	case a.form == "sentinel":
		return redis.NewFailoverClient(a.o.Failover())
	case a.form == "cluster":
		o := a.o.Cluster()
		o.DialerRetries = 1 // the others do not wait for a node that is gone
		o.DisableRoutingPolicies = true
		o.ClusterStateReloadInterval = time.Second // who has which slots, so that a fail-over is soon known
		c := redis.NewClusterClient(o)
		c.AddHook(chat.Once{})
		return c
	}
	o := a.o.Simple()
	if a.socket != "" {
		o.Network, o.Addr = "unix", a.socket
	}
	return redis.NewClient(o)
}
