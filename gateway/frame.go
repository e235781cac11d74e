package gateway

import (
	"encoding/binary"
	"encoding/json"
	"math"

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
	Agent     string `json:"agent,omitempty"`     // send; that answers from now on, none: the one that has
	Run       string `json:"run,omitempty"`       // cancel
	MessageID string `json:"messageId,omitempty"` // regenerate, edit
	ClientID  string `json:"clientId,omitempty"`  // regenerate, edit
	Content   string `json:"content,omitempty"`   // edit
	Before    string `json:"before,omitempty"`    // history
	Limit     int    `json:"limit,omitempty"`     // history
	Feed      string `json:"feed,omitempty"`      // pin, unpin
	Client    string `json:"client,omitempty"`    // hello

	Files  *[]string `json:"files,omitempty"`  // edit; none: those of the old message
	Name   string    `json:"name,omitempty"`   // upload.begin
	Mime   string    `json:"mime,omitempty"`   // upload.begin
	Size   int64     `json:"size,omitempty"`   // upload.begin
	Ref    uint32    `json:"ref,omitempty"`    // upload.end
	SHA256 string    `json:"sha256,omitempty"` // upload.end

	Answers []interruptAnswer `json:"answers,omitempty"` // answer
}

// said is what a person says. The same client id in one conversation is said
// once.
type said struct {
	ClientID string   `json:"clientId"`
	Content  string   `json:"content"`
	Files    []string `json:"files,omitempty"` // ids
	Agent    string   `json:"agent,omitempty"` // as in command

	Format json.RawMessage `json:"response_format,omitempty"` // OpenAI's, and so its name
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
	frameEph     = "eph"
	frameBeat    = "beat"
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

	Ref    uint32 `json:"ref,omitempty"` // of an upload
	FileID string `json:"fileId,omitempty"`
	URL    string `json:"url,omitempty"`
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

// An ephemeral says something of a conversation that is no part of it: it is in
// no log, and may be lost.
type ephemeral struct {
	Type string `json:"type"`
	C    string `json:"c"`
	Kind string `json:"kind"`
	Data any    `json:"data"`
}

// A queuePlace is the data of an ephemeral of kind queue: a question of the
// conversation waits, and about so many are to be answered before it.
type queuePlace struct {
	Ahead int `json:"ahead"`
}

// A bye comes before a close that the client should answer by dialling again.
type bye struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	RetryMs int64  `json:"retryMs"`
}

// beat tells a client that the connection lives: a page cannot see protocol
// pings. Late says that this replica cannot hear what goes on in what the
// client follows, and perhaps another one can.
type beat struct {
	Type string `json:"type"`
	Late bool   `json:"late,omitempty"`
}

// appendText appends the header of a text frame with a payload of n bytes, as
// a server writes it: whole and unmasked (RFC 6455, section 5.2).
func appendText(b []byte, n int) []byte {
	const whole, text = 0x80, 0x1
	b = append(b, whole|text)
	switch {
	case n < 126:
		return append(b, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}

// maxHeader is the length of the longest header of a frame.
const maxHeader = 10

// The payload of an ev frame is these, with the conversation, whose id needs
// no escaping, and the entries between them.
const (
	evBegin = `{"type":"ev","c":"`
	evItems = `","items":[`
	evEnd   = "]}"
)

// EventFrame is the whole WebSocket frame of one entry. A hub makes it once
// for all followers, who write it as it is.
func EventFrame(conv string, raw []byte) []byte {
	return append(append(beginEvents(conv, len(raw)), raw...), evEnd...)
}

// eventsFrame is the frame of several entries.
func eventsFrame(conv string, es []chat.Encoded) []byte {
	n := len(es) - 1
	for _, e := range es {
		n += len(e.Raw)
	}
	b := beginEvents(conv, n)
	for i, e := range es {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.Raw...)
	}
	return append(b, evEnd...)
}

// beginEvents begins a frame with n bytes of entries.
func beginEvents(conv string, n int) []byte {
	n += len(evBegin) + len(conv) + len(evItems) + len(evEnd)
	b := appendText(make([]byte, 0, maxHeader+n), n)
	b = append(b, evBegin...)
	b = append(b, conv...)
	return append(b, evItems...)
}

// encode makes a frame of v.
func encode(v any) []byte {
	b := payload(v)
	return append(appendText(make([]byte, 0, maxHeader+len(b)), len(b)), b...)
}

// payload writes a value of Parley's own, which cannot fail.
func payload(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("gateway: frame: " + err.Error())
	}
	return b
}
