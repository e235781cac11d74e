//go:build integration

package chat_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/chat/redistest"
)

// TestMain has all tests that run on a real Redis run on a cluster, too, one
// for all of them.
func TestMain(m *testing.M) {
	shared := &tbOfAll{}
	start := sync.OnceValue(func() *redistest.Cluster { return redistest.StartCluster(shared, 3) })
	elsewhere["cluster"] = func(t *testing.T) func() redis.UniversalClient {
		c := start()
		client := func() redis.UniversalClient { return clusterClient(t, c) }
		if err := client().FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		return client
	}
	code := m.Run()
	shared.end()
	os.Exit(code)
}

func clusterClient(t *testing.T, c *redistest.Cluster) redis.UniversalClient {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), DialerRetries: 1})
	rdb.AddHook(flushAll{cluster: rdb})
	rdb.AddHook(chat.Once{})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// flushAll has FLUSHALL reach the whole cluster.
type flushAll struct {
	chat.Once
	cluster *redis.ClusterClient
}

func (f flushAll) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "flushall" {
			return next(ctx, cmd)
		}
		return f.cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() })
	}
}

// tbOfAll is the testing.TB of what all tests share.
type tbOfAll struct {
	testing.TB
	cleanups []func()
}

func (t *tbOfAll) Helper()          {}
func (t *tbOfAll) Failed() bool     { return false }
func (t *tbOfAll) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *tbOfAll) TempDir() string {
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (t *tbOfAll) Fatal(args ...any) {
	t.end()
	panic(fmt.Sprint(args...))
}
func (t *tbOfAll) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }

func (t *tbOfAll) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
	t.cleanups = nil
}
