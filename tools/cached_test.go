package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/tools"
	"parley/tools/toolstest"
)

// An upstream is a service with a cache before it.
type upstream struct {
	t     *testing.T
	s     *toolstest.Service
	cache *toolstest.Cache
}

func inCache(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request), test func(t *testing.T, u *upstream)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, &upstream{t, toolstest.NewService(t, answer), &toolstest.Cache{}})
	})
}

func (u *upstream) client() *tools.Client {
	return u.s.Client(tools.ClientOptions{Cache: u.cache, Locker: u.cache})
}

// expect calls the tool and checks where the answer came from and how often
// the service has been asked by now.
func (u *upstream) expect(tool tools.Tool, args, content, cache string, asked int) tools.Result {
	u.t.Helper()
	res := do(u.t, tool, args)
	if res.Content != content || res.Outcome.Cache != cache || len(u.s.Requests()) != asked {
		u.t.Errorf("%q, cache %q, asked %d times; want %q, %q, %d", res.Content, res.Outcome.Cache, len(u.s.Requests()), content, cache, asked)
	}
	return res
}

// counting answers with how often it was asked, and the headers given.
func counting(headers ...string) func(n int, w http.ResponseWriter, r *http.Request) {
	return func(n int, w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 200, fmt.Sprint(n), headers...) }
}

func TestAFreshAnswerIsUsedAgain(t *testing.T) {
	inCache(t, counting("Cache-Control", "max-age=60"), func(t *testing.T, u *upstream) {
		here, there := with(t, u.client(), aGet), with(t, u.client(), aGet)
		u.expect(here, "{}", "1", "", 1)
		time.Sleep(12 * time.Second)
		res := u.expect(there, "{}", "1", "hit", 1)
		if res.Outcome.AgeMs != 12_000 || res.Outcome.Requests != 0 || res.Outcome.Status != 200 {
			t.Errorf("%+v", res.Outcome)
		}
		time.Sleep(49 * time.Second)
		u.expect(there, "{}", "2", "", 2)
	})
}

func TestWhatIsNeverKept(t *testing.T) {
	for name, test := range map[string]struct {
		js, headers string
	}{
		"what says no-store":           {aGet, "Cache-Control: no-store, max-age=60"},
		"what says nothing":            {aGet, ""},
		"what varies by anything":      {aGet, "Cache-Control: max-age=60|Vary: *"},
		"the answer to a POST":         {aSafePost, "Cache-Control: max-age=60"},
		"the answer to an unsafe GET":  {anUnsafeGet, "Cache-Control: max-age=60"},
		"what the owner does not want": {aGet + `,"cache":{"off":true}`, "Cache-Control: max-age=60"},
		"a part":                       {aGet + `,"headers":{"Range":"bytes=0-9"}`, "Cache-Control: max-age=60"},
		"what repeats a secret":        {aGet + `,"headers":{"X-Key":"canary-9"}`, "Cache-Control: max-age=60|X-Echo: 1"},
		"what is too large":            {aGet, "Cache-Control: max-age=60|X-Large: 1"},
		"what was cut":                 {aGet + `,"maxBytes":1000`, "Cache-Control: max-age=60|X-Large: 1"},
		"what came by a redirect":      {`"url":"BASE/moved"`, "Cache-Control: max-age=60"},
	} {
		t.Run(name, func(t *testing.T) {
			inCache(t, func(n int, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/moved" {
					http.Redirect(w, r, "/", http.StatusFound)
					return
				}
				text := fmt.Sprint(n)
				for h := range strings.SplitSeq(test.headers, "|") {
					if name, value, ok := strings.Cut(h, ": "); ok {
						w.Header().Set(name, value)
					}
				}
				if w.Header().Get("X-Echo") != "" {
					text += r.Header.Get("X-Key")
				}
				if w.Header().Get("X-Large") != "" {
					text += strings.Repeat("x", 300_000)
				}
				toolstest.Say(w, 200, text)
			}, func(t *testing.T, u *upstream) {
				tool := with(t, u.client(), test.js)
				first, second := do(t, tool, "{}"), do(t, tool, "{}")
				if second.Outcome.Cache != "" || strings.SplitN(first.Content, "x", 2)[0] == strings.SplitN(second.Content, "x", 2)[0] {
					t.Errorf("it came from the cache: %+v", second.Outcome)
				}
				if dump := u.cache.Dump(); strings.Contains(dump, "canary") {
					t.Error("a secret is in the cache")
				}
			})
		})
	}
}

func TestAnOwnerSaysHowLongSilentAnswersAreFresh(t *testing.T) {
	inCache(t, counting(), func(t *testing.T, u *upstream) {
		tool := with(t, u.client(), aGet+`,"cache":{"maxAgeMs":5000}`)
		u.expect(tool, "{}", "1", "", 1)
		u.expect(tool, "{}", "1", "hit", 1)
		time.Sleep(5 * time.Second)
		u.expect(tool, "{}", "2", "", 2)
	})
}

// tagged answers with what the test says, under a tag of it.
func tagged(content *string, control string) func(n int, w http.ResponseWriter, r *http.Request) {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		tag := `"` + *content + `"`
		w.Header().Set("Cache-Control", control)
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		toolstest.Say(w, 200, *content)
	}
}

func TestAStaleAnswerIsRevalidated(t *testing.T) {
	content := "one"
	inCache(t, tagged(&content, "max-age=10"), func(t *testing.T, u *upstream) {
		tool := with(t, u.client(), aGet)
		u.expect(tool, "{}", "one", "", 1)
		time.Sleep(10 * time.Second)
		if res := u.expect(tool, "{}", "one", "revalidated", 2); res.Outcome.Requests != 1 {
			t.Errorf("%+v", res.Outcome)
		}
		time.Sleep(9 * time.Second)
		u.expect(tool, "{}", "one", "hit", 2)
		content = "two"
		time.Sleep(time.Second)
		u.expect(tool, "{}", "two", "", 3)
	})
}

func TestNoCacheIsRevalidatedEachTime(t *testing.T) {
	content := "one"
	inCache(t, tagged(&content, "no-cache"), func(t *testing.T, u *upstream) {
		tool := with(t, u.client(), aGet)
		u.expect(tool, "{}", "one", "", 1)
		u.expect(tool, "{}", "one", "revalidated", 2)
		fresh := with(t, u.client(), aGet+`,"headers":{"Cache-Control":"no-cache"}`)
		u.expect(fresh, "{}", "one", "", 3)
		u.expect(fresh, "{}", "one", "revalidated", 4)
	})
}

func TestAStaleAnswerStandsInForAFailure(t *testing.T) {
	for control, want := range map[string]string{"max-age=1, stale-if-error=60": "stale", "max-age=1": "", "max-age=1, stale-if-error=60, must-revalidate": ""} {
		for _, fault := range []string{"status", "break", "refuse"} {
			t.Run(control+", "+fault, func(t *testing.T) {
				inCache(t, func(n int, w http.ResponseWriter, _ *http.Request) {
					switch {
					case n == 1:
						toolstest.Say(w, 200, "1", "Cache-Control", control)
					case fault == "break":
						toolstest.BreakOff(w)
					default:
						toolstest.Say(w, 503, "away")
					}
				}, func(t *testing.T, u *upstream) {
					client := u.client()
					tool := with(t, client, aGet)
					u.expect(tool, "{}", "1", "", 1)
					time.Sleep(20 * time.Second)
					if fault == "refuse" {
						client.CloseIdle()
						u.s.Refuse(100)
					}
					res := do(t, tool, "{}")
					if res.Failed != (want == "") || res.Outcome.Cache != want || want != "" && (res.Content != "1" || res.Outcome.AgeMs < 20_000) {
						t.Errorf("%s, %+v", res.Content, res.Outcome)
					}
				})
			})
		}
	}
}

func TestNobodyGetsAnothersAnswer(t *testing.T) {
	inCache(t, counting("Cache-Control", "max-age=60"), func(t *testing.T, u *upstream) {
		client := u.client()
		params := `,"parameters":{"type":"object","properties":{"q":{"type":"string"},"lang":{"type":"string"}}},"in":{"lang":"header:Accept-Language"}`
		key := func(k string) tools.Tool { return with(t, client, aGet+params+`,"headers":{"X-Key":"`+k+`"}`) }
		u.expect(key("ann-key"), "{}", "1", "", 1)
		u.expect(key("bob-key"), "{}", "2", "", 2)
		u.expect(with(t, client, aGet+params+`,"secretQuery":{"key":"ann-key"}`), "{}", "3", "", 3)
		u.expect(key("ann-key"), `{"q":"x"}`, "4", "", 4)
		u.expect(key("ann-key"), `{"lang":"de"}`, "5", "", 5)
		u.expect(key("ann-key"), `{"lang":"fr"}`, "6", "", 6)
		u.expect(key("ann-key"), `{"lang":"de"}`, "5", "hit", 6)
		u.expect(key("ann-key"), "{}", "1", "hit", 6)
		other := endpoint(t, toolstest.Base, `{"name":"other","description":"d",`+aGet+params+`,"headers":{"X-Key":"ann-key"}}`)
		tool, err := other.Tool(client)
		if err != nil {
			t.Fatal(err)
		}
		u.expect(tool, "{}", "7", "", 7)
		if dump := u.cache.Dump(); strings.Contains(dump, "ann-key") || !strings.Contains(dump, "max-age") {
			t.Errorf("the cache holds %s", dump)
		}
	})
}

func TestAChangeMakesWhatIsKeptWorthless(t *testing.T) {
	inCache(t, counting("Cache-Control", "max-age=60"), func(t *testing.T, u *upstream) {
		read := with(t, u.client(), `"url":"BASE/orders?page=1"`)
		elsewhere := with(t, u.client(), `"url":"BASE/items"`)
		write := with(t, u.client(), `"method":"POST","url":"BASE/orders","body":{}`)
		u.expect(read, "{}", "1", "", 1)
		u.expect(elsewhere, "{}", "2", "", 2)
		u.expect(read, "{}", "1", "hit", 2)
		u.expect(write, "{}", "3", "", 3)
		u.expect(read, "{}", "4", "", 4)
		u.expect(read, "{}", "4", "hit", 4)
		u.expect(elsewhere, "{}", "2", "hit", 4)
	})
}

// What was asked for before a change and arrives after it is old already.
func TestAnAnswerThatAChangeOvertookIsNotKept(t *testing.T) {
	inCache(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" && n == 1 {
			time.Sleep(5 * time.Second)
		}
		toolstest.Say(w, 200, fmt.Sprint(n), "Cache-Control", "max-age=60")
	}, func(t *testing.T, u *upstream) {
		read, write := with(t, u.client(), aGet), with(t, u.client(), aPost)
		late := make(chan tools.Result)
		go func() { late <- do(t, read, "{}") }()
		time.Sleep(time.Second)
		u.expect(write, "{}", "2", "", 2)
		<-late
		u.expect(read, "{}", "3", "", 3)
	})
}

func TestWithoutItsCacheEverythingWorks(t *testing.T) {
	inCache(t, counting("Cache-Control", "max-age=60"), func(t *testing.T, u *upstream) {
		tool, write := with(t, u.client(), aGet), with(t, u.client(), aPost)
		u.expect(tool, "{}", "1", "", 1)
		u.cache.Away(true)
		u.expect(tool, "{}", "2", "", 2)
		u.expect(write, "{}", "3", "", 3)
		u.cache.Away(false)
		u.expect(tool, "{}", "1", "hit", 3)
	})
}

func TestAToolWhoseAnswersCannotBeKeptCostsNoLookups(t *testing.T) {
	inCache(t, counting(), func(t *testing.T, u *upstream) {
		tool := with(t, u.client(), aGet)
		for range 10 {
			do(t, tool, "{}")
		}
		if n := u.cache.Lookups(); n > 4 {
			t.Errorf("%d lookups", n)
		}
	})
}

// burst calls each tool so many times at once.
func burst(t *testing.T, each int, ts ...tools.Tool) (answers map[string]int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers = map[string]int{}
	for _, tool := range ts {
		for range each {
			wg.Go(func() {
				res := do(t, tool, "{}")
				mu.Lock()
				defer mu.Unlock()
				answers[res.Content]++
			})
		}
	}
	wg.Wait()
	return answers
}

func slowly(answer func(int, http.ResponseWriter, *http.Request)) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		time.Sleep(500 * time.Millisecond)
		answer(n, w, r)
	}
}

func TestABurstCostsOneRequest(t *testing.T) {
	inCache(t, slowly(counting("Cache-Control", "max-age=60")), func(t *testing.T, u *upstream) {
		var replicas []tools.Tool
		for range 20 {
			replicas = append(replicas, with(t, u.client(), aGet))
		}
		u.expect(replicas[0], "{}", "1", "", 1)
		time.Sleep(61 * time.Second)
		if got := burst(t, 10, replicas...); got["2"] != 200 || len(u.s.Requests()) != 2 {
			t.Errorf("answers %v, %d requests", got, len(u.s.Requests()))
		}
	})
}

// What cannot be kept is everybody's own, and nobody waits in line for it.
func TestABurstForWhatCannotBeKept(t *testing.T) {
	inCache(t, slowly(func(n int, w http.ResponseWriter, _ *http.Request) {
		control := "no-store"
		if n == 1 {
			control = "max-age=1"
		}
		toolstest.Say(w, 200, fmt.Sprint(n), "Cache-Control", control)
	}), func(t *testing.T, u *upstream) {
		a, b := with(t, u.client(), aGet), with(t, u.client(), aGet)
		do(t, a, "{}")
		time.Sleep(2 * time.Second)
		began := time.Now()
		got := burst(t, 5, a, b)
		if len(got) != 10 || time.Since(began) > 2*time.Second {
			t.Errorf("answers %v after %v", got, time.Since(began))
		}
	})
}

func TestWhoGoesLeavesTheOthersTheirAnswer(t *testing.T) {
	inCache(t, slowly(counting("Cache-Control", "max-age=1")), func(t *testing.T, u *upstream) {
		tool := with(t, u.client(), aGet)
		do(t, tool, "{}")
		time.Sleep(2 * time.Second)
		first, stop := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := tool.Call(first, tools.Call{Arguments: json.RawMessage("{}")})
			gone <- err
		}()
		time.Sleep(100 * time.Millisecond)
		other := make(chan tools.Result)
		go func() { other <- do(t, tool, "{}") }()
		time.Sleep(100 * time.Millisecond)
		stop()
		if err := <-gone; err == nil {
			t.Error("who has gone has an answer")
		}
		if res := <-other; res.Content != "2" || len(u.s.Requests()) != 2 {
			t.Errorf("%s, %d requests", res.Content, len(u.s.Requests()))
		}

		time.Sleep(2 * time.Second)
		both, stop := context.WithCancel(t.Context())
		for range 2 {
			go func() {
				_, err := tool.Call(both, tools.Call{Arguments: json.RawMessage("{}")})
				gone <- err
			}()
		}
		time.Sleep(100 * time.Millisecond)
		stop()
		<-gone
		<-gone
		synctest.Wait()
		if r := u.s.Requests()[2]; r.Context().Err() == nil {
			t.Error("nobody waits, yet the request goes on")
		}
	})
}

// A replica that dies while the others wait for it holds them up for a while
// only.
func TestALockOfTheDeadHoldsNobodyUpForLong(t *testing.T) {
	inCache(t, slowly(counting("Cache-Control", "max-age=1")), func(t *testing.T, u *upstream) {
		dead, alive := with(t, u.client(), aGet), with(t, u.client(), aGet)
		do(t, dead, "{}")
		time.Sleep(2 * time.Second)
		u.cache.LockAll(5 * time.Second)
		began := time.Now()
		res := do(t, alive, "{}")
		if took := time.Since(began); res.Content != "2" || took > 4*time.Second || took < 2*time.Second {
			t.Errorf("%s after %v", res.Content, took)
		}
	})
}
