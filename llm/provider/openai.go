package provider

import (
	"net/url"
	"strings"

	"parley/llm"
)

// openai is the chat completions API
// (https://platform.openai.com/docs/api-reference/chat), which many servers
// speak: vLLM, llama.cpp, Ollama, LM Studio, OpenRouter, Groq, Mistral, Azure
// and others.
type openai struct {
	maxTokens string // name of the field for the longest answer
	mistral   bool   // refuses stream_options, its usage comes by itself; and has a way of its own to go on with an answer
}

// OpenAI returns a model of an OpenAI-compatible server. It asks the server
// nothing: a wrong key or address shows in the first answer.
//
// Azure's addresses are understood in both forms: that of a deployment,
// https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=…,
// and …/openai/v1, which a bare https://NAME.openai.azure.com gets.
func OpenAI(opts Options) (*Remote, error) {
	p := place{"openai", "https://api.openai.com/v1", "/v1", []string{"/chat/completions"}}
	u, err := openaiBase(p, opts.BaseURL)
	if err != nil {
		return nil, err
	}
	o := &openai{maxTokens: maxTokensField(u), mistral: u.Hostname() == "api.mistral.ai"}
	r, err := newRemote(p, opts, o)
	if err != nil {
		return nil, err
	}
	r.at(u.JoinPath("chat", "completions"))
	r.authorize(u)
	return r, nil
}

// openaiBase returns a base URL, completed if it is Azure's.
func openaiBase(p place, given string) (*url.URL, error) {
	if isAzure(hostOf(given)) {
		p.version = "/openai/v1"
	}
	u, err := p.base(given)
	if err != nil {
		return nil, err
	}
	if strings.Contains(u.Path, "/openai/deployments/") && u.Query().Get("api-version") == "" {
		u.RawQuery = "api-version=2024-10-21" // the latest that is no preview
	}
	return u, nil
}

// authorize puts the key where the server looks for it.
func (r *Remote) authorize(u *url.URL) {
	switch {
	case r.key == "":
	case isAzure(u.Hostname()) || strings.Contains(u.Path, "/openai/deployments/"):
		r.header.Set("Api-Key", r.key)
	default:
		r.header.Set("Authorization", "Bearer "+r.key)
	}
}

func hostOf(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func isAzure(host string) bool {
	return strings.HasSuffix(host, ".openai.azure.com") || strings.HasSuffix(host, ".cognitiveservices.azure.com") ||
		strings.HasSuffix(host, ".services.ai.azure.com")
}

// maxTokensField names the limit of an answer's length: OpenAI's own models
// refuse the old name, most other servers know no other.
func maxTokensField(u *url.URL) string {
	if h := u.Hostname(); h == "api.openai.com" || isAzure(h) {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

func (o *openai) decoder(w *wire) decoder {
	return &openaiDecoder{wire: w, calls: callList{limit: w.limits.MaxLine}, choices: make([]openaiChoice, 0, 1)} // the JSON decoder would begin with room for ten
}

// limit returns how long an answer may be, 0 if that is left to the server.
func (w *wire) limit(req llm.Request) int {
	if req.MaxTokens > 0 {
		return req.MaxTokens
	}
	return w.opts.MaxTokens
}
