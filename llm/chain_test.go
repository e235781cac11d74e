package llm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// named returns a model of a name and a dialect behind a scripted server.
func named(t testing.TB, name string, d llmtest.Dialect, script func(llmtest.Request) llmtest.Reply) (*llmtest.Server, llm.Model) {
	t.Helper()
	srv := llmtest.NewPipeServer(t, script)
	base := "http://" + name + d.Base()
	m, err := provider.Open(string(d), provider.Options{BaseURL: base, Model: name, Client: srv.Client})
	if err != nil {
		t.Fatal(err)
	}
	return srv, m
}

func TestRetries(t *testing.T) {
	ok := llmtest.Text("here I am")
	for name, c := range map[string]struct {
		first    llmtest.Reply
		requests int
		after    time.Duration
		kind     llm.Kind
	}{
		"overloaded":             {llmtest.Fail(503, "", "busy"), 2, 500 * time.Millisecond, ""},
		"rate limited, 3 s":      {llmtest.Reply{Status: 429, Code: "rate_limit", RetryAfter: 3 * time.Second}, 2, 3 * time.Second, ""},
		"rate limited, a minute": {llmtest.Reply{Status: 429, Code: "rate_limit", RetryAfter: time.Minute}, 2, 5 * time.Second, ""},
		"broke off at once":      {llmtest.Reply{Cut: true}, 2, 500 * time.Millisecond, ""},
		"broke off behind words": {llmtest.Reply{Pieces: []string{"Hel"}, Cut: true}, 1, 0, llm.Truncated},
		"… behind thoughts":      {llmtest.Reply{Reasoning: []string{"Hm"}, Cut: true}, 1, 0, llm.Truncated},
		"… behind calls":         {llmtest.Reply{Calls: []llmtest.Call{napCall("a", 0)}, Cut: true}, 2, 500 * time.Millisecond, ""},
		"an error behind words":  {llmtest.Reply{Pieces: []string{"Hel"}, Error: "oops", Code: "server_error"}, 1, 0, llm.Unavailable},
		"a bad request":          {llmtest.Fail(400, "", "what?"), 1, 0, llm.BadRequest},
		"a wrong key":            {llmtest.Fail(401, "", "who?"), 1, 0, llm.Auth},
		"no such model":          {llmtest.Fail(404, "", "where?"), 1, 0, llm.NotFound},
		"an empty account":       {llmtest.Fail(429, "insufficient_quota", "pay"), 1, 0, llm.Quota},
		"too long":               {llmtest.Fail(400, "context_length_exceeded", "long"), 1, 0, llm.TooLong},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, m := model(t, llmtest.Sequence(c.first, ok))
				began := time.Now()
				h := listen(t.Context(), &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, m)}, question("?"), tools.NewSet())
				if took := time.Since(began); srv.Count() != c.requests || took < c.after || took > c.after+250*time.Millisecond {
					t.Errorf("%d requests in %v, want %d in %v", srv.Count(), time.Since(began), c.requests, c.after)
				}
				var e *llm.Error
				switch {
				case c.kind == "" && (h.err != nil || h.text != "here I am"):
					t.Errorf("%q, %v", h.text, h.err)
				case c.kind != "" && (!errors.As(h.err, &e) || e.Kind != c.kind || len(h.turns) > 0):
					t.Errorf("%v, turns %v; want kind %s and no turn", h.err, h.turns, c.kind)
				case c.kind != "" && e.MidStream != (h.text+h.thoughts != ""):
					t.Errorf("mid-stream is %v behind %q", e.MidStream, h.text+h.thoughts)
				}
			})
		})
	}
	t.Run("only once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, m := model(t, func(llmtest.Request) llmtest.Reply { return llmtest.Fail(500, "", "still busy") })
			h := listen(t.Context(), &llm.Agent{Model: llm.NewChain(llm.ChainOptions{Retry: time.Second}, m)}, question("?"), tools.NewSet())
			if srv.Count() != 2 || h.err == nil {
				t.Errorf("%d requests, %v", srv.Count(), h.err)
			}
		})
	})
}

var whole = llmtest.Text("a whole answer")

// What people see when the first of two models fails, whichever protocol
// either speaks.
func TestTheNextModelAnswers(t *testing.T) {
	half := []string{"half ", "an "}
	for name, c := range map[string]struct {
		first  llmtest.Reply
		asked  int // the first model
		next   bool
		missed llm.Missed
	}{
		"down":            {llmtest.Fail(503, "", "busy"), 2, true, llm.Missed{Kind: llm.Unavailable}},
		"asked too often": {llmtest.Fail(429, "rate_limit_error", "slow"), 2, true, llm.Missed{Kind: llm.RateLimited}},
		"… for a minute":  {llmtest.Reply{Status: 429, Code: "rate_limit_error", Error: "slow", RetryAfter: time.Minute}, 1, true, llm.Missed{Kind: llm.RateLimited}},
		"a wrong key":     {llmtest.Fail(401, "authentication_error", "who?"), 1, true, llm.Missed{Kind: llm.Auth}},
		"no such model":   {llmtest.Fail(404, "not_found_error", "where?"), 1, true, llm.Missed{Kind: llm.NotFound}},
		"silent":          {llmtest.Reply{Hang: true}, 2, true, llm.Missed{Kind: llm.Timeout}},
		"breaks off":      {llmtest.Reply{Pieces: half, Cut: true}, 1, true, llm.Missed{Kind: llm.Truncated, Began: true}},
		"is reset":        {llmtest.Reply{Pieces: half, Reset: true}, 1, true, llm.Missed{Kind: llm.Truncated, Began: true}},
		"falls silent":    {llmtest.Reply{Pieces: half, Hang: true}, 1, true, llm.Missed{Kind: llm.Timeout, Began: true}},
		"a bad request":   {llmtest.Fail(400, "invalid_request_error", "what?"), 1, false, llm.Missed{Kind: llm.BadRequest}},
	} {
		for _, d := range llmtest.Dialects() {
			t.Run(name+"/"+string(d), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					one, first := named(t, "first", d, func(llmtest.Request) llmtest.Reply { return c.first })
					others := llmtest.Dialects()
					_, second := named(t, "second", others[(slices.Index(others, d)+1)%len(others)], func(llmtest.Request) llmtest.Reply { return whole })
					h := listen(t.Context(), &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, first, second)}, question("?"), tools.NewSet())
					if one.Count() != c.asked {
						t.Errorf("the first model was asked %d times, want %d", one.Count(), c.asked)
					}
					c.missed.Model = "first"
					var e *llm.Error
					switch {
					case !c.next && (!errors.As(h.err, &e) || e.Kind != c.missed.Kind):
						t.Errorf("%v, want %s", h.err, c.missed.Kind)
					case c.next && (h.err != nil || h.text != "a whole answer" || h.standIn == nil):
						t.Errorf("%q by %v, %v", h.text, h.standIn, h.err)
					case c.next:
						want := llm.StandIn{Model: "second", Missed: []llm.Missed{c.missed}, Anew: c.missed.Began}
						if d := cmp.Diff(want, *h.standIn); d != "" {
							t.Error(d)
						}
					}
				})
			})
		}
	}
}

// Three models of which each may do anything: what is left on the screen is
// one model's whole answer, or the error is typed and says whether half of
// one is there.
func TestNoAnswerIsTwoModels(t *testing.T) {
	kinds := []func(name string, r *rand.Rand) llmtest.Reply{
		func(name string, r *rand.Rand) llmtest.Reply { return saying(name, 8) },
		func(name string, r *rand.Rand) llmtest.Reply { x := saying(name, 1+r.IntN(6)); x.Cut = true; return x },
		func(name string, r *rand.Rand) llmtest.Reply { x := saying(name, 1+r.IntN(6)); x.Hang = true; return x },
		func(name string, r *rand.Rand) llmtest.Reply {
			x := saying(name, 1+r.IntN(6))
			x.Error, x.Code = "oops", "server_error"
			return x
		},
		func(string, *rand.Rand) llmtest.Reply { return llmtest.Reply{Cut: true} },
		func(string, *rand.Rand) llmtest.Reply { return llmtest.Fail(503, "", "busy") },
		func(string, *rand.Rand) llmtest.Reply { return llmtest.Fail(401, "invalid_api_key", "who?") },
		func(_ string, r *rand.Rand) llmtest.Reply {
			return llmtest.Reply{Status: 429, RetryAfter: time.Duration(r.IntN(9)) * time.Second}
		},
	}
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var models []llm.Model
			ds := llmtest.Dialects()
			for i := range 3 {
				name := fmt.Sprint("model", i)
				plan := make([]int, 40)
				for i := range plan {
					plan[i] = r.IntN(len(kinds))
				}
				rs := rand.New(rand.NewPCG(seed, uint64(i)+2))
				_, m := named(t, name, ds[r.IntN(len(ds))], func(q llmtest.Request) llmtest.Reply { return kinds[plan[q.N%len(plan)]](name, rs) })
				models = append(models, m)
			}
			agent := &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, models...)}
			for range 5 {
				h := listen(t.Context(), agent, question("?"), tools.NewSet())
				var e *llm.Error
				switch {
				case h.err == nil && !slices.ContainsFunc(models, func(m llm.Model) bool { return h.text == said(m.Name(), 8) }):
					t.Errorf("seed %d: %q is no whole answer of one model", seed, h.text)
				case h.err != nil && !errors.As(h.err, &e):
					t.Errorf("seed %d: %v is not typed", seed, h.err)
				case h.err != nil && !slices.ContainsFunc(models, func(m llm.Model) bool { return strings.HasPrefix(said(m.Name(), 8), h.text) }):
					t.Errorf("seed %d: %q is of two models", seed, h.text)
				}
			}
		})
	}
}

func said(name string, n int) string {
	var s string
	for i := range n {
		s += fmt.Sprintf(" %s:%d", name, i)
	}
	return strings.TrimPrefix(s, " ")
}

func saying(name string, n int) llmtest.Reply {
	return llmtest.Reply{Pieces: strings.SplitAfter(said(name, n), " ")}
}

// A model that is dead costs nothing while others answer, and is used again
// soon after it is back.
func TestADeadModelRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := true
		one, first := named(t, "first", llmtest.OpenAI, func(llmtest.Request) llmtest.Reply {
			if dead {
				return llmtest.Fail(503, "", "busy")
			}
			return whole
		})
		_, second := named(t, "second", llmtest.Anthropic, func(llmtest.Request) llmtest.Reply { return whole })
		chain := llm.NewChain(llm.ChainOptions{}, first, second)
		agent := &llm.Agent{Model: chain}
		answered := func() (by string, took time.Duration) {
			began := time.Now()
			h := listen(t.Context(), agent, question("?"), tools.NewSet())
			if h.err != nil || h.text != "a whole answer" {
				t.Fatalf("%q, %v", h.text, h.err)
			}
			if h.standIn == nil {
				return "first", time.Since(began)
			}
			return h.standIn.Model, time.Since(began)
		}
		for range 10 {
			answered()
		}
		if one.Count() != 3 {
			t.Errorf("the dead model was asked %d times, want 3", one.Count())
		}
		if by, took := answered(); by != "second" || took != 0 {
			t.Errorf("answered by %s after %v", by, took)
		}
		if s := chain.Status(); s[0].State != "resting" || s[0].Failed != 3 || s[1].State != "ready" || s[1].StoodIn != 11 {
			t.Errorf("%+v", s)
		}
		time.Sleep(31 * time.Second)
		answered() // tries the first, in vain, once
		if one.Count() != 4 {
			t.Errorf("after its rest the dead model was asked %d times, want 4", one.Count())
		}
		dead = false
		time.Sleep(31 * time.Second)
		for range 2 {
			if by, _ := answered(); by != "first" {
				t.Errorf("once it is back, %s answers", by)
			}
		}
	})
}

// Who has nobody to stand in is asked, however often it failed.
func TestTheLastModelIsAskedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := true
		srv, m := model(t, func(llmtest.Request) llmtest.Reply {
			if dead {
				return llmtest.Fail(503, "", "busy")
			}
			return whole
		})
		agent := &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, m)}
		for range 10 {
			if h := listen(t.Context(), agent, question("?"), tools.NewSet()); h.err == nil {
				t.Fatal("it answers")
			}
		}
		if srv.Count() > 12 {
			t.Errorf("a model in trouble was asked %d times for 10 questions", srv.Count())
		}
		dead = false
		if h := listen(t.Context(), agent, question("?"), tools.NewSet()); h.err != nil {
			t.Error(h.err)
		}
	})
}

// What a failed answer cost is not forgotten.
func TestUsageOfAllAttempts(t *testing.T) {
	for name, second := range map[string]llmtest.Reply{"the second answers": whole, "it fails too": {Pieces: []string{"a "}, Cut: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Anthropic counts from the beginning.
				_, a := named(t, "first", llmtest.Anthropic, func(llmtest.Request) llmtest.Reply { return llmtest.Reply{Pieces: []string{"half "}, Cut: true} })
				_, b := named(t, "second", llmtest.Anthropic, func(llmtest.Request) llmtest.Reply { return second })
				alone := listen(t.Context(), &llm.Agent{Model: b}, question("?"), tools.NewSet()).usage.Output
				h := listen(t.Context(), &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, a, b)}, question("?"), tools.NewSet())
				if h.usage.Output <= alone || alone == 0 {
					t.Errorf("%d tokens out, with the failed answer; %d without", h.usage.Output, alone)
				}
			})
		})
	}
}

// Who does not say that it can begin anew gets one model's pieces only.
func TestRestartsAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a := named(t, "first", llmtest.OpenAI, func(llmtest.Request) llmtest.Reply { return llmtest.Reply{Pieces: []string{"half "}, Cut: true} })
		two, b := named(t, "second", llmtest.OpenAI, func(llmtest.Request) llmtest.Reply { return whole })
		text, failed := "", error(nil)
		for c, err := range llm.NewChain(llm.ChainOptions{}, a, b).Stream(context.Background(), llm.Request{Messages: question("?")}) {
			text, failed = text+c.Text, err
		}
		var e *llm.Error
		if text != "half " || two.Count() != 0 || !errors.As(failed, &e) || e.Kind != llm.Truncated {
			t.Errorf("%q, %v, the second was asked %d times", text, failed, two.Count())
		}
	})
}

// A seer takes what it says.
type seer struct {
	llm.Model
	in llm.Input
}

func (s seer) Takes(context.Context) llm.Input { return s.in }

func TestAChainTakesWhatAnyOfItsModelsTakes(t *testing.T) {
	plain := provider.Demo(provider.DemoOptions{})
	chain := llm.NewChain(llm.ChainOptions{}, seer{plain, llm.Input{Image: true}}, plain, seer{plain, llm.Input{PDF: true}})
	if got, want := llm.InputOf(t.Context(), chain), (llm.Input{Image: true, PDF: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
