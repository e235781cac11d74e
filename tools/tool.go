// Package tools is what an agent can do: call tools, most of them REST
// endpoints that their owners registered as data.
//
// A tool that fails is not an error of Parley's: its failure is a [Result]
// that the model reads and can react to. Tools know nothing of models,
// conversations or Redis.
package tools

import (
	"context"
	"encoding/json"
)

// An Effect says what calling a tool may do to the world, and with it what a
// replica may do about a call whose outcome it does not know.
type Effect string

// The three effects.
const (
	Safe       Effect = "safe"       // reads only: may be called again
	Idempotent Effect = "idempotent" // may be called again with the same Idempotency-Key
	Unsafe     Effect = "unsafe"     // runs at most once
)

// A Spec describes a tool to models and to people.
type Spec struct {
	Name        string          `json:"name"` // see [NamePattern]
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"` // a JSON Schema of type object
	Effect      Effect          `json:"effect"`

	// Method and Host say where a call goes. They are shown to people and
	// are empty for tools without a network.
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`

	// Path and Tags are further words that the tool is found by: see
	// [Set.Find].
	Path string   `json:"path,omitempty"`
	Tags []string `json:"tags,omitempty"`

	Approval Approval `json:"approval,omitempty"` // empty means what Effect suggests: see [Spec.Policy]
}

// An Approval says whether a tool may be called without asking a person.
type Approval string

// The approvals.
const (
	ApprovalAuto  Approval = "auto"  // called at once
	ApprovalAsk   Approval = "ask"   // a person decides about each call
	ApprovalNever Approval = "never" // not called by an agent at all
)

// Policy returns the approval that the tool's owner has declared or, without
// one, auto for tools that only read and ask for all others.
func (s Spec) Policy() Approval {
	switch {
	case s.Approval != "":
		return s.Approval
	case s.Effect == Safe:
		return ApprovalAuto
	}
	return ApprovalAsk
}

// A Call is one request to use a tool.
type Call struct {
	ID         string          // unique over everything Parley ever calls; sent as Idempotency-Key
	Name       string          // of the tool
	Arguments  json.RawMessage // a JSON object
	Generation uint64          // of the conversation's writer; sent as Parley-Generation, 0 for none

	// Person is on whose behalf the call is made, and Conversation where;
	// empty if nobody's. They tell apart what belongs to different people and
	// are never sent to a service.
	Person       string
	Conversation string

	// Watch, if it is set, is told of each HTTP request of the call that has
	// ended, for people who try a tool. It may be called by several goroutines.
	Watch func(Attempt)

	Answer *Answer // to what the tool asked when it was called with this ID before, nil if it did not
}

// A Result is what came of a [Call].
type Result struct {
	Content string // what the model reads; never empty
	Failed  bool   // Content then says what went wrong and what could be changed
	Outcome Outcome
	Sources []Source // passages that an answer may cite

	// Ask says that the call cannot go on before a person has answered; the
	// rest of the Result means nothing then. Nothing runs meanwhile: the call
	// is made again, with the answer, whenever and wherever that comes.
	Ask *Ask
}

// An Ask is what a call needs of a person.
type Ask struct {
	Reason  AskReason
	Message string          // what is asked, for people
	Schema  json.RawMessage // JSON Schema of the answer's payload, empty for none
	URL     string          // where the person has to go, for [AskConnect]
	State   string          // handed back with the answer; shown to nobody
}

// An AskReason says what kind of answer an [Ask] waits for. Two are those of
// AG-UI 1.0.
type AskReason string

// The reasons.
const (
	AskApproval AskReason = "tool_call"      // may the call be made, and with these arguments
	AskInput    AskReason = "input_required" // something that Schema describes
	AskConnect  AskReason = "parley:connect" // access to the person's account at a service
)

// An Answer is what came of an [Ask].
type Answer struct {
	Status  AnswerStatus
	Payload json.RawMessage // of one that was resolved
	State   string          // the Ask's
}

// An AnswerStatus says whether an [Ask] was answered.
type AnswerStatus string

// The statuses: resolved and cancelled are those of AG-UI 1.0.
const (
	AnswerResolved  AnswerStatus = "resolved"
	AnswerCancelled AnswerStatus = "cancelled" // nobody decided: the person went on
	AnswerExpired   AnswerStatus = "expired"   // nobody decided in time
)

// An Outcome is what people are shown of a call besides its content.
type Outcome struct {
	Method    string `json:"method,omitempty"`
	Host      string `json:"host,omitempty"`
	Status    int    `json:"status,omitempty"` // HTTP status of the last answer, 0 if there was none
	LatencyMs int64  `json:"latencyMs"`
	Requests  int    `json:"requests,omitempty"` // HTTP requests made, steps and retries included
	Retries   int    `json:"retries,omitempty"`  // of those, made because one before had failed
	Breaker   string `json:"breaker,omitempty"`  // "open" if the call was not made because the service has been failing
	Cache     string `json:"cache,omitempty"`    // see [CacheHit]; empty if the service was asked
	AgeMs     int64  `json:"ageMs,omitempty"`    // of what came from the cache
	Bytes     int64  `json:"bytes,omitempty"`    // of the answers' bodies as read
	Cut       bool   `json:"cut,omitempty"`      // the content was cut to the size cap
	Failed    bool   `json:"failed,omitempty"`
	Reason    string `json:"reason,omitempty"` // of a failure, one line

	Files []FileRef `json:"files,omitempty"` // what was kept of the answer
}

// How a cache had a part in an [Outcome].
const (
	CacheHit    = "hit"         // the service was not asked
	Revalidated = "revalidated" // the service said that what was kept is still right
	CacheStale  = "stale"       // what was kept stands in, the service having failed
)

// A Source is a passage that an answer can cite as [Ref].
type Source struct {
	Ref      string   `json:"ref"` // "document:chunk", e.g. "architecture:12"
	Document string   `json:"document"`
	Title    string   `json:"title"`
	Headings []string `json:"headings,omitempty"`
	Text     string   `json:"text"`
	Start    int      `json:"start"` // offsets into the document's text, in runes
	End      int      `json:"end"`
}

// A Tool does one thing for an agent. All methods may be called concurrently.
//
// Call returns a failure of the tool as a [Result]. It must return an error
// only if ctx ended or the tool could not be tried at all; the caller turns
// that into a failed Result as well.
type Tool interface {
	Spec() Spec
	Call(ctx context.Context, call Call) (Result, error)
}

// NamePattern is what a tool's name must match: what every model API takes.
const NamePattern = `^[a-zA-Z0-9_-]{1,64}$`
