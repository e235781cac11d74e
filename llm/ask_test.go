package llm_test

import (
	"context"
	"slices"
	"testing"

	"parley/llm"
	"parley/tools"
)

// askers are tools of which some need a person first.
type askers struct {
	ask map[string]bool // by call
}

func (a *askers) Specs() []tools.Spec { return nil }

func (a *askers) Call(_ context.Context, c tools.Call) tools.Result {
	if a.ask[c.ID] {
		return tools.Result{Ask: &tools.Ask{Reason: tools.AskInput, Message: "for " + c.ID}}
	}
	return tools.Result{Content: "done " + c.ID}
}

// A run ends with what its calls ask, behind the results of the others, and
// makes exactly those calls when it is run again.
func TestCallsThatAsk(t *testing.T) {
	msgs := []llm.Message{{ID: "q", Role: llm.User, Content: "go"}, {ID: "a", Role: llm.Assistant, ToolCalls: []llm.ToolCall{
		llm.NewToolCall("k1", "t", "{}"), llm.NewToolCall("k2", "t", "{}"), llm.NewToolCall("k3", "t", "{}"),
	}}}
	set := &askers{ask: map[string]bool{"k1": true, "k3": true}}
	a := &llm.Agent{Parallel: 1}
	run := func() (results, asked []string) {
		for step, err := range a.Run(t.Context(), msgs, set) {
			if err != nil {
				t.Fatal(err)
			}
			if step.Result != nil {
				msgs = append(msgs, *step.Result)
				results = append(results, step.Result.ToolCallID)
			}
			for _, asks := range step.Asks {
				asked = append(asked, asks.Call.ID+" "+asks.Ask.Message)
			}
		}
		return results, asked
	}
	results, asked := run()
	if !slices.Equal(results, []string{"k2"}) || !slices.Equal(asked, []string{"k1 for k1", "k3 for k3"}) {
		t.Errorf("first %q, asked %q", results, asked)
	}
	delete(set.ask, "k1")
	results, asked = run()
	if !slices.Equal(results, []string{"k1"}) || !slices.Equal(asked, []string{"k3 for k3"}) {
		t.Errorf("then %q, asked %q", results, asked)
	}
}
