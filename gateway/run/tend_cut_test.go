package run_test

import (
	"strings"
	"testing"
	"time"

	"parley/gateway/gatewaytest"
	"parley/gateway/run"
	"parley/llm"
	"parley/llm/llmtest"
)

// A title that a question ended, and one that was longer than a title may be,
// have cost something all the same.
func TestTendingThatWasEndedIsPaidForToo(t *testing.T) {
	for name, c := range map[string]struct {
		delay time.Duration
		long  bool
	}{
		"by the next question": {delay: 20 * time.Second},
		"since it is too long": {long: true},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keeper{counts: map[string]int{}, delay: c.delay}
			script := func(r llmtest.Request) llmtest.Reply {
				before := k.count("title")
				reply := k.reply(r)
				reply.Usage = &llm.Usage{Input: 900, Output: 100, Total: 1000}
				if c.long && k.count("title") > before {
					d := llmtest.Text(strings.Repeat("word ", 2000))
					d.Usage = reply.Usage
					return d
				}
				return reply
			}
			inWorld(t, priced(script), func(t *testing.T, w *world) {
				w.Run.Tending = run.Tending{Model: w.Agent.Model, Titles: true}
				a := w.Start()
				w.ended(w.say(a.Runner, "conv", "one").Run)
				gatewaytest.Eventually(t, 10*time.Second, "a title is asked for", func() bool { return k.count("title") == 1 })
				answers := int64(1000)
				if c.delay > 0 {
					w.ended(w.say(a.Runner, "conv", "two").Run)
					answers += 1000
				}
				gatewaytest.Eventually(t, 60*time.Second, "the lease is given back", func() bool { return !a.Queue.Holds("conv") })
				if n := k.count("title"); n != 1 {
					t.Fatalf("asked for a title %d times", n)
				}
				if got := w.daySpent("owner").Tokens; got <= answers {
					t.Errorf("the day has %d tokens, of which answers are %d", got, answers)
				}
			})
		})
	}
}
