package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"parley/gateway/chat"
)

func guards() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are given once":                        guardOnce,
		"are given to one of many at once":      guardRace,
		"need a run":                            guardWithoutRun,
		"a secret is the first that was stored": secretFirst,
		"a secret is the same for all":          secretRace,
	}
}

func guardOnce(t *testing.T, s Store) {
	claimed(t, s)
	for _, c := range []struct {
		call, by string
		want     bool
	}{{"call1", "a", true}, {"call1", "a", false}, {"call1", "b", false}, {"call2", "b", true}, {"call2", "a", false}} {
		first, err := s.Guard(t.Context(), "r1", c.call, c.by)
		ok(t, err)
		equal(t, c.call+" for "+c.by, first, c.want)
	}
}

func guardRace(t *testing.T, s Store) {
	claimed(t, s)
	for call := range 10 {
		var wg sync.WaitGroup
		var firsts atomic.Int32
		for by := range 8 {
			wg.Go(func() {
				first, err := s.Guard(t.Context(), "r1", fmt.Sprint("call", call), fmt.Sprint("replica", by))
				if err != nil {
					t.Error(err)
				}
				if first {
					firsts.Add(1)
				}
			})
		}
		wg.Wait()
		equal(t, "firsts", firsts.Load(), 1)
	}
}

func guardWithoutRun(t *testing.T, s Store) {
	first, err := s.Guard(t.Context(), "r1", "call", "a")
	fails(t, err, chat.ErrNotFound)
	equal(t, "first", first, false)
}

func secretFirst(t *testing.T, s Store) {
	for _, c := range []struct{ name, fresh, want string }{
		{"cookies", "\x00\xff one", "\x00\xff one"}, {"cookies", "two", "\x00\xff one"}, {"csrf", "three", "three"},
	} {
		got, err := s.Secret(t.Context(), c.name, []byte(c.fresh))
		ok(t, err)
		equal(t, c.name, string(got), c.want)
	}
}

func secretRace(t *testing.T, s Store) {
	var wg sync.WaitGroup
	got := make([][]byte, 8)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = s.Secret(t.Context(), "key", bytes.Repeat([]byte{byte(i)}, 32)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range got {
		equal(t, "secret", got[i], got[0])
	}
	equal(t, "length", len(got[0]), 32)
}
