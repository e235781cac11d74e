package llm

import (
	"context"
	"errors"
	"iter"
	"slices"

	"parley/tools"
)

// Fitted returns m with requests fitted to what it reads at once, see [Fit],
// as the gauge knows that. What m refuses as too long before it has said
// anything it is asked once more, with half of it. Without a gauge it is m.
func Fitted(m Model, g *Gauge) Model {
	if g == nil {
		return m
	}
	return &fitted{m, g}
}

// Bare returns the model that [Fitted] was given, or m: for what only some
// models can.
func Bare(m Model) Model {
	if f, ok := m.(*fitted); ok {
		return f.Model
	}
	return m
}

type fitted struct {
	Model
	gauge *Gauge
}

func (f *fitted) Stream(ctx context.Context, req Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		whole := f.worded(ctx, req.Messages)
		beside := tools.Tokens(req.System) + specTokens(req.Tools) + tools.Tokens(req.Begun.Sent())
		req.Messages = Fit(whole, f.gauge.Room(beside+dataTokens(whole)))
		size := messagesTokens(req.Messages)
		err := f.ask(ctx, req, beside+size, yield)
		if err == nil {
			return
		}
		req.Messages = Fit(whole, max(size/2, 1))
		shorter := messagesTokens(req.Messages)
		if shorter < size {
			err = f.ask(ctx, req, beside+shorter, yield)
		}
		if err != nil {
			yield(Chunk{}, err)
		}
	}
}

// ask makes one request, which is estimated at so many tokens. An error that
// says that it is too long is returned, if it came first, and not handed on.
func (f *fitted) ask(ctx context.Context, req Request, tokens int, yield func(Chunk, error) bool) error {
	said := false
	var usage *Usage
	for c, err := range f.Model.Stream(ctx, req) {
		if e := (*Error)(nil); errors.As(err, &e) && e.Kind == TooLong {
			f.gauge.refused(tokens)
			if !said {
				return err
			}
		}
		if said = true; c.Usage != nil {
			usage = c.Usage
		}
		if c.Finish != "" {
			f.gauge.learn(tokens, usage)
		}
		if !yield(c, err) || err != nil {
			return nil
		}
	}
	return nil
}

// worded has what the model does not take in words: they count for less.
func (f *fitted) worded(ctx context.Context, msgs []Message) []Message {
	if !slices.ContainsFunc(msgs, func(m Message) bool { return len(m.Parts) > 0 }) {
		return msgs
	}
	in := InputOf(ctx, f.Model)
	msgs = slices.Clone(msgs)
	for i := range msgs {
		msgs[i].Parts = in.Worded(msgs[i].Parts)
	}
	return msgs
}

// dataTokens estimates the data behind the last question, see [WithContext].
func dataTokens(msgs []Message) int {
	for _, m := range slices.Backward(msgs) {
		if m.Role != User {
			continue
		}
		if _, data := CutContext(m.Content); data != "" {
			return tools.Tokens(contextBegin + data + contextEnd)
		}
		break
	}
	return 0
}
