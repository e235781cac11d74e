package run_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
	"parley/tools"
)

// warehouse is 200 tools, of which one is about parrots and one about invoices.
func warehouse() (box toolbox, byName map[string]*machine) {
	byName = map[string]*machine{}
	for i := range 198 {
		m := newMachine(fmt.Sprintf("get_shelf_%03d", i), tools.Safe, time.Millisecond)
		byName[m.name] = m
	}
	byName["feed_parrot"] = newMachine("feed_parrot", tools.Unsafe, 2*time.Second)
	byName["send_invoice"] = newMachine("send_invoice", tools.Unsafe, time.Millisecond)
	for _, m := range byName {
		box = append(box, m)
	}
	return box, byName
}

// A clerk is a model that notes what it was offered and does as told.
type clerk struct {
	mu      sync.Mutex
	offered [][]string
}

func (c *clerk) answer(script func(turn int, r llmtest.Request) llmtest.Reply) func(llmtest.Request) llmtest.Reply {
	return func(r llmtest.Request) llmtest.Reply {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.offered = append(c.offered, r.Tools)
		results := 0
		for _, m := range r.Messages[lastQuestion(r):] {
			if m.Role == "tool" {
				results++
			}
		}
		return script(results, r)
	}
}

func lastQuestion(r llmtest.Request) int {
	for i, m := range slices.Backward(r.Messages) {
		if m.Role == "user" {
			return i
		}
	}
	return 0
}

func (c *clerk) seen() [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.offered)
}

func findFirst(turn int, r llmtest.Request) llmtest.Reply {
	switch turn {
	case 0:
		return llmtest.Use(llmtest.Call{ID: "call_1", Name: "find_tools", Arguments: `{"query":"feeding the parrot"}`})
	case 1:
		return llmtest.Use(llmtest.Call{ID: "call_2", Name: "feed_parrot", Arguments: `{}`})
	}
	return llmtest.Text(r.Last().Content)
}

// Of many tools a model is offered the best and one that finds the others;
// what it was offered in one turn begins what it is offered in the next.
func TestAModelFindsTheToolsThatItWasNotOffered(t *testing.T) {
	var c clerk
	inWorld(t, with(c.answer(findFirst)), func(t *testing.T, w *world) {
		w.Tools, _ = warehouse()
		a := w.Start()
		w.ended(w.say(a.Runner, "conv", "send the invoice please").Run)
		if got := w.stored("conv"); !strings.Contains(got, "feed_parrot done") {
			t.Fatalf("stored\n%s", got)
		}
		seen := c.seen()
		if len(seen) != 3 {
			t.Fatalf("the model was asked %d times", len(seen))
		}
		first := seen[0]
		if !slices.Contains(first, "send_invoice") || !slices.Contains(first, "find_tools") || slices.Contains(first, "feed_parrot") || len(first) > 40 {
			t.Errorf("at first it was offered %v", first)
		}
		if !slices.Contains(seen[1], "feed_parrot") {
			t.Errorf("after it was found, it was offered %v", seen[1])
		}
		for i := 1; i < len(seen); i++ {
			if !slices.Equal(seen[i-1], seen[i][:min(len(seen[i]), len(seen[i-1]))]) {
				t.Errorf("turn %d does not begin with what turn %d was offered:\n%v\n%v", i, i-1, seen[i-1], seen[i])
			}
		}
		w.ended(w.say(a.Runner, "conv", "and again").Run)
		if again := c.seen()[3]; !slices.Contains(again, "feed_parrot") {
			t.Errorf("what the conversation used before is not offered again: %v", again)
		}
	})
}

// A tool that was not offered is called all the same: models remember names.
func TestAToolThatWasNotOfferedIsCalled(t *testing.T) {
	var c clerk
	inWorld(t, with(c.answer(func(turn int, r llmtest.Request) llmtest.Reply {
		if turn == 0 {
			return llmtest.Use(llmtest.Call{ID: "call_1", Name: "feed_parrot", Arguments: `{}`})
		}
		return llmtest.Text(r.Last().Content)
	})), func(t *testing.T, w *world) {
		w.Tools, _ = warehouse()
		w.ended(w.say(w.Start().Runner, "conv", "send the invoice").Run)
		if got := w.stored("conv"); !strings.Contains(got, "feed_parrot done") || slices.Contains(c.seen()[0], "feed_parrot") {
			t.Errorf("offered %v, stored\n%s", c.seen()[0], got)
		}
	})
}

// Whoever takes up a run offers what its dead writer would have offered.
func TestATakeoverOffersTheSameTools(t *testing.T) {
	run := func(kill bool) [][]string {
		var c clerk
		inWorld(t, with(c.answer(findFirst)), func(t *testing.T, w *world) {
			box, byName := warehouse()
			w.Tools = box
			a := w.Start()
			q := w.say(a.Runner, "conv", "send the invoice please")
			if kill {
				gatewaytest.Eventually(t, 5*time.Second, "the parrot is fed", func() bool { n, _ := byName["feed_parrot"].starts(); return n == 1 })
				w.Start()
				synctest.Wait()
				a.Kill()
			}
			if rec := w.ended(q.Run); rec.Status != chat.RunDone || kill && rec.Try != 2 {
				t.Errorf("%+v", rec)
			}
		})
		return c.seen()
	}
	whole, taken := run(false), run(true)
	if len(whole) != 3 || len(taken) != 3 || !slices.EqualFunc(whole, taken, slices.Equal) {
		t.Errorf("without a takeover the model was offered\n%v\nand with one\n%v", whole, taken)
	}
}

// Few tools are all offered, and nothing is to be found.
func TestFewToolsAreAllOffered(t *testing.T) {
	var c clerk
	inWorld(t, with(c.answer(func(_ int, r llmtest.Request) llmtest.Reply { return llmtest.Text("ok") })), func(t *testing.T, w *world) {
		box, _ := warehouse()
		w.Tools = box[:40]
		w.ended(w.say(w.Start().Runner, "conv", "hello").Run)
		if got := c.seen()[0]; len(got) != 40 || slices.Contains(got, "find_tools") {
			t.Errorf("offered %v", got)
		}
	})
}
