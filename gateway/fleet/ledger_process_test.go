//go:build integration

package fleet_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/chat/redistest"
	"parley/gateway/fleet"
)

// A real Redis and a Cluster keep the ledger too: numbers in scripts, keys in
// one slot.
func TestRealRedisKeepsTheLedger(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		rdb := redistest.Start(t).Client()
		defer func() { _ = rdb.Close() }()
		keepsTheLedger(t, rdb)
	})
	t.Run("a cluster", func(t *testing.T) {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: redistest.StartCluster(t, 3).Addrs(), ContextTimeoutEnabled: true})
		rdb.AddHook(chat.Once{})
		defer func() { _ = rdb.Close() }()
		keepsTheLedger(t, rdb)
	})
}

func keepsTheLedger(t *testing.T, rdb redis.UniversalClient) {
	b := &book{}
	ledgerHolds(t, rdb, b)
	l := fleet.NewLedger(rdb, b.truth, fleet.LedgerOptions{})
	taken(t, l, "again", tokens(0), tokens(1), 500, accounts(tokens(1000)))
}

func BenchmarkTakeInRedis(b *testing.B) {
	rdb := redistest.Start(b).Client()
	defer func() { _ = rdb.Close() }()
	benchmarkTake(b, rdb)
}
