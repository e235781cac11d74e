package fleet_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/tools"
	"parley/tools/toolstest"
)

// What a call costs that is answered from a Redis inside the process: client,
// server and all.
func BenchmarkCachedCall(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := inprocess.New()
			defer r.Close()
			rdb := r.Client()
			defer func() { _ = rdb.Close() }()
			benchmarkCached(b, fleet.NewCache(rdb, fleet.CacheOptions{}), size)
		})
	}
}

func benchmarkCached(b *testing.B, c *fleet.Cache, size int) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		toolstest.Say(w, 200, strings.Repeat("x", size), "Cache-Control", "max-age=3600")
	}))
	defer s.Close()
	client := tools.NewClient(tools.ClientOptions{Allow: []string{strings.TrimPrefix(s.URL, "http://")}, Cache: c, Locker: c})
	defer client.CloseIdle()
	tool, err := tools.Endpoint{Name: "t", Description: "d", Request: tools.Request{URL: s.URL}}.Tool(client)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = tool.Call(context.Background(), tools.Call{})
	misses := 0
	b.ReportAllocs()
	for b.Loop() {
		if res, err := tool.Call(context.Background(), tools.Call{}); err != nil || res.Failed {
			b.Fatal(res.Content, err)
		} else if res.Outcome.Cache != tools.CacheHit {
			misses++
		}
	}
	b.ReportMetric(float64(misses), "misses")
}

// What counting costs a call.
func BenchmarkObserve(b *testing.B) {
	s := fleet.NewStats(nil)
	b.ReportAllocs()
	for b.Loop() {
		s.Observe("get_order", 120e6, tools.Outcome{Cache: tools.CacheHit})
	}
}
