package run_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/price"
	"parley/llm/provider"
	"parley/tools"
)

// tenCents is the price of the scripted model: ten cents for a thousand
// tokens, in or out.
const tenCents = "scripted=100/100"

// priced returns an agent whose model has a price.
func priced(script func(llmtest.Request) llmtest.Reply) func(testing.TB) *llm.Agent {
	return pricedAs(script, provider.Options{})
}

// pricedGoingOn is priced, and the model goes on with what it has begun.
func pricedGoingOn(script func(llmtest.Request) llmtest.Reply) func(testing.TB) *llm.Agent {
	return pricedAs(script, provider.Options{Continues: true})
}

func pricedAs(script func(llmtest.Request) llmtest.Reply, opts provider.Options) func(testing.TB) *llm.Agent {
	return func(t testing.TB) *llm.Agent {
		srv := llmtest.NewPipeServer(t, script)
		opts.BaseURL, opts.Model, opts.Client = srv.URL, "scripted", srv.Client
		m, err := provider.OpenAI(opts)
		if err != nil {
			t.Fatal(err)
		}
		prices, err := price.Default().Parse(tenCents)
		if err != nil {
			t.Fatal(err)
		}
		return &llm.Agent{Model: llm.NewChain(llm.ChainOptions{Prices: prices}, m)}
	}
}

// costing answers with usage.
func costing(input, output int, text string) func(llmtest.Request) llmtest.Reply {
	return func(llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: []string{text}, Usage: &llm.Usage{Input: input, Output: output, Total: input + output}}
	}
}

func (w *world) daySpent(person string) llm.Amount {
	w.t.Helper()
	a, err := w.db.DaySpent(w.t.Context(), chat.Day(time.Now()), person, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestARunSaysWhatItCost(t *testing.T) {
	inWorld(t, priced(costing(900, 100, "hi")), func(t *testing.T, w *world) {
		a := w.Start()
		v := w.watch(a.Hub)
		rec := w.ended(w.say(a.Runner, "conv", "one").Run)
		if rec.Usage == nil || rec.Usage.Cost != 100_000 || rec.Usage.Unpriced != 0 {
			t.Errorf("%+v", rec.Usage)
		}
		if got := w.daySpent("owner"); got != (llm.Amount{Tokens: 1000, Micros: 100_000}) {
			t.Errorf("the day has %+v", got)
		}
		s := w.sees(v, "conv")
		if u := s.Messages[len(s.Messages)-1].Metadata.Parley.Usage; u == nil || u.Cost != 100_000 {
			t.Errorf("shown: %+v", u)
		}
	})
}

func TestWhatNobodyCountedIsEstimated(t *testing.T) {
	inWorld(t, priced(slowly(40)), func(t *testing.T, w *world) {
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		w.holder("conv", a)
		time.Sleep(400 * time.Millisecond)
		if err := a.Runner.Cancel(t.Context(), "conv", q.Run); err != nil {
			t.Fatal(err)
		}
		rec := w.ended(q.Run)
		if rec.Status != chat.RunCancelled || rec.Usage == nil || rec.Usage.Estimated == 0 || rec.Usage.Estimated != rec.Usage.Total || rec.Usage.Cost == 0 {
			t.Errorf("%s: %+v", rec.Status, rec.Usage)
		}
	})
}

func TestARunEndsWithItsBudget(t *testing.T) {
	loop := func(r llmtest.Request) llmtest.Reply {
		u := &llm.Usage{Input: 2000, Output: 100, Total: 2100}
		if r.ToolChoice == "none" {
			return llmtest.Reply{Pieces: []string{"That is all."}, Usage: u}
		}
		return llmtest.Reply{Pieces: []string{"Hm. "}, Calls: []llmtest.Call{{Name: "lamp"}}, Usage: u}
	}
	for name, c := range map[string]struct {
		budget llm.Amount
		status chat.RunStatus
		code   string
		finish llm.Finish
		last   string
	}{
		"it answers without tools while it can": {llm.Amount{Tokens: 10_000}, chat.RunDone, "", llm.FinishBudget, "That is all."},
		"of money too":                          {llm.Amount{Micros: 1_000_000}, chat.RunDone, "", llm.FinishBudget, "That is all."},
		"or ends, and keeps what it said":       {llm.Amount{Tokens: 2_100}, chat.RunFailed, "budget_run", "", "Hm. "},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, priced(loop), func(t *testing.T, w *world) {
				w.Run.Budgets.Run = c.budget
				w.Tools = toolbox{newMachine("lamp", tools.Safe, 0)}
				a := w.Start()
				v := w.watch(a.Hub)
				rec := w.ended(w.say(a.Runner, "conv", "one").Run)
				code := ""
				if rec.Failure != nil {
					code = rec.Failure.Code
				}
				if rec.Status != c.status || code != c.code {
					t.Fatalf("%s %+v after %+v", rec.Status, rec.Failure, rec.Usage)
				}
				s := w.sees(v, "conv")
				var said llm.Message
				for _, m := range s.Messages {
					if m.Role == llm.Assistant {
						said = m
					}
				}
				if d := said.Metadata.Parley; said.Content != c.last || d.Finish != c.finish || d.Status != string(c.status) {
					t.Errorf("seen: %q %+v", said.Content, d)
				}
				if spent := rec.Usage.Spent(); c.budget.Tokens > 0 && spent.Tokens > c.budget.Tokens || c.budget.Micros > 0 && spent.Micros > c.budget.Micros {
					t.Errorf("spent %+v", spent)
				}
			})
		})
	}
}

// What has not its format is said once more, and that must be paid for too.
func TestAnAnswerIsMendedWithinItsBudget(t *testing.T) {
	for name, c := range map[string]struct {
		budget int64
		asked  int32
		code   string
	}{
		"which has enough":        {3000, 2, "format"},
		"which has no more of it": {1050, 1, "budget_run"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			script := func(r llmtest.Request) llmtest.Reply {
				asked.Add(1)
				return costing(900, 100, `{"town":"Bern"}`)(r)
			}
			inWorld(t, priced(script), func(t *testing.T, w *world) {
				w.Run.Budgets.Run = llm.Amount{Tokens: c.budget}
				a := w.Start()
				q := ask("conv", "one")
				q.Format = llm.NewFormat("place", json.RawMessage(`{"type":"object","required":["city"]}`), false)
				if _, err := a.Runner.Say(t.Context(), q); err != nil {
					t.Fatal(err)
				}
				rec := w.ended(q.Run)
				if rec.Failure == nil || rec.Failure.Code != c.code || asked.Load() != c.asked {
					t.Errorf("%s %+v after %d requests", rec.Status, rec.Failure, asked.Load())
				}
				if rec.Usage == nil || rec.Usage.Tokens() != 1000*int(c.asked) {
					t.Errorf("spent %+v", rec.Usage)
				}
			})
		})
	}
}

// Nor is an answer that was cut gone on with for nothing: by the same replica,
// or by the one that takes over.
func TestACutAnswerIsGoneOnWithWithinItsBudget(t *testing.T) {
	const half = 400 // words
	for name, c := range map[string]struct {
		budget int64
		dies   bool // the replica, and not the stream
		asked  int32
		code   string
	}{
		"a stream breaks off":                   {10_000, false, 2, ""},
		"a stream breaks off, nothing is left":  {1_100, false, 1, "budget_run"},
		"its replica dies":                      {10_000, true, 2, ""},
		"its replica dies, and nothing is left": {1_100, true, 1, "budget_run"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			script := func(r llmtest.Request) llmtest.Reply {
				asked.Add(1)
				_, begun := goesOn(r)
				if begun != "" {
					return llmtest.Text(behind(begun, words("one", 2*half)))
				}
				return llmtest.Reply{Pieces: strings.SplitAfter(words("one", half), " "), Every: 5 * time.Millisecond, Cut: !c.dies, Hang: c.dies}
			}
			inWorld(t, pricedGoingOn(script), func(t *testing.T, w *world) {
				w.Run.Budgets.Run = llm.Amount{Tokens: c.budget}
				a := w.Start()
				q := w.say(a.Runner, "conv", "one")
				w.holder("conv", a)
				b := w.Start()
				v := w.watchGrow(b.Hub)
				if c.dies {
					gatewaytest.Eventually(t, 10*time.Second, "the half is seen", func() bool { return strings.Contains(lines(v.final().Messages), fmt.Sprint("one:", half-1)) })
					a.Kill()
				}
				rec := w.ended(q.Run)
				code := ""
				if rec.Failure != nil {
					code = rec.Failure.Code
				}
				if code != c.code || asked.Load() != c.asked {
					t.Errorf("%s %+v after %d requests and %+v", rec.Status, rec.Failure, asked.Load(), rec.Usage)
				}
				want := strings.TrimSpace(words("one", half))
				if c.code == "" {
					want = strings.TrimSpace(words("one", 2*half))
				}
				if got := strings.TrimSpace(lines(w.sees(v, "conv").Messages)); got != "user: one\nassistant: "+want {
					t.Errorf("seen are %d bytes, want %d", len(got), len(want))
				}
			})
		})
	}
}

// longest is how long an answer may be, as it was asked.
func longest(r llmtest.Request) int {
	var body struct {
		MaxTokens int `json:"max_tokens"`
	}
	_ = json.Unmarshal(r.Body, &body)
	return body.MaxTokens
}

func TestAnAnswerIsNotLongerThanItsBudget(t *testing.T) {
	var asked int
	var mu sync.Mutex
	script := func(r llmtest.Request) llmtest.Reply {
		mu.Lock()
		defer mu.Unlock()
		asked = longest(r)
		return llmtest.Reply{Pieces: []string{"one two"}, Finish: "length", Usage: &llm.Usage{Input: 5, Output: asked, Total: 5 + asked}}
	}
	inWorld(t, priced(script), func(t *testing.T, w *world) {
		w.Run.Budgets.Run = llm.Amount{Tokens: 500}
		a := w.Start()
		rec := w.ended(w.say(a.Runner, "conv", "one").Run)
		mu.Lock()
		defer mu.Unlock()
		if asked <= 0 || asked >= 500 {
			t.Errorf("the model may write %d tokens", asked)
		}
		if rec.Failure == nil || rec.Failure.Code != "budget_run" || !strings.Contains(rec.Failure.Message, "cut short") {
			t.Errorf("%+v", rec.Failure)
		}
		if w.stored("conv") != "user: one\nassistant: one two" {
			t.Errorf("stored is %s", w.stored("conv"))
		}
	})
}

func TestAConversationHasABudget(t *testing.T) {
	inWorld(t, priced(costing(900, 100, "hi")), func(t *testing.T, w *world) {
		w.Run.Budgets.Conversation = llm.Amount{Tokens: 2_500}
		a := w.Start()
		for _, text := range []string{"one", "two"} {
			if rec := w.ended(w.say(a.Runner, "conv", text).Run); rec.Status != chat.RunDone {
				t.Fatalf("%s: %+v", text, rec.Failure)
			}
		}
		w.ended(w.say(a.Runner, "conv", "three").Run)
		rec := w.ended(w.say(a.Runner, "conv", "four").Run)
		if rec.Failure == nil || rec.Failure.Code != "budget_conversation" || rec.Usage != nil {
			t.Errorf("%s: %+v, %+v", rec.Status, rec.Failure, rec.Usage)
		}
		if rec := w.ended(w.say(a.Runner, "other", "five").Run); rec.Status != chat.RunDone {
			t.Errorf("another conversation: %+v", rec.Failure)
		}
	})
}

// One person asks in many conversations, and several replicas answer at once.
func TestAPersonsDayIsNotOverspentByManyReplicas(t *testing.T) {
	const each = 1000
	inWorld(t, priced(costing(each-100, 100, "hi")), func(t *testing.T, w *world) {
		w.Run.Budgets.Person = llm.Amount{Tokens: 10 * each}
		w.Run.PerPerson = -1
		var rs []*gatewaytest.Replica
		for range 3 {
			rs = append(rs, w.Start())
		}
		var runs []string
		for i := range 40 {
			runs = append(runs, w.say(rs[i%3].Runner, fmt.Sprint("conv", i), fmt.Sprint(i)).Run)
		}
		done := 0
		for _, r := range runs {
			switch rec := w.ended(r); {
			case rec.Status == chat.RunDone:
				done++
			case rec.Failure == nil || rec.Failure.Code != "budget_person" || !strings.Contains(rec.Failure.Message, "00:00 UTC"):
				t.Errorf("%+v", rec.Failure)
			}
		}
		if got := w.daySpent("owner"); got.Tokens > 10*each || got.Tokens != int64(done*each) {
			t.Errorf("%d answers have spent %+v", done, got)
		}
		for int64(done) < 8 { // what was held for others is free again
			rec := w.ended(w.say(rs[0].Runner, fmt.Sprint("late", done), "late").Run)
			if rec.Status != chat.RunDone {
				t.Fatalf("after %d answers: %+v", done, rec.Failure)
			}
			done++
		}
	})
}

func TestWhoHasSpentTheirDayIsToldSoBeforeAnythingIsTaken(t *testing.T) {
	inWorld(t, priced(costing(900, 200, "hi")), func(t *testing.T, w *world) {
		w.Run.Budgets.Person = llm.Amount{Tokens: 1100}
		a := w.Start()
		q := w.say(a.Runner, "conv", "one")
		w.ended(q.Run)
		check := func(when string) {
			t.Helper()
			var spent *run.BudgetError
			if err := a.Runner.Affords(t.Context(), "owner", "conv", "client-two"); !errors.As(err, &spent) || spent.Scope != run.ScopePerson || !spent.Until.Equal(time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s: %v", when, err)
			}
		}
		check("at once")
		if err := a.Runner.Affords(t.Context(), "owner", "conv", "client-one"); err != nil {
			t.Errorf("what was taken before, said again: %v", err)
		}
		if err := a.Runner.Affords(t.Context(), "somebody", "other", "client-two"); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		w.Redis.Wipe()
		check("when Redis has forgotten everything")
	})
}

// A replica dies in the second turn. What the first has cost counts once, what
// was said of the second by about what it must have cost, and nothing stays
// held.
func TestWhatADeadReplicaSpentCountsOnce(t *testing.T) {
	script := func(r llmtest.Request) llmtest.Reply {
		if r.Last().Role != "tool" {
			return llmtest.Reply{Pieces: []string{"Hm. "}, Calls: []llmtest.Call{{Name: "lamp"}}, Usage: &llm.Usage{Input: 900, Output: 100, Total: 1000}}
		}
		return llmtest.Reply{Pieces: strings.SplitAfter(words("x", 50), " "), Every: 20 * time.Millisecond, Usage: &llm.Usage{Input: 1900, Output: 100, Total: 2000}}
	}
	inWorld(t, priced(script), func(t *testing.T, w *world) {
		w.Run.Budgets.Person = llm.Amount{Tokens: 1_000_000}
		w.Tools = toolbox{newMachine("lamp", tools.Safe, 0)}
		a, b := w.Start(), w.Start()
		q := w.say(a.Runner, "conv", "one")
		h := w.holder("conv", a, b)
		time.Sleep(500 * time.Millisecond)
		if rec, err := w.db.RunRecord(t.Context(), q.Run); err != nil || rec.Usage == nil || rec.Usage.Total != 1000 {
			t.Fatalf("in the second turn the store knows of %+v, %v", rec.Usage, err)
		}
		h.Kill()
		rec := w.ended(q.Run)
		u := rec.Usage
		if u == nil || u.Estimated <= 0 || u.Estimated > 200 || u.Total != 3000+u.Estimated {
			t.Fatalf("%+v", u)
		}
		if got := w.daySpent("owner"); got.Tokens != int64(u.Total) || got.Micros != u.Cost {
			t.Errorf("the day has %+v, the run %+v", got, u)
		}
		time.Sleep(31 * time.Second) // the ledger has asked the store again
		left := a
		if h == a {
			left = b
		}
		w.Run.Budgets.Person = llm.Amount{}
		ledger := left.Ledger
		account := chat.Account{Day: chat.Day(time.Now()), Person: "owner", Limit: llm.Amount{Tokens: 10_000}}
		has, short, err := ledger.Take(t.Context(), "another", llm.Amount{}, llm.Amount{Tokens: 1}, []chat.Account{account})
		if err != nil || short >= 0 || has.Tokens != 10_000-int64(u.Total) {
			t.Errorf("left is %+v of 10000 after %d, %v", has, u.Total, err)
		}
	})
}
