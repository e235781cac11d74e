package provider

import (
	"bytes"
	"encoding/json"
	"strings"

	fastjson "github.com/segmentio/encoding/json"

	"parley/llm"
)

// An anthropicEvent is one event of a stream
// (https://docs.anthropic.com/en/docs/build-with-claude/streaming).
type anthropicEvent struct {
	Type    string          `json:"type"`
	Index   int             `json:"index"`
	Delta   anthropicDelta  `json:"delta"`
	Block   json.RawMessage `json:"content_block"`
	Usage   *anthropicUsage `json:"usage"`
	Message *anthropicWhole `json:"message"` // of message_start
	Error   json.RawMessage `json:"error"`
}

type anthropicDelta struct {
	Type       string `json:"type"`
	Text       string `json:"text"`
	Thinking   string `json:"thinking"`
	Signature  string `json:"signature"`
	Partial    string `json:"partial_json"`
	StopReason string `json:"stop_reason"`
}

// An anthropicWhole is a message, whole if it was not streamed.
type anthropicWhole struct {
	Type       string            `json:"type"`
	Model      string            `json:"model"`
	Content    []json.RawMessage `json:"content"`
	StopReason string            `json:"stop_reason"`
	Usage      *anthropicUsage   `json:"usage"`
}

type anthropicUsage struct {
	Input        *int `json:"input_tokens"`
	Output       *int `json:"output_tokens"`
	CacheWritten *int `json:"cache_creation_input_tokens"`
	CacheRead    *int `json:"cache_read_input_tokens"`
}

// An anthropicOpen is a block that may still grow.
type anthropicOpen struct {
	kind      string
	raw       json.RawMessage // as it began
	text      int             // bytes of a text
	thinking  strings.Builder
	signature string
	place     int // of a call
}

// An anthropicDecoder reads the events of one answer.
type anthropicDecoder struct {
	*wire
	calls   callList
	blocks  map[int]*anthropicOpen
	order   []*anthropicOpen
	usage   llm.Usage
	counted bool
	stop    string
}

func (d *anthropicDecoder) take(ev event) (llm.Chunk, progress, error) {
	var e anthropicEvent
	if err := fastjson.Unmarshal(ev.data, &e); err != nil && ev.name != "error" {
		return llm.Chunk{}, going, chunkError(err)
	}
	if ev.name == "error" || e.Type == "error" || present(e.Error) {
		return llm.Chunk{}, going, d.failure(ev.data, 0)
	}
	switch e.Type {
	case "message_start":
		if e.Message != nil {
			d.count(e.Message.Usage)
			d.usage.Model = e.Message.Model
		}
	case "content_block_start":
		return d.open(e.Index, e.Block)
	case "content_block_delta":
		return d.grow(e.Index, &e.Delta)
	case "message_delta":
		d.count(e.Usage)
		if d.stop == "" {
			d.stop = e.Delta.StopReason
		}
	case "message_stop":
		return d.stopped()
	}
	return llm.Chunk{}, going, nil
}

// stopped ends the answer, which must have said why.
func (d *anthropicDecoder) stopped() (llm.Chunk, progress, error) {
	if d.stop == "" {
		d.stop = "end_turn"
	}
	return llm.Chunk{}, over, nil
}

// open begins a block. Some servers send all of it at once.
func (d *anthropicDecoder) open(index int, raw json.RawMessage) (llm.Chunk, progress, error) {
	var b struct {
		Type, Text, Thinking, Signature, ID, Name string
		Input                                     json.RawMessage
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return llm.Chunk{}, going, chunkError(err)
	}
	if d.blocks[index] != nil || len(d.order) == maxBlocks {
		return llm.Chunk{}, going, malformed("block %d of the answer begins twice, or there are more than %d", index, maxBlocks)
	}
	o := &anthropicOpen{kind: b.Type, raw: bytes.Clone(raw), place: len(d.order)}
	d.blocks[index], d.order = o, append(d.order, o)
	if b.Type == "tool_use" {
		args := string(b.Input)
		if args == "{}" { // it comes in pieces
			args = ""
		}
		return llm.Chunk{}, going, d.calls.add(callPiece{Index: o.place, Indexed: true, ID: b.ID, Name: b.Name, Args: args}, o.place)
	}
	return d.grow(index, &anthropicDelta{Text: b.Text, Thinking: b.Thinking, Signature: b.Signature})
}

// maxBlocks bounds the blocks of one answer.
const maxBlocks = 1024

// grow takes in a piece of a block.
func (d *anthropicDecoder) grow(index int, p *anthropicDelta) (llm.Chunk, progress, error) {
	o := d.blocks[index]
	if o == nil {
		return llm.Chunk{}, going, malformed("a piece belongs to block %d, which never began", index)
	}
	switch o.kind {
	case "text":
		o.text += len(p.Text)
		return llm.Chunk{Text: p.Text}, going, nil
	case "thinking":
		o.signature += p.Signature
		if o.thinking.Len() <= maxState {
			o.thinking.WriteString(p.Thinking)
		}
		return llm.Chunk{Reasoning: p.Thinking}, going, nil
	case "tool_use":
		return llm.Chunk{}, going, d.calls.add(callPiece{Index: o.place, Indexed: true, Args: p.Partial}, o.place)
	}
	return llm.Chunk{}, going, nil // redacted thoughts come whole; what the server's own tools do is its affair
}

// count takes the last number of each kind; the beginning knows the input,
// the end the output.
func (d *anthropicDecoder) count(u *anthropicUsage) {
	if u == nil {
		return
	}
	d.counted = true
	for _, c := range []struct {
		to   *int
		from *int
	}{{&d.usage.Input, u.Input}, {&d.usage.Output, u.Output}, {&d.usage.CacheWritten, u.CacheWritten}, {&d.usage.CachedInput, u.CacheRead}} {
		if c.from != nil {
			*c.to = *c.from
		}
	}
}

// whole reads a message that was not streamed.
func (d *anthropicDecoder) whole(data []byte) (llm.Chunk, progress, error) {
	var m anthropicWhole
	if err := json.Unmarshal(data, &m); err != nil || m.Type != "message" {
		return llm.Chunk{}, going, d.complaint(data)
	}
	var all llm.Chunk
	for i, raw := range m.Content {
		piece, _, err := d.open(i, raw)
		if err != nil {
			return llm.Chunk{}, going, err
		}
		all.Text += piece.Text
		all.Reasoning += piece.Reasoning
	}
	d.count(m.Usage)
	d.usage.Model, d.stop = m.Model, m.StopReason
	if d.stop == "" {
		return all, going, nil
	}
	return all, over, nil
}

func (d *anthropicDecoder) end() (answer, error) {
	return answer{&d.calls, llm.Chunk{Finish: d.reason(), State: d.state(), Usage: d.cost()}}, nil
}

// cost is what the server has counted so far: what was asked at the beginning,
// what it said at the end.
func (d *anthropicDecoder) cost() *llm.Usage {
	if !d.counted {
		return nil
	}
	u := d.usage
	u.Provider, u.Total = d.provider, u.Input+u.Output+u.CacheWritten+u.CachedInput
	if u.Model == "" {
		u.Model = d.model
	}
	return &u
}

// reason maps the stop reasons
// (https://docs.anthropic.com/en/api/handling-stop-reasons). A paused turn is
// one that the server's own tools would go on with, so it is cut.
func (d *anthropicDecoder) reason() llm.Finish {
	switch d.stop {
	case "max_tokens", "model_context_window_exceeded", "pause_turn":
		return llm.FinishLength
	case "refusal":
		return llm.FinishRefused
	}
	if d.calls.len() > 0 {
		return llm.FinishTools
	}
	return llm.FinishStop
}

// state keeps thoughts with their signatures, and redacted ones.
func (d *anthropicDecoder) state() *llm.ProviderState {
	var t trail
	for _, o := range d.order {
		switch o.kind {
		case "text":
			t.text(o.text)
		case "tool_use":
			t.add(block{Call: true})
		case "redacted_thinking":
			t.add(block{Raw: o.raw})
		case "thinking":
			if o.thinking.Len() > maxState {
				return nil
			}
			b, _ := json.Marshal(map[string]string{"type": "thinking", "thinking": o.thinking.String(), "signature": o.signature})
			t.add(block{Raw: b})
		}
	}
	return t.state(d.wire)
}
