package chat

import (
	"encoding/json"
	"fmt"

	"parley/llm"
)

// A Type names a kind of event. Readers skip types that they do not know, so
// that two versions of Parley can run side by side.
type Type string

// AG-UI 1.0's events, as far as Parley writes them. They are written in the
// START, CONTENT, END form, without nulls and without empty deltas.
const (
	RunStarted       Type = "RUN_STARTED"
	RunFinished      Type = "RUN_FINISHED"
	RunError         Type = "RUN_ERROR"
	TextStart        Type = "TEXT_MESSAGE_START"
	TextContent      Type = "TEXT_MESSAGE_CONTENT"
	TextEnd          Type = "TEXT_MESSAGE_END"
	ReasoningStart   Type = "REASONING_MESSAGE_START"
	ReasoningContent Type = "REASONING_MESSAGE_CONTENT"
	ReasoningEnd     Type = "REASONING_MESSAGE_END"
	ToolCallStart    Type = "TOOL_CALL_START"
	ToolCallArgs     Type = "TOOL_CALL_ARGS"
	ToolCallEnd      Type = "TOOL_CALL_END"
	ToolCallResult   Type = "TOOL_CALL_RESULT"
)

// Parley's own events of a conversation.
const (
	GenerationBegan Type = "conversation.generation" // the first entry, g-0, of a generation
	MessageSaid     Type = "conversation.message"    // what a person said
	MessageQueued   Type = "conversation.queued"     // it was heard and waits for the run before it
	RunTakenOver    Type = "conversation.takeover"   // a run goes on, by another writer or, in the same try, by another model; what was open is rolled back
	RunContinued    Type = "conversation.continued"  // a run goes on by another writer, behind what is open; who does not know it has lost nothing
	RunHandedOver   Type = "conversation.handover"   // whoever writes a run gives it up in good order; another goes on with it
	Titled          Type = "conversation.titled"
	Pinned          Type = "conversation.pinned"     // which feeds are pinned now, all of them
	AskAnswered     Type = "conversation.answered"   // what became of an interrupt
	Summarised      Type = "conversation.summarised" // all up to a message
	Suggested       Type = "conversation.suggested"  // what could be asked next
)

// An Event is one thing that happened in a conversation. Its JSON form is an
// AG-UI 1.0 event, or one of Parley's own, whose types begin with
// "conversation.". Which fields are set follows from Type.
type Event struct {
	Type Type `json:"type"`

	ThreadID        string      `json:"threadId,omitempty"`
	RunID           string      `json:"runId,omitempty"`
	MessageID       string      `json:"messageId,omitempty"`
	Role            llm.Role    `json:"role,omitempty"`
	Delta           string      `json:"delta,omitempty"`
	ToolCallID      string      `json:"toolCallId,omitempty"`
	ToolCallName    string      `json:"toolCallName,omitempty"`
	ParentMessageID string      `json:"parentMessageId,omitempty"`
	Content         string      `json:"content,omitempty"`
	Outcome         *Outcome    `json:"outcome,omitempty"`
	Message         string      `json:"message,omitempty"` // of RUN_ERROR
	Code            string      `json:"code,omitempty"`    // of RUN_ERROR
	Usage           []llm.Usage `json:"usage,omitempty"`

	// Of conversation.generation.
	Prev     *Position `json:"prev,omitempty"` // the entry that it follows, absent for none
	By       string    `json:"by,omitempty"`   // the replica that writes
	Kind     string    `json:"kind,omitempty"` // claim, doubt, deleted
	Same     bool      `json:"same,omitempty"` // Snapshot is what the entries up to Prev add up to
	Snapshot *State    `json:"snapshot,omitempty"`

	Said  *llm.Message `json:"said,omitempty"` // of conversation.message and .queued
	Try   int          `json:"try,omitempty"`  // of conversation.takeover and .continued
	Title string       `json:"title,omitempty"`
	Pins  []string     `json:"pins,omitempty"` // of conversation.pinned

	Answered *llm.Answered `json:"answered,omitempty"` // of conversation.answered, with ToolCallID

	Summary     *llm.Summary `json:"summary,omitempty"`     // of conversation.summarised, with MessageID
	Suggestions []string     `json:"suggestions,omitempty"` // of conversation.suggested

	Metadata *llm.Metadata `json:"metadata,omitempty"`
}

// An Outcome says how a run ended, in AG-UI's terms: success or cancelled; or
// interrupt, if it goes on once people have answered.
type Outcome struct {
	Type       string      `json:"type"`
	Interrupts []Interrupt `json:"interrupts,omitempty"`
}

// Interrupted is the type of the outcome of a run that waits for people.
const Interrupted = "interrupt"

// An Entry is an event in its place in a conversation's log: one JSON form in
// Redis, on the WebSocket and on SSE.
type Entry struct {
	At  Position `json:"at"`
	Run string   `json:"run,omitempty"`
	Try int      `json:"try,omitempty"` // attempt at the run, from 1
	TS  int64    `json:"ts"`            // ms since 1970, by the writer's clock
	Ev  Event    `json:"ev"`
}

// DecodeEntry reads an entry's JSON form.
func DecodeEntry(b []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("chat: entry: %w", err)
	}
	return e, nil
}
