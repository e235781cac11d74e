package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"parley/llm"
	"parley/llm/price"
	"parley/llm/provider"
	"parley/tools"
)

const modelsUsage = `Usage: parley models [flags]

Shows which models answer by these settings, in the order in which they stand in for each
other, and where they are asked. With --check each is asked two short questions: whether it
can be reached, streams, counts and calls tools; and a server that runs with this ops-addr is
asked which it lets rest.`

// modelsCommand shows and tries the models of the settings.
func (a *app) modelsCommand(ctx context.Context, args []string) error {
	l := newLoader(a.env, "model", "model-provider", "model-url", "model-key", "model-key-file", "model-reasoning", "model-max-tokens", "model-fallback", "prices", "ops-addr", "config")
	fs := a.flags("models", modelsUsage)
	check := fs.Bool("check", false, "Ask the models.")
	l.register(fs)
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("models takes flags only, not %q", rest[0])
	}
	s, err := l.load()
	if err != nil {
		return err
	}
	models, err := openModels(s)
	if err != nil {
		return err
	}
	var server []llm.LinkStatus
	if *check && s.OpsAddr != "" {
		if server, err = askServer(ctx, s.OpsAddr); err != nil {
			fmt.Fprintf(a.stderr, "No server is asked how its models do: %v\n", err)
		}
	}
	var failed error
	for i, m := range models {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		c := &modelCheck{model: m, place: i, w: tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)}
		c.describe(s)
		if i < len(server) {
			c.served(server[i])
		}
		if *check {
			failed = cmp.Or(c.inTime(ctx), failed)
		}
		_ = c.w.Flush()
	}
	return failed
}

// modelCheckTime is how long a model may take for both questions.
const modelCheckTime = 2 * time.Minute

func (c *modelCheck) inTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, modelCheckTime)
	defer cancel()
	return c.run(ctx)
}

// served says how the model does in a server that runs.
func (c *modelCheck) served(s llm.LinkStatus) {
	if s.Model == c.model.Name() {
		c.line("in the server", "%s; %d requests, %d failed, %d retried, %d times in place of others", s.State, s.Asked, s.Failed, s.Retried, s.StoodIn)
	}
}

// A modelCheck finds out what a model can do.
type modelCheck struct {
	model llm.Model
	place int // in the chain, from 0
	w     *tabwriter.Writer
}

func (c *modelCheck) line(what, format string, args ...any) {
	fmt.Fprintf(c.w, "%s\t%s\n", what, fmt.Sprintf(format, args...))
}

func (c *modelCheck) describe(s settings) {
	c.line("model", "%s", c.model.Name())
	if c.place > 0 {
		c.line("asked", "if none before it answers")
	}
	r, remote := c.model.(*provider.Remote)
	if !remote {
		c.line("provider", "demo: built in, and no language model")
		return
	}
	c.line("provider", "%s at %s", r.Provider(), r.Host())
	c.line("price", "%s", priceText(s.Prices, r.Provider(), r.Name()))
	key, reasoning := s.ModelKey, s.ModelReasoning
	if c.place > 0 {
		key, reasoning = s.ModelFallback[c.place-1].Key, ""
	}
	c.line("key", "%s", cmp.Or(key.String(), "none"))
	c.line("reasoning", "%s", cmp.Or(reasoning, "as the provider has it"))
}

// priceText says what a model costs.
func priceText(t *price.Table, protocol, model string) string {
	p, ok := t.Price(protocol, model)
	if !ok {
		return "not known: set PARLEY_PRICES, or no budget in dollars counts it"
	}
	if p == (llm.Price{}) {
		return "free"
	}
	return fmt.Sprintf("a million tokens: in %s, cached %s, written to the cache %s, out %s; the table is of %s",
		price.FormatDollars(p.Input), price.FormatDollars(p.CachedInput), price.FormatDollars(p.CacheWritten), price.FormatDollars(p.Output), price.Asof)
}

// A modelReply is what came of one question.
type modelReply struct {
	text   string
	pieces int
	first  time.Duration // until the first piece
	whole  time.Duration
	calls  int
	think  bool
	usage  *llm.Usage
}

func (c *modelCheck) ask(ctx context.Context, req llm.Request) (r modelReply, err error) {
	began := time.Now()
	for p, err := range c.model.Stream(ctx, req) {
		if err != nil {
			return r, err
		}
		if r.first == 0 {
			r.first = time.Since(began)
		}
		if p.Text != "" || p.Reasoning != "" {
			r.pieces++
		}
		if p.Call != nil {
			r.calls++
		}
		if p.Usage != nil {
			r.usage = p.Usage
		}
		r.text += p.Text
		r.think = r.think || p.Reasoning != ""
	}
	r.whole = time.Since(began)
	return r, nil
}

// modelQuestion is a conversation of one question.
func modelQuestion(text string) []llm.Message {
	return []llm.Message{{ID: "m1", Role: llm.User, Content: text}}
}

func (c *modelCheck) run(ctx context.Context) error {
	r, err := c.ask(ctx, llm.Request{Messages: modelQuestion("Answer with one word and nothing else: what is the capital of Switzerland?")})
	if err != nil {
		return c.failed(err)
	}
	c.line("says", "%q", short(r.text, 60))
	c.line("first piece", "after %v, the whole answer after %v", r.first.Round(time.Millisecond), r.whole.Round(time.Millisecond))
	streams := "cannot be told: one piece came"
	if r.pieces > 1 {
		streams = fmt.Sprintf("yes, %d pieces", r.pieces)
	}
	c.line("streams", "%s", streams)
	c.line("thinks aloud", "%s", yes(r.think))
	usage := "not told"
	if u := r.usage; u != nil {
		usage = fmt.Sprintf("%d tokens in, %d out, of %s", u.Input, u.Output, u.Model)
	}
	c.line("usage", "%s", usage)
	return c.tools(ctx)
}

// tools finds out whether the model calls a tool that it is told to call.
func (c *modelCheck) tools(ctx context.Context) error {
	spec := tools.Spec{
		Name: "set_light", Description: "Switches the light in a room on or off.",
		Parameters: json.RawMessage(`{"type":"object","properties":{"room":{"type":"string","description":"name of the room"},"state":{"type":"string","enum":["on","off"]}},"required":["room","state"],"additionalProperties":false}`),
	}
	r, err := c.ask(ctx, llm.Request{Messages: modelQuestion("Switch the light in the kitchen on. Use the tool set_light."), Tools: []tools.Spec{spec}})
	var e *llm.Error
	switch {
	case errors.As(err, &e) && e.Kind == llm.BadRequest:
		c.line("tools", "refused; it answers without. %s", e.Message)
	case err != nil:
		return c.failed(err)
	case r.calls == 0:
		c.line("tools", "offered, but not called: it said %q", short(r.text, 60))
	default:
		c.line("tools", "yes")
	}
	return nil
}

// failed says what went wrong and what to do about it.
func (c *modelCheck) failed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = &llm.Error{Kind: llm.Timeout}
	}
	var e *llm.Error
	if !errors.As(err, &e) {
		return err
	}
	c.line("fails", "%s", llm.Describe(err).Message)
	detail := string(e.Kind)
	if e.Status != 0 {
		detail += fmt.Sprintf(", status %d", e.Status)
	}
	if e.Code != "" {
		detail += ", code " + e.Code
	}
	if e.RetryAfter > 0 {
		detail += fmt.Sprintf(", again after %v", e.RetryAfter)
	}
	if e.Err != nil {
		detail += ": " + e.Err.Error()
	}
	c.line("kind", "%s", detail)
	return exitError(exitFailed)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// short is a text as one line of at most n runes.
func short(s string, n int) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > n {
		return string(r[:n]) + "…"
	}
	return string(r)
}
