package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"parley/llm"
)

// OpenAIOptions say where an OpenAI-compatible model is.
type OpenAIOptions struct {
	// BaseURL is the address that /chat/completions is below; empty means
	// https://api.openai.com/v1. Trailing slashes do not matter, and an
	// address without a path, such as http://localhost:11434, gets /v1.
	BaseURL string

	Key   string // sent as bearer token; empty: no Authorization header, as local servers want it
	Model string // required

	// Client makes the requests; nil: one of its own that keeps connections
	// for many streams open and uses no proxy, whatever the environment says.
	// Its Timeout is not used, since it would cut long answers: see Limits.
	Client *http.Client

	Limits
}

// An OpenAIModel is a model behind the OpenAI chat completions API
// (https://platform.openai.com/docs/api-reference/chat), which many servers
// speak: vLLM, llama.cpp, Ollama, LM Studio, OpenRouter and others. All
// methods may be called concurrently.
type OpenAIModel struct {
	url       string
	host      string
	key       string
	model     string
	maxTokens string // name of the field for Request.MaxTokens
	client    *http.Client
	limits    Limits
}

var _ llm.Model = (*OpenAIModel)(nil)

// OpenAI returns a model of an OpenAI-compatible server. It asks the server
// nothing: a wrong key or address shows in the first answer.
func OpenAI(opts OpenAIOptions) (*OpenAIModel, error) {
	u, err := completionsURL(opts.BaseURL)
	if err != nil {
		return nil, err
	}
	key := strings.TrimSpace(opts.Key)
	switch {
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("provider: openai: the key has characters that no key has; was something else pasted with it?")
	case opts.Model == "":
		return nil, errors.New("provider: openai: no model is named; set one that the server has")
	}
	return &OpenAIModel{
		url: u.String(), host: u.Host, key: key, model: opts.Model,
		maxTokens: maxTokensField(u), client: streamingClient(opts.Client), limits: opts.withDefaults(),
	}, nil
}

// Name returns the model's name as the server knows it.
func (o *OpenAIModel) Name() string { return o.model }

// CloseIdleConnections closes the connections that no stream uses.
func (o *OpenAIModel) CloseIdleConnections() { o.client.CloseIdleConnections() }

// completionsURL returns the address to post to.
func completionsURL(base string) (*url.URL, error) {
	if base == "" {
		base = "https://api.openai.com/v1"
	}
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("provider: openai: the base URL is no address; it looks like https://api.openai.com/v1")
	}
	u.Fragment = ""
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/chat/completions")
	if u.Path == "" {
		u.Path = "/v1"
	}
	return u.JoinPath("chat", "completions"), nil
}

// maxTokensField names the limit of an answer's length: OpenAI's own models
// refuse the old name, most other servers know no other.
func maxTokensField(u *url.URL) string {
	h := u.Hostname()
	if h == "api.openai.com" || strings.HasSuffix(h, ".openai.azure.com") {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

// streamingClient returns a client fit for many long streams. A redirect is
// not followed: it would take the conversation somewhere nobody configured.
func streamingClient(given *http.Client) *http.Client {
	c := &http.Client{}
	if given != nil {
		*c = *given
		c.Timeout = 0
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 64, // the default of 2 dials anew for nearly every one of parallel streams
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true, // compressors hold pieces back
		}
	}
	if c.CheckRedirect == nil {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c
}

// Stream asks the model, see [llm.Model]. Errors are of type [*llm.Error],
// but for ctx's own.
func (o *OpenAIModel) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		w := newWatch(ctx, o.limits.Total)
		defer w.stop()
		s := &openaiStream{o: o, w: w, yield: yield, pause: req.Pause, calls: callList{limit: o.limits.MaxLine}}
		err := s.run(req)
		if err == nil || errors.Is(err, errStopped) {
			return
		}
		if ctx.Err() != nil {
			yield(llm.Chunk{}, ctx.Err())
			return
		}
		yield(llm.Chunk{}, s.describe(err))
	}
}

// post sends a request.
func (o *OpenAIModel) post(ctx context.Context, req llm.Request) (*http.Response, error) {
	body, err := json.Marshal(o.body(req))
	if err != nil {
		return nil, &llm.Error{Kind: llm.BadRequest, Provider: "openai", Message: "the request is not JSON", Err: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("provider: openai: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	if o.key != "" {
		r.Header.Set("Authorization", "Bearer "+o.key)
	}
	return o.client.Do(r)
}
