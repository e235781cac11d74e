package fleet_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/gateway/gatewaytest"
	"parley/tools"
)

// counters are the statistics of so many replicas, each writing what it
// counts.
func counters(t *testing.T, n int, client func() *redis.Client) (all []*fleet.Stats) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	for range n {
		s := fleet.NewStats(client())
		wg.Go(func() { _ = s.Run(ctx) })
		all = append(all, s)
	}
	return all
}

func TestReplicasCountTogether(t *testing.T) {
	inRedis(t, func(t *testing.T, client func() *redis.Client) {
		all := counters(t, 2, client)
		for i := range 100 {
			o := tools.Outcome{Failed: i%10 == 0}
			if i%4 == 0 {
				o.Cache = tools.CacheHit
			}
			all[i%2].Observe("a", time.Duration(i)*time.Millisecond, o)
		}
		all[0].Observe("b", 3*time.Hour, tools.Outcome{})
		time.Sleep(2 * time.Second)
		hour, err := all[1].Hour(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a, b := hour["a"], hour["b"]
		if a.Calls != 100 || a.Failed != 10 || a.Cached != 25 || b.Calls != 1 || len(hour) != 2 {
			t.Errorf("%+v", hour)
		}
		if a.P50Ms < 45 || a.P50Ms > 55 || a.P95Ms < 90 || a.P95Ms > 100 || b.P50Ms < 20_000 {
			t.Errorf("latencies %+v", hour)
		}
	})
}

func TestUseIsForgottenInTime(t *testing.T) {
	inRedis(t, func(t *testing.T, client func() *redis.Client) {
		rdb := client()
		s := counters(t, 1, client)[0]
		s.Observe("a", time.Millisecond, tools.Outcome{})
		time.Sleep(30 * time.Minute)
		s.Observe("a", time.Millisecond, tools.Outcome{})
		time.Sleep(2 * time.Second)
		sums := func() (hour, day int64) {
			series, err := s.Series(t.Context(), "a")
			if err != nil || len(series.Hour) != 60 || len(series.Day) != 96 {
				t.Fatalf("%v, %d, %d", err, len(series.Hour), len(series.Day))
			}
			for i, p := range series.Hour {
				hour += p.Calls
				if i > 0 && p.At.Sub(series.Hour[i-1].At) != time.Minute {
					t.Errorf("piece %d begins at %v", i, p.At)
				}
			}
			for _, p := range series.Day {
				day += p.Calls
			}
			if last := series.Hour[59].At; time.Since(last) >= time.Minute || time.Since(last) < 0 {
				t.Errorf("the last minute begins at %v", last)
			}
			return hour, day
		}
		for _, want := range []struct {
			wait      time.Duration
			hour, day int64
		}{{0, 2, 2}, {45 * time.Minute, 1, 2}, {time.Hour, 0, 2}, {25 * time.Hour, 0, 0}} {
			time.Sleep(want.wait)
			if hour, day := sums(); hour != want.hour || day != want.day {
				t.Errorf("after %v more: %d in the hour, %d in the day", want.wait, hour, day)
			}
		}
		if keys := rdb.Keys(t.Context(), "*").Val(); len(keys) > 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

func TestCountingNeverWaitsForRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inprocess.New()
		defer r.Close()
		link := gatewaytest.NewLink(r)
		rdb := link.Client()
		defer func() { _ = rdb.Close(); time.Sleep(2 * time.Second) }()
		s := counters(t, 1, func() *redis.Client { return rdb })[0]
		link.Cut()
		began := time.Now()
		for range 10_000 {
			s.Observe("a", time.Millisecond, tools.Outcome{})
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		if _, err := s.Hour(t.Context()); err == nil {
			t.Error("it knows without Redis")
		}
		time.Sleep(3 * time.Second)
		link.Mend()
		time.Sleep(3 * time.Second)
		s.Observe("a", time.Millisecond, tools.Outcome{})
		time.Sleep(2 * time.Second)
		if hour, err := s.Hour(t.Context()); err != nil || hour["a"].Calls != 1 {
			t.Errorf("%+v, %v", hour, err)
		}
	})
}
