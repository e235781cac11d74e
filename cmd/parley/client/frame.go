package client

import (
	"encoding/json"
	"fmt"

	"parley/gateway/chat"
	"parley/tools"
)

// A Frame is any frame that a server sends over parley.v1. Which fields are
// set follows from Type.
type Frame struct {
	Type string `json:"type"`
	ID   string `json:"id"` // of the command that it answers
	C    string `json:"c"`  // conversation

	MaxMessage int `json:"maxMessage"` // of welcome

	MessageID string `json:"messageId"` // of ok to send
	Run       string `json:"run"`

	Recovered bool          `json:"recovered"` // of sub.ok
	Snapshot  *chat.State   `json:"snapshot"`  // of sub.ok and snap
	At        chat.Position `json:"at"`
	Items     []chat.Entry  `json:"items"` // of ev

	Kind string `json:"kind"` // of eph
	Data struct {
		Ahead int `json:"ahead"` // of kind queue
	} `json:"data"`

	RetryMs int64    `json:"retryMs"` // of bye
	Problem *Problem `json:"problem"` // of err
}

// FrameOpen is no frame of the protocol: a link hands it over when it stands.
const FrameOpen = "open"

// DecodeFrame reads a frame.
func DecodeFrame(b []byte) (f Frame, err error) {
	err = json.Unmarshal(b, &f)
	return f, err
}

// An Order is a command to the server, in the protocol's words.
type Order struct {
	Type   string         `json:"type"`
	ID     string         `json:"id"`
	C      string         `json:"c,omitempty"`
	Client string         `json:"client,omitempty"` // of hello
	After  *chat.Position `json:"after,omitempty"`  // of sub
	Run    string         `json:"run,omitempty"`    // of cancel
	Msg    *Said          `json:"msg,omitempty"`    // of send

	MessageID string `json:"messageId,omitempty"` // of edit and regenerate
	ClientID  string `json:"clientId,omitempty"`  // of edit and regenerate
	Content   string `json:"content,omitempty"`   // of edit

	Answers []Decision `json:"answers,omitempty"` // of answer
}

// Asks reports whether an answer follows.
func (o Order) Asks() bool { return o.Type == "send" || o.Type == "edit" || o.Type == "regenerate" }

// Said is what a person says. Its client id makes it safe to send it again.
type Said struct {
	ClientID string `json:"clientId"`
	Content  string `json:"content"`
}

// A Decision answers one interrupt.
type Decision struct {
	InterruptID string             `json:"interruptId"`
	Status      tools.AnswerStatus `json:"status"`
	Payload     any                `json:"payload,omitempty"`
}

// Encode returns the order as it is sent.
func (o Order) Encode() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("client: order: %v", err)) // nothing in an order can fail to encode
	}
	return b
}
