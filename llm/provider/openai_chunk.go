package provider

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"unicode/utf8"

	fastjson "github.com/segmentio/encoding/json"

	"parley/llm"
)

// An openaiChunk is a chat.completion.chunk, or a whole chat.completion, with
// the fields that servers add for reasoning and for errors.
type openaiChunk struct {
	Choices []openaiChoice  `json:"choices"`
	Usage   *openaiUsage    `json:"usage"`
	Error   json.RawMessage `json:"error"`
	ErrType string          `json:"error_type"` // vLLM, Venice
}

type openaiChoice struct {
	Index        int             `json:"index"`
	Delta        openaiDelta     `json:"delta"`
	Message      *openaiDelta    `json:"message"` // of an answer that is not streamed
	FinishReason string          `json:"finish_reason"`
	Error        json.RawMessage `json:"error"` // OpenRouter
}

type openaiDelta struct {
	Content          openaiText        `json:"content"`
	ReasoningContent string            `json:"reasoning_content"` // DeepSeek, vLLM, llama.cpp
	Reasoning        openaiText        `json:"reasoning"`         // OpenRouter, Ollama, Groq
	Refusal          string            `json:"refusal"`
	ToolCalls        []openaiCallDelta `json:"tool_calls"`
	FunctionCall     *openaiFuncDelta  `json:"function_call"` // before tool_calls
}

type openaiCallDelta struct {
	Index    *int            `json:"index"`
	ID       string          `json:"id"`
	Function openaiFuncDelta `json:"function"`
}

type openaiFuncDelta struct {
	Name      string          `json:"name"`
	Arguments openaiArguments `json:"arguments"`
}

type openaiUsage struct {
	Prompt        int `json:"prompt_tokens"`
	Completion    int `json:"completion_tokens"`
	Total         int `json:"total_tokens"`
	CacheHit      int `json:"prompt_cache_hit_tokens"` // DeepSeek
	PromptDetails struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// openaiText is a text, or the texts of a list of parts, which Mistral sends.
type openaiText string

func (t *openaiText) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		s, err := unquote(b)
		*t = openaiText(s)
		return err
	case '[':
		var parts []struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(b, &parts); err != nil {
			return err
		}
		for _, p := range parts {
			*t += openaiText(p.Text)
		}
	}
	return nil // null, or an object that says nothing to people
}

// openaiArguments are a piece of a call's arguments: the text of a string, or
// the JSON of anything else.
type openaiArguments string

func (a *openaiArguments) UnmarshalJSON(b []byte) error {
	switch {
	case b[0] == '"':
		s, err := unquote(b)
		*a = openaiArguments(s)
		return err
	case string(b) != "null":
		*a = openaiArguments(b)
	}
	return nil
}

// unquote reads a JSON string, without the work of the decoder where nothing
// is escaped: most pieces of an answer are a word.
func unquote(b []byte) (s string, err error) {
	if bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		return string(b[1 : len(b)-1]), nil
	}
	err = json.Unmarshal(b, &s)
	return s, err
}

// decode takes in one chunk and returns what there is to hand on of it.
func (s *openaiStream) decode(data []byte) (llm.Chunk, error) {
	clear(s.choices[:cap(s.choices)]) // the decoder would leave old fields in reused elements
	c := openaiChunk{Choices: s.choices[:0]}
	if err := fastjson.Unmarshal(data, &c); err != nil { // reads every piece of every answer
		return llm.Chunk{}, &llm.Error{Kind: llm.Malformed, Message: "a chunk of the stream is not the protocol", Err: err}
	}
	if present(c.Error) || c.ErrType != "" || isComplaint(&c, data) {
		return llm.Chunk{}, s.o.failure(data, 0)
	}
	if c.Usage != nil {
		s.usage = c.Usage.toUsage(modelOf(data, s.o.model))
	}
	s.choices = c.Choices
	var piece llm.Chunk
	for i := range c.Choices {
		if c.Choices[i].Index != 0 {
			continue
		}
		if err := s.choice(&c.Choices[i], &piece); err != nil {
			return llm.Chunk{}, err
		}
	}
	return piece, nil
}

// isComplaint reports whether data, which has nothing that a chunk has, says
// something in words. What says nothing, such as a ping, is no error.
func isComplaint(c *openaiChunk, data []byte) bool {
	if len(c.Choices) > 0 || c.Usage != nil {
		return false
	}
	var words struct{ Message, Detail, Msg string }
	return json.Unmarshal(data, &words) == nil && words.Message+words.Detail+words.Msg != ""
}

// modelOf returns the model that a chunk names: a router's may be another one
// than was asked for.
func modelOf(data []byte, asked string) string {
	var c struct{ Model string }
	if json.Unmarshal(data, &c) != nil {
		return asked
	}
	return cmp.Or(c.Model, asked)
}

func (s *openaiStream) choice(c *openaiChoice, piece *llm.Chunk) error {
	if present(c.Error) {
		return s.o.failure(c.Error, 0)
	}
	if c.FinishReason == "error" {
		return &llm.Error{Kind: llm.Unavailable, Provider: "openai", Message: "the model broke off with an error"}
	}
	s.finish = cmp.Or(s.finish, c.FinishReason)
	d := &c.Delta
	if c.Message != nil {
		d = c.Message
	}
	piece.Text += string(d.Content) + d.Refusal
	piece.Reasoning += cmp.Or(d.ReasoningContent, string(d.Reasoning))
	s.refused = s.refused || d.Refusal != ""
	return s.addCalls(d)
}

func (s *openaiStream) addCalls(d *openaiDelta) error {
	for i := range d.ToolCalls {
		if err := s.calls.add(&d.ToolCalls[i], i); err != nil {
			return err
		}
	}
	if d.FunctionCall != nil {
		zero := 0
		return s.calls.add(&openaiCallDelta{Index: &zero, Function: *d.FunctionCall}, 0)
	}
	return nil
}

func (u *openaiUsage) toUsage(model string) *llm.Usage {
	return &llm.Usage{
		Provider: "openai", Model: model,
		Input: u.Prompt, Output: u.Completion, Total: cmp.Or(u.Total, u.Prompt+u.Completion),
		Reasoning: u.CompletionDetails.Reasoning, CachedInput: cmp.Or(u.PromptDetails.Cached, u.CacheHit),
	}
}

// present reports whether a field was sent and says something.
func present(raw json.RawMessage) bool {
	switch strings.TrimSpace(string(raw)) {
	case "", "null", "{}", `""`, "false":
		return false
	}
	return true
}

// isObject reports whether b is the text of one JSON object.
func isObject(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && b[0] == '{' && json.Valid(b)
}
