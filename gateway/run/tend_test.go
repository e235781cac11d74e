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
	"parley/gateway/run"
	"parley/llm"
	"parley/llm/llmtest"
)

// A keeper is a model that answers, gives titles, suggests and summarises, and
// counts what it was asked.
type keeper struct {
	mu     sync.Mutex
	counts map[string]int
	delay  time.Duration // before what is not an answer
	long   int           // bytes of each answer
}

func (c *keeper) reply(r llmtest.Request) llmtest.Reply {
	what, text := "answer", "Because. "+strings.Repeat("word ", c.long/5)
	switch {
	case strings.Contains(string(r.Body), "name conversations"):
		what, text = "title", "\"Why bread rises.\"\n"
	case strings.Contains(string(r.Body), "could ask next"):
		what, text = "suggestions", "1. And wine?\n- And cake?\n\n3) And beer?\nAnd more?"
	case strings.Contains(string(r.Body), "keep the record"):
		what, text = "summary", "They spoke of bread."
	}
	c.mu.Lock()
	c.counts[what]++
	c.mu.Unlock()
	reply := llmtest.Text(text)
	if what != "answer" {
		reply.Delay = c.delay
	}
	return reply
}

func (c *keeper) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

// tended is a world whose conversations are tended.
func tended(t *testing.T, c *keeper, window int, test func(t *testing.T, w *world)) {
	c.counts = map[string]int{}
	inWorld(t, with(c.reply), func(t *testing.T, w *world) {
		g := llm.NewGauge(window)
		w.Agent.Model = llm.Fitted(w.Agent.Model, g)
		w.Run.Tending = run.Tending{Model: w.Agent.Model, Titles: true, Suggestions: true, Answers: g}
		test(t, w)
	})
}

func (w *world) title(conv string) string {
	w.t.Helper()
	c, err := w.db.Conversation(w.t.Context(), conv)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Title
}

func TestAFirstAnswerGivesTheConversationItsTitle(t *testing.T) {
	c := &keeper{}
	tended(t, c, 32_000, func(t *testing.T, w *world) {
		r := w.Start()
		v := w.watch(r.Hub)
		q := w.say(r.Runner, "conv", "why does bread rise?")
		w.ended(q.Run)
		gatewaytest.Eventually(t, 10*time.Second, "the title is shown", func() bool { return v.final().Title == "Why bread rises" })
		gatewaytest.Eventually(t, 10*time.Second, "suggestions are shown", func() bool {
			return slices.Equal(v.final().Suggestions, []string{"And wine?", "And cake?", "And beer?"})
		})
		if got := w.title("conv"); got != "Why bread rises" {
			t.Errorf("stored is %q", got)
		}
		w.ended(w.say(r.Runner, "conv", "and wine?").Run)
		gatewaytest.Eventually(t, 10*time.Second, "new suggestions", func() bool { return c.count("suggestions") == 2 })
		if n := c.count("title"); n != 1 {
			t.Errorf("a title was asked for %d times", n)
		}
		w.sees(v, "conv")
	})
}

func TestWhatAPersonNamedKeepsItsName(t *testing.T) {
	c := &keeper{delay: 5 * time.Second}
	tended(t, c, 32_000, func(t *testing.T, w *world) {
		r := w.Start()
		v := w.watch(r.Hub)
		w.ended(w.say(r.Runner, "conv", "why does bread rise?").Run)
		gatewaytest.Eventually(t, 10*time.Second, "a title is asked for", func() bool { return c.count("title") == 1 })
		if err := w.db.RenameConversation(t.Context(), "conv", "Baking"); err != nil {
			t.Fatal(err)
		}
		gatewaytest.Eventually(t, 20*time.Second, "the name is shown", func() bool { return v.final().Title == "Baking" })
		if got := w.title("conv"); got != "Baking" {
			t.Errorf("stored is %q", got)
		}
	})
}

// soon fails if a question is not answered at once.
func (w *world) soon(r *run.Runner, owner, conv, text string) {
	w.t.Helper()
	q := ask(conv, text)
	q.Owner = owner
	from := time.Now()
	q, err := r.Say(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.ended(q.Run); time.Since(from) > 2*time.Second {
		w.t.Errorf("the answer to %s took %v", text, time.Since(from))
	}
}

func TestNobodyWaitsForATitle(t *testing.T) {
	limits := map[string]run.Options{
		"of the replica's slots": {Answers: 1, PerPerson: -1},
		"of a person's seats":    {PerPerson: 1},
		"of both":                {Answers: 1, PerPerson: 1},
	}
	for name, o := range limits {
		t.Run(name, func(t *testing.T) {
			c := &keeper{delay: 24 * time.Hour}
			tended(t, c, 32_000, func(t *testing.T, w *world) {
				o.Tending = w.Run.Tending
				o.Tending.Time = 24 * time.Hour
				w.Run = o
				r := w.Start()
				for i := range 3 {
					w.soon(r.Runner, "owner", fmt.Sprint("conv", i), fmt.Sprint("question ", i))
					gatewaytest.Eventually(t, 10*time.Second, "a title is asked for", func() bool { return c.count("title") == i+1 })
				}
				w.soon(r.Runner, "other", "theirs", "somebody else's")
				for i := range 3 {
					w.soon(r.Runner, "owner", fmt.Sprint("conv", i), fmt.Sprint("once more ", i))
				}
				gatewaytest.Eventually(t, 10*time.Second, "no slot is held", func() bool { return r.Runner.Running() == 0 })
				from := time.Now()
				if r.Drain(); time.Since(from) > 2*time.Second {
					t.Errorf("the replica drained for %v", time.Since(from))
				}
			})
		})
	}
}

func TestWhatIsTendedIsBounded(t *testing.T) {
	c := &keeper{delay: 10 * time.Second}
	tended(t, c, 32_000, func(t *testing.T, w *world) {
		w.Run.Tending.AtOnce, w.Run.Tending.Suggestions = 1, false
		r := w.Start()
		w.soon(r.Runner, "owner", "conv1", "one")
		gatewaytest.Eventually(t, 5*time.Second, "a title is asked for", func() bool { return c.count("title") == 1 })
		w.soon(r.Runner, "owner", "conv2", "two")
		gatewaytest.Eventually(t, 5*time.Second, "the other is given back", func() bool { return !r.Queue.Holds("conv2") })
		if n := c.count("title"); n != 1 {
			t.Errorf("%d titles are asked for at once", n)
		}
		gatewaytest.Eventually(t, 30*time.Second, "the first has its title", func() bool { return w.title("conv1") == "Why bread rises" })
		if got := w.title("conv2"); got != "Two" {
			t.Errorf("the other is called %q", got)
		}
	})
}

// marks returns the summaries of a conversation's messages in the store.
func (w *world) marks(conv string) (marks []string) {
	w.t.Helper()
	ms, _, err := w.db.History(w.t.Context(), conv, "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range ms {
		if m.Metadata != nil && m.Metadata.Parley.Summary != nil {
			marks = append(marks, m.ID)
		}
	}
	return marks
}

func TestALongConversationIsSummarised(t *testing.T) {
	c := &keeper{long: 2000}
	tended(t, c, 6000, func(t *testing.T, w *world) {
		r := w.Start()
		v := w.watch(r.Hub)
		for i := range 14 {
			rec := w.ended(w.say(r.Runner, "conv", fmt.Sprint("question ", i)).Run)
			if rec.Status != chat.RunDone {
				t.Fatalf("question %d: %+v", i, rec.Failure)
			}
			synctest.Wait()
			time.Sleep(3 * time.Second) // of the bubble: for what is done afterwards
		}
		marks := w.marks("conv")
		if len(marks) == 0 || len(marks) != c.count("summary") || len(marks) > 5 {
			t.Errorf("%d summaries are stored, %d were asked for", len(marks), c.count("summary"))
		}
		s := w.sees(v, "conv")
		shown := 0
		for _, m := range s.Messages {
			if m.Metadata != nil && m.Metadata.Parley.Summary != nil {
				shown++
			}
		}
		if shown != len(marks) {
			t.Errorf("%d marks are shown of %d", shown, len(marks))
		}
	})
}

func TestAKillWhileAConversationIsTendedLosesNothing(t *testing.T) {
	for after := range 8 {
		c := &keeper{long: 8000, delay: 2 * time.Second}
		tended(t, c, 6000, func(t *testing.T, w *world) {
			a, b := w.Start(), w.Start()
			v := w.watch(b.Hub)
			for i := range 3 {
				w.ended(w.say(b.Runner, "conv", fmt.Sprint("question ", i)).Run)
			}
			holder, other := w.holder("conv", a, b), b
			if holder == b {
				other = a
			}
			time.Sleep(time.Duration(after) * 900 * time.Millisecond)
			holder.Kill()
			if holder == b {
				v = w.watch(other.Hub)
			}
			gatewaytest.Eventually(t, time.Minute, "it is summarised", func() bool { return len(w.marks("conv")) == 1 })
			gatewaytest.Eventually(t, time.Minute, "it is suggested", func() bool { return len(v.final().Suggestions) == 3 })
			rec := w.ended(w.say(other.Runner, "conv", "last").Run)
			if rec.Status != chat.RunDone {
				t.Fatalf("killed after %d: %+v", after, rec.Failure)
			}
			w.sees(v, "conv")
		})
	}
}
