//go:build integration

package fleet_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/gateway/chat/redistest"
	"parley/gateway/fleet"
	"parley/tools"
	"parley/tools/feed"
	"parley/tools/toolstest"
)

// In a Redis Cluster feeds lie on all its nodes, and the two replicas read the
// same of each.
func TestFeedsInARedisCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	floor := &toolstest.Feed{Script: toolstest.Ticks(100*time.Millisecond, func(n int) string { return fmt.Sprint(n) })}
	market := httptest.NewServer(floor)
	defer market.Close()
	defer floor.Refuse(true)
	list := &declared{}
	for i := range 8 {
		f := gold()
		f.Name, f.URL = fmt.Sprint("gold", i), "ws"+strings.TrimPrefix(market.URL, "http")
		list.all = append(list.all, f)
	}
	client := tools.NewClient(tools.ClientOptions{Allow: []string{market.Listener.Addr().String()}}).HTTP()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var both []*fleet.Feeds
	for i := range 2 {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), DialerRetries: 1})
		rdb.AddHook(chat.Once{})
		t.Cleanup(func() { _ = rdb.Close() })
		s := fleet.NewFeeds(rdb, fmt.Sprint("replica", i), list, client, fleet.FeedOptions{Log: slog.New(slog.DiscardHandler)})
		running.Go(func() { _ = s.Run(ctx) })
		both = append(both, s)
	}
	full := func(s *fleet.Feeds, f feed.Feed) bool {
		r, err := s.Read(ctx, f)
		return err == nil && len(r.Values) == 10 && r.Fresh(f)
	}
	for end, done := time.Now().Add(20*time.Second), 0; done < 2*len(list.all); time.Sleep(50 * time.Millisecond) {
		done = 0
		for _, s := range both {
			for _, f := range list.all {
				if full(s, f) {
					done++
				}
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d windows are full after 20 s", done, 2*len(list.all))
		}
	}
	if floor.Open() != len(list.all) || floor.Most() != len(list.all) {
		t.Errorf("%d connections, %d at the most, to %d feeds", floor.Open(), floor.Most(), len(list.all))
	}
}
