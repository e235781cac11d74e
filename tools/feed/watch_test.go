package feed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"parley/tools"
	"parley/tools/feed"
	"parley/tools/toolstest"
)

// A watched feed is a Watch of a server, and what it has put.
type watched struct {
	*feed.Watch
	server *toolstest.Feed

	mu     sync.Mutex
	values []feed.Value
	end    func()
}

func (w *watched) put(v feed.Value) { w.mu.Lock(); defer w.mu.Unlock(); w.values = append(w.values, v) }

func (w *watched) got() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.values {
		all = append(all, string(v.JSON))
	}
	return all
}

// watch has a feed watched inside a bubble until the test ends.
func watch(t *testing.T, f feed.Feed, l feed.Limits, s *toolstest.Feed) *watched {
	t.Helper()
	client, unplug := toolstest.Pipe(s)
	f.Name, f.Description = "gold", "Price of gold"
	if f.URL == "" {
		f.URL = "ws://prices.example/stream"
	}
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	w := &watched{server: s}
	var err error
	if w.Watch, err = feed.NewWatch(f, client, l, w.put); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	w.end = func() { cancel(); wg.Wait(); unplug() }
	return w
}

func bubble(t *testing.T, test func(t *testing.T)) { synctest.Test(t, test) }

func TestMessagesBecomeValues(t *testing.T) {
	for name, c := range map[string]struct {
		expr string
		says []string
		want []string
	}{
		"whole":                 {"", []string{`{"a":1}`, `2`, `plain text`}, []string{`{"a":1}`, `2`, `"plain text"`}},
		"a part":                {".p", []string{`{"p":1.50}`, `{"p":"x"}`}, []string{`1.50`, `"x"`}},
		"dropped":               {`select(.t=="trade").p`, []string{`{"t":"ping"}`, `{"t":"trade","p":1}`}, []string{`1`}},
		"null is dropped":       {".p", []string{`{"q":1}`, `{"p":1}`}, []string{`1`}},
		"several of one":        {".[]", []string{`[1,2,3]`}, []string{"1", "2", "3"}},
		"garbage between":       {".p", []string{`{"p":`, "\x01", `{"p":1}`}, []string{`1`}},
		"an endless expression": {"if . == 1 then last(range(1e18)) else . end", []string{`1`, `2`}, []string{`2`}},
		"too many of one":       {"range(1e9)", []string{`1`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := watch(t, feed.Feed{Value: c.expr}, feed.Limits{}, &toolstest.Feed{Script: toolstest.Says(c.says...)})
				defer w.end()
				time.Sleep(time.Second)
				if got := w.got(); !slices.Equal(got, c.want) {
					t.Errorf("%q, want %q; last error %s", got, c.want, w.State().Error)
				}
			})
		})
	}
}

func TestWhoConnectsSignsInAndSubscribes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &toolstest.Feed{Script: toolstest.Says(`{"hello":"canary-login and canary-key"}`)}
		w := watch(t, feed.Feed{
			Headers: map[string]string{"Authorization": "Bearer canary-key"}, SecretQuery: map[string]string{"token": "canary/token"},
			URL: "ws://prices.example/stream?a=b", Login: "canary-login", Subscribe: []json.RawMessage{[]byte(`"SUB gold"`), []byte(`{"op":"sub"}`)},
		}, feed.Limits{}, s)
		defer w.end()
		time.Sleep(time.Second)
		if got, want := s.Said(), []string{"canary-login", "SUB gold", `{"op":"sub"}`}; !slices.Equal(got, want) {
			t.Errorf("said %q, want %q", got, want)
		}
		if got := s.Headers()[0].Get("Authorization"); got != "Bearer canary-key" {
			t.Errorf("Authorization: %s", got)
		}
		if got := s.Queries()[0]; got != "a=b&token=canary%2Ftoken" {
			t.Errorf("query %s", got)
		}
		if got := strings.Join(w.got(), " "); strings.Contains(got, "canary") {
			t.Errorf("a server that echoes a secret makes it seen: %s", got)
		}
	})
}

func TestABurstCostsNoMoreThanTheRateAndTheNewestWins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &toolstest.Feed{Script: toolstest.Ticks(100*time.Microsecond, func(n int) string { return fmt.Sprint(n) })} // 10,000 a second
		w := watch(t, feed.Feed{}, feed.Limits{Rate: 10}, s)
		defer w.end()
		time.Sleep(5 * time.Second)
		got := w.got()
		if len(got) < 45 || len(got) > 70 {
			t.Errorf("%d values in 5 s, want about 10 a second", len(got))
		}
		var last int
		fmt.Sscan(got[len(got)-1], &last)
		if last < 38_000 {
			t.Errorf("the last value is %d of 50,000: the newest should win", last)
		}
		if st := w.State(); st.PerMinute < 45_000 || st.Dropped < 45_000 {
			t.Errorf("%+v", st)
		}
	})
}

// While a server refuses, it is asked ever less often, and not by the clock.
func TestPausesGrow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &toolstest.Feed{Script: toolstest.Closes(websocket.StatusPolicyViolation, "no; canary-key is bad", "1")}
		w := watch(t, feed.Feed{Headers: map[string]string{"X": "canary-key"}}, feed.Limits{}, s)
		defer w.end()
		time.Sleep(10 * time.Minute)
		n := s.Dials()
		if n < 14 || n > 35 {
			t.Errorf("dialled %d times in 10 min", n)
		}
		if e := w.State().Error; !strings.Contains(e, "1008 no") || strings.Contains(e, "canary") {
			t.Errorf("error %q", e)
		}
		if st := w.State(); st.Down.IsZero() || !st.Connected.IsZero() {
			t.Errorf("%+v", st)
		}
	})
}

func TestAServerThatComesBackIsConnectedSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &toolstest.Feed{Script: func(ctx context.Context, c *websocket.Conn) error {
			if err := c.Write(ctx, websocket.MessageText, []byte("1")); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
			return c.Close(websocket.StatusServiceRestart, "")
		}}
		w := watch(t, feed.Feed{}, feed.Limits{}, s)
		defer w.end()
		time.Sleep(62 * time.Second)
		if n := s.Dials(); n != 2 {
			t.Errorf("dialled %d times", n)
		}
		if got := w.got(); len(got) != 2 {
			t.Errorf("%q", got)
		}
	})
}

func TestASilentServer(t *testing.T) {
	t.Run("that answers pings is left alone", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := &toolstest.Feed{Script: toolstest.Says("1")}
			w := watch(t, feed.Feed{}, feed.Limits{}, s)
			defer w.end()
			time.Sleep(time.Hour)
			if n := s.Dials(); n != 1 {
				t.Errorf("dialled %d times", n)
			}
		})
	})
	t.Run("that is gone is noticed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := &toolstest.Feed{Raw: toolstest.HalfOpen("1")}
			w := watch(t, feed.Feed{}, feed.Limits{}, s)
			defer w.end()
			time.Sleep(29 * time.Second)
			if w.State().Connected.IsZero() {
				t.Error("was given up early")
			}
			time.Sleep(3 * time.Second)
			if st := w.State(); s.Dials() != 2 || st.Error != "the server does not answer pings" {
				t.Errorf("dialled %d times, %+v", s.Dials(), st)
			}
		})
	})
}

// Whatever a server does, its connection ends and nothing is kept of it.
func TestHostileServers(t *testing.T) {
	for name, c := range map[string]struct {
		raw  toolstest.RawScript
		want string
	}{
		"a huge frame":      {toolstest.Huge(), "longer than is allowed"},
		"pings without end": {toolstest.Floods(0x89, "p"), "too many pings"},
		"a message without end": {
			toolstest.Fragments(100 * time.Millisecond),
			"did not end it in time",
		},
		"a reserved opcode": {toolstest.Floods(0x83, "x"), "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := watch(t, feed.Feed{}, feed.Limits{}, &toolstest.Feed{Raw: c.raw})
				defer w.end()
				time.Sleep(12 * time.Second)
				if st := w.State(); !strings.Contains(st.Error, c.want) {
					t.Errorf("%+v, want an error with %q", st, c.want)
				}
				if got := w.got(); len(got) > 0 {
					t.Errorf("values %q", got)
				}
			})
		})
	}
}

func TestAValueThatIsTooLargeIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := watch(t, feed.Feed{}, feed.Limits{Bytes: 80}, &toolstest.Feed{Script: toolstest.Says(`"`+strings.Repeat("x", 20)+`"`, "1")})
		defer w.end()
		time.Sleep(time.Second)
		if got := w.got(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("%q", got)
		}
		if st := w.State(); !strings.Contains(st.Error, "22 bytes") || st.Dropped != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// The handshake goes through the guard, and so does where it is redirected.
func TestPrivateAddressesAreNotReached(t *testing.T) {
	inside := httptest.NewServer(&toolstest.Feed{Script: toolstest.Says("1")})
	defer inside.Close()
	away := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer away.Close()
	for name, c := range map[string]struct{ url, allow, want string }{
		"directly":       {inside.URL, "", "private or reserved network"},
		"by a redirect":  {away.URL, away.Listener.Addr().String(), "redirects to"},
		"unless allowed": {inside.URL, inside.Listener.Addr().String(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			f.URL = "ws" + strings.TrimPrefix(c.url, "http")
			if _, err := netip.ParseAddrPort(strings.TrimPrefix(f.URL, "ws://")); err != nil {
				t.Fatal(err)
			}
			got := make(chan feed.Value, 1)
			w, err := feed.NewWatch(f, tools.NewClient(tools.ClientOptions{Allow: []string{c.allow}}).HTTP(), feed.Limits{}, func(v feed.Value) { got <- v })
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			done := make(chan struct{})
			go func() { defer close(done); w.Run(ctx) }()
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for over := false; !over; {
				select {
				case <-got:
					if over = true; c.want != "" {
						t.Error("was reached")
					}
				case <-ctx.Done():
					over = true
					t.Errorf("error %q, want %q", w.State().Error, c.want)
				case <-tick.C:
					over = c.want != "" && strings.Contains(w.State().Error, c.want)
				}
			}
			cancel()
			<-done
		})
	}
}
