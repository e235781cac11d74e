package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// That models go on which are said to is in [llmtest.Conformance].
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
		"ollama":                    {provider.Ollama, provider.Options{Model: "llama3.2"}, false},
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

// Mistral is told in a way of its own, and says the beginning again, however
// short it is.
func TestMistralGoesOn(t *testing.T) {
	srv := llmtest.NewPipeServer(t, llmtest.Sequence(llmtest.Reply{Pieces: []string{"Half", " an answer"}}))
	m, err := provider.OpenAI(provider.Options{Model: "m", BaseURL: "http://api.mistral.ai/v1", Client: srv.Client})
	if err != nil {
		t.Fatal(err)
	}
	req := asked
	req.Begun = &llm.Begun{Text: "Half ", By: "m"}
	if rest, err := collect(t.Context(), llm.NewChain(llm.ChainOptions{}, m), req); err != nil || rest != "an answer" {
		t.Errorf("behind the beginning: %q, %v", rest, err)
	}
	body := string(srv.Requests()[0].Body)
	if !strings.Contains(body, `{"role":"assistant","content":"Half","prefix":true}`) || strings.Contains(body, "continue_final_message") {
		t.Error(body)
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
