package provider

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"parley/llm"
)

// Options say where a model is and how it is asked.
type Options struct {
	// BaseURL is the address that the provider's paths are below; empty means
	// the provider's own. Trailing slashes do not matter, the whole address of
	// an answer is understood, and one without a path, such as
	// http://localhost:11434, gets the provider's usual path.
	BaseURL string

	Key   string // in the provider's own header; empty: no such header, as local servers want it
	Model string // required

	// Reasoning is how much a model thinks before it answers; empty: the
	// provider's default, nothing is sent. Models that cannot think refuse it.
	Reasoning Effort

	// Input is what the model takes besides text; nil: what is known of models
	// of that name, see [Remote.Takes].
	Input *llm.Input

	// Continues says that the model goes on with an answer that it is given the
	// beginning of, as the last message; false: only if that is known of models
	// of that name there, see [Remote.Continues].
	Continues bool

	MaxTokens int    // of an answer, where the request does not say; 0: not sent, or 8192 where the provider insists
	KeepAlive string // how long Ollama keeps the model loaded, such as "10m"; empty: not sent

	// Client makes the requests; nil: one of its own that keeps connections
	// for many streams open and uses no proxy, whatever the environment says.
	// Its Timeout is not used, since it would cut long answers: see Limits.
	Client *http.Client

	Limits
}

// OpenAIOptions are Options.
type OpenAIOptions = Options

// An Effort is how much a model thinks.
type Effort string

// The efforts.
const (
	EffortOff    Effort = "off"
	EffortLow    Effort = "low"
	EffortMedium Effort = "medium"
	EffortHigh   Effort = "high"
)

// budget is the effort in tokens, for providers that count it so.
func (e Effort) budget() int {
	return map[Effort]int{EffortLow: 2048, EffortMedium: 8192, EffortHigh: 24576}[e]
}

// A place is where a provider's answers are asked for.
type place struct {
	provider string
	home     string // base URL if none is given
	version  string // path that an address without one gets
	endings  []string
}

// base returns the address that the provider's paths are below.
func (p place) base(given string) (*url.URL, error) {
	u, err := url.Parse(cmp.Or(strings.TrimSpace(given), p.home))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("provider: %s: the base URL is no address; it looks like %s", p.provider, p.home)
	}
	u.Fragment = ""
	u.Path = strings.TrimRight(u.Path, "/")
	for _, e := range p.endings {
		u.Path = strings.TrimSuffix(u.Path, e)
	}
	if u.Path == "" {
		u.Path = p.version
	}
	return u, nil
}

// newRemote checks what all providers need.
func newRemote(p place, opts Options, proto protocol) (*Remote, error) {
	key := strings.TrimSpace(opts.Key)
	switch {
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("provider: %s: the key has characters that no key has; was something else pasted with it?", p.provider)
	case opts.Model == "":
		return nil, fmt.Errorf("provider: %s: no model is named; set one that the server has", p.provider)
	}
	switch opts.Reasoning {
	case "", EffortOff, EffortLow, EffortMedium, EffortHigh:
	default:
		return nil, errors.New("provider: " + p.provider + ": reasoning is off, low, medium or high")
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("Accept", "text/event-stream")
	return &Remote{
		proto: proto,
		wire: wire{
			provider: p.provider, key: key, model: opts.Model, opts: opts, header: header,
			client: streamingClient(opts.Client), limits: opts.withDefaults(),
		},
		input: &inputs{},
	}, nil
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
			ReadBufferSize:      512, // ten thousand silent streams hold one of each
			WriteBufferSize:     256,
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
