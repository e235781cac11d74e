//go:build integration

package fleet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/chat/redistest"
	"parley/gateway/fleet"
	"parley/tools"
)

// What the in-process Redis takes must be taken by a real one and by a Cluster:
// numbers in scripts, keys in one slot.
func TestRealRedisIsACacheToo(t *testing.T) {
	server := redistest.Start(t)
	cluster := redistest.StartCluster(t, 3)
	for name, open := range map[string]func() redis.UniversalClient{
		"one server": func() redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, ContextTimeoutEnabled: true})
		},
		"a cluster": func() redis.UniversalClient {
			c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), ContextTimeoutEnabled: true})
			c.AddHook(chat.Once{})
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := open()
			defer func() { _ = rdb.Close() }()
			const bound = 16 * 4_000
			c := fleet.NewCache(rdb, fleet.CacheOptions{MaxBytes: bound, Patience: 5 * time.Second})
			for i := range 400 {
				if err := c.Set(t.Context(), fmt.Sprint("k", i), make([]byte, 100+i), time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			keys := make([]string, 400)
			for i := range keys {
				keys[i] = fmt.Sprint("k", i)
			}
			values, err := c.Get(t.Context(), keys...)
			if err != nil {
				t.Fatal(err)
			}
			sum, there := 0, 0
			for _, v := range values {
				if v != nil {
					sum, there = sum+len(v)+256, there+1
				}
			}
			if sum > bound || there < 60 || values[399] == nil {
				t.Errorf("%d values of %d bytes are there", there, sum)
			}
			if err := c.Delete(t.Context(), "k399"); err != nil || get(t, c, "k399") != "" {
				t.Errorf("it is not deleted: %v", err)
			}
			unlock, ok, err := c.TryLock(t.Context(), "k", time.Minute)
			if _, again, err2 := c.TryLock(t.Context(), "k", time.Minute); !ok || again || err != nil || err2 != nil {
				t.Error(ok, again, err, err2)
			}
			unlock()

			s := fleet.NewStats(rdb)
			s.Observe("a", 3*time.Millisecond, tools.Outcome{})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = s.Run(ctx) // writes once
			if hour, err := s.Hour(t.Context()); err != nil || hour["a"].Calls != 1 {
				t.Errorf("%+v, %v", hour, err)
			}
			if series, err := s.Series(t.Context(), "a"); err != nil || series.Hour[59].Calls+series.Hour[58].Calls != 1 {
				t.Errorf("%v", err)
			}
			n := fleet.NewNotice(rdb, "x")
			was, _ := n.Version(t.Context())
			_ = n.Changed(t.Context())
			if is, err := n.Version(t.Context()); err != nil || is == was || was == "" {
				t.Errorf("%q, %q, %v", was, is, err)
			}
		})
	}
	t.Run("a frozen server", func(t *testing.T) {
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, ContextTimeoutEnabled: true})
		defer func() { _ = rdb.Close() }()
		c := fleet.NewCache(rdb, fleet.CacheOptions{})
		_ = c.Set(t.Context(), "k", []byte("v"), time.Minute)
		server.Freeze()
		began := time.Now()
		for range 200 {
			if _, err := c.Get(t.Context(), "k"); err == nil {
				t.Error("a frozen Redis answers")
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("200 questions to a frozen Redis took %v", took)
		}
		server.Thaw()
	})
}
