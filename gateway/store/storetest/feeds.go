package storetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"parley/gateway/chat"
	"parley/tools/feed"
)

func feeds() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are kept whole, by name":                  feedWhole,
		"are replaced and deleted":                 feedReplace,
		"that are absent are not found":            feedAbsent,
		"are pinned in order, once, and unpinned":  pinOrder,
		"are pinned no more often than is allowed": pinMost,
		"are pinned no more often by many at once": pinRace,
		"are pinned to what is there":              pinAbsent,
	}
}

func aFeed(name string) feed.Feed {
	return feed.Feed{
		Name: name, Description: "Prices & états.", URL: "wss://prices.example/stream",
		Headers: map[string]string{"Authorization": "Bearer é"}, Subscribe: []json.RawMessage{[]byte(`{"z":1,"a":2}`)},
		Value: ".p", Window: feed.Window{Last: 5, Seconds: 60}, StaleSeconds: 9,
	}
}

func feedWhole(t *testing.T, s Store) {
	for _, name := range []string{"b", "a-1", "a"} { // by bytes, in no language's order
		ok(t, s.PutFeed(t.Context(), aFeed(name)))
	}
	fs, err := s.Feeds(t.Context())
	ok(t, err)
	equal(t, "feeds", fs, []feed.Feed{aFeed("a"), aFeed("a-1"), aFeed("b")})
	f, err := s.Feed(t.Context(), "a")
	ok(t, err)
	equal(t, "feed", f, aFeed("a"))
}

func feedReplace(t *testing.T, s Store) {
	ok(t, s.PutFeed(t.Context(), aFeed("a")))
	f := aFeed("a")
	f.Disabled, f.Value = true, ""
	ok(t, s.PutFeed(t.Context(), f))
	got, err := s.Feed(t.Context(), "a")
	ok(t, err)
	equal(t, "feed", got, f)
	ok(t, s.DeleteFeed(t.Context(), "a"))
	feedAbsent(t, s)
}

func feedAbsent(t *testing.T, s Store) {
	_, err := s.Feed(t.Context(), "a")
	fails(t, err, chat.ErrNotFound)
	fails(t, s.DeleteFeed(t.Context(), "a"), chat.ErrNotFound)
}

func pins(t *testing.T, s Store, want ...string) {
	t.Helper()
	got, err := s.Pins(t.Context(), "c1")
	ok(t, err)
	equal(t, "pins", got, want)
}

func pinOrder(t *testing.T, s Store) {
	claimed(t, s)
	for _, name := range []string{"b", "a", "c", "b"} {
		ok(t, s.Pin(t.Context(), "c1", name, 4))
	}
	pins(t, s, "b", "a", "c")
	ok(t, s.Unpin(t.Context(), "c1", "b"))
	ok(t, s.Unpin(t.Context(), "c1", "b"))
	ok(t, s.Pin(t.Context(), "c1", "b", 4))
	pins(t, s, "a", "c", "b")
	ok(t, s.DeleteConversation(t.Context(), "c1"))
	pins(t, s)
}

func pinMost(t *testing.T, s Store) {
	claimed(t, s)
	ok(t, s.Pin(t.Context(), "c1", "a", 2))
	ok(t, s.Pin(t.Context(), "c1", "b", 2))
	fails(t, s.Pin(t.Context(), "c1", "c", 2), chat.ErrPinned)
	ok(t, s.Pin(t.Context(), "c1", "b", 2)) // is pinned already
	pins(t, s, "a", "b")
}

func pinRace(t *testing.T, s Store) {
	claimed(t, s)
	var done atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if s.Pin(t.Context(), "c1", fmt.Sprint("feed", i), 3) == nil {
				done.Add(1)
			}
		})
	}
	wg.Wait()
	equal(t, "pinned", done.Load(), 3)
}

func pinAbsent(t *testing.T, s Store) {
	fails(t, s.Pin(t.Context(), "c1", "a", 2), chat.ErrNotFound)
	ok(t, s.Unpin(t.Context(), "c1", "a"))
}
