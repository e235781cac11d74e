package provider

import (
	"fmt"
	"strings"
)

// Names are the names by which [Open] knows the providers, in alphabetical
// order.
func Names() []string {
	return []string{"anthropic", "gemini", "ollama", "openai", "openai-responses"}
}

// Open opens a model of the provider named; "" goes by the address, see
// [Guess]. It asks the server nothing.
func Open(name string, opts Options) (*Remote, error) {
	if name == "" {
		name = Guess(opts.BaseURL)
	}
	open := map[string]func(Options) (*Remote, error){
		"anthropic": Anthropic, "gemini": Gemini, "ollama": Ollama, "openai": OpenAI, "openai-responses": Responses,
	}[name]
	if open == nil {
		return nil, fmt.Errorf("provider: there is no provider %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return open(opts)
}

// Guess tells a provider by a base URL: what is known to speak a protocol of
// its own there, else openai, which most servers speak.
func Guess(baseURL string) string {
	_, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(baseURL, "https://"), "http://"), "/")
	switch path = "/" + strings.TrimRight(path, "/"); {
	case strings.HasSuffix(path, "/responses"):
		return "openai-responses"
	case hostOf(baseURL) == "api.anthropic.com" || strings.HasSuffix(path, "/messages"):
		return "anthropic"
	case hostOf(baseURL) == "generativelanguage.googleapis.com" && !strings.Contains(path, "/openai"):
		return "gemini"
	case strings.HasSuffix(path, "/api/chat"):
		return "ollama"
	}
	return "openai"
}
