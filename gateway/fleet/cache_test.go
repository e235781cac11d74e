package fleet_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/gateway/gatewaytest"
	"parley/tools"
	"parley/tools/toolstest"
)

// inRedis gives a test a Redis and as many clients of it as it asks for.
func inRedis(t *testing.T, test func(t *testing.T, client func() *redis.Client)) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		defer r.Close()
		test(t, func() *redis.Client {
			c := r.Client()
			t.Cleanup(func() { _ = c.Close() })
			return c
		})
	})
}

func get(t *testing.T, c *fleet.Cache, key string) string {
	t.Helper()
	vs, err := c.Get(t.Context(), key)
	if err != nil || len(vs) != 1 {
		t.Fatalf("%v, %v", vs, err)
	}
	return string(vs[0])
}

func TestReplicasShareACache(t *testing.T) {
	inRedis(t, func(t *testing.T, client func() *redis.Client) {
		a, b := fleet.NewCache(client(), fleet.CacheOptions{}), fleet.NewCache(client(), fleet.CacheOptions{})
		if err := a.Set(t.Context(), "k", []byte("v"), time.Minute); err != nil {
			t.Fatal(err)
		}
		if vs, err := b.Get(t.Context(), "none", "k"); err != nil || vs[0] != nil || string(vs[1]) != "v" {
			t.Errorf("%q, %v", vs, err)
		}
		time.Sleep(59 * time.Second)
		if v := get(t, b, "k"); v != "v" {
			t.Errorf("%q before its time", v)
		}
		time.Sleep(2 * time.Second)
		if v := get(t, b, "k"); v != "" {
			t.Errorf("%q after its time", v)
		}
		_ = b.Set(t.Context(), "k", []byte("w"), time.Minute)
		_ = a.Delete(t.Context(), "k")
		if v := get(t, b, "k"); v != "" {
			t.Errorf("%q is deleted", v)
		}
	})
}

// However much is kept, replaced and forgotten, all of it is within the bound,
// and what is small and new is there.
func TestACacheIsBounded(t *testing.T) {
	inRedis(t, func(t *testing.T, client func() *redis.Client) {
		rdb := client()
		const bound = 16 * 10_000
		c := fleet.NewCache(rdb, fleet.CacheOptions{MaxBytes: bound, Patience: time.Minute})
		for i := range 600 {
			key := fmt.Sprint("k", i%200)
			value := bytes.Repeat([]byte{'x'}, 1+(i*37)%3000)
			if err := c.Set(t.Context(), key, value, time.Duration(1+i%50)*time.Minute); err != nil {
				t.Fatal(err)
			}
			if i%7 == 0 {
				_ = c.Delete(t.Context(), fmt.Sprint("k", i%100))
			}
			if i%50 == 0 {
				time.Sleep(time.Minute)
			}
		}
		var sum, accounted int64
		for _, key := range rdb.Keys(t.Context(), "parley:{c*}:v:*").Val() {
			sum += rdb.StrLen(t.Context(), key).Val() + 256
		}
		for _, key := range rdb.Keys(t.Context(), "parley:{c*}:sizes").Val() {
			n, err := rdb.HGet(t.Context(), key, "").Int64()
			if err != nil || n > bound/16 {
				t.Errorf("%s: %d bytes, %v", key, n, err)
			}
			accounted += n
		}
		if sum > bound || sum == 0 || accounted < sum {
			t.Errorf("%d bytes are kept and %d accounted for, of %d", sum, accounted, bound)
		}
		if err := c.Set(t.Context(), "huge", make([]byte, bound), time.Minute); err != nil || get(t, c, "huge") != "" {
			t.Errorf("what is larger than the bound is kept, %v", err)
		}
	})
}

// A Redis that takes its time is asked no more for a while.
func TestASlowRedisIsNoCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		defer r.Close()
		var slow atomic.Bool
		slow.Store(true)
		o := r.Client().Options()
		o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
			if slow.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return r.Dial()
		}
		o.ContextTimeoutEnabled, o.MaxRetries = true, -1
		rdb := redis.NewClient(o)
		defer func() { _ = rdb.Close(); time.Sleep(10 * time.Second) }()
		c := fleet.NewCache(rdb, fleet.CacheOptions{})
		began := time.Now()
		for range 100 {
			if _, err := c.Get(t.Context(), "k"); err == nil {
				t.Fatal("it knows")
			}
			if _, ok, err := c.TryLock(t.Context(), "k", time.Second); ok || err == nil {
				t.Fatal("it is locked")
			}
		}
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("200 questions took %v", took)
		}
		slow.Store(false)
		time.Sleep(3 * time.Second)
		if err := c.Set(t.Context(), "k", []byte("v"), time.Minute); err != nil || get(t, c, "k") != "v" {
			t.Errorf("it does not come back: %v", err)
		}
	})
}

func TestALockIsOnes(t *testing.T) {
	inRedis(t, func(t *testing.T, client func() *redis.Client) {
		a, b := fleet.NewCache(client(), fleet.CacheOptions{}), fleet.NewCache(client(), fleet.CacheOptions{})
		unlock, ok, err := a.TryLock(t.Context(), "l", time.Second)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, ok, err := b.TryLock(t.Context(), "l", time.Second); ok || err != nil {
			t.Error("two have it", err)
		}
		time.Sleep(1100 * time.Millisecond)
		second, ok, _ := b.TryLock(t.Context(), "l", time.Second)
		if !ok {
			t.Error("it does not lapse")
		}
		unlock() // too late
		if _, ok, _ := a.TryLock(t.Context(), "l", time.Second); ok {
			t.Error("who had it before gave it away")
		}
		second()
		if _, ok, _ := a.TryLock(t.Context(), "l", time.Second); !ok {
			t.Error("it is not given back")
		}
	})
}

// Twenty replicas whose tools want the same at the same time ask once, though
// Redis is cut off from some in the middle of it.
func TestABurstOnManyReplicasCostsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		defer r.Close()
		s := toolstest.NewService(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			time.Sleep(400 * time.Millisecond)
			toolstest.Say(w, 200, fmt.Sprint(n), "Cache-Control", "max-age=60")
		})
		e := tools.Endpoint{Name: "t", Description: "d", Request: tools.Request{URL: toolstest.Base}}
		var replicas []tools.Tool
		var links []*gatewaytest.Link
		for range 20 {
			link := gatewaytest.NewLink(r)
			rdb := link.Client()
			t.Cleanup(func() { _ = rdb.Close(); time.Sleep(2 * time.Second) })
			c := fleet.NewCache(rdb, fleet.CacheOptions{})
			tool, err := e.Tool(s.Client(tools.ClientOptions{Cache: c, Locker: c}))
			if err != nil {
				t.Fatal(err)
			}
			replicas, links = append(replicas, tool), append(links, link)
		}
		all := func() map[string]int {
			var mu sync.Mutex
			var wg sync.WaitGroup
			got := map[string]int{}
			for _, tool := range replicas {
				for range 5 {
					wg.Go(func() {
						res, err := tool.Call(t.Context(), tools.Call{})
						mu.Lock()
						defer mu.Unlock()
						if got[res.Content]++; err != nil || res.Failed {
							t.Error(res.Content, err)
						}
					})
				}
			}
			wg.Wait()
			return got
		}
		_, _ = replicas[0].Call(t.Context(), tools.Call{})
		time.Sleep(61 * time.Second)
		if got := all(); got["2"] != 100 || len(s.Requests()) != 2 {
			t.Errorf("answers %v, %d requests", got, len(s.Requests()))
		}
		time.Sleep(61 * time.Second)
		first := make(chan struct{})
		go func() {
			_, _ = replicas[19].Call(t.Context(), tools.Call{})
			close(first)
		}()
		time.Sleep(50 * time.Millisecond) // it has the lock now
		time.AfterFunc(100*time.Millisecond, func() {
			for _, l := range links[:5] {
				l.Cut()
			}
		})
		if got := all(); len(s.Requests()) > 2+1+5 {
			t.Errorf("answers %v, %d requests", got, len(s.Requests()))
		}
		<-first
	})
}

func TestAChangeIsNoticedEverywhere(t *testing.T) {
	inRedis(t, func(t *testing.T, client func() *redis.Client) {
		rdb := client()
		a, b := fleet.NewNotice(rdb, "x"), fleet.NewNotice(client(), "x")
		version := func() string {
			t.Helper()
			v, err := a.Version(t.Context())
			w, err2 := b.Version(t.Context())
			if v == "" || v != w || err != nil || err2 != nil {
				t.Fatalf("%q, %q, %v, %v", v, w, err, err2)
			}
			return v
		}
		first := version()
		if version() != first {
			t.Error("it changes by itself")
		}
		_ = b.Changed(t.Context())
		second := version()
		rdb.FlushAll(t.Context())
		if third := version(); second == first || third == second || third == first {
			t.Errorf("%s, %s, %s", first, second, third)
		}
	})
}
