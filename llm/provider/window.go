package provider

import "strings"

// DefaultWindow is what is assumed of a model that is not in the table.
const DefaultWindow = 32_000

// windows are beginnings of models' names, the longer before the shorter, and
// how many tokens such a model reads at once, as its maker said by 2026-06.
var windows = []struct {
	name   string
	tokens int
}{
	{"gpt-5", 272_000},
	{"gpt-4.1", 1_000_000},
	{"gpt-4o", 128_000},
	{"gpt-4-turbo", 128_000},
	{"gpt-4", 8_000},
	{"gpt-3.5-turbo", 16_000},
	{"gpt-oss", 128_000},
	{"o1", 128_000},
	{"o3", 200_000},
	{"o4", 200_000},
	{"claude-2", 100_000},
	{"claude", 200_000},
	{"gemini-1.0", 32_000},
	{"gemini", 1_000_000},
	{"gemma3", 128_000},
	{"gemma-3", 128_000},
	{"llama3.", 128_000},
	{"llama-3.", 128_000},
	{"llama3", 8_000},
	{"llama-3", 8_000},
	{"llama-4", 128_000},
	{"llama4", 128_000},
	{"mistral-large", 128_000},
	{"mistral-medium", 128_000},
	{"mistral-small", 32_000},
	{"deepseek", 64_000},
	{"qwen3", 32_000},
	{"grok", 128_000},
	{"kimi-k2", 128_000},
}

// ollamaWindow is what an Ollama reads of a request unless it is told
// otherwise on its own side; what is more it cuts off without a word.
const ollamaWindow = 8_000

// Window returns how many tokens a model reads at once, as far as that can be
// told by the names of its provider and itself.
func Window(provider, model string) int {
	if provider == "ollama" {
		return ollamaWindow
	}
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	for _, w := range windows {
		if strings.HasPrefix(name, w.name) {
			return w.tokens
		}
	}
	return DefaultWindow
}
