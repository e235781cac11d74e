package provider_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// sent returns the body of the one request that a model makes.
func sent(t *testing.T, d llmtest.Dialect, opts provider.Options, req llm.Request) map[string]any {
	t.Helper()
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Text("ok")))
	opts.BaseURL = strings.TrimSuffix(s.URL, "/v1")
	if _, err := collect(t.Context(), openDialect(t, d, opts), req); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(s.Requests()[0].Body, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func same(t *testing.T, want string, got map[string]any) {
	t.Helper()
	var w map[string]any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(w, got); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
}

// longHistory has everything that a conversation can have.
func longHistory() llm.Request {
	return llm.Request{System: "be brief", Tools: []tools.Spec{
		{Name: "weather", Description: "tells", Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`)}, {Name: "now"},
	}, Messages: []llm.Message{
		{Role: llm.Assistant, Content: "an answer whose question is not shown any more"},
		{Role: llm.User, Content: "both?"},
		{Role: llm.Reasoning, Content: "hm"},
		{Role: llm.Assistant, Content: "Looking.", ToolCalls: []llm.ToolCall{
			llm.NewToolCall("c1", "weather", `{"city":"Bern"}`), llm.NewToolCall("c2", "now", ""), llm.NewToolCall("c3", "weather", `{"city":Bern}`),
		}},
		{Role: llm.ToolRole, ToolCallID: "c1", Content: "rain"},
		{Role: llm.ToolRole, ToolCallID: "c2", Content: "Error: no clock", Error: "no clock"},
		{Role: llm.ToolRole, ToolCallID: "c3", Content: "Error: no object", Error: "no object"},
		{Role: llm.Assistant},
		{Role: llm.Assistant, Content: "Rain."},
		{Role: llm.User, Content: "and now?"},
	}}
}

func TestRequestsInEachDialect(t *testing.T) {
	for d, want := range map[llmtest.Dialect]string{
		llmtest.Anthropic: `{"model":"m","stream":true,"max_tokens":8192,
			"system":[{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}],
			"tools":[{"name":"weather","description":"tells","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}},
				{"name":"now","input_schema":{"type":"object","properties":{}},"cache_control":{"type":"ephemeral"}}],
			"messages":[{"role":"user","content":[{"type":"text","text":"both?"}]},
				{"role":"assistant","content":[{"type":"text","text":"Looking."},{"type":"tool_use","id":"c1","name":"weather","input":{"city":"Bern"}},
					{"type":"tool_use","id":"c2","name":"now","input":{}},{"type":"tool_use","id":"c3","name":"weather","input":{"unreadable":"{\"city\":Bern}"}}]},
				{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"rain"},
					{"type":"tool_result","tool_use_id":"c2","content":"Error: no clock","is_error":true},{"type":"tool_result","tool_use_id":"c3","content":"Error: no object","is_error":true}]},
				{"role":"assistant","content":[{"type":"text","text":"Rain."}]},
				{"role":"user","content":[{"type":"text","text":"and now?","cache_control":{"type":"ephemeral"}}]}]}`,
		llmtest.Ollama: `{"model":"m","stream":true,
			"tools":[{"type":"function","function":{"name":"weather","description":"tells","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}},
				{"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}],
			"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"both?"},
				{"role":"assistant","content":"Looking.","tool_calls":[{"id":"c1","function":{"name":"weather","arguments":{"city":"Bern"}}},{"id":"c2","function":{"name":"now","arguments":{}}},
					{"id":"c3","function":{"name":"weather","arguments":{"unreadable":"{\"city\":Bern}"}}}]},
				{"role":"tool","content":"rain","tool_name":"weather","tool_call_id":"c1"},{"role":"tool","content":"Error: no clock","tool_name":"now","tool_call_id":"c2"},
				{"role":"tool","content":"Error: no object","tool_name":"weather","tool_call_id":"c3"},
				{"role":"assistant","content":"Rain."},{"role":"user","content":"and now?"}]}`,
		llmtest.Gemini: `{"systemInstruction":{"parts":[{"text":"be brief"}]},
			"tools":[{"functionDeclarations":[{"name":"weather","description":"tells","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}},{"name":"now"}]}],
			"contents":[{"role":"user","parts":[{"text":"both?"}]},
				{"role":"model","parts":[{"text":"Looking."},{"functionCall":{"id":"c1","name":"weather","args":{"city":"Bern"}}},{"functionCall":{"id":"c2","name":"now","args":{}}},
					{"functionCall":{"id":"c3","name":"weather","args":{"unreadable":"{\"city\":Bern}"}}}]},
				{"role":"user","parts":[{"functionResponse":{"id":"c1","name":"weather","response":{"output":"rain"}}},{"functionResponse":{"id":"c2","name":"now","response":{"error":"Error: no clock"}}},
					{"functionResponse":{"id":"c3","name":"weather","response":{"error":"Error: no object"}}}]},
				{"role":"model","parts":[{"text":"Rain."}]},{"role":"user","parts":[{"text":"and now?"}]}]}`,
		llmtest.Responses: `{"model":"m","stream":true,"store":false,"instructions":"be brief",
			"tools":[{"type":"function","name":"weather","description":"tells","strict":false,"parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}},
				{"type":"function","name":"now","strict":false,"parameters":{"type":"object","properties":{}}}],
			"input":[{"role":"assistant","content":"an answer whose question is not shown any more"},{"role":"user","content":"both?"},{"role":"assistant","content":"Looking."},
				{"type":"function_call","call_id":"c1","name":"weather","arguments":"{\"city\":\"Bern\"}"},{"type":"function_call","call_id":"c2","name":"now","arguments":"{}"},
				{"type":"function_call","call_id":"c3","name":"weather","arguments":"{\"unreadable\":\"{\\\"city\\\":Bern}\"}"},
				{"type":"function_call_output","call_id":"c1","output":"rain"},{"type":"function_call_output","call_id":"c2","output":"Error: no clock"},{"type":"function_call_output","call_id":"c3","output":"Error: no object"},
				{"role":"assistant","content":"Rain."},{"role":"user","content":"and now?"}]}`,
	} {
		t.Run(string(d), func(t *testing.T) { same(t, want, sent(t, d, provider.Options{}, longHistory())) })
	}
}

func TestOptionsInEachDialect(t *testing.T) {
	zero := 0.0
	spec := tools.Spec{Name: "now"}
	for name, c := range map[string]struct {
		dialect llmtest.Dialect
		opts    provider.Options
		req     llm.Request
		want    map[string]string // JSON by field, "" for none
	}{
		"openai":            {llmtest.OpenAI, provider.Options{Reasoning: "low", MaxTokens: 7}, llm.Request{}, map[string]string{"reasoning_effort": `"low"`, "max_tokens": "7", "temperature": ""}},
		"openai, off":       {llmtest.OpenAI, provider.Options{Reasoning: "off"}, llm.Request{}, map[string]string{"reasoning_effort": `"none"`, "max_tokens": ""}},
		"responses":         {llmtest.Responses, provider.Options{Reasoning: "high"}, llm.Request{MaxTokens: 9, Temperature: &zero}, map[string]string{"reasoning": `{"effort":"high","summary":"auto"}`, "include": `["reasoning.encrypted_content"]`, "max_output_tokens": "9", "temperature": "0"}},
		"responses, gpt-5":  {llmtest.Responses, provider.Options{Model: "gpt-5-mini"}, llm.Request{}, map[string]string{"include": `["reasoning.encrypted_content"]`, "reasoning": ""}},
		"responses, no way": {llmtest.Responses, provider.Options{Model: "gpt-4o"}, llm.Request{Tools: []tools.Spec{spec}, NoTools: true}, map[string]string{"include": "", "tool_choice": `"none"`}},
		"anthropic":         {llmtest.Anthropic, provider.Options{Reasoning: "medium"}, llm.Request{Temperature: &zero}, map[string]string{"thinking": `{"budget_tokens":8192,"type":"enabled"}`, "max_tokens": "16384", "temperature": ""}},
		"anthropic, off":    {llmtest.Anthropic, provider.Options{Reasoning: "off", MaxTokens: 100}, llm.Request{Temperature: &zero, Tools: []tools.Spec{spec}, NoTools: true}, map[string]string{"thinking": `{"type":"disabled"}`, "max_tokens": "100", "temperature": "0", "tool_choice": `{"type":"none"}`}},
		"ollama":            {llmtest.Ollama, provider.Options{Reasoning: "high", KeepAlive: "10m"}, llm.Request{Temperature: &zero, MaxTokens: 5, Tools: []tools.Spec{spec}, NoTools: true}, map[string]string{"think": `"high"`, "keep_alive": `"10m"`, "options": `{"num_predict":5,"temperature":0}`, "tools": ""}},
		"ollama, off":       {llmtest.Ollama, provider.Options{Reasoning: "off"}, llm.Request{}, map[string]string{"think": "false", "options": ""}},
		"gemini":            {llmtest.Gemini, provider.Options{Reasoning: "low"}, llm.Request{Temperature: &zero, MaxTokens: 5, Tools: []tools.Spec{spec}, NoTools: true}, map[string]string{"generationConfig": `{"maxOutputTokens":5,"temperature":0,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2048}}`, "toolConfig": `{"functionCallingConfig":{"mode":"NONE"}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Messages = asked.Messages
			got := sent(t, c.dialect, c.opts, c.req)
			for field, want := range c.want {
				b, _ := json.Marshal(got[field])
				if have := strings.TrimSuffix(string(b), "null"); have != want {
					t.Errorf("%s is %s, want %s", field, have, want)
				}
			}
		})
	}
}

// What only a provider understands goes back to it as it came, and to no
// other provider or model.
func TestStateGoesBackVerbatim(t *testing.T) {
	call := llmtest.Call{ID: "c1", Name: "now", Arguments: "{}"}
	for _, d := range llmtest.Dialects() {
		if d == llmtest.Ollama {
			continue // signs nothing
		}
		t.Run(string(d), func(t *testing.T) {
			s := llmtest.NewServer(t, llmtest.Sequence(
				llmtest.Reply{Reasoning: []string{"Well."}, Pieces: []string{"Let ", "me see."}, Calls: []llmtest.Call{call}, Opaque: "c2lnbmVk"},
				llmtest.Text("noon"), llmtest.Text("noon"), llmtest.Text("noon")))
			base := strings.TrimSuffix(s.URL, "/v1")
			m := openDialect(t, d, provider.Options{BaseURL: base})
			agent := &llm.Agent{Model: m}
			var turns []llm.Message
			for step, err := range agent.Run(t.Context(), asked.Messages, tools.NewSet(clock())) {
				if err != nil {
					t.Fatal(err)
				}
				if step.Turn != nil {
					turns = append(turns, *step.Turn)
				}
			}
			b, _ := json.Marshal(turns[0]) // as the log and the store have it
			var kept llm.Message
			if err := json.Unmarshal(b, &kept); err != nil {
				t.Fatal(err)
			}
			later := llm.Request{Messages: append(asked.Messages[:1:1], kept, llm.Message{Role: llm.ToolRole, ToolCallID: "c1", Content: "12:00"})}
			collect(t.Context(), openDialect(t, d, provider.Options{BaseURL: base}), later)
			collect(t.Context(), openDialect(t, d, provider.Options{BaseURL: base, Model: "another"}), later)
			for i, want := range []string{"", "c2lnbmVk", "c2lnbmVk", ""} {
				back := ""
				for _, m := range s.Requests()[i].Messages {
					back += strings.Join(m.Opaque, ",")
					if m.Role == "assistant" && (m.Content != "Let me see." || len(m.Calls) != 1) {
						t.Errorf("request %d has the answer %+v", i, m)
					}
				}
				if back != want {
					t.Errorf("request %d has %q, want %q", i, back, want)
				}
			}
		})
	}
}

func clock() tools.Tool {
	return tools.Func(tools.Spec{Name: "now", Effect: tools.Safe, Parameters: json.RawMessage(`{"type":"object","properties":{}}`)},
		func(context.Context, struct{}) (tools.Result, error) { return tools.Result{Content: "12:00"}, nil })
}

// A message that was cut or changed since is sent as it is now.
func TestStateThatDoesNotFitIsLeftOut(t *testing.T) {
	blocks := json.RawMessage(`[{"r":{"type":"thinking","thinking":"Well.","signature":"s"}},{"t":5},{"c":true}]`)
	for name, c := range map[string]struct {
		content string
		calls   int
		want    int // blocks of the answer
	}{"fits": {"Hello", 1, 3}, "text cut": {"Hel", 1, 2}, "text longer": {"Hello there", 1, 2}, "call gone": {"Hello", 0, 1}} {
		t.Run(name, func(t *testing.T) {
			m := llm.Message{Role: llm.Assistant, Content: c.content, Metadata: &llm.Metadata{Parley: llm.Details{Provider: &llm.ProviderState{Provider: "anthropic", Model: "m", Blocks: blocks}}}}
			req := llm.Request{Messages: append(asked.Messages[:1:1], m)}
			if c.calls > 0 {
				req.Messages[1].ToolCalls = []llm.ToolCall{llm.NewToolCall("c1", "now", "{}")}
				req.Messages = append(req.Messages, llm.Message{Role: llm.ToolRole, ToolCallID: "c1", Content: "12:00"})
			}
			got := sent(t, llmtest.Anthropic, provider.Options{Reasoning: "low"}, req)
			answer := got["messages"].([]any)[1].(map[string]any)["content"].([]any)
			if len(answer) != c.want {
				t.Errorf("%v", answer)
			}
			if thinks := got["thinking"] != nil; c.calls > 0 && thinks != (c.want == 3) {
				t.Errorf("thinking is %v: in the middle of a turn it needs the thoughts of its beginning", got["thinking"])
			}
		})
	}
}

func TestAzureAddresses(t *testing.T) {
	for base, want := range map[string]string{
		"https://x.openai.azure.com":                                                           "/openai/v1/chat/completions",
		"https://x.openai.azure.com/openai/v1/":                                                "/openai/v1/chat/completions",
		"https://x.openai.azure.com/openai/deployments/d":                                      "/openai/deployments/d/chat/completions?api-version=2024-10-21",
		"https://x.openai.azure.com/openai/deployments/d?api-version=2025-04":                  "/openai/deployments/d/chat/completions?api-version=2025-04",
		"https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-04": "/openai/deployments/d/chat/completions?api-version=2025-04",
	} {
		t.Run(base, func(t *testing.T) {
			var got *http.Request
			m := openDialect(t, llmtest.OpenAI, provider.Options{BaseURL: base, Key: testKey, Client: &http.Client{Transport: seen(func(r *http.Request) { got = r })}})
			if _, err := collect(t.Context(), m, asked); err != nil {
				t.Fatal(err)
			}
			if got.URL.RequestURI() != want || got.Header.Get("Api-Key") != testKey || got.Header.Get("Authorization") != "" {
				t.Errorf("asked %s with %v, want %s with api-key", got.URL, got.Header, want)
			}
		})
	}
}

// seen answers all requests after looking at them.
type seen func(r *http.Request)

func (s seen) RoundTrip(r *http.Request) (*http.Response, error) {
	s(r)
	w := httptest.NewRecorder()
	(&llmtest.Handler{}).ServeHTTP(w, r)
	return w.Result(), nil
}

func TestGuess(t *testing.T) {
	for base, want := range map[string]string{
		"": "openai", "http://localhost:8000/v1": "openai", "https://api.openai.com/v1/responses": "openai-responses",
		"https://api.anthropic.com": "anthropic", "http://proxy/v1/messages": "anthropic", "http://localhost:11434/v1": "openai",
		"http://localhost:11434/api/chat": "ollama", "https://generativelanguage.googleapis.com/v1beta": "gemini",
		"https://generativelanguage.googleapis.com/v1beta/openai/": "openai",
	} {
		if got := provider.Guess(base); got != want {
			t.Errorf("%q is taken for %s, want %s", base, got, want)
		}
	}
	if _, err := provider.Open("openia", provider.Options{Model: "m"}); err == nil || !strings.Contains(err.Error(), "openai-responses") {
		t.Errorf("a wrong name: %v", err)
	}
}
