package run_test

import (
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/llm"
	"parley/llm/llmtest"
)

// A title costs its owner something, once, and is left out when the day's
// budget is used up.
func TestTendingIsPaidForAndLeftOutWhenNothingIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		limit int64 // of a person's day, in tokens
		asked int   // for titles
		spent llm.Amount
	}{
		"enough is left":  {100_000, 1, llm.Amount{Tokens: 2000, Micros: 200_000}},
		"no budget":       {0, 1, llm.Amount{Tokens: 2000, Micros: 200_000}},
		"nothing is left": {1000, 0, llm.Amount{Tokens: 1000, Micros: 100_000}},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keeper{counts: map[string]int{}}
			script := func(r llmtest.Request) llmtest.Reply {
				reply := k.reply(r)
				reply.Usage = &llm.Usage{Input: 900, Output: 100, Total: 1000}
				return reply
			}
			inWorld(t, priced(script), func(t *testing.T, w *world) {
				w.Run.Tending = run.Tending{Model: w.Agent.Model, Titles: true}
				w.Run.Budgets.Person = llm.Amount{Tokens: c.limit}
				a := w.Start()
				if rec := w.ended(w.say(a.Runner, "conv", "one").Run); rec.Status != chat.RunDone {
					t.Fatalf("%+v", rec)
				}
				gatewaytest.Eventually(t, 10*time.Second, "the lease is given back", func() bool { return !a.Queue.Holds("conv") })
				if got := k.count("title"); got != c.asked {
					t.Errorf("asked for a title %d times, want %d", got, c.asked)
				}
				if got := w.daySpent("owner"); got != c.spent {
					t.Errorf("the day has %+v, want %+v", got, c.spent)
				}
				if sum, err := w.db.ConversationSpent(t.Context(), "conv"); err != nil || sum != c.spent {
					t.Errorf("the conversation has %+v, %v, want %+v", sum, err, c.spent)
				}
			})
		})
	}
}
