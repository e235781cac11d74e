package llm

import (
	"context"
	"iter"

	"parley/tools"
)

// A Model answers requests piece by piece. All methods may be called
// concurrently.
//
// Stream must yield pieces in the order in which they come and end with
// either one [Chunk] whose Finish is set, which the model itself must have
// said, or one error. A stream that just ends is not an answer: it must yield
// an [*Error] of kind [Truncated]. Beside an error there may be the Usage of
// what came. When ctx ends, Stream must yield ctx's
// error and leave nothing running, as when the consumer stops.
type Model interface {
	Name() string
	Stream(ctx context.Context, req Request) iter.Seq2[Chunk, error]
}

// A Request is what a model is asked.
type Request struct {
	System      string       // instructions; empty for none
	Messages    []Message    // Reasoning messages are left out by providers
	Tools       []tools.Spec // that the model may call
	NoTools     bool         // Tools are known but must not be called now
	Temperature *float64     // nil: the provider's default, not sent
	MaxTokens   int          // of the answer; 0: the provider's default, not sent

	// Begun, if set, is what the answer has begun with: only what follows is
	// said. It is for a [Continuer] that says that it does that.
	Begun *Begun

	// Format is what the answer must look like; nil for text. Providers hold
	// the model to it where their API can (see [Former]), else tell it.
	Format *Format

	// Restarts is how often the answer may begin anew behind pieces that were
	// handed on, see [Chunk.StandIn]. Who sets it must drop those pieces then.
	Restarts int

	// More, if set, is asked by a [Chain] before it asks a model once more, when
	// something has been spent: that, and about how many tokens the model will
	// read. What it was told of is not in the Usage of the answer any more. An
	// error ends the answer.
	More func(spent *Usage, need int) (Grant, error)

	// Pause, if set, is called when all that was read of the stream has been
	// handed on and some of it was text, before the connection is read again:
	// what comes meanwhile gathers in the connection's buffer, where it costs
	// least. It returns early when ctx ends. Providers may leave it out.
	Pause func(ctx context.Context)
}

// A Chunk is one piece of an answer. Any of its fields may be set.
type Chunk struct {
	Text      string
	Reasoning string
	Call      *ToolCall // whole; arguments that are no JSON object are the model's own mistake
	Usage     *Usage    // replaces what came before
	Finish    Finish    // set on the last chunk only

	State *ProviderState // on the last chunk: what the provider wants back with the answer

	// StandIn, which only a [Chain] sets, and alone, says that another model
	// than the first answers from here on.
	StandIn *StandIn
}

// A Finish is why a model ended its turn.
type Finish string

// The reasons, in OpenAI's terms.
const (
	FinishStop    Finish = "stop"
	FinishLength  Finish = "length"
	FinishTools   Finish = "tool_calls"
	FinishRefused Finish = "content_filter" // a refusal, by the model or a filter
	FinishBudget  Finish = "budget"         // Parley's own: it answered without tools, since there was no more to spend
)
