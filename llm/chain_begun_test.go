package llm_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/price"
	"parley/llm/provider"
	"parley/tools"
)

// goingOn returns a model that goes on with what it has begun.
func goingOn(t testing.TB, name string, d llmtest.Dialect, script func(llmtest.Request) llmtest.Reply) (*llmtest.Server, llm.Model) {
	t.Helper()
	srv := llmtest.NewPipeServer(t, script)
	m, err := provider.Open(string(d), provider.Options{BaseURL: "http://" + name + d.Base(), Model: name, Client: srv.Client, Continues: true})
	if err != nil {
		t.Fatal(err)
	}
	return srv, m
}

// A stream of JSON that breaks off is one valid answer in the end, if it is
// held back. Where the provider holds it to the format it has broken off: what
// followed would be held to the whole of the format.
func TestABrokenAnswerInAFormatIsGoneOnWith(t *testing.T) {
	for d, whole := range map[llmtest.Dialect]bool{llmtest.OpenAI: false, llmtest.Anthropic: true} {
		t.Run(string(d), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, m := goingOn(t, "writer", d, llmtest.Sequence(
					llmtest.Reply{Pieces: []string{`{"ci`, `ty": `}, Cut: true}, llmtest.Reply{Pieces: []string{` "Bern"`, "}"}},
				))
				a := &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, m), Format: llm.NewFormat("place", json.RawMessage(citySchema), true)}
				h := listen(t.Context(), a, question("where?"), tools.NewSet())
				if !whole {
					var e *llm.Error
					if !errors.As(h.err, &e) || e.Kind != llm.Truncated || srv.Count() != 1 {
						t.Errorf("%v after %d requests", h.err, srv.Count())
					}
					return
				}
				if h.err != nil || h.text != `{"city": "Bern"}` || len(h.turns) != 1 || h.turns[0].Content != h.text {
					t.Errorf("%q, %v, %+v", h.text, h.err, h.turns)
				}
				if begun := srv.Requests()[1].Last(); begun.Role != "assistant" || begun.Content != `{"city":` {
					t.Errorf("asked to go on with %+v", begun)
				}
			})
		})
	}
}

// Whoever has begun an answer is asked first, though it is not the first
// choice; if it fails, the first choice begins anew, and all is paid for.
func TestWhoHasBegunIsAskedFirst(t *testing.T) {
	for name, c := range map[string]struct {
		second []llmtest.Reply
		text   string
		by     llm.StandIn
		asked  [2]int
	}{
		"it goes on": {
			[]llmtest.Reply{{Pieces: []string{" two ", "three"}}}, " two three", llm.StandIn{Model: "second"}, [2]int{0, 1},
		},
		"it breaks off twice": {
			[]llmtest.Reply{{Pieces: []string{" two "}, Cut: true}, {Pieces: []string{"three"}, Cut: true}, {Pieces: []string{" four"}}}, " two three four", llm.StandIn{Model: "second"}, [2]int{0, 3},
		},
		"it has nothing more to say": {
			[]llmtest.Reply{{Finish: "stop"}}, "", llm.StandIn{Model: "second"}, [2]int{0, 1},
		},
		"it refuses": {
			[]llmtest.Reply{llmtest.Fail(400, "", "no prefill"), llmtest.Text("all of it")}, "all of it", llm.StandIn{Model: "second", Anew: true}, [2]int{0, 2},
		},
		"it is no more": {
			[]llmtest.Reply{llmtest.Fail(404, "", "where?")},
			"mine",
			llm.StandIn{Model: "first", Missed: []llm.Missed{{Model: "second", Kind: llm.NotFound, Began: true}}, Anew: true},
			[2]int{1, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, first := goingOn(t, "first", llmtest.OpenAI, llmtest.Sequence(llmtest.Text("mine")))
				two, second := goingOn(t, "second", llmtest.OpenAI, llmtest.Sequence(c.second...))
				a := &llm.Agent{Model: llm.NewChain(llm.ChainOptions{}, first, second), Begun: &llm.Begun{Text: "one", By: "second"}}
				h := listen(t.Context(), a, question("count"), tools.NewSet())
				if h.err != nil || h.text != c.text {
					t.Errorf("said behind the beginning: %q, %v, want %q", h.text, h.err, c.text)
				}
				if h.standIn == nil || cmp.Diff(c.by, *h.standIn) != "" {
					t.Errorf("said by %+v, want %+v", h.standIn, c.by)
				}
				if got := [2]int{one.Count(), two.Count()}; got != c.asked {
					t.Errorf("asked %v times, want %v", got, c.asked)
				}
			})
		})
	}
}

// A purse has so many tokens, whatever they cost, and knows what it was asked.
type purse struct {
	left  int
	needs []int
}

var errSpent = errors.New("nothing is left")

func (p *purse) Take(_ context.Context, need int) (llm.Grant, error) {
	p.needs = append(p.needs, need)
	if p.left -= need; p.left < 0 {
		return llm.Grant{}, errSpent
	}
	return llm.Grant{Tokens: p.left + 1}, nil
}

// What stands behind a stream that broke off is asked for by itself: to go on,
// and to begin anew with another model. What was spent before is told once.
func TestAChainAsksForWhatItSpendsAgain(t *testing.T) {
	for name, c := range map[string]struct {
		left, first, second int // tokens; requests
		text                string
	}{
		"enough":                {10_000, 3, 1, "mine"},
		"enough for going on":   {250, 3, 0, "one two three"},
		"not enough even there": {120, 1, 0, "one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cut := func(s string) llmtest.Reply { return llmtest.Reply{Pieces: []string{s}, Cut: true} }
				one, first := goingOn(t, "first", llmtest.OpenAI, llmtest.Sequence(cut("one"), cut(" two"), cut(" three")))
				two, second := goingOn(t, "second", llmtest.OpenAI, llmtest.Sequence(llmtest.Text("mine")))
				p := &purse{left: c.left}
				prices, err := price.Default().Parse("first=1/1,second=1/1")
				if err != nil {
					t.Fatal(err)
				}
				a := &llm.Agent{Model: llm.NewChain(llm.ChainOptions{Prices: prices}, first, second), Purse: p, Restarts: 2}
				h := listen(t.Context(), a, question(strings.Repeat("why? ", 60)), tools.NewSet())
				if errors.Is(h.err, errSpent) != (two.Count() == 0) || one.Count() != c.first || two.Count() != c.second {
					t.Errorf("%v after %d and %d requests; asked for %v", h.err, one.Count(), two.Count(), p.needs)
				}
				if h.text != c.text {
					t.Errorf("said %q, want %q", h.text, c.text)
				}
				if c.second == 0 && h.usage.Input != c.first*p.needs[0] {
					t.Errorf("told of %+v for requests of %v", h.usage, p.needs)
				}
			})
		})
	}
}
