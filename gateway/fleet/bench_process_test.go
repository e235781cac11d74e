//go:build integration

package fleet_test

import (
	"testing"

	"parley/gateway/chat/redistest"
	"parley/gateway/fleet"
)

// What a call costs this process that is answered from a Redis of its own.
func BenchmarkCachedCallInRedis(b *testing.B) {
	rdb := redistest.Start(b).Client()
	defer func() { _ = rdb.Close() }()
	benchmarkCached(b, fleet.NewCache(rdb, fleet.CacheOptions{}), 1_000)
}
