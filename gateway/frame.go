package gateway

import (
	"encoding/json"

	"parley/gateway/chat"
	"parley/llm"
)

// A command is what a client sends: as a frame of the subprotocol parley.v1,
// or as the body of POST /v1/conversations/{c}/commands. Fields that a
// command does not use, or does not know, are ignored.
type command struct {
	Type      string `json:"type"`
	ID        string `json:"id"` // comes back with the answer
	C         string `json:"c,omitempty"`
	After     string `json:"after,omitempty"`     // sub
	Msg       *said  `json:"msg,omitempty"`       // send
	Run       string `json:"run,omitempty"`       // cancel
	MessageID string `json:"messageId,omitempty"` // regenerate
	ClientID  string `json:"clientId,omitempty"`  // regenerate
	Before    string `json:"before,omitempty"`    // history
	Limit     int    `json:"limit,omitempty"`     // history
	Client    string `json:"client,omitempty"`    // hello
}

// said is what a person says. The same client id in one conversation is said
// once.
type said struct {
	ClientID string `json:"clientId"`
	Content  string `json:"content"`
}

// The types of frames that a server sends.
const (
	frameWelcome = "welcome"
	frameOK      = "ok"
	frameErr     = "err"
	frameSub     = "sub.ok"
	framePong    = "pong"
	frameSnap    = "snap"
	frameBye     = "bye"
)

// A reply answers a command.
type reply struct {
	Type    string   `json:"type"`
	ID      string   `json:"id,omitempty"`
	C       string   `json:"c,omitempty"`
	Problem *Problem `json:"problem,omitempty"`

	MessageID string         `json:"messageId,omitempty"`
	Run       string         `json:"run,omitempty"`
	Messages  *[]llm.Message `json:"messages,omitempty"`
	Next      string         `json:"next,omitempty"`
}

// A welcome answers hello.
type welcome struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Session    string `json:"session"`
	Server     string `json:"server"`
	Build      string `json:"build"`
	MaxFrame   int    `json:"maxFrame"`
	MaxMessage int    `json:"maxMessage"`
	PingMs     int64  `json:"pingMs"`
	ResumeMs   int64  `json:"resumeMs"`
}

// A subscribed answers sub: either what follows the client's position comes
// next, or Snapshot replaces what it has.
type subscribed struct {
	Type      string          `json:"type"`
	ID        string          `json:"id"`
	C         string          `json:"c"`
	Head      chat.Position   `json:"head"`
	Recovered bool            `json:"recovered"`
	Snapshot  json.RawMessage `json:"snapshot,omitempty"`
	At        *chat.Position  `json:"at,omitempty"`
	Older     string          `json:"older,omitempty"` // there is history before this message
}

// A snap replaces what a client has of a conversation's latest messages.
type snap struct {
	Type     string          `json:"type"`
	C        string          `json:"c"`
	At       chat.Position   `json:"at"`
	Snapshot json.RawMessage `json:"snapshot"`
	Reason   string          `json:"reason"`
}

// A bye comes before a close that the client should answer by dialling again.
type bye struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	RetryMs int64  `json:"retryMs"`
}

// beatFrame tells a client that the connection lives: a page cannot see
// protocol pings.
var beatFrame = []byte(`{"type":"beat"}`)

// EventFrame is the frame of one entry. A hub encodes it once for all
// followers.
func EventFrame(conv string, raw []byte) []byte {
	b := make([]byte, 0, len(raw)+len(conv)+40)
	b = append(b, `{"type":"ev","c":"`...)
	b = append(b, conv...) // an id needs no escaping
	b = append(b, `","items":[`...)
	b = append(b, raw...)
	return append(b, "]}"...)
}

// eventsFrame is the frame of several entries.
func eventsFrame(conv string, es []chat.Encoded) []byte {
	n := 0
	for _, e := range es {
		n += len(e.Raw) + 1
	}
	b := make([]byte, 0, n+len(conv)+40)
	b = append(b, `{"type":"ev","c":"`...)
	b = append(b, conv...)
	b = append(b, `","items":[`...)
	for i, e := range es {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.Raw...)
	}
	return append(b, "]}"...)
}

// encode writes a frame of Parley's own, which cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("gateway: frame: " + err.Error())
	}
	return b
}
