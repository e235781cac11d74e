package provider_test

import (
	"encoding/json"
	"testing"

	"parley/llm"
	"parley/tools"
)

// FuzzDemoPlan asks any question of a tool with any schema: whatever is
// called has a JSON object of arguments in which nothing required is missing.
func FuzzDemoPlan(f *testing.F) {
	for _, s := range demoSpecs() {
		f.Add("What is the weather in Lisbon and in Oslo tomorrow?", s.Name, s.Description, string(s.Parameters))
	}
	for _, row := range demoTable {
		f.Add(row.question, "weather", "Weather, order, calendar, money, documents", `{"properties":{"a":{"type":"integer"},"query":{}},"required":["a","z"]}`)
	}
	f.Add("weather İstanbul \x00\xff “a", "weather", "", `{"type":"object","properties":{"x":{"$ref":"#/properties/x"},"y":{"allOf":[{"$ref":"#"}]}},"required":["x","y",3]}`)
	f.Add("weather 1 2 3 and 99999999999999999999999", "weather", "", `{"properties":{"weather":{"type":"array","items":{"type":"number"}}},"required":["weather"]}`)
	f.Add("weather in a, b and c", "weather", "", `{"type":7,"properties":{"":{"enum":[null,{"a":1},"b"]},"d":{"type":"string","pattern":"(","default":[]}},"required":[""]}`)
	f.Fuzz(func(t *testing.T, question, name, description, schema string) {
		spec := tools.Spec{Name: name, Description: description, Parameters: json.RawMessage(schema)}
		said := demoRun(t, demoModel(), llm.Request{Tools: []tools.Spec{spec}, Messages: []llm.Message{demoUser(question)}})
		if said.text == "" && len(said.calls) == 0 {
			t.Error("it says and does nothing")
		}
		var want struct{ Required []any }
		_ = json.Unmarshal([]byte(schema), &want)
		for _, c := range said.calls {
			var args map[string]any
			if err := json.Unmarshal(c.Raw(), &args); err != nil || args == nil {
				t.Fatalf("arguments %q: %v", c.Function.Arguments, err)
			}
			for _, key := range want.Required {
				if k, ok := key.(string); ok && len(schema) < 1<<20 {
					if _, ok := args[k]; !ok {
						t.Errorf("%q lacks %q", c.Function.Arguments, k)
					}
				}
			}
		}
	})
}

// FuzzDemoAnswer gives the model any result and question.
func FuzzDemoAnswer(f *testing.F) {
	f.Add("What is the weather?", `{"place":"Lisbon"}`, `{"daily":{"time":["2026-11-22"],"temperature_2m_max":[1]},"units":{"":1}}`, "")
	f.Add("How?", `{}`, demoPassagesFound, "")
	f.Add("a", `[`, `{"a":[[{"a":{}}]],"a":null}`, "down")
	f.Add("a", `{"a":{}}`, `{"temp":"-","wind":"é","":{"temperature":1e999,"rain":[]}}`, "")
	f.Fuzz(func(t *testing.T, question, args, content, failure string) {
		said := demoRun(t, demoModel(), llm.Request{Messages: []llm.Message{
			demoUser(question),
			{Role: llm.Assistant, ToolCalls: []llm.ToolCall{llm.NewToolCall("1", "weather", args), llm.NewToolCall("2", "weather", args)}},
			{Role: llm.ToolRole, ToolCallID: "1", Content: content, Error: failure},
			{Role: llm.ToolRole, ToolCallID: "2", Content: content},
			{Role: llm.ToolRole, ToolCallID: "?", Content: content},
		}})
		if said.text == "" || said.finish != llm.FinishStop || len(said.calls) > 0 {
			t.Errorf("it ended with %q and %q", said.text, said.finish)
		}
	})
}

func BenchmarkDemoPlan(b *testing.B) {
	m, req := demoModel(), llm.Request{Tools: demoSpecs(), Messages: []llm.Message{demoUser("What is the weather in Lisbon and in Oslo tomorrow?")}}
	for b.Loop() {
		demoRun(b, m, req)
	}
}
