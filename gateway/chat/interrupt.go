package chat

import (
	"encoding/json"
	"errors"
	"time"

	"parley/llm"
	"parley/tools"
)

// An Interrupt is something that a run waits for and a person decides. Its
// JSON form is AG-UI 1.0's interrupt.
type Interrupt struct {
	ID         string             `json:"id"`
	Reason     tools.AskReason    `json:"reason"`
	Message    string             `json:"message,omitempty"` // for people
	ToolCallID string             `json:"toolCallId,omitempty"`
	Schema     json.RawMessage    `json:"responseSchema,omitempty"` // of the answer's payload
	Expires    time.Time          `json:"expiresAt"`
	Metadata   *InterruptMetadata `json:"metadata,omitempty"`
}

// InterruptMetadata wraps what Parley says of an interrupt besides AG-UI's
// fields.
type InterruptMetadata struct {
	Parley InterruptDetails `json:"parley"`
}

// InterruptDetails are Parley's own data about an [Interrupt].
type InterruptDetails struct {
	Tool   string `json:"tool,omitempty"`
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`
	URL    string `json:"url,omitempty"` // where the person has to go
}

// An Ask is an interrupt as the store keeps it.
type Ask struct {
	Interrupt
	Conversation string
	Run          string
	State        string // the tool's own; shown to nobody
	Created      time.Time

	Status   tools.AnswerStatus // empty while it is open
	Payload  json.RawMessage    // of the answer
	By       string             // see [llm.Answered]
	Answered time.Time
}

// Open reports whether nobody has decided yet.
func (a Ask) Open() bool { return a.Status == "" }

// Answer returns what became of an ask that is not open.
func (a Ask) Answer() *llm.Answered {
	return &llm.Answered{Interrupt: a.ID, Status: a.Status, Payload: a.Payload, By: a.By, At: a.Answered.UnixMilli()}
}

// A Decision answers one interrupt.
type Decision struct {
	Interrupt string
	Status    tools.AnswerStatus
	Payload   json.RawMessage
	By        string
	Always    string // name of a tool that is called without asking in this conversation from now on
}

// An Expired is an interrupt for whose answer the time is over.
type Expired struct{ Conversation, Run, Interrupt string }

// Errors of answering interrupts.
var (
	// ErrExpired is returned for an answer that came too late.
	ErrExpired = errors.New("chat: the time for answering is over")

	// ErrAnswered is returned if something else was answered before.
	ErrAnswered = errors.New("chat: something else was answered before")
)

// interruptsOf returns what is open of asks.
func interruptsOf(asks []Ask) (open []Interrupt) {
	for _, a := range asks {
		if a.Open() {
			open = append(open, a.Interrupt)
		}
	}
	return open
}
