package run_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// continuing returns an agent whose model goes on with what it has begun.
func continuing(script func(llmtest.Request) llmtest.Reply) func(testing.TB) *llm.Agent {
	return func(t testing.TB) *llm.Agent {
		srv := llmtest.NewPipeServer(t, script)
		m, err := provider.OpenAI(provider.Options{BaseURL: srv.URL, Model: "scripted", Client: srv.Client, Continues: true})
		if err != nil {
			t.Fatal(err)
		}
		return &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, m)}
	}
}

// goesOn takes the beginning of an answer off a request.
func goesOn(r llmtest.Request) (llmtest.Request, string) {
	last := r.Last()
	if last.Role != "assistant" || len(last.Calls) > 0 {
		return r, ""
	}
	r.Messages = r.Messages[:len(r.Messages)-1]
	return r, last.Content
}

// behind returns what follows a beginning.
func behind(begun, text string) string {
	rest, ok := strings.CutPrefix(text, begun)
	if !ok {
		return "this does not follow"
	}
	return rest
}

// The replica that writes an answer dies at any word: its successor's model
// goes on behind it, and nobody sees a word go or come twice.
func TestAnAnswerIsGoneOnWith(t *testing.T) {
	for _, at := range []int{0, 1, 7, 30} {
		for name, echo := range map[string]bool{"behind the last word": false, "with all of it again": true} {
			t.Run(fmt.Sprintf("at word %d %s", at, name), func(t *testing.T) {
				script := func(r llmtest.Request) llmtest.Reply {
					r, begun := goesOn(r)
					full := words(r.Last().Content, 50)
					text := behind(begun, full)
					if echo && len(begun) >= 16 {
						text = begun + text
					}
					return llmtest.Reply{Pieces: strings.SplitAfter(text, " "), Every: 20 * time.Millisecond}
				}
				inWorld(t, continuing(script), func(t *testing.T, w *world) {
					a := w.desk()
					q := w.say(a.Runner, "conv", "one")
					gatewaytest.Eventually(t, 5*time.Second, "the first replica answers", func() bool { return a.Queue.Holds("conv") })
					b := w.Start()
					v := w.watchGrow(b.Hub)
					gatewaytest.Eventually(t, 5*time.Second, "that word is seen", func() bool { return strings.Contains(lines(v.final().Messages), fmt.Sprintf("one:%d ", at)) })
					a.stop() // dies
					if rec := w.ended(q.Run); rec.Status != chat.RunDone {
						t.Errorf("%+v", rec)
					}
					s := w.sees(v, "conv")
					if got, want := lines(s.Messages), "user: one\nassistant: "+words("one", 50); got != want {
						t.Errorf("shown %q, want %q", got, want)
					}
					if s.Run.Try != 2 {
						t.Errorf("attempt %d, want 2", s.Run.Try)
					}
				})
			})
		}
	}
}

// What cannot be gone on with is taken back, and asked for again.
func TestWhatIsNotGoneOnWith(t *testing.T) {
	full := strings.SplitAfter(words("one", 30), " ")
	for name, script := range map[string]func(begun string) llmtest.Reply{
		"the server refuses": func(begun string) llmtest.Reply {
			if begun != "" {
				return llmtest.Fail(400, "", "no prefill")
			}
			return llmtest.Reply{Pieces: full, Every: 20 * time.Millisecond}
		},
		"there were thoughts": func(begun string) llmtest.Reply {
			if begun != "" {
				t.Errorf("asked to go on with %q", begun)
			}
			return llmtest.Reply{Reasoning: []string{"hm"}, Pieces: full, Every: 20 * time.Millisecond}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, continuing(func(r llmtest.Request) llmtest.Reply { _, begun := goesOn(r); return script(begun) }), func(t *testing.T, w *world) {
				a := w.desk()
				q := w.say(a.Runner, "conv", "one")
				gatewaytest.Eventually(t, 5*time.Second, "the first replica answers", func() bool { return a.Queue.Holds("conv") })
				b := w.Start()
				v := w.watch(b.Hub)
				gatewaytest.Eventually(t, 5*time.Second, "a few words are seen", func() bool { return strings.Contains(lines(v.final().Messages), "one:5 ") })
				a.stop()
				if rec := w.ended(q.Run); rec.Status != chat.RunDone {
					t.Errorf("%+v", rec)
				}
				s := w.sees(v, "conv")
				if got := lines(s.Messages); strings.Count(got, "one:0 ") != 1 || !strings.HasSuffix(got, words("one", 30)) {
					t.Errorf("shown %q", got)
				}
			})
		})
	}
}

// A stream that breaks off behind words goes on with the same model, on the
// same replica.
func TestAStreamThatBreaksOffIsGoneOnWith(t *testing.T) {
	inWorld(t, continuing(func(r llmtest.Request) llmtest.Reply {
		r, begun := goesOn(r)
		pieces := strings.SplitAfter(behind(begun, words(r.Last().Content, 30)), " ")
		if begun == "" {
			return llmtest.Reply{Pieces: pieces[:10], Every: 20 * time.Millisecond, Cut: true}
		}
		return llmtest.Reply{Pieces: pieces, Every: 20 * time.Millisecond}
	}), func(t *testing.T, w *world) {
		a := w.Start()
		v := w.watchGrow(a.Hub)
		q := w.say(a.Runner, "conv", "one")
		if rec := w.ended(q.Run); rec.Status != chat.RunDone || rec.Try != 1 {
			t.Errorf("%+v", rec)
		}
		s := w.sees(v, "conv")
		if got, want := lines(s.Messages), "user: one\nassistant: "+words("one", 30); got != want {
			t.Errorf("shown %q, want %q", got, want)
		}
	})
}
