package fleet_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/gateway/gatewaytest"
)

func TestALimitHoldsForItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		defer r.Close()
		rdb := r.Client()
		defer rdb.Close()
		l := fleet.NewLimiter(rdb)
		use := func(key string) (bool, time.Duration) {
			t.Helper()
			ok, wait, err := l.Allow(t.Context(), key, 3, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return ok, wait
		}
		for i := range 3 {
			if ok, _ := use("a"); !ok {
				t.Errorf("use %d of 3 is refused", i+1)
			}
			time.Sleep(10 * time.Second)
		}
		if ok, wait := use("a"); ok || wait != 30*time.Second {
			t.Errorf("the fourth use: %v, %v", ok, wait)
		}
		if ok, _ := use("b"); !ok {
			t.Error("another key's first use is refused")
		}
		time.Sleep(29 * time.Second)
		if ok, wait := use("a"); ok || wait != time.Second {
			t.Errorf("just before the window's end: %v, %v", ok, wait)
		}
		time.Sleep(time.Second)
		if ok, _ := use("a"); !ok {
			t.Error("the first use of the next window is refused")
		}
	})
}

func TestReplicasShareACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		defer r.Close()
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			rdb := r.Client()
			defer rdb.Close()
			l := fleet.NewLimiter(rdb)
			for range 25 {
				wg.Go(func() {
					if ok, _, err := l.Allow(t.Context(), "k", 30, time.Minute); err == nil && ok {
						allowed.Add(1)
					}
				})
			}
		}
		wg.Wait()
		if n := allowed.Load(); n != 30 {
			t.Errorf("%d of 100 uses were allowed, want 30", n)
		}
	})
}

func TestWithoutRedisEverythingIsAllowed(t *testing.T) {
	r := inprocess.New()
	defer r.Close()
	link := gatewaytest.NewLink(r)
	rdb := link.Client()
	defer rdb.Close()
	l := fleet.NewLimiter(rdb)
	link.Cut()
	for range 5 {
		if ok, _, err := l.Allow(t.Context(), "k", 1, time.Minute); !ok || err == nil {
			t.Errorf("allowed %v, error %v; want allowed, and the error to log", ok, err)
		}
	}
}
