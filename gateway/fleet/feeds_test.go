package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/gateway/gatewaytest"
	"parley/tools/feed"
	"parley/tools/toolstest"
)

// A declared list of feeds, as the store has it.
type declared struct {
	mu  sync.Mutex
	all []feed.Feed
}

func (d *declared) Feeds(context.Context) ([]feed.Feed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all), nil
}

func (d *declared) set(fs ...feed.Feed) { d.mu.Lock(); defer d.mu.Unlock(); d.all = fs }

func gold() feed.Feed {
	return feed.Feed{Name: "gold", Description: "Price of gold", URL: "ws://prices.example/stream", Window: feed.Window{Last: 10}}
}

// A market is feeds that several replicas share, and the server that they
// come from.
type market struct {
	t      *testing.T
	redis  *inprocess.Redis
	server *toolstest.Feed
	list   *declared
	stops  []func()
	n      int
}

// A stall is one replica of a market.
type stall struct {
	*fleet.Feeds
	link *gatewaytest.Link
	rdb  *redis.Client
	end  func() // as SIGTERM does
}

func inMarket(t *testing.T, s *toolstest.Feed, test func(t *testing.T, m *market)) {
	synctest.Test(t, func(t *testing.T) {
		m := &market{t: t, redis: inprocess.New(), server: s, list: &declared{all: []feed.Feed{gold()}}}
		defer m.redis.Close()
		defer func() {
			for _, stop := range m.stops {
				stop()
			}
			time.Sleep(2 * time.Second) // go-redis tries a pool's address again each second
		}()
		test(t, m)
	})
}

func (m *market) replica() *stall {
	m.n++
	client, unplug := toolstest.Pipe(m.server)
	r := &stall{link: gatewaytest.NewLink(m.redis)}
	r.rdb = r.link.Client()
	r.Feeds = fleet.NewFeeds(r.rdb, fmt.Sprint("replica", m.n), m.list, client, fleet.FeedOptions{Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	r.end = func() { cancel(); wg.Wait() }
	m.stops = append(m.stops, func() { r.end(); unplug(); _ = r.rdb.Close() })
	return r
}

func (m *market) read(r *stall, f feed.Feed) feed.Reading {
	m.t.Helper()
	got, err := r.Read(m.t.Context(), f)
	for tries := 0; err != nil && tries < 10; tries++ { // a link that was mended leaves connections that are cut
		got, err = r.Read(m.t.Context(), f)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return got
}

func numbers(r feed.Reading) (all []string) {
	for _, v := range r.Values {
		all = append(all, string(v.JSON))
	}
	return all
}

func ticks() *toolstest.Feed {
	return &toolstest.Feed{Script: toolstest.Ticks(200*time.Millisecond, func(n int) string { return fmt.Sprint(n) })}
}

func TestOneConnectionForAllReplicasWhichReadTheSame(t *testing.T) {
	inMarket(t, ticks(), func(t *testing.T, m *market) {
		var all []*stall
		for range 4 {
			all = append(all, m.replica())
		}
		time.Sleep(10*time.Second + 150*time.Millisecond) // between two values
		if m.server.Dials() != 1 || m.server.Open() != 1 {
			t.Errorf("%d connections, dialled %d times", m.server.Open(), m.server.Dials())
		}
		first := m.read(all[0], gold())
		for _, r := range all[1:] {
			if got, want := fmt.Sprint(m.read(r, gold())), fmt.Sprint(first); got != want {
				t.Errorf("one reads\n%s, another\n%s", want, got)
			}
		}
		if len(first.Values) != 10 || first.State.Connected.IsZero() || first.State.PerMinute < 40 || !strings.HasPrefix(first.State.Replica, "replica") {
			t.Errorf("%+v", first)
		}
	})
}

// A replica that is gone, or thinks that it is not, is replaced within 3 s,
// and writes nothing more.
func TestAFeedIsTakenOver(t *testing.T) {
	inMarket(t, ticks(), func(t *testing.T, m *market) {
		a := m.replica()
		time.Sleep(2 * time.Second)
		b := m.replica()
		time.Sleep(2 * time.Second)
		if a.Held() != 1 || b.Held() != 0 {
			t.Fatalf("held: %d and %d", a.Held(), b.Held())
		}
		a.link.Cut()
		time.Sleep(3 * time.Second)
		if b.Held() != 1 || m.server.Open() != 1 || m.server.Most() > 2 {
			t.Errorf("b holds %d; %d connections, at the most %d", b.Held(), m.server.Open(), m.server.Most())
		}
		if a.Held() != 0 {
			t.Error("who cannot renew its lease is still connected")
		}
		r := m.read(b, gold())
		if r.State.Replica != "replica2" || !r.Fresh(gold()) {
			t.Errorf("%+v", r.State)
		}
		a.link.Mend()
		time.Sleep(5 * time.Second)
		if a.Held() != 0 || m.server.Open() != 1 {
			t.Errorf("back again, a holds %d of %d connections", a.Held(), m.server.Open())
		}
	})
}

// A zombie that has not noticed yet is refused by Redis itself.
func TestAZombiesValuesAreRefused(t *testing.T) {
	inMarket(t, ticks(), func(t *testing.T, m *market) {
		a := m.replica()
		time.Sleep(2 * time.Second)
		own, lease := "parley:{feed:gold}:own", "parley:{feed:gold}:lease"
		if err := a.rdb.HSet(t.Context(), own, "gen", "99999999999999").Err(); err != nil { // somebody has claimed since
			t.Fatal(err)
		}
		if err := a.rdb.Set(t.Context(), lease, "somebody", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		before := numbers(m.read(a, gold()))
		time.Sleep(450 * time.Millisecond) // more values, and a beat
		if after := numbers(m.read(a, gold())); !slices.Equal(before, after) {
			t.Errorf("before %s, after %s", before, after)
		}
		if m.server.Open() != 0 || a.Held() != 0 {
			t.Error("a zombie that was refused stays connected")
		}
	})
}

func TestAReplicaThatDrainsHandsItsFeedsOver(t *testing.T) {
	inMarket(t, ticks(), func(t *testing.T, m *market) {
		a := m.replica()
		time.Sleep(2 * time.Second)
		b := m.replica()
		time.Sleep(time.Second)
		a.end()
		time.Sleep(time.Second)
		if b.Held() != 1 || m.server.Open() != 1 || m.server.Most() != 1 {
			t.Errorf("b holds %d; %d connections, at the most %d", b.Held(), m.server.Open(), m.server.Most())
		}
		if r := m.read(b, gold()); len(r.Values) < 5 {
			t.Errorf("the window was lost: %s", numbers(r))
		}
	})
}

func TestOtherDeclarationsBeginAnew(t *testing.T) {
	inMarket(t, ticks(), func(t *testing.T, m *market) {
		a, b := m.replica(), m.replica()
		time.Sleep(3 * time.Second)
		changed := gold()
		changed.Value, changed.Window = `{n: .}`, feed.Window{Last: 3}
		m.list.set(changed)
		if r := m.read(a, changed); len(r.Values) > 0 {
			t.Errorf("values of another declaration: %s", numbers(r))
		}
		time.Sleep(4 * time.Second)
		r := m.read(b, changed)
		if len(r.Values) != 3 || !json.Valid(r.Values[0].JSON) || r.Values[0].JSON[0] != '{' {
			t.Errorf("%s", numbers(r))
		}
		if m.server.Open() != 1 || m.server.Most() > 2 { // it may hear of the old one's end behind the new one's beginning
			t.Errorf("%d connections, at the most %d", m.server.Open(), m.server.Most())
		}
		m.list.set()
		time.Sleep(3 * time.Second)
		if keys := a.rdb.Keys(t.Context(), "parley:{feed:*").Val(); len(keys) > 0 || m.server.Open() != 0 {
			t.Errorf("a deleted feed leaves %s and %d connections", keys, m.server.Open())
		}
	})
}

func TestADisabledFeedIsNotConnected(t *testing.T) {
	inMarket(t, ticks(), func(t *testing.T, m *market) {
		off := gold()
		off.Disabled = true
		m.list.set(off)
		a := m.replica()
		time.Sleep(5 * time.Second)
		if m.server.Dials() != 0 {
			t.Errorf("dialled %d times", m.server.Dials())
		}
		if note := m.read(a, off).Note(off); note != "the feed is switched off" {
			t.Error(note)
		}
	})
}

// The window is bounded by number, by age and by bytes, and the newest value
// is always there.
func TestWindowsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		window feed.Window
		say    string
		n      int
	}{
		"the last value":   {feed.Window{}, "1", 1},
		"the last three":   {feed.Window{Last: 3}, "1", 3},
		"two seconds":      {feed.Window{Seconds: 2}, "1", 10},
		"both":             {feed.Window{Seconds: 2, Last: 4}, "1", 4},
		"no more than all": {feed.Window{Last: 1_000_000}, "1", 100},
		"bytes":            {feed.Window{Last: 100}, `"` + strings.Repeat("x", 8000) + `"`, 8},
	} {
		t.Run(name, func(t *testing.T) {
			inMarket(t, &toolstest.Feed{Script: toolstest.Ticks(200*time.Millisecond, func(int) string { return c.say })}, func(t *testing.T, m *market) {
				f := gold()
				f.Window = c.window
				m.list.set(f)
				a := m.replica()
				time.Sleep(30 * time.Second)
				if n := len(m.read(a, f).Values); n < c.n-1 || n > c.n+1 {
					t.Errorf("%d values, want %d", n, c.n)
				}
				for _, k := range a.rdb.Keys(t.Context(), "parley:{feed:*").Val() {
					if ttl := a.rdb.PTTL(t.Context(), k).Val(); ttl <= 0 {
						t.Errorf("%s has no end", k)
					}
				}
			})
		})
	}
}

func TestAStaleFeedSaysHowOldItIsAndSinceWhenItIsDown(t *testing.T) {
	server := ticks()
	inMarket(t, server, func(t *testing.T, m *market) {
		a := m.replica()
		time.Sleep(3 * time.Second)
		server.Refuse(true)
		time.Sleep(14 * time.Minute)
		r := m.read(a, gold())
		if note := r.Note(gold()); !strings.HasPrefix(note, "stale: the newest value is 14 min old, the feed has been disconnected since ") {
			t.Error(note)
		}
		down := r.State.Down
		a.end() // and whoever takes it over knows since when
		b := m.replica()
		time.Sleep(time.Minute)
		if got := m.read(b, gold()).State.Down; got.Sub(down).Abs() > time.Second {
			t.Errorf("down since %v, then since %v", down, got)
		}
		server.Refuse(false)
		time.Sleep(2 * time.Minute)
		if r := m.read(b, gold()); !r.Fresh(gold()) || r.Note(gold()) != "" {
			t.Errorf("back again: %s", r.Note(gold()))
		}
	})
}

func TestRedisIsWipedOrAwayForAMoment(t *testing.T) {
	inMarket(t, ticks(), func(t *testing.T, m *market) {
		a, b := m.replica(), m.replica()
		time.Sleep(3 * time.Second)
		m.redis.Wipe()
		time.Sleep(4 * time.Second)
		if m.server.Open() != 1 || !m.read(b, gold()).Fresh(gold()) {
			t.Errorf("after a wipe: %d connections, %+v", m.server.Open(), m.read(b, gold()).State)
		}
		dials := m.server.Dials()
		a.link.Cut()
		b.link.Cut()
		time.Sleep(time.Second)
		a.link.Mend()
		b.link.Mend()
		time.Sleep(3 * time.Second)
		if m.server.Dials() != dials {
			t.Error("a second without Redis costs the connection")
		}
		got := numbers(m.read(a, gold()))
		for i := 1; i < len(got); i++ { // each once, in order
			var p, q int
			fmt.Sscan(got[i-1], &p)
			fmt.Sscan(got[i], &q)
			if q != p+1 {
				t.Errorf("%s", got)
			}
		}
	})
}
