package provider_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// What an answer has begun with is the last message, in each dialect's way.
func TestWhatAnAnswerBeginsWith(t *testing.T) {
	req := llm.Request{Messages: asked.Messages, Begun: &llm.Begun{Text: "Half an \n", By: "m"}}
	for d, want := range map[llmtest.Dialect]map[string]string{
		llmtest.OpenAI:    {"messages": `{"content":"Half an","role":"assistant"}`, "continue_final_message": `true`, "add_generation_prompt": `false`},
		llmtest.Anthropic: {"messages": `{"content":[{"cache_control":{"type":"ephemeral"},"text":"Half an","type":"text"}],"role":"assistant"}`},
		llmtest.Ollama:    {"messages": `{"content":"Half an","role":"assistant"}`},
	} {
		t.Run(string(d), func(t *testing.T) {
			got := sent(t, d, provider.Options{Continues: true}, req)
			ms := got["messages"].([]any)
			got["messages"] = ms[len(ms)-1]
			for field, want := range want {
				b, err := json.Marshal(got[field])
				if diff := cmp.Diff(want, string(b)); err != nil || diff != "" {
					t.Errorf("%s: %v %s", field, err, diff)
				}
			}
		})
	}
}

func TestWhoContinues(t *testing.T) {
	for name, c := range map[string]struct {
		open func(provider.Options) (*provider.Remote, error)
		opts provider.Options
		want bool
	}{
		"anthropic, an older model": {provider.Anthropic, provider.Options{Model: "claude-sonnet-4-5-20250929"}, true},
		"anthropic, a very old one": {provider.Anthropic, provider.Options{Model: "claude-3-5-haiku-latest"}, true},
		"anthropic, a newer model":  {provider.Anthropic, provider.Options{Model: "claude-opus-4-6"}, false},
		"anthropic, thinking":       {provider.Anthropic, provider.Options{Model: "claude-sonnet-4-5", Reasoning: "low"}, false},
		"mistral":                   {provider.OpenAI, provider.Options{Model: "mistral-large-latest", BaseURL: "https://api.mistral.ai/v1"}, true},
		"openai":                    {provider.OpenAI, provider.Options{Model: "gpt-5"}, false},
		"vllm, if it is said":       {provider.OpenAI, provider.Options{Model: "qwen", BaseURL: "http://vllm:8000", Continues: true}, true},
		"ollama":                    {provider.Ollama, provider.Options{Model: "llama3.2"}, false},
		"ollama, if it is said":     {provider.Ollama, provider.Options{Model: "llama3.2", Continues: true}, true},
		"gemini, whatever is said":  {provider.Gemini, provider.Options{Model: "gemini-2.5-pro", Continues: true}, false},
		"responses":                 {provider.Responses, provider.Options{Model: "gpt-5", Continues: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := c.open(c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := llm.Continues(m, m.Name()); got != c.want || llm.Continues(m, "another") {
				t.Errorf("continues: %v", got)
			}
			if m.Echoes() != (name == "mistral") {
				t.Errorf("says a beginning again: %v", m.Echoes())
			}
		})
	}
}

// The demo model goes on wherever its answer is cut, and does not pretend to
// have said what it would not say.
func TestDemoContinues(t *testing.T) {
	m := provider.Demo(provider.DemoOptions{Pace: -1})
	whole, err := collect(t.Context(), m, asked)
	if err != nil || len(whole) < 20 {
		t.Fatalf("%q, %v", whole, err)
	}
	for i := 1; i < len(whole); i++ {
		if strings.TrimSpace(whole[:i]) == "" {
			continue
		}
		req := asked
		req.Begun = &llm.Begun{Text: whole[:i], By: m.Name()}
		rest, err := collect(t.Context(), m, req)
		if got := req.Begun.Sent() + rest; err != nil || got != whole {
			t.Fatalf("%q, %v, want %q", got, err, whole)
		}
	}
	req := asked
	req.Begun = &llm.Begun{Text: "Something else", By: m.Name()}
	if rest, err := collect(t.Context(), m, req); failure(t, err).Kind != llm.BadRequest || rest != "" {
		t.Error(fmt.Sprint(rest, err))
	}
}
