package feed_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/tools/feed"
)

var now = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// reading has a value for each age in seconds, oldest first.
func reading(st feed.State, ages ...int) feed.Reading {
	r := feed.Reading{Now: now, State: st}
	for _, a := range ages {
		r.Values = append(r.Values, feed.Value{At: now.Add(-time.Duration(a) * time.Second), JSON: json.RawMessage(fmt.Sprint(a))})
	}
	return r
}

func TestWhatIsOldIsSaidToBe(t *testing.T) {
	up := feed.State{Connected: now.Add(-time.Hour)}
	down := feed.State{Down: now.Add(-10 * time.Minute)}
	for name, c := range map[string]struct {
		r     feed.Reading
		fresh bool
		want  string
	}{
		"fresh":                    {reading(up, 9, 3), true, ""},
		"fresh, but disconnected":  {reading(down, 3), true, "the newest value is 3 s old, the feed has been disconnected since 2026-02-03T03:55:06Z"},
		"stale and disconnected":   {reading(down, 14*60), false, "stale: the newest value is 14 min old, the feed has been disconnected since 2026-02-03T03:55:06Z"},
		"stale though connected":   {reading(up, 61), false, "stale: the newest value is 61 s old, the feed is connected but has sent nothing since"},
		"nothing yet":              {reading(up), false, "no value has come yet; the feed is connected but has sent nothing since"},
		"nothing and no connector": {reading(feed.State{}), false, "no value has come yet; the feed is not connected"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.r.Note(good()); got != c.want || c.r.Fresh(good()) != c.fresh {
				t.Errorf("%q, fresh %v", got, c.r.Fresh(good()))
			}
		})
	}
}

func TestRecentValues(t *testing.T) {
	r := reading(feed.State{}, 50, 40, 30, 20, 10)
	for _, c := range []struct {
		n    int
		age  time.Duration
		want string
	}{{1, 0, "10"}, {2, 0, "20 10"}, {0, 35 * time.Second, "30 20 10"}, {2, 35 * time.Second, "20 10"}, {0, 5 * time.Second, ""}, {9, 0, "50 40 30 20 10"}} {
		var got []string
		for _, v := range r.Recent(c.n, c.age) {
			got = append(got, string(v.JSON))
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("last %d of %v: %s, want %s", c.n, c.age, g, c.want)
		}
	}
}

func TestAnExcerptHasTheNewestThatFit(t *testing.T) {
	r := reading(feed.State{Connected: now}, 50, 40, 30)
	e := r.Excerpt(good(), r.Values, 130)
	if e.Latest == nil || string(e.Latest.Value) != "30" || len(e.Earlier) != 1 || e.Left != 1 {
		t.Errorf("%+v", e)
	}
	if e := r.Excerpt(good(), r.Values, 0); e.Latest == nil || len(e.Earlier) != 0 || e.Left != 2 {
		t.Errorf("with no room at all: %+v", e)
	}
}
