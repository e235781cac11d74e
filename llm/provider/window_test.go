package provider_test

import (
	"testing"

	"parley/llm/provider"
)

func TestTheWindowOfAModelIsKnownByItsName(t *testing.T) {
	for _, c := range []struct {
		provider, model string
		want            int
	}{
		{"openai", "gpt-4o-mini", 128_000},
		{"openai", "gpt-4-0613", 8_000},
		{"openai", "openai/GPT-4.1-mini", 1_000_000},
		{"anthropic", "claude-sonnet-4-5", 200_000},
		{"ollama", "llama3.1:8b", 8_000},
		{"openai", "meta-llama/Llama-3.1-70B-Instruct", 128_000},
		{"openai", "our-own", provider.DefaultWindow},
		{"openai", "", provider.DefaultWindow},
	} {
		if got := provider.Window(c.provider, c.model); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.provider, c.model, got, c.want)
		}
	}
}
