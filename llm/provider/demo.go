package provider

import (
	"context"
	"iter"
	"strings"
	"time"

	"parley/llm"
)

// DemoOptions configure [Demo].
type DemoOptions struct {
	Pace time.Duration    // mean pause between two words; 0: 25 ms, negative: none
	Seed uint64           // of the pauses, which are the same for the same answer
	Now  func() time.Time // the clock that "on Friday" is understood by, and its time zone; nil: time.Now
}

// A demo is the built-in model. It keeps nothing between requests.
type demo struct {
	pace time.Duration
	seed uint64
	now  func() time.Time
}

var _ llm.Model = (*demo)(nil)

// Demo returns the built-in model, which is not a language model and says so:
// it picks tools by the words that a question shares with their
// descriptions, reads arguments out of the question, and writes its answer
// from what the tools returned. Without a network, a key or any weights it
// drives the whole agent loop, always in the same way: the same request has
// the same answer, word for word, up to the dates that Now decides.
//
// All methods of the model may be called concurrently. Its streams fail only
// when their context ends.
func Demo(opts DemoOptions) llm.Model {
	d := &demo{pace: opts.Pace, seed: opts.Seed, now: opts.Now}
	if d.pace == 0 {
		d.pace = 25 * time.Millisecond
	}
	if d.now == nil {
		d.now = time.Now
	}
	return d
}

func (d *demo) Name() string { return "demo" }

// Forms reports that the model keeps to formats.
func (d *demo) Forms(llm.Request) bool { return true }

// Stream answers from where the messages end: a question gets tool calls or
// words, results get an answer.
func (d *demo) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		t := d.formed(d.turn(req).unsighted(demoTalkOf(req.Messages)), req)
		if b := req.Begun.Sent(); !strings.HasPrefix(t.text, b) {
			yield(llm.Chunk{}, &llm.Error{Kind: llm.BadRequest, Provider: "demo", Message: "the answer does not begin so"})
			return
		} else if b != "" {
			t = demoTurn{text: t.text[len(b):]}
		}
		s := demoSpeaker{ctx: ctx, yield: yield, rand: demoPauses(d.seed, d.pace), left: req.MaxTokens}
		s.speak(t, demoInputWords(req))
	}
}

// Continues implements [llm.Continuer].
func (d *demo) Continues(string) bool { return true }

// A demoTurn is what the model says and does in one turn.
type demoTurn struct {
	reasoning string
	text      string
	calls     []llm.ToolCall
}

// turn decides what to say or do.
func (d *demo) turn(req llm.Request) demoTurn {
	talk := demoTalkOf(req.Messages)
	mind := demoMind{tools: demoTools(req.Tools), now: d.now()}
	if len(talk.results) > 0 {
		return demoTurn{text: demoAnswer(talk, mind.plan(talk).ask)}
	}
	if text := demoPinned(talk); text != "" {
		return demoTurn{text: text}
	}
	plan := mind.plan(talk)
	switch {
	case plan.text != "":
		return demoTurn{text: plan.text}
	case len(plan.calls) > 0 && req.NoTools:
		return demoTurn{text: demoMayNotCall(plan)}
	case len(plan.calls) > 0:
		return demoTurn{reasoning: plan.why, calls: talk.number(plan.calls)}
	case plan.ask != "":
		return demoTurn{text: plan.ask}
	}
	return demoTurn{text: mind.help()}
}
