package llm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// model returns a model behind a scripted server, and the server.
func model(t testing.TB, script func(llmtest.Request) llmtest.Reply) (*llmtest.Server, llm.Model) {
	t.Helper()
	srv := llmtest.NewPipeServer(t, script)
	m, err := provider.OpenAI(provider.OpenAIOptions{BaseURL: srv.URL, Model: "scripted", Client: srv.Client})
	if err != nil {
		t.Fatal(err)
	}
	return srv, m
}

func question(text string) []llm.Message {
	return []llm.Message{{ID: "q", Role: llm.User, Content: text}}
}

type args struct {
	For  string `json:"for"`
	Wait int    `json:"wait"` // ms
}

func nap(call func(args)) tools.Tool {
	spec := tools.Spec{Name: "nap", Effect: tools.Safe, Parameters: json.RawMessage(
		`{"type":"object","properties":{"for":{"type":"string"},"wait":{"type":"integer"}},"required":["for"],"additionalProperties":false}`)}
	return tools.Func(spec, func(ctx context.Context, in args) (tools.Result, error) {
		if call != nil {
			call(in)
		}
		select {
		case <-time.After(time.Duration(in.Wait) * time.Millisecond):
			return tools.Result{Content: "slept for " + in.For}, nil
		case <-ctx.Done():
			return tools.Result{}, ctx.Err()
		}
	})
}

func napCall(id string, wait int) llmtest.Call {
	return llmtest.Call{ID: id, Name: "nap", Arguments: fmt.Sprintf(`{"for":%q,"wait":%d}`, id, wait)}
}

// A heard is all that a run yielded.
type heard struct {
	text, thoughts string
	turns          []llm.Message
	finish         llm.Finish
	usage          llm.Usage
	results        []llm.Message
	standIn        *llm.StandIn // who said the last turn or takes one back
	err            error
}

func listen(ctx context.Context, a *llm.Agent, msgs []llm.Message, set llm.Tools) (h heard) {
	for s, err := range a.Run(ctx, msgs, set) {
		switch {
		case err != nil:
			h.err = err
		case s.Turn != nil:
			h.turns, h.finish = append(h.turns, *s.Turn), s.Finish
			if s.Usage != nil {
				h.usage = h.usage.Add(*s.Usage)
			}
			h.standIn = s.StandIn
		case s.Result != nil:
			h.results = append(h.results, *s.Result)
		case s.StandIn != nil:
			h.text, h.thoughts, h.standIn = "", "", s.StandIn
		case s.Usage != nil:
			h.usage = h.usage.Add(*s.Usage)
		}
		h.text += s.Text
		h.thoughts += s.Reasoning
	}
	return h
}

func ids(ms []llm.Message) (out []string) {
	for _, m := range ms {
		out = append(out, m.ToolCallID)
	}
	return out
}

func TestToolsRunAtTheSameTimeAndAnswerInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, m := model(t, llmtest.Sequence(
			llmtest.Use(napCall("slow", 300), napCall("quick", 100), napCall("middle", 200)),
			llmtest.Text("all awake")))
		began := time.Now()
		h := listen(t.Context(), &llm.Agent{Model: m}, question("nap"), tools.NewSet(nap(nil)))
		if h.err != nil || h.text != "all awake" {
			t.Fatalf("%q, %v", h.text, h.err)
		}
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("took %v: the calls did not run at the same time", took)
		}
		if d := cmp.Diff([]string{"quick", "middle", "slow"}, ids(h.results)); d != "" {
			t.Errorf("results as they came (-want +got):\n%s", d)
		}
		var read []string
		for _, m := range srv.Requests()[1].Messages {
			if m.Role == "tool" {
				read = append(read, m.ToolCallID)
			}
		}
		if d := cmp.Diff([]string{"slow", "quick", "middle"}, read); d != "" {
			t.Errorf("results as the model read them (-want +got):\n%s", d)
		}
	})
}

func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []llmtest.Call
		for i := range 7 {
			calls = append(calls, napCall(fmt.Sprint("c", i), 100))
		}
		_, m := model(t, llmtest.Sequence(llmtest.Use(calls...), llmtest.Text("done")))
		var now, most, made atomic.Int32
		set := tools.NewSet(nap(func(args) {
			made.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.AfterFunc(99*time.Millisecond, func() { now.Add(-1) })
		}))
		h := listen(t.Context(), &llm.Agent{Model: m, Parallel: 2, MaxCalls: 5}, question("nap"), set)
		if most.Load() != 2 || made.Load() != 5 || len(h.results) != 7 {
			t.Errorf("%d at once, %d made, %d results; want 2, 5, 7", most.Load(), made.Load(), len(h.results))
		}
		refused := 0
		for _, r := range h.results {
			if strings.Contains(r.Error, "more than 5 calls") && r.Metadata.Parley.Outcome.Failed {
				refused++
			}
		}
		if refused != 2 || h.text != "done" {
			t.Errorf("%d calls refused, want 2; %q, %v", refused, h.text, h.err)
		}
	})
}

func TestBeginsWhereverTheConversationEnds(t *testing.T) {
	asked := llm.Message{ID: "a", Role: llm.Assistant, ToolCalls: []llm.ToolCall{
		llm.NewToolCall("one", "nap", `{"for":"one"}`), llm.NewToolCall("two", "nap", `{"for":"two"}`),
	}}
	one := llm.Message{ID: "r", Role: llm.ToolRole, ToolCallID: "one", Content: "known already"}
	for name, c := range map[string]struct {
		msgs []llm.Message
		made []string
	}{
		"a question":                    {question("nap"), nil},
		"calls without results":         {append(question("nap"), asked), []string{"one", "two"}},
		"a call without, one with":      {append(question("nap"), asked, one), []string{"two"}},
		"an open call of an older run":  {append([]llm.Message{{ID: "q0", Role: llm.User, Content: "?"}, asked}, question("nap")...), nil},
		"thoughts behind the question":  {append(question("nap"), llm.Message{Role: llm.Reasoning, Content: "hm"}), nil},
		"a result that answers nothing": {append(question("nap"), llm.Message{Role: llm.ToolRole, ToolCallID: "none", Content: "?"}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, m := model(t, llmtest.Sequence(llmtest.Text("fine")))
				var mu sync.Mutex
				made := map[string]int{}
				h := listen(t.Context(), &llm.Agent{Model: m}, c.msgs, tools.NewSet(nap(func(in args) {
					mu.Lock()
					defer mu.Unlock()
					made[in.For]++
				})))
				want := map[string]int{}
				for _, id := range c.made {
					want[id] = 1
				}
				if d := cmp.Diff(want, made); d != "" || h.err != nil || h.text != "fine" {
					t.Errorf("%q, %v; calls made (-want +got):\n%s", h.text, h.err, d)
				}
			})
		})
	}
}

// What a model gets wrong in a call it is told, and asked again.
func TestTheModelIsToldOfCallsThatCannotBeMade(t *testing.T) {
	for name, c := range map[string]struct {
		call llmtest.Call
		says string
	}{
		"arguments that are not JSON":  {llmtest.Call{ID: "c1", Name: "nap", Arguments: `{"for":Ada}`}, "not a JSON object"},
		"arguments that are no object": {llmtest.Call{ID: "c1", Name: "nap", Arguments: `["Ada"]`}, "not a JSON object"},
		"a tool that was not offered":  {llmtest.Call{ID: "c1", Name: "snooze", Arguments: `{}`}, "snooze"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, m := model(t, llmtest.Sequence(llmtest.Use(c.call), llmtest.Use(napCall("c2", 0)), llmtest.Text("fine")))
				made := 0
				h := listen(t.Context(), &llm.Agent{Model: m}, question("nap"), tools.NewSet(nap(func(args) { made++ })))
				if h.err != nil || h.text != "fine" || made != 1 || len(h.results) != 2 {
					t.Fatalf("%q, %v, %d calls made, %d results", h.text, h.err, made, len(h.results))
				}
				if r := h.results[0]; !strings.Contains(r.Content, c.says) || r.Error == "" {
					t.Errorf("result %+v", r)
				}
				for _, m := range srv.Requests()[1].Messages {
					for _, call := range m.Calls {
						if !llm.IsObject(call.Arguments) {
							t.Errorf("the arguments go back as %s, which servers refuse", call.Arguments)
						}
					}
				}
			})
		})
	}
}

func TestTurnsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, m := model(t, func(r llmtest.Request) llmtest.Reply {
			if r.ToolChoice == "none" {
				return llmtest.Text("what I have")
			}
			return llmtest.Use(napCall("", 0))
		})
		h := listen(t.Context(), &llm.Agent{Model: m, System: "Be brief.", MaxTurns: 3}, question("nap"), tools.NewSet(nap(nil)))
		if h.err != nil || h.text != "what I have" || srv.Count() != 3 {
			t.Errorf("%q, %v after %d turns", h.text, h.err, srv.Count())
		}
		last := srv.Requests()[2].Messages[0]
		if last.Role != "system" || !strings.HasPrefix(last.Content, "Be brief.") || !strings.Contains(last.Content, "Answer now") {
			t.Errorf("the last turn is told %q", last.Content)
		}
	})
	t.Run("also those before a takeover", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, m := model(t, llmtest.Sequence(llmtest.Text("at last")))
			msgs := question("nap")
			for i := range 2 {
				id := fmt.Sprint("c", i)
				msgs = append(msgs, llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{llm.NewToolCall(id, "nap", `{}`)}},
					llm.Message{Role: llm.ToolRole, ToolCallID: id, Content: "slept"})
			}
			h := listen(t.Context(), &llm.Agent{Model: m, MaxTurns: 3}, msgs, tools.NewSet(nap(nil)))
			if h.text != "at last" || srv.Requests()[0].ToolChoice != "none" {
				t.Errorf("%q, %v; tool choice %q", h.text, h.err, srv.Requests()[0].ToolChoice)
			}
		})
	})
	t.Run("a model that asks on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, m := model(t, llmtest.Endless("nap", `{"for":"ever"}`))
			h := listen(t.Context(), &llm.Agent{Model: m, MaxTurns: 2}, question("nap"), tools.NewSet(nap(nil)))
			if !errors.Is(h.err, llm.ErrTurns) || len(h.results) != 1 {
				t.Errorf("%v after %d results, want ErrTurns after 1", h.err, len(h.results))
			}
		})
	})
}

func TestToolsThatFailAreResults(t *testing.T) {
	broken := tools.Func(tools.Spec{Name: "broken"}, func(context.Context, struct{}) (tools.Result, error) { panic("at the disco") })
	away := tools.Func(tools.Spec{Name: "away"}, func(context.Context, struct{}) (tools.Result, error) {
		return tools.Result{}, errors.New("no route")
	})
	mute := tools.Func(tools.Spec{Name: "mute"}, func(context.Context, struct{}) (tools.Result, error) {
		return tools.Result{Content: "Error: it is closed", Failed: true}, nil
	})
	for name, c := range map[string]struct {
		call llmtest.Call
		says string
	}{
		"does not exist":          {llmtest.Call{Name: "teleport"}, `no tool named "teleport"`},
		"wrong arguments":         {llmtest.Call{Name: "nap", Arguments: `{"for":7}`}, "for"},
		"panics":                  {llmtest.Call{Name: "broken"}, "broke down"},
		"cannot be called":        {llmtest.Call{Name: "away"}, "no route"},
		"fails without a reason":  {llmtest.Call{Name: "mute"}, "it is closed"},
		"an argument too many":    {llmtest.Call{Name: "nap", Arguments: `{"for":"x","why":1}`}, "why"},
		"arguments that are none": {llmtest.Call{Name: "nap", Arguments: `{}`}, "for"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, m := model(t, llmtest.Sequence(llmtest.Use(c.call), llmtest.Text("sorry")))
				h := listen(t.Context(), &llm.Agent{Model: m}, question("?"), tools.NewSet(nap(nil), broken, away, mute))
				if h.err != nil || len(h.results) != 1 || h.text != "sorry" {
					t.Fatalf("%d results, %q, %v", len(h.results), h.text, h.err)
				}
				r := h.results[0]
				if !strings.Contains(r.Error, c.says) || !r.Metadata.Parley.Outcome.Failed {
					t.Errorf("the result's error is %q, want something of %q", r.Error, c.says)
				}
				if got := srv.Requests()[1].Last().Content; !strings.Contains(got, c.says) {
					t.Errorf("the model reads %q, want something of %q", got, c.says)
				}
			})
		})
	}
}

// A run that is cut off leaves nothing: the bubble fails if a goroutine stays.
func TestCancelled(t *testing.T) {
	stop := errors.New("stop")
	for name, script := range map[string]func(llmtest.Request) llmtest.Reply{
		"before the first piece": llmtest.Sequence(llmtest.Reply{Delay: time.Hour}),
		"while it streams":       llmtest.Sequence(llmtest.Reply{Pieces: strings.SplitAfter(strings.Repeat("word ", 100), " "), Every: 20 * time.Millisecond}),
		"while it hangs":         llmtest.Sequence(llmtest.Reply{Pieces: []string{"word"}, Hang: true}),
		"while tools run":        llmtest.Sequence(llmtest.Use(napCall("a", 1e6), napCall("b", 1e6))),
		"before a retry":         llmtest.Sequence(llmtest.Reply{Status: 429, RetryAfter: 4 * time.Second}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, m := model(t, script)
				ctx, cancel := context.WithCancelCause(t.Context())
				began := time.Now()
				time.AfterFunc(time.Second, func() { cancel(stop) })
				h := listen(ctx, &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, m)}, question("nap"), tools.NewSet(nap(nil)))
				if !errors.Is(h.err, context.Canceled) || time.Since(began) != time.Second || len(h.results) > 0 {
					t.Errorf("%v after %v, results %v", h.err, time.Since(began), h.results)
				}
			})
		})
	}
}

func TestConsumerStops(t *testing.T) {
	script := llmtest.Sequence(
		llmtest.Reply{Reasoning: []string{"hm ", "so "}, Pieces: []string{"one ", "two "}, Every: time.Second, Calls: []llmtest.Call{napCall("a", 10), napCall("b", 1e6)}},
		llmtest.Text("never"))
	for n := 1; n <= 6; n++ {
		t.Run(fmt.Sprint("after step ", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, m := model(t, script)
				taken := 0
				for _, err := range (&llm.Agent{Model: m}).Run(t.Context(), question("nap"), tools.NewSet(nap(nil))) {
					if err != nil {
						t.Fatal(err)
					}
					if taken++; taken == n {
						break
					}
				}
				if taken != n || srv.Count() != 1 {
					t.Errorf("%d steps, %d requests", taken, srv.Count())
				}
			})
		})
	}
}

// Calls that wait for a free slot when the run is cut off are not made: their
// results would be lost, and what they change would not.
func TestCallsThatWaitAreNotMadeOnceCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m := model(t, llmtest.Sequence(llmtest.Use(napCall("a", 1e6), napCall("b", 1e6), napCall("c", 1e6))))
		var made atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		h := listen(ctx, &llm.Agent{Model: m, Parallel: 1}, question("nap"), tools.NewSet(nap(func(args) { made.Add(1) })))
		if made.Load() != 1 {
			t.Errorf("%d calls were made, want 1; %v", made.Load(), h.err)
		}
	})
}

func TestUsageIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, m := model(t, llmtest.Sequence(llmtest.Use(napCall("a", 0)), llmtest.Text("one two three")))
		h := listen(t.Context(), &llm.Agent{Model: m}, question("?"), tools.NewSet(nap(nil)))
		in := 0
		for _, r := range srv.Requests() {
			in += len(r.Body) / 4
		}
		if h.usage.Input != in || h.usage.Output != 4 || h.usage.Total != in+4 {
			t.Errorf("usage %+v, want %d in and 4 out", h.usage, in)
		}
		if h.finish != llm.FinishStop {
			t.Errorf("finish %q", h.finish)
		}
	})
}

// Some servers number the calls of each turn anew.
func TestRepeatedCallIDsBecomeUnique(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, m := model(t, llmtest.Sequence(
			llmtest.Use(napCall("call_0", 0), napCall("call_0", 0)), llmtest.Use(napCall("call_0", 0)), llmtest.Text("done")))
		h := listen(t.Context(), &llm.Agent{Model: m}, question("?"), tools.NewSet(nap(nil)))
		seen := map[string]bool{}
		for _, turn := range h.turns {
			for _, c := range turn.ToolCalls {
				if c.ID == "" || seen[c.ID] {
					t.Errorf("call id %q again", c.ID)
				}
				seen[c.ID] = true
			}
		}
		if len(seen) != 3 || len(h.results) != 3 || h.text != "done" || srv.Count() != 3 {
			t.Errorf("%d calls, %d results, %q, %v", len(seen), len(h.results), h.text, h.err)
		}
	})
}

func TestRunChangesNothingOfTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m := model(t, llmtest.Sequence(llmtest.Use(napCall("a", 0)), llmtest.Text("done")))
		msgs := make([]llm.Message, 1, 10)
		msgs[0] = question("?")[0]
		listen(t.Context(), &llm.Agent{Model: m}, msgs, tools.NewSet(nap(nil)))
		if d := cmp.Diff(make([]llm.Message, 9), msgs[1:10]); d != "" {
			t.Errorf("written behind the caller's messages:\n%s", d)
		}
	})
}

func TestDescribe(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		code, says string
	}{
		"rate limited": {&llm.Error{Kind: llm.RateLimited, Message: "slow down"}, "model_rate_limited", "Try again in a little while. It said: slow down"},
		"quota":        {&llm.Error{Kind: llm.Quota}, "model_quota", "used up"},
		"too long":     {&llm.Error{Kind: llm.TooLong}, "model_context_too_long", "Begin a new one"},
		"auth":         {&llm.Error{Kind: llm.Auth}, "model_auth", "PARLEY_MODEL_KEY"},
		"not found":    {&llm.Error{Kind: llm.NotFound}, "model_not_found", "PARLEY_MODEL_URL"},
		"bad request":  {&llm.Error{Kind: llm.BadRequest}, "model_bad_request", "did not understand"},
		"refused":      {&llm.Error{Kind: llm.Refused}, "model_refused", "Ask differently"},
		"timeout":      {fmt.Errorf("run: %w", &llm.Error{Kind: llm.Timeout}), "model_timeout", "in time"},
		"truncated":    {&llm.Error{Kind: llm.Truncated, Message: "the stream ended"}, "model_truncated", "What came is kept"},
		"malformed":    {&llm.Error{Kind: llm.Malformed}, "model_malformed", "not an answer"},
		"unavailable":  {&llm.Error{Kind: llm.Unavailable, Err: http.ErrServerClosed}, "model_unavailable", "cannot be reached"},
		"turns":        {fmt.Errorf("run: %w", llm.ErrTurns), "too_many_turns", "more narrowly"},
		"anything":     {errors.New("pq: password authentication failed"), "internal", "Try again"},
	} {
		t.Run(name, func(t *testing.T) {
			f := llm.Describe(c.err)
			if f.Code != c.code || !strings.Contains(f.Message, c.says) || strings.Contains(f.Message, "password") {
				t.Errorf("%+v", f)
			}
		})
	}
}
