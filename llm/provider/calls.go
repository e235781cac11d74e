package provider

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"parley/llm"
)

// maxCalls bounds the calls of one answer. Models make a handful.
const maxCalls = 256

// A callList puts calls together from their pieces.
//
// Calls are known by index, without one by id. Servers exist that send index
// 0 for every call: a new id on a known index is a new call, and so is a
// second whole object of arguments where there are no ids.
type callList struct {
	limit   int // bytes of all arguments
	size    int
	calls   []*openCall
	byIndex map[int]*openCall
}

// An openCall is a call that may still grow.
type openCall struct {
	id, name string
	args     []byte
	extra    json.RawMessage // what the provider wants back with it
}

// A callPiece is a part of a call, or a whole one.
type callPiece struct {
	Index    int
	Indexed  bool // Index was sent
	ID, Name string
	Args     string
	Extra    json.RawMessage
}

func (l *callList) len() int { return len(l.calls) }

// add takes in one piece, the one at the given place in its chunk.
func (l *callList) add(d callPiece, place int) error {
	c := l.find(d, place)
	if c == nil {
		if d.ID == "" && d.Name == "" && d.Args == "" {
			return nil // some servers end with an empty delta of no call
		}
		if c = l.open(d, place); c == nil {
			return malformed("the answer has more than %d tool calls", maxCalls)
		}
	}
	if c.id == "" {
		c.id = d.ID
	}
	if c.name == "" {
		c.name = d.Name
	}
	if l.size += len(d.Args); l.size > l.limit {
		return malformed("the arguments of the tool calls are longer than %d bytes", l.limit)
	}
	c.args = append(c.args, d.Args...)
	if len(d.Extra) > 0 {
		c.extra = bytes.Clone(d.Extra)
	}
	return nil
}

// find returns the call that d continues, nil if it begins one.
func (l *callList) find(d callPiece, place int) *openCall {
	if !d.Indexed {
		return l.findUnindexed(d, place)
	}
	c := l.byIndex[d.Index]
	switch {
	case c == nil:
		return nil
	case d.ID != "" && c.id != "" && d.ID != c.id:
		return l.byID(d.ID)
	case (d.ID == "" || c.id == "") && c.beginsAnew(d):
		return nil
	}
	return c
}

func (l *callList) findUnindexed(d callPiece, place int) *openCall {
	switch {
	case d.ID != "":
		return l.byID(d.ID)
	case d.Name == "" && len(l.calls) > 0:
		return l.calls[len(l.calls)-1]
	}
	if c := l.byIndex[place]; c != nil && !c.beginsAnew(d) {
		return c
	}
	return nil
}

func (l *callList) byID(id string) *openCall {
	for _, c := range l.calls {
		if c.id == id {
			return c
		}
	}
	return nil
}

// open begins a call; it returns nil if there are too many.
func (l *callList) open(d callPiece, place int) *openCall {
	if len(l.calls) == maxCalls {
		return nil
	}
	if d.Indexed {
		place = d.Index
	}
	if l.byIndex == nil {
		l.byIndex = make(map[int]*openCall)
	}
	c := &openCall{}
	l.calls, l.byIndex[place] = append(l.calls, c), c
	return c
}

// beginsAnew reports whether d, which names no other id, must be another call
// than c: it has another name, or c is whole and d begins an object.
func (c *openCall) beginsAnew(d callPiece) bool {
	if d.Name == "" {
		return false
	}
	if c.name != "" && d.Name != c.name {
		return true
	}
	return len(d.Args) > 0 && d.Args[0] == '{' && isObject(c.args)
}

// whole returns the calls, each with a name and an id of its own. Arguments
// that are no JSON object stay as the model wrote them, see [llm.Chunk].
func (l *callList) whole() ([]llm.ToolCall, error) {
	out := make([]llm.ToolCall, 0, len(l.calls))
	ids := make(map[string]bool, len(l.calls))
	for _, c := range l.calls {
		args := bytes.TrimSpace(c.args)
		if len(args) == 0 || string(args) == "null" {
			args = []byte("{}")
		}
		if c.name == "" {
			return nil, malformed("a tool call has no name")
		}
		if c.id == "" || ids[c.id] {
			c.id = "call_" + rand.Text()
		}
		ids[c.id] = true
		out = append(out, llm.NewToolCall(c.id, c.name, string(args)))
	}
	return out, nil
}

// malformed returns an error about calls. Nothing of them was delivered, but
// they were part of an answer that had begun.
func malformed(format string, args ...any) error {
	return &llm.Error{Kind: llm.Malformed, Message: fmt.Sprintf(format, args...), MidStream: true}
}
