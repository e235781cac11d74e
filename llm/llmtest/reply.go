package llmtest

import (
	"strings"
	"time"

	"parley/llm"
)

// A Reply is one scripted answer. The zero value is an empty answer that ends
// with reason "stop".
type Reply struct {
	Reasoning []string   // pieces of it, before the text
	Pieces    []string   // of the text
	Calls     []Call     // after the text
	Usage     *llm.Usage // Input and Output that are told; nil: by the length of both
	Opaque    string     // with what thoughts or calls are signed, where the dialect has that

	Delay time.Duration   // before anything is sent, headers too
	Every time.Duration   // before each piece but the first
	Hold  <-chan struct{} // if set, waited for before the last piece

	Finish string // in OpenAI's terms; "" for "stop", or "tool_calls" if there are Calls
	Cut    bool   // the body ends after the pieces, without its end
	Reset  bool   // the connection is reset there
	Hang   bool   // nothing more comes there until the client goes

	// Status, if not 0 or 200, makes this an error with the JSON body that
	// the real server sends. Error in an answer of status 200 comes as an error frame
	// after the pieces.
	Status     int
	Error      string        // message
	Code       string        // e.g. "rate_limit_exceeded"
	RetryAfter time.Duration // sent in whole seconds
}

// A Call is a tool call of a reply.
type Call struct {
	ID        string // "" for one made of the numbers of request and call
	Name      string
	Arguments string // "" for "{}"
}

// Text returns a reply that says s, a word at a time.
func Text(s string) Reply { return Reply{Pieces: strings.SplitAfter(s, " ")} }

// Use returns a reply that makes calls.
func Use(calls ...Call) Reply { return Reply{Calls: calls} }

// Fail returns a reply that is an error.
func Fail(status int, code, message string) Reply {
	return Reply{Status: status, Code: code, Error: message}
}

// Sequence returns a script that gives one reply after the other, whatever is
// asked; after the last one, errors of status 500.
func Sequence(replies ...Reply) func(Request) Reply {
	return func(r Request) Reply {
		if r.N > len(replies) {
			return Fail(500, "script_over", "the script is over")
		}
		return replies[r.N-1]
	}
}

// Endless returns a script of a model that never stops calling a tool, even
// when told not to.
func Endless(name, arguments string) func(Request) Reply {
	return func(Request) Reply { return Use(Call{Name: name, Arguments: arguments}) }
}
