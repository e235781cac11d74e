package run_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// chained returns an agent whose models, called first and second, answer after
// scripts of their own.
func chained(first, second func(llmtest.Request) llmtest.Reply) func(testing.TB) *llm.Agent {
	return func(t testing.TB) *llm.Agent {
		var models []llm.Model
		for i, script := range []func(llmtest.Request) llmtest.Reply{first, second} {
			srv := llmtest.NewPipeServer(t, script)
			m, err := provider.Anthropic(provider.Options{BaseURL: srv.URL, Model: []string{"first", "second"}[i], Client: srv.Client})
			if err != nil {
				t.Fatal(err)
			}
			models = append(models, m)
		}
		return &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, models...)}
	}
}

// dying begins an answer, with a thought before it, and breaks off.
func dying(llmtest.Request) llmtest.Reply {
	return llmtest.Reply{Reasoning: []string{"Hm, ", "so"}, Pieces: []string{"wrong ", "half ", "of ", "it "}, Every: 100 * time.Millisecond, Cut: true}
}

// The first model dies in the middle of its answer: people see that half taken
// back, and the second's whole answer.
func TestAnotherModelAnswers(t *testing.T) {
	inWorld(t, chained(dying, slowly(20)), func(t *testing.T, w *world) {
		a, b := w.Start(), w.Start()
		near, far := w.watch(a.Hub), w.watch(b.Hub)
		q := w.say(a.Runner, "conv", "one")
		gatewaytest.Eventually(t, 5*time.Second, "half of it is seen", func() bool { return strings.HasSuffix(lines(far.final().Messages), "wrong half ") })
		rec := w.ended(q.Run)
		for _, v := range []*watcher{near, far} {
			s := w.sees(v, "conv")
			if got, want := lines(s.Messages), "user: one\nassistant: "+words("one", 20); got != want {
				t.Errorf("shown %q, want %q", got, want)
			}
			d := s.Messages[len(s.Messages)-1].Metadata.Parley
			missed := []llm.Missed{{Model: "first", Kind: llm.Truncated, Began: true}}
			if diff := cmp.Diff(missed, d.Missed); diff != "" || d.Model != "second" {
				t.Errorf("answered by %s; %s", d.Model, diff)
			}
			if s.Run.Try != 1 {
				t.Errorf("another model counts as attempt %d", s.Run.Try)
			}
		}
		if rec.Status != chat.RunDone || rec.Model != "second" || rec.Usage == nil || rec.Usage.Output <= 20 {
			t.Errorf("the record is %+v, usage %+v; the half answer cost something too", rec, rec.Usage)
		}
	})
}

// A replica dies while the second model answers: its successor goes through
// the same, and nothing of any half is left.
func TestAnotherModelAndAnotherReplica(t *testing.T) {
	inWorld(t, chained(dying, slowly(100)), func(t *testing.T, w *world) {
		a := w.desk()
		q := w.say(a.Runner, "conv", "one")
		gatewaytest.Eventually(t, 5*time.Second, "the first replica answers", func() bool { return a.Queue.Holds("conv") })
		b := w.Start()
		v := w.watch(b.Hub)
		gatewaytest.Eventually(t, 10*time.Second, "the second model is heard", func() bool { return strings.Contains(lines(v.final().Messages), "one:10 ") })
		a.stop() // dies
		if rec := w.ended(q.Run); rec.Status != chat.RunDone {
			t.Errorf("%+v", rec)
		}
		s := w.sees(v, "conv")
		if s.Run.Try != 2 {
			t.Errorf("answered in attempt %d, want 2", s.Run.Try)
		}
		if got, want := lines(s.Messages), "user: one\nassistant: "+words("one", 100); got != want {
			t.Errorf("shown %q, want %q", got, want)
		}
	})
}

// Who did not answer is known also of a turn with tools, and of a run whose
// last turn the first model said again.
func TestWhoDidNotAnswerIsKeptThroughTools(t *testing.T) {
	asked := 0
	first := func(r llmtest.Request) llmtest.Reply {
		if asked++; asked == 1 {
			return dying(r)
		}
		return llmtest.Text("It is done")
	}
	m := newMachine("press", "safe", 10*time.Millisecond)
	inWorld(t, chained(first, use("press")), func(t *testing.T, w *world) {
		w.Tools = toolbox{m}
		a := w.Start()
		v := w.watch(a.Hub)
		w.ended(w.say(a.Runner, "conv", "one").Run)
		s := w.sees(v, "conv")
		end := s.Messages[len(s.Messages)-1]
		if end.Content != "It is done" || end.Metadata.Parley.Model != "first" || len(end.Metadata.Parley.Missed) != 1 {
			t.Errorf("%q, %+v", end.Content, end.Metadata.Parley)
		}
		i := slices.IndexFunc(s.Messages, func(m llm.Message) bool { return len(m.ToolCalls) > 0 })
		if d := s.Messages[i].Metadata.Parley; d.Model != "second" || len(d.Missed) != 1 {
			t.Errorf("the turn with the call is said by %q, %v", d.Model, d.Missed)
		}
		if n, _ := m.starts(); n != 1 {
			t.Errorf("the tool was called %d times", n)
		}
	})
}
