package provider

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tmc/langchaingo/llms"

	"parley/llm"
)

// LangchainOptions say how a langchaingo model is used.
type LangchainOptions struct {
	Name string // of the model, for people; "" for its Go type

	// Key is taken out of the provider's errors, which quote what they sent.
	Key string

	Limits
}

// FromLangchain offers any of langchaingo's models as an [llm.Model], behind
// a guard: langchaingo's providers take streams that were cut off for whole
// answers, scramble calls that are streamed, and panic. The providers of this
// package are better where there is one.
//
// With tools the answer comes in one piece, since calls are read rightly only
// then; a model of langchaingo's ollama package has none. A provider that
// ignores its context may run on for a while after an answer was given up.
func FromLangchain(m llms.Model, opts LangchainOptions) llm.Model {
	kind := fmt.Sprintf("%T", m) // telling them apart costs no import of all of them
	g := &guard{model: m, opts: opts, limits: opts.withDefaults()}
	g.ollama, g.anthropic = strings.Contains(kind, "ollama."), strings.Contains(kind, "anthropic.")
	if strings.Contains(kind, "googleai.") || strings.Contains(kind, "vertex.") {
		g.turns = make(chan struct{}, 1)
	}
	if g.opts.Name == "" {
		g.opts.Name = strings.TrimPrefix(kind, "*")
	}
	return g
}

// A guard keeps what a provider does wrong from the agent.
type guard struct {
	model             llms.Model
	opts              LangchainOptions
	limits            Limits
	ollama, anthropic bool
	turns             chan struct{} // of a client that has data races
}

var _ llm.Model = (*guard)(nil)

func (g *guard) Name() string { return g.opts.Name }

// leaveAlone is how long a provider that ignores its context is waited for.
const leaveAlone = 2 * time.Second

// Stream asks the model, see [llm.Model].
func (g *guard) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		w := newWatch(ctx, g.limits.Total)
		defer w.stop()
		a := &guarded{g: g, w: w, req: req, pieces: make(chan string), ended: make(chan struct{})}
		w.expect(g.limits.FirstPiece)
		if g.takeTurn(w.ctx) {
			go a.ask()
		} else {
			a.err = w.ctx.Err()
			close(a.ended)
		}
		final, err := a.listen(yield)
		if !a.stop() { // nothing of it may be read while it still runs
			err = cmpErr(err, &llm.Error{Kind: llm.Timeout, Message: "the provider does not stop"})
		}
		switch {
		case errors.Is(err, errStopped):
		case ctx.Err() != nil:
			yield(llm.Chunk{}, ctx.Err())
		case err != nil:
			yield(llm.Chunk{}, g.describe(w, err, a.said > 0))
		default:
			yield(final, nil)
		}
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (g *guard) takeTurn(ctx context.Context) bool {
	if g.turns == nil {
		return true
	}
	select {
	case g.turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// A guarded is one answer on its way. Its fields but pieces and ended belong
// to the goroutine that asks until ended is closed.
type guarded struct {
	g      *guard
	w      *watch
	req    llm.Request
	pieces chan string
	ended  chan struct{}

	resp *llms.ContentResponse
	err  error

	said int // bytes of text handed on; the listener's
}

// ask runs the provider, which may panic.
func (a *guarded) ask() {
	defer close(a.ended)
	defer func() {
		if p := recover(); p != nil {
			a.err = &llm.Error{Kind: llm.Malformed, Message: short(fmt.Sprintf("the provider panicked: %v", p))}
		}
		if a.g.turns != nil {
			<-a.g.turns
		}
	}()
	a.resp, a.err = a.g.model.GenerateContent(a.w.ctx, a.g.messages(toldFormat(a.req)), a.options()...)
}

// streams reports whether pieces come before the whole.
func (a *guarded) streams() bool { return len(a.req.Tools) == 0 || a.g.ollama }

func (a *guarded) options() (out []llms.CallOption) {
	if a.streams() {
		out = append(out, llms.WithStreamingFunc(a.piece))
	}
	if len(a.req.Tools) > 0 && !a.g.ollama {
		out = append(out, llms.WithTools(langchainTools(a.req.Tools)))
		if a.req.NoTools {
			out = append(out, llms.WithToolChoice("none"))
		}
	}
	if a.req.Temperature != nil {
		out = append(out, llms.WithTemperature(*a.req.Temperature))
	}
	if a.req.MaxTokens > 0 {
		out = append(out, llms.WithMaxTokens(a.req.MaxTokens))
	}
	return out
}

// piece is called by the provider, on whichever goroutine it likes. It must
// not panic there: nothing would catch it.
func (a *guarded) piece(_ context.Context, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	select {
	case a.pieces <- string(b):
		return nil
	case <-a.w.ctx.Done():
		return a.w.ctx.Err()
	case <-a.ended: // a provider that calls after it returned
		return errStopped
	}
}

// listen hands on pieces until the provider is done, and judges what it
// returned.
func (a *guarded) listen(yield func(llm.Chunk, error) bool) (llm.Chunk, error) {
	for {
		select {
		case p := <-a.pieces:
			a.w.came()
			a.said += len(p)
			if !yield(llm.Chunk{Text: p}, nil) {
				return llm.Chunk{}, errStopped
			}
			a.w.expect(a.g.limits.Idle)
		case <-a.w.ctx.Done():
			return llm.Chunk{}, a.w.ctx.Err()
		case <-a.ended:
			a.w.came()
			return a.judge(yield)
		}
	}
}

// stop ends the asking and reports whether it ended.
func (a *guarded) stop() bool {
	a.w.cancel(nil)
	t := time.NewTimer(leaveAlone)
	defer t.Stop()
	select {
	case <-a.ended:
		return true
	case <-t.C:
		return false
	}
}

// judge says whether what the provider returned is an answer. Its word alone
// is not enough.
func (a *guarded) judge(yield func(llm.Chunk, error) bool) (llm.Chunk, error) {
	if err := a.w.ctx.Err(); err != nil { // some return nothing and no error then
		return llm.Chunk{}, err
	}
	if a.err != nil {
		return llm.Chunk{}, a.err
	}
	if a.resp == nil || len(a.resp.Choices) == 0 {
		return llm.Chunk{}, &llm.Error{Kind: llm.Truncated, Message: "the provider returned nothing"}
	}
	all := a.g.merge(a.resp.Choices)
	if a.cut(all) {
		return llm.Chunk{}, &llm.Error{Kind: llm.Truncated, Message: "the stream ended before the answer did"}
	}
	if a.said == 0 && all.text+all.reasoning != "" {
		a.said = len(all.text)
		if !yield(llm.Chunk{Text: all.text, Reasoning: all.reasoning}, nil) {
			return llm.Chunk{}, errStopped
		}
	}
	final := llm.Chunk{Finish: all.finish(), Usage: all.usage}
	if final.Finish != llm.FinishTools {
		return final, nil
	}
	calls, err := all.calls.whole()
	if err != nil {
		return llm.Chunk{}, err
	}
	for i := range calls {
		if !yield(llm.Chunk{Call: &calls[i]}, nil) {
			return llm.Chunk{}, errStopped
		}
	}
	return final, nil
}

// cut reports whether a stream was cut off: no reason was given for its end.
// Ollama's never is; there the text is missing from the result.
func (a *guarded) cut(all mergedChoices) bool {
	switch {
	case !a.streams():
		return all.stop == "" && all.calls.len() == 0 && all.text == ""
	case a.g.ollama:
		return all.text == ""
	}
	return all.stop == ""
}

// describe makes an [*llm.Error] of a provider's error. Most are texts.
func (g *guard) describe(w *watch, err error, midStream bool) *llm.Error {
	var e *llm.Error
	var late *lateError
	switch {
	case errors.As(context.Cause(w.ctx), &late):
		e = &llm.Error{Kind: llm.Timeout, Message: late.Error()}
	case errors.As(err, &e):
	default:
		words := short(redact(err.Error(), g.opts.Key))
		e = &llm.Error{Kind: langchainKind(err), Message: words}
	}
	e.Provider, e.MidStream = "langchain", e.MidStream || midStream
	return e
}

// statusIn returns the HTTP status that an error's words tell, 0 if none.
func statusIn(words string) (status int) {
	for _, mark := range []string{"status code: ", "status code ", "status: ", "Error ", "HTTP "} {
		if _, rest, ok := strings.Cut(words, mark); ok {
			if _, err := fmt.Sscanf(rest, "%d", &status); err == nil && status >= 400 && status < 600 {
				return status
			}
		}
	}
	return 0
}

// langchainKind goes by what a provider said, then by langchaingo's own
// opinion, which comes of words too.
func langchainKind(err error) llm.Kind {
	words := err.Error()
	f := failureBody{Message: words, Type: strings.ReplaceAll(strings.ToLower(words), " ", "_")}
	if k := classify(statusIn(words), f); k != llm.Unavailable {
		return k
	}
	var e *llms.Error
	if !errors.As(err, &e) {
		return llm.Unavailable
	}
	kinds := map[llms.ErrorCode]llm.Kind{
		llms.ErrCodeAuthentication: llm.Auth, llms.ErrCodeRateLimit: llm.RateLimited, llms.ErrCodeQuotaExceeded: llm.Quota,
		llms.ErrCodeInvalidRequest: llm.BadRequest, llms.ErrCodeResourceNotFound: llm.NotFound, llms.ErrCodeTimeout: llm.Timeout,
		llms.ErrCodeContentFilter: llm.Refused, llms.ErrCodeTokenLimit: llm.TooLong,
	}
	if k := kinds[e.Code]; k != "" {
		return k
	}
	return llm.Unavailable
}
