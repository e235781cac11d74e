package provider

import (
	"cmp"
	"encoding/json"

	fastjson "github.com/segmentio/encoding/json"

	"parley/llm"
)

// A geminiChunk is one GenerateContentResponse of a stream.
type geminiChunk struct {
	Candidates []geminiCandidate `json:"candidates"`
	Feedback   *struct {
		Blocked string `json:"blockReason"`
		Message string `json:"blockReasonMessage"`
	} `json:"promptFeedback"`
	Usage *geminiUsage    `json:"usageMetadata"`
	Model string          `json:"modelVersion"`
	Error json.RawMessage `json:"error"`
}

type geminiCandidate struct {
	Index   int `json:"index"`
	Content struct {
		Parts []geminiPiece `json:"parts"`
	} `json:"content"`
	Finish  string `json:"finishReason"`
	Message string `json:"finishMessage"`
}

type geminiPiece struct {
	Text      string `json:"text"`
	Thought   bool   `json:"thought"`
	Signature string `json:"thoughtSignature"`
	Call      *struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args openaiArguments `json:"args"`
	} `json:"functionCall"`
}

type geminiUsage struct {
	Prompt   int `json:"promptTokenCount"`
	Answer   int `json:"candidatesTokenCount"`
	Thoughts int `json:"thoughtsTokenCount"`
	ToolUse  int `json:"toolUsePromptTokenCount"`
	Cached   int `json:"cachedContentTokenCount"`
	Total    int `json:"totalTokenCount"`
}

// A geminiDecoder reads the chunks of one answer.
type geminiDecoder struct {
	*wire
	calls      callList
	trail      trail
	usage      *llm.Usage
	finish     string
	candidates []geminiCandidate // of the last chunk, its memory used again
}

// room returns memory for a chunk: the decoder would make room for ten
// candidates of ten parts, and leave old fields in elements that it reuses.
func (d *geminiDecoder) room() []geminiCandidate {
	if cap(d.candidates) == 0 {
		d.candidates = make([]geminiCandidate, 1)
		d.candidates[0].Content.Parts = make([]geminiPiece, 1)
	}
	all := d.candidates[:cap(d.candidates)]
	parts := all[0].Content.Parts
	clear(parts[:cap(parts)])
	clear(all)
	all[0].Content.Parts = parts[:0]
	return all[:0]
}

func (d *geminiDecoder) take(ev event) (llm.Chunk, progress, error) {
	c := geminiChunk{Candidates: d.room()}
	if err := fastjson.Unmarshal(ev.data, &c); err != nil && ev.name != "error" {
		return llm.Chunk{}, going, chunkError(err)
	}
	if ev.name == "error" || present(c.Error) {
		return llm.Chunk{}, going, d.failure(ev.data, 0)
	}
	if f := c.Feedback; f != nil && f.Blocked != "" {
		return llm.Chunk{}, going, &llm.Error{Kind: llm.Refused, Code: f.Blocked, Message: short(cmp.Or(f.Message, "the question was blocked"))}
	}
	if c.Usage != nil {
		d.usage = c.Usage.toUsage(cmp.Or(c.Model, d.model))
	}
	d.candidates = c.Candidates
	var piece llm.Chunk
	for i := range c.Candidates {
		if c.Candidates[i].Index != 0 {
			continue
		}
		if err := d.candidate(&c.Candidates[i], &piece); err != nil {
			return piece, going, err
		}
	}
	if d.finish == "" {
		return piece, going, nil
	}
	return piece, said, nil
}

func (d *geminiDecoder) candidate(c *geminiCandidate, piece *llm.Chunk) error {
	for i := range c.Content.Parts {
		p := &c.Content.Parts[i]
		if p.Thought {
			piece.Reasoning += p.Text
			continue
		}
		piece.Text += p.Text
		if err := d.part(p); err != nil {
			return err
		}
	}
	if d.finish == "" && c.Finish != "" && c.Finish != "FINISH_REASON_UNSPECIFIED" {
		d.finish = c.Finish
		return finishError(c)
	}
	return nil
}

// part notes a part's place. A signature closes a text.
func (d *geminiDecoder) part(p *geminiPiece) error {
	var signature json.RawMessage
	if p.Signature != "" {
		signature, _ = json.Marshal(p.Signature)
	}
	switch {
	case p.Call != nil:
		n := d.calls.len()
		d.trail.add(block{Call: true, Raw: signature})
		return d.calls.add(callPiece{Index: n, Indexed: true, ID: p.Call.ID, Name: p.Call.Name, Args: string(p.Call.Args)}, n)
	case signature != nil:
		d.trail.add(block{Text: len(p.Text), Raw: signature})
	default:
		d.trail.text(len(p.Text))
	}
	return nil
}

// finishError returns why an answer that ended is none, nil if it is one.
func finishError(c *geminiCandidate) error {
	switch c.Finish {
	case "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII":
		return nil
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS":
		return &llm.Error{Kind: llm.Malformed, Code: c.Finish, Message: short(cmp.Or(c.Message, "the model made a tool call that cannot be read")), MidStream: true}
	}
	return &llm.Error{Kind: llm.Unavailable, Code: c.Finish, Message: short(cmp.Or(c.Message, "the model broke off without saying why"))}
}

func (u *geminiUsage) toUsage(model string) *llm.Usage {
	out := u.Answer + u.Thoughts
	return &llm.Usage{
		Provider: "gemini", Model: model, Input: u.Prompt + u.ToolUse, Output: out,
		Total: cmp.Or(u.Total, u.Prompt+u.ToolUse+out), Reasoning: u.Thoughts, CachedInput: u.Cached,
	}
}

func (d *geminiDecoder) whole(data []byte) (llm.Chunk, progress, error) {
	piece, far, err := d.take(event{data: data})
	if err == nil && far == going {
		return piece, going, d.complaint(data)
	}
	return piece, far, err
}

func (d *geminiDecoder) end() (answer, error) {
	return answer{&d.calls, llm.Chunk{Finish: d.reason(), Usage: d.usage, State: d.trail.state(d.wire)}}, nil
}

func (d *geminiDecoder) reason() llm.Finish {
	switch {
	case d.finish == "MAX_TOKENS":
		return llm.FinishLength
	case d.finish != "STOP":
		return llm.FinishRefused
	case d.calls.len() > 0:
		return llm.FinishTools
	}
	return llm.FinishStop
}

func (d *geminiDecoder) cost() *llm.Usage { return d.usage }
