package llm_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// What one chain has found out about a model, all that it is picked for know.
func TestAModelThatRestsRestsForEveryChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, first := named(t, "first", llmtest.OpenAI, func(llmtest.Request) llmtest.Reply { return llmtest.Fail(503, "", "busy") })
		_, second := named(t, "second", llmtest.Anthropic, func(llmtest.Request) llmtest.Reply { return whole })
		all := llm.NewChain(llm.ChainOptions{}, first, second)
		if d := cmp.Diff([]string{"openai:first", "anthropic:second"}, all.Refs()); d != "" {
			t.Error(d)
		}
		turned, unknown := all.Pick("anthropic:second", "third", "openai:first")
		if turned.Name() != "second" || len(unknown) != 1 || unknown[0] != "third" {
			t.Fatalf("picked %s, unknown %v", turned.Name(), unknown)
		}
		straight, _ := all.Pick("first", "second")
		for range 5 {
			if h := listen(t.Context(), &llm.Agent{Model: straight}, question("?"), tools.NewSet()); h.err != nil || h.standIn.Model != "second" {
				t.Fatalf("%v, %+v", h.err, h.standIn)
			}
		}
		for what, c := range map[string]*llm.Chain{"the whole": all, "the one that asks it first": straight} {
			if s := c.Status()[0]; s.State != "resting" || s.Failed != 3 {
				t.Errorf("%s: %+v", what, s)
			}
		}
		if s := turned.Status()[1]; s.State != "resting" || dead.Count() != 3 {
			t.Errorf("the one that asks it last: %+v; %d requests", s, dead.Count())
		}
		if none, _ := all.Pick("third"); none != nil {
			t.Errorf("of no model a chain is made: %v", none)
		}
	})
}

// Two models of one name are told apart by where they are.
func TestModelsOfOneNameAreToldApart(t *testing.T) {
	var models []llm.Model
	for _, host := range []string{"here", "there"} {
		m, err := provider.Open("openai", provider.Options{BaseURL: "http://" + host + "/v1", Model: "same"})
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	c := llm.NewChain(llm.ChainOptions{}, models...)
	if d := cmp.Diff([]string{"openai:same@here", "openai:same@there"}, c.Refs()); d != "" {
		t.Error(d)
	}
	if picked, _ := c.Pick("openai:same@there"); picked.Status()[0].Provider != "openai at there" {
		t.Errorf("picked %+v", picked.Status())
	}
}
