// Package llm is how an agent thinks: the messages of a conversation, models
// that answer them, and the loop of model turns and tool calls between a
// question and its answer. It knows nothing of logs, stores or connections.
package llm

import (
	"cmp"
	"encoding/json"
	"strings"

	"parley/tools"
)

// A Role says whose words a message holds.
type Role string

// The roles, as AG-UI 1.0 and the model APIs name them.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	ToolRole  Role = "tool"
	Reasoning Role = "reasoning" // shown to people, never sent back to a model
)

// A Message is one turn of a conversation. Its JSON form is AG-UI 1.0's
// message; what Parley adds is under metadata.parley.
type Message struct {
	ID         string     `json:"id"`
	Role       Role       `json:"role"`
	Content    string     `json:"content,omitempty"`
	ToolCalls  []ToolCall `json:"toolCalls,omitempty"`  // of an assistant
	ToolCallID string     `json:"toolCallId,omitempty"` // of a tool: the call it answers
	Error      string     `json:"error,omitempty"`      // of a tool: why it failed
	Metadata   *Metadata  `json:"metadata,omitempty"`

	// Of a user, in a request: what is sent in place of Content, which says it
	// in words for models that take nothing but text.
	Parts []Part `json:"-"`
}

// A ToolCall is a model's request to use a tool.
type ToolCall struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"` // "function"
	Function Function  `json:"function"`
	Metadata *Metadata `json:"metadata,omitempty"`
}

// A Function names the tool of a call and its arguments: the text of a JSON
// object.
type Function struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// NewToolCall returns a call of the named tool.
func NewToolCall(id, name, arguments string) ToolCall {
	return ToolCall{ID: id, Type: "function", Function: Function{Name: name, Arguments: arguments}}
}

// IsObject reports whether s is the text of one JSON object.
func IsObject(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && s[0] == '{' && json.Valid([]byte(s))
}

// Raw returns the arguments as JSON.
func (c ToolCall) Raw() json.RawMessage { return json.RawMessage(c.Function.Arguments) }

// Metadata wraps what Parley knows of a message or call besides AG-UI's
// fields.
type Metadata struct {
	Parley Details `json:"parley"`
}

// Details are Parley's own data about a message or a tool call.
type Details struct {
	Run string `json:"run,omitempty"`
	At  int64  `json:"at,omitempty"` // when it began, ms since 1970

	// Of what a person said. Edits is the message in whose place it stands; of
	// a run's beginning too.
	ClientID string `json:"clientId,omitempty"`
	Edits    string `json:"edits,omitempty"`

	// Of what a person said: what is attached to it.
	Files []tools.FileRef `json:"files,omitempty"`

	// Of a run's beginning: the message that it answers and the run whose
	// answer it replaces.
	Question string `json:"question,omitempty"`
	Replaces string `json:"replaces,omitempty"`

	// Of a run's beginning, and of the last message of a run: which agent
	// answers. Nil for the one that the settings describe.
	Agent *AgentRef `json:"agent,omitempty"`

	// Of a tool call: where it goes.
	Method string       `json:"method,omitempty"`
	Host   string       `json:"host,omitempty"`
	Effect tools.Effect `json:"effect,omitempty"`

	// And what people answered when it asked them, in that order.
	Answers []Answered `json:"answers,omitempty"`

	// Of a tool's result.
	Outcome *tools.Outcome `json:"outcome,omitempty"`
	Sources []tools.Source `json:"sources,omitempty"`

	// Of a model's turn: see [ProviderState]. It is shown to nobody.
	Provider *ProviderState `json:"provider,omitempty"`

	// Of an answer that was to have a format; of a run's beginning too, where
	// nothing is valid yet.
	Format *Formatted `json:"format,omitempty"`

	// Of the last message of a turn: a summary of it and all before it.
	Summary *Summary `json:"summary,omitempty"`

	// Of the last message of a run: how the run ended.
	Status  string   `json:"status,omitempty"` // finished, cancelled, failed
	Finish  Finish   `json:"finish,omitempty"` // why the model ended, if not because it was done
	Failure *Failure `json:"failure,omitempty"`
	Model   string   `json:"model,omitempty"`
	Usage   *Usage   `json:"usage,omitempty"`
	TookMs  int64    `json:"tookMs,omitempty"`
	Unseen  []Unseen `json:"unseen,omitempty"` // files of its question that the model was not shown

	// Of a turn, and of the end of its run: the models that should have
	// answered and did not.
	Missed []Missed `json:"missed,omitempty"`
}

// An AgentRef names a version of an agent.
type AgentRef struct {
	Name    string `json:"name"`
	Version int    `json:"version,omitempty"` // 0: what the settings say
	Instead string `json:"instead,omitempty"` // of this agent, which is no more
}

// An Answered is what became of an interrupt: something that a tool call
// needed of a person.
type Answered struct {
	Interrupt string             `json:"interruptId"`
	Status    tools.AnswerStatus `json:"status"`
	Payload   json.RawMessage    `json:"payload,omitempty"`
	By        string             `json:"by,omitempty"` // owner, or admin for one who is not; empty if nobody decided
	At        int64              `json:"at,omitempty"` // ms since 1970
}

// A ProviderState is what a provider said that only it understands, such as
// signed or encrypted thoughts, and where in the message it stood. It goes
// back verbatim to the same provider and model and is left out for others.
type ProviderState struct {
	Provider string          `json:"name"`
	Model    string          `json:"model"`
	Blocks   json.RawMessage `json:"blocks"` // at most 256 KiB
}

// A Summary says in short what was said up to a message. A model is shown it
// instead, once the whole would be too long.
type Summary struct {
	Text  string `json:"text"` // at most 6 KB
	Model string `json:"model,omitempty"`
	Usage *Usage `json:"usage,omitempty"`
	At    int64  `json:"at,omitempty"` // ms since 1970
}

// A Failure says to people why a run has no whole answer.
type Failure struct {
	Code    string `json:"code"`    // stable, e.g. "model_unavailable"
	Message string `json:"message"` // what happened and what to do
}

// Usage counts a model's tokens, in AG-UI 1.0's names.
type Usage struct {
	Provider     string `json:"provider,omitempty"`
	Model        string `json:"model,omitempty"`
	Input        int    `json:"inputTokens,omitempty"`
	Output       int    `json:"outputTokens,omitempty"`
	Total        int    `json:"totalTokens,omitempty"`
	Reasoning    int    `json:"reasoningTokens,omitempty"`
	CachedInput  int    `json:"cachedInputTokens,omitempty"`
	CacheWritten int    `json:"cacheWriteInputTokens,omitempty"`

	// What Parley adds. Tokens of models whose price is not known are counted
	// as Unpriced, and are not in Cost.
	Cost      int64 `json:"costMicros,omitempty"`      // in millionths of a US dollar
	Unpriced  int   `json:"unpricedTokens,omitempty"`  // of Total
	Estimated int   `json:"estimatedTokens,omitempty"` // of Total: nobody has counted them
}

// Tokens returns how many tokens were read and written.
func (u Usage) Tokens() int {
	if u.Total > 0 {
		return u.Total
	}
	return u.Input + u.Output
}

// Spent returns what was spent.
func (u Usage) Spent() Amount { return Amount{int64(u.Tokens()), u.Cost} }

// Add returns the sum of two usages, named as the later one is, if it is.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Provider: cmp.Or(v.Provider, u.Provider), Model: cmp.Or(v.Model, u.Model),
		Input: u.Input + v.Input, Output: u.Output + v.Output, Total: u.Total + v.Total,
		Reasoning: u.Reasoning + v.Reasoning, CachedInput: u.CachedInput + v.CachedInput,
		CacheWritten: u.CacheWritten + v.CacheWritten,
		Cost:         sum(u.Cost, v.Cost), Unpriced: u.Unpriced + v.Unpriced, Estimated: u.Estimated + v.Estimated,
	}
}
