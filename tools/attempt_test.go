package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/tools"
	"parley/tools/toolstest"
)

// with returns the tool declared as js, its requests leaving by client.
func with(t *testing.T, client *tools.Client, js string) tools.Tool {
	t.Helper()
	tool, err := endpoint(t, toolstest.Base, `{"name":"t","description":"d",`+js+`}`).Tool(client)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

func do(t *testing.T, tool tools.Tool, args string) tools.Result {
	t.Helper()
	res, err := tool.Call(t.Context(), tools.Call{ID: "r1.c1", Name: "t", Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

const (
	aGet           = `"url":"BASE/"`
	aPost          = `"method":"POST","url":"BASE/","body":{"a":1}`
	aSafePost      = aPost + `,"effect":"safe"`
	aPut           = `"method":"PUT","url":"BASE/","body":{"a":1}`
	anUnsafeGet    = aGet + `,"effect":"unsafe"`
	unsafeEmpty    = `"method":"POST","url":"BASE/"`
	unsafeWithKey  = aPost + `,"headers":{"X-Idempotency-Key":"mine"}`
	anUnsafeDelete = `"method":"DELETE","url":"BASE/","effect":"unsafe"`
)

func TestRequestsAreRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	fails := map[string]func(w http.ResponseWriter, r *http.Request){
		"408":               func(w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 408, "slow") },
		"429":               func(w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 429, "many") },
		"502":               func(w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 502, "gateway") },
		"503":               func(w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 503, "away") },
		"504":               func(w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 504, "late") },
		"a broken answer":   func(w http.ResponseWriter, _ *http.Request) { toolstest.BreakOff(w) },
		"no answer":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"an endless answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	declared := map[string]struct {
		js     string
		repeat bool
	}{
		"GET": {aGet, true}, "a POST that is safe": {aSafePost, true}, "PUT": {aPut, true},
		"POST": {aPost, false}, "an unsafe GET": {anUnsafeGet, false}, "an unsafe DELETE": {anUnsafeDelete, false},
	}
	for how, fail := range fails {
		for what, test := range declared {
			t.Run(how+", "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := toolstest.NewService(t, func(n int, w http.ResponseWriter, r *http.Request) {
						if n < 3 {
							fail(w, r)
							return
						}
						toolstest.Say(w, 200, "fine")
					})
					res := do(t, with(t, s.Client(tools.ClientOptions{}), test.js+`,"attemptMs":1000`), "{}")
					if want := map[bool]int{true: 3, false: 1}[test.repeat]; len(s.Requests()) != want || res.Outcome.Requests != want || res.Outcome.Retries != want-1 {
						t.Errorf("%d requests, %+v", len(s.Requests()), res.Outcome)
					}
					if res.Failed == test.repeat {
						t.Error(res.Content)
					}
					for _, r := range s.Requests() {
						if want := s.Requests()[0]; r.Header.Get("Idempotency-Key") != want.Header.Get("Idempotency-Key") || r.ContentLength != want.ContentLength {
							t.Errorf("another request: %v, %d bytes", r.Header, r.ContentLength)
						}
					}
				})
			})
		}
	}
}

func TestOtherFailuresAreNotRepeated(t *testing.T) {
	for _, status := range []int{304, 400, 401, 403, 404, 409, 422, 500, 501} {
		synctest.Test(t, func(t *testing.T) {
			s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, status, "") })
			if res := do(t, with(t, s.Client(tools.ClientOptions{}), aGet), "{}"); !res.Failed || len(s.Requests()) != 1 {
				t.Errorf("%d: %d requests", status, len(s.Requests()))
			}
		})
	}
}

func TestARefusedConnectionIsTriedAgainWhateverTheEffect(t *testing.T) {
	for _, js := range []string{aGet, aPost, anUnsafeGet} {
		synctest.Test(t, func(t *testing.T) {
			s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 200, "fine") })
			s.Refuse(2)
			if res := do(t, with(t, s.Client(tools.ClientOptions{}), js), "{}"); res.Failed || res.Outcome.Retries != 2 || len(s.Requests()) != 1 {
				t.Errorf("%s: %s, %+v", js, res.Content, res.Outcome)
			}
			s.Refuse(3)
			s2 := do(t, with(t, s.Client(tools.ClientOptions{}), js), "{}")
			if !s2.Failed || strings.Contains(s2.Content, "took effect") {
				t.Errorf("%s: %s", js, s2.Content)
			}
		})
	}
}

// net/http repeats requests by itself when a connection that was used before
// breaks. An unsafe one must not be among them.
func TestAnUnsafeRequestIsNeverSentTwice(t *testing.T) {
	for what, js := range map[string]string{
		"POST": aPost, "an empty POST": unsafeEmpty, "with a key of its own": unsafeWithKey, "GET": anUnsafeGet, "DELETE": anUnsafeDelete,
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := toolstest.NewService(t, func(n int, w http.ResponseWriter, _ *http.Request) {
					if n > 1 {
						panic(http.ErrAbortHandler) // it has been carried out, but nobody hears of it
					}
					toolstest.Say(w, 200, "fine")
				})
				tool := with(t, s.Client(tools.ClientOptions{}), js)
				if res := do(t, tool, "{}"); res.Failed {
					t.Fatal(res.Content)
				}
				res := do(t, tool, "{}") // by the same connection
				if s.Dials() != 1 || len(s.Requests()) != 2 {
					t.Errorf("%d requests by %d connections, want 2 by 1", len(s.Requests()), s.Dials())
				}
				mustContain(t, "the result", res.Content, "not known whether the request took effect")
				if key := s.Requests()[1].Header.Get("Idempotency-Key"); key != "r1.c1" {
					t.Errorf("key %q", key)
				}
			})
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	after := map[string]func(time.Time) string{
		"seconds": func(time.Time) string { return "4" },
		"a date":  func(now time.Time) string { return now.Add(4 * time.Second).UTC().Format(http.TimeFormat) },
	}
	for name, field := range after {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := toolstest.NewService(t, func(n int, w http.ResponseWriter, _ *http.Request) {
					if n == 1 {
						toolstest.Say(w, 503, "away", "Retry-After", field(time.Now()))
						return
					}
					toolstest.Say(w, 200, "fine")
				})
				began := time.Now()
				res := do(t, with(t, s.Client(tools.ClientOptions{}), aGet), "{}")
				if took := time.Since(began); res.Failed || took < 4*time.Second || took > 5*time.Second {
					t.Errorf("after %v: %s", took, res.Content)
				}
			})
		})
		t.Run(name+", too many", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
					toolstest.Say(w, 503, "away", "Retry-After", field(time.Now()))
				})
				began := time.Now()
				res := do(t, with(t, s.Client(tools.ClientOptions{}), aGet+`,"timeoutMs":3000`), "{}")
				if took := time.Since(began); len(s.Requests()) != 1 || took > time.Second {
					t.Errorf("%d requests in %v", len(s.Requests()), took)
				}
				mustContain(t, "the result", res.Content, "status 503", "asks to wait 4 s")
			})
		})
	}
}

func TestWhatWentWrongOutlastsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := toolstest.NewService(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				<-r.Context().Done()
			}
			toolstest.Say(w, 503, "being repaired")
		})
		res := do(t, with(t, s.Client(tools.ClientOptions{}), aGet+`,"timeoutMs":2000`), "{}")
		mustContain(t, "the result", res.Content, "status 503", "being repaired")
		if len(s.Requests()) != 2 {
			t.Errorf("%d requests", len(s.Requests()))
		}
	})
}

func TestNothingIsRepeatedForWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			toolstest.Say(w, 503, "", "Retry-After", "5")
		})
		tool := with(t, s.Client(tools.ClientOptions{}), aGet)
		time.AfterFunc(time.Second, cancel)
		if _, err := tool.Call(ctx, tools.Call{ID: "1"}); err == nil {
			t.Error("it ended well")
		}
		time.Sleep(time.Minute)
		if n := len(s.Requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// A service that fails is asked little more often than if nobody repeated
// anything.
func TestRetriesHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, 503, "") })
		client := s.Client(tools.ClientOptions{Breaker: tools.BreakerOptions{Requests: 1000}})
		tool := with(t, client, aGet)
		for range 100 {
			do(t, tool, "{}")
		}
		if n := len(s.Requests()); n < 110 || n > 125 {
			t.Errorf("100 calls made %d requests", n)
		}
	})
}

func TestABreakerOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := 500
		s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, _ *http.Request) { toolstest.Say(w, status, "") })
		client := s.Client(tools.ClientOptions{})
		tool, other := with(t, client, aGet), with(t, client, aGet)
		for range 10 {
			do(t, tool, "{}")
		}
		asked := len(s.Requests())
		time.Sleep(5 * time.Second)
		res := do(t, tool, "{}")
		if !res.Failed || res.Outcome.Breaker != "open" || res.Outcome.Requests != 0 || len(s.Requests()) != asked {
			t.Errorf("%d more requests, %+v", len(s.Requests())-asked, res.Outcome)
		}
		mustContain(t, "the result", res.Content, "93.184.216.34 has been failing", "Nothing was sent", "tried again in 11 s")
		if do(t, other, "{}").Outcome.Breaker != "" {
			t.Error("another tool's breaker is open too")
		}
		time.Sleep(11 * time.Second)
		if do(t, tool, "{}").Outcome.Breaker != "" || do(t, tool, "{}").Outcome.Breaker != "open" {
			t.Error("not one request was let through to see")
		}
		status = 200
		time.Sleep(16 * time.Second)
		for range 3 {
			if res := do(t, tool, "{}"); res.Failed {
				t.Errorf("it is still closed to calls: %s", res.Content)
			}
		}
	})
}

func TestABreakerDoesNotCountTheCallersFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hang" {
				<-r.Context().Done()
			}
			toolstest.Say(w, 404, "")
		})
		client := s.Client(tools.ClientOptions{})
		tool := with(t, client, `"url":"BASE/{p}","parameters":{"type":"object","properties":{"p":{"type":"string"}}}`)
		for range 20 {
			do(t, tool, `{"p":"nothing"}`)
		}
		for range 20 { // stopped by the person
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			stop := time.AfterFunc(time.Microsecond, cancel)
			_, _ = tool.Call(ctx, tools.Call{Arguments: json.RawMessage(`{"p":"hang"}`)})
			stop.Stop()
			cancel()
		}
		if res := do(t, tool, `{"p":"nothing"}`); res.Outcome.Breaker != "" || res.Outcome.Status != 404 {
			t.Errorf("%+v", res.Outcome)
		}
	})
}

func TestFewRequestsOfAToolAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now, most int
		s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			toolstest.Say(w, 200, "fine")
		})
		tool := with(t, s.Client(tools.ClientOptions{}), aPost+`,"concurrency":3,"timeoutMs":2500`)
		var wg sync.WaitGroup
		var failed []string
		for i := range 9 {
			wg.Go(func() {
				res, _ := tool.Call(t.Context(), tools.Call{ID: fmt.Sprint("r1.", i), Arguments: json.RawMessage("{}")})
				mu.Lock()
				defer mu.Unlock()
				if res.Failed {
					failed = append(failed, res.Content)
				}
			})
		}
		wg.Wait()
		if most != 3 || len(failed) != 3 { // the last three had half a second for what takes one
			t.Errorf("%d at once, failed: %q", most, failed)
		}
	})
}

func TestWhoWaitsInVainIsToldWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := toolstest.NewService(t, func(_ int, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		tool := with(t, s.Client(tools.ClientOptions{Retries: -1}), aPost+`,"concurrency":1,"timeoutMs":1000`)
		first := make(chan tools.Result)
		go func() { first <- do(t, tool, "{}") }()
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, _ = tool.Call(ctx, tools.Call{})
		res, second := <-first, do(t, tool, "{}")
		mustContain(t, "the first", res.Content, "no whole answer within 1s", "not known")
		mustContain(t, "the second", second.Content, "no whole answer within 1s")
		if n := len(s.Requests()); n != 2 {
			t.Errorf("%d requests, want none of who did not get a turn", n)
		}
	})
}

var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-01$`)

func TestRequestsOfARunAreOneTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := toolstest.NewService(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			toolstest.Say(w, map[bool]int{true: 503, false: 200}[n == 1], "")
		})
		client := s.Client(tools.ClientOptions{})
		for _, id := range []string{"r1.a", "r1.b", "r2.a"} {
			tool := with(t, client, aGet)
			if _, err := tool.Call(t.Context(), tools.Call{ID: id, Arguments: json.RawMessage("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		var traces []string
		spans := map[string]bool{}
		for _, r := range s.Requests() {
			m := traceparent.FindStringSubmatch(r.Header.Get("Traceparent"))
			if m == nil {
				t.Fatalf("traceparent %q", r.Header.Get("Traceparent"))
			}
			traces, spans[m[2]] = append(traces, m[1]), true
		}
		if len(traces) != 4 || traces[0] != traces[1] || traces[0] != traces[2] || traces[0] == traces[3] || len(spans) != 4 {
			t.Errorf("traces %v, spans %v", traces, spans)
		}
	})
}
