package main

import (
	"encoding/json"

	"parley/gateway/chat"
)

// A frame is any frame that a server sends over parley.v1. Which fields are
// set follows from Type.
type frame struct {
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
	Problem *problem `json:"problem"` // of err
}

// frameOpen is no frame of the protocol: a link hands it over when it stands.
const frameOpen = "open"

func decodeFrame(b []byte) (f frame, err error) {
	err = json.Unmarshal(b, &f)
	return f, err
}

// An order is a command to the server, in the protocol's words.
type order struct {
	Type   string         `json:"type"`
	ID     string         `json:"id"`
	C      string         `json:"c,omitempty"`
	Client string         `json:"client,omitempty"` // of hello
	After  *chat.Position `json:"after,omitempty"`  // of sub
	Run    string         `json:"run,omitempty"`    // of cancel
	Msg    *said          `json:"msg,omitempty"`    // of send

	MessageID string `json:"messageId,omitempty"` // of edit and regenerate
	ClientID  string `json:"clientId,omitempty"`  // of edit and regenerate
	Content   string `json:"content,omitempty"`   // of edit

	Answers []decision `json:"answers,omitempty"` // of answer
}

// asks reports whether an answer follows.
func (o order) asks() bool { return o.Type == "send" || o.Type == "edit" || o.Type == "regenerate" }

// said is what a person says. Its client id makes it safe to send it again.
type said struct {
	ClientID string `json:"clientId"`
	Content  string `json:"content"`
}
