package provider

import (
	"bytes"
	"cmp"
	"encoding/json"

	fastjson "github.com/segmentio/encoding/json"

	"parley/llm"
)

// A responsesEvent is one event of a stream
// (https://platform.openai.com/docs/api-reference/responses-streaming).
type responsesEvent struct {
	Type     string             `json:"type"`
	Index    int                `json:"output_index"`
	Summary  int                `json:"summary_index"`
	Delta    openaiText         `json:"delta"` // an object in events that nobody knows
	Item     json.RawMessage    `json:"item"`
	Response *responsesResponse `json:"response"`
	Error    json.RawMessage    `json:"error"`
}

type responsesResponse struct {
	Object     string            `json:"object"`
	Model      string            `json:"model"`
	Status     string            `json:"status"`
	Output     []json.RawMessage `json:"output"`
	Error      json.RawMessage   `json:"error"`
	Incomplete *struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
	Usage *struct {
		Input   int `json:"input_tokens"`
		Output  int `json:"output_tokens"`
		Total   int `json:"total_tokens"`
		Details struct {
			Cached int `json:"cached_tokens"`
		} `json:"input_tokens_details"`
		OutputDetails struct {
			Reasoning int `json:"reasoning_tokens"`
		} `json:"output_tokens_details"`
	} `json:"usage"`
}

// A responsesItem is one item of an answer.
type responsesItem struct {
	Type      string `json:"type"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
	Encrypted string `json:"encrypted_content"`
	Content   []struct {
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
	} `json:"content"`
	Summary []struct {
		Text string `json:"text"`
	} `json:"summary"`
}

// A responsesOpen is an item that may still grow.
type responsesOpen struct {
	kind     string
	raw      json.RawMessage // of reasoning that goes back
	text     int             // bytes that were handed on
	thoughts int             // bytes that were handed on
	summary  int             // the part of the summary that is being written
	call     responsesItem
	args     []byte
}

// A responsesDecoder reads the events of one answer.
type responsesDecoder struct {
	*wire
	calls   callList
	items   map[int]*responsesOpen
	order   []*responsesOpen
	size    int // bytes of all arguments
	refused bool
	last    *responsesResponse
}

func (d *responsesDecoder) take(ev event) (llm.Chunk, progress, error) {
	if len(ev.data) < 12 && string(bytes.TrimSpace(ev.data)) == "[DONE]" { // of servers that also speak chat completions
		return llm.Chunk{}, going, nil
	}
	var e responsesEvent
	if err := fastjson.Unmarshal(ev.data, &e); err != nil && ev.name != "error" {
		return llm.Chunk{}, going, chunkError(err)
	}
	switch kind := cmp.Or(e.Type, ev.name); kind {
	case "error":
		return llm.Chunk{}, going, d.failure(ev.data, 0)
	case "response.output_text.delta", "response.refusal.delta":
		d.refused = d.refused || kind == "response.refusal.delta"
		return d.text(e.Index, string(e.Delta))
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		return d.thought(e.Index, e.Summary, string(e.Delta))
	case "response.function_call_arguments.delta":
		return llm.Chunk{}, going, d.grow(e.Index, string(e.Delta))
	case "response.output_item.added", "response.output_item.done":
		return d.item(e.Index, e.Item, kind == "response.output_item.done")
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		return d.ended(e.Response)
	}
	if present(e.Error) {
		return llm.Chunk{}, going, d.failure(ev.data, 0)
	}
	return llm.Chunk{}, going, nil
}

// open returns the item at an index, begun if it is not known.
func (d *responsesDecoder) open(index int, kind string) (*responsesOpen, error) {
	if o := d.items[index]; o != nil {
		o.kind = cmp.Or(o.kind, kind)
		return o, nil
	}
	if len(d.order) == maxBlocks {
		return nil, malformed("the answer has more than %d items", maxBlocks)
	}
	o := &responsesOpen{kind: kind}
	d.items[index], d.order = o, append(d.order, o)
	return o, nil
}

func (d *responsesDecoder) text(index int, delta string) (llm.Chunk, progress, error) {
	o, err := d.open(index, "message")
	if err != nil {
		return llm.Chunk{}, going, err
	}
	o.text += len(delta)
	return llm.Chunk{Text: delta}, going, nil
}

// thought puts an empty line between the parts of a summary.
func (d *responsesDecoder) thought(index, summary int, delta string) (llm.Chunk, progress, error) {
	o, err := d.open(index, "reasoning")
	if err != nil {
		return llm.Chunk{}, going, err
	}
	if summary != o.summary && o.thoughts > 0 {
		delta = "\n\n" + delta
	}
	o.summary = summary
	o.thoughts += len(delta)
	return llm.Chunk{Reasoning: delta}, going, nil
}

func (d *responsesDecoder) grow(index int, delta string) error {
	o, err := d.open(index, "function_call")
	if err != nil {
		return err
	}
	if d.size += len(delta); d.size > d.limits.MaxLine {
		return malformed("the arguments of the tool calls are longer than %d bytes", d.limits.MaxLine)
	}
	o.args = append(o.args, delta...)
	return nil
}

// item takes in an item that begins or, whole, ends. What of its text was not
// sent in pieces is handed on.
func (d *responsesDecoder) item(index int, raw json.RawMessage, done bool) (llm.Chunk, progress, error) {
	var it responsesItem
	if err := json.Unmarshal(raw, &it); err != nil {
		return llm.Chunk{}, going, chunkError(err)
	}
	o, err := d.open(index, it.Type)
	if err != nil {
		return llm.Chunk{}, going, err
	}
	switch it.Type {
	case "function_call":
		o.call.CallID, o.call.Name = cmp.Or(it.CallID, o.call.CallID), cmp.Or(it.Name, o.call.Name)
		if done && it.Arguments != "" {
			o.args = []byte(it.Arguments)
		}
	case "reasoning":
		if done && it.Encrypted != "" {
			o.raw = bytes.Clone(raw)
		}
	}
	if !done {
		return llm.Chunk{}, going, nil
	}
	return d.rest(o, &it), going, nil
}

// rest returns the text of an item that sent no pieces of it.
func (d *responsesDecoder) rest(o *responsesOpen, it *responsesItem) (piece llm.Chunk) {
	if it.Type == "message" && o.text == 0 {
		for _, c := range it.Content {
			piece.Text += c.Text + c.Refusal
			d.refused = d.refused || c.Refusal != ""
		}
		o.text = len(piece.Text)
	}
	if it.Type == "reasoning" && o.thoughts == 0 {
		for i, c := range it.Summary {
			if i > 0 {
				piece.Reasoning += "\n\n"
			}
			piece.Reasoning += c.Text
		}
		o.thoughts = len(piece.Reasoning)
	}
	return piece
}

// ended takes in the response as a whole, with whatever items no event told
// of.
func (d *responsesDecoder) ended(r *responsesResponse) (llm.Chunk, progress, error) {
	if r == nil {
		return llm.Chunk{}, going, malformed("the answer ends without saying how")
	}
	if r.Status == "failed" || r.Status == "cancelled" || present(r.Error) {
		return llm.Chunk{}, going, d.failed(r)
	}
	if r.Status != "completed" && r.Status != "incomplete" {
		return llm.Chunk{}, going, malformed("the answer ends with status %.64q", r.Status)
	}
	d.last = r
	var all llm.Chunk
	for i, raw := range r.Output {
		piece, _, err := d.item(i, raw, true)
		if err != nil {
			return llm.Chunk{}, going, err
		}
		all.Text += piece.Text
		all.Reasoning += piece.Reasoning
	}
	return all, over, nil
}

func (d *responsesDecoder) failed(r *responsesResponse) error {
	if !present(r.Error) {
		return &llm.Error{Kind: llm.Unavailable, Code: r.Status, Message: "the provider gave the answer up"}
	}
	return d.failure(r.Error, 0)
}

// whole reads a response that was not streamed.
func (d *responsesDecoder) whole(data []byte) (llm.Chunk, progress, error) {
	var r responsesResponse
	if err := json.Unmarshal(data, &r); err != nil || r.Object != "response" {
		return llm.Chunk{}, going, d.complaint(data)
	}
	return d.ended(&r)
}

func (d *responsesDecoder) end() (answer, error) {
	var t trail
	for i, o := range d.order {
		switch {
		case o.kind == "message":
			t.text(o.text)
		case o.raw != nil:
			t.add(block{Raw: o.raw})
		case o.kind == "function_call":
			t.add(block{Call: true})
			p := callPiece{Index: i, Indexed: true, ID: o.call.CallID, Name: o.call.Name, Args: string(o.args)}
			if err := d.calls.add(p, i); err != nil {
				return answer{}, err
			}
		}
	}
	return answer{&d.calls, llm.Chunk{Finish: d.reason(), Usage: d.usage(), State: t.state(d.wire)}}, nil
}

func (d *responsesDecoder) usage() *llm.Usage {
	u := d.last.Usage
	if u == nil {
		return nil
	}
	return &llm.Usage{
		Provider: d.provider, Model: cmp.Or(d.last.Model, d.model), Input: u.Input, Output: u.Output,
		Total: cmp.Or(u.Total, u.Input+u.Output), Reasoning: u.OutputDetails.Reasoning, CachedInput: u.Details.Cached,
	}
}

func (d *responsesDecoder) reason() llm.Finish {
	switch {
	case d.last.Incomplete != nil && d.last.Incomplete.Reason == "content_filter":
		return llm.FinishRefused
	case d.last.Status == "incomplete":
		return llm.FinishLength
	case d.calls.len() > 0:
		return llm.FinishTools
	case d.refused:
		return llm.FinishRefused
	}
	return llm.FinishStop
}
