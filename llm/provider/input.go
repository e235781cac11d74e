package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/llm"
)

// inputs remembers what a server said its model takes. Its zero value has
// asked nothing.
type inputs struct {
	mu    sync.Mutex // held while the server is asked
	known *llm.Input
	again time.Time // not asked before
}

// Takes returns what the model takes besides text: what the options say; else
// what Ollama says of it, asked once; else what was known of models of its
// name when this was written. What the protocol cannot say is never taken.
func (r *Remote) Takes(ctx context.Context) llm.Input {
	in := r.guess()
	switch {
	case r.opts.Input != nil:
		in = *r.opts.Input
	case r.provider == "ollama":
		in = r.ask(ctx, in)
	}
	switch r.provider {
	case "anthropic":
		in.Audio = false
	case "ollama":
		in.Audio, in.PDF = false, false
	}
	return in
}

// guess goes by the names of models, as of November 2026. A model that is not
// known takes text: the operator can say that it takes more.
func (r *Remote) guess() llm.Input {
	name := strings.ToLower(r.model)
	switch r.provider {
	case "anthropic": // from Claude 3 on
		return llm.Input{Image: !oldClaude.MatchString(name), PDF: !oldClaude.MatchString(name)}
	case "gemini":
		return llm.Input{Image: true, Audio: true, PDF: true}
	}
	host := hostOf(r.url)
	own := host == "api.openai.com" || isAzure(host)
	if own && hearing.MatchString(name) {
		return llm.Input{Audio: true}
	}
	sees := seeing.MatchString(name) && !blind.MatchString(name)
	return llm.Input{Image: sees, PDF: sees && own}
}

// Names of models, as of November 2026.
var (
	oldClaude = regexp.MustCompile(`^claude-(instant|1|2)`)
	hearing   = regexp.MustCompile(`^(gpt-4o(-mini)?-audio|gpt-audio)`)
	blind     = regexp.MustCompile(`^(o1-mini|o1-preview|o3-mini|gpt-4-turbo-preview)|embed|whisper|tts`)
	seeing    = regexp.MustCompile(`(^|/)(gpt-4o|gpt-4\.1|gpt-4\.5|gpt-4-turbo|chatgpt-4o|gpt-5|gpt-6|o1|o3|o4|claude-(3|opus|sonnet|haiku)|gemini)` +
		`|vision|llava|bakllava|moondream|pixtral|internvl|minicpm-v|(^|/)gemma-?3|llama-?4|(^|[/-])qwen[0-9.]*-?vl|-vl(-|:|$)|mistral-(small-?3|medium-?3)`)
)

// asking is how long Ollama is waited for when it is asked what its model
// takes, and patience how long it is left alone if it did not say.
const (
	asking   = 3 * time.Second
	patience = time.Minute
)

// ask asks Ollama (https://github.com/ollama/ollama/blob/main/docs/api.md#show-model-information),
// and returns otherwise if it does not say.
func (r *Remote) ask(ctx context.Context, otherwise llm.Input) llm.Input {
	r.input.mu.Lock()
	defer r.input.mu.Unlock()
	if r.input.known == nil && time.Now().After(r.input.again) {
		r.input.known = r.show(ctx)
		r.input.again = time.Now().Add(patience)
	}
	if r.input.known == nil {
		return otherwise
	}
	return *r.input.known
}

func (r *Remote) show(ctx context.Context) *llm.Input {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	body, _ := json.Marshal(map[string]string{"model": r.model})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.url, "chat")+"show", bytes.NewReader(body))
	if err != nil {
		return nil
	}
	req.Header = r.header.Clone()
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	var said struct{ Capabilities []string }
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20)) // licences and templates are in it
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(b, &said) != nil || said.Capabilities == nil {
		return nil
	}
	return &llm.Input{Image: slices.Contains(said.Capabilities, "vision")}
}

// fitted returns req with words in place of the parts that the model does not
// take.
func (r *Remote) fitted(ctx context.Context, req llm.Request) llm.Request {
	if !slices.ContainsFunc(req.Messages, func(m llm.Message) bool { return len(m.Parts) > 0 }) {
		return req
	}
	in := r.Takes(ctx)
	req.Messages = slices.Clone(req.Messages)
	for i := range req.Messages {
		req.Messages[i].Parts = in.Worded(req.Messages[i].Parts)
	}
	return req
}
