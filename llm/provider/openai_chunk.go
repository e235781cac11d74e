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
	Extra    json.RawMessage `json:"extra_content"` // Gemini's signatures
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

// An openaiDecoder reads the chunks of one answer.
type openaiDecoder struct {
	*wire
	calls    callList
	usage    *llm.Usage // the last one sent
	finish   string     // the first one said, in the server's words
	refused  bool
	text     int             // bytes
	thoughts strings.Builder // of a server that may want them back
	choices  []openaiChoice  // of the last chunk, its memory used again
}

// take takes in one event. [DONE] stands for the reason if the model gave
// none.
func (s *openaiDecoder) take(ev event) (llm.Chunk, progress, error) {
	if len(ev.data) < 12 && string(bytes.TrimSpace(ev.data)) == "[DONE]" {
		s.finish = cmp.Or(s.finish, "stop")
		return llm.Chunk{}, over, nil
	}
	if ev.name == "error" {
		return llm.Chunk{}, going, s.failure(ev.data, 0)
	}
	piece, err := s.decode(ev.data)
	if s.finish == "" {
		return piece, going, err
	}
	return piece, said, err
}

func (s *openaiDecoder) whole(data []byte) (llm.Chunk, progress, error) {
	return s.take(event{data: data})
}

// decode takes in one chunk and returns what there is to hand on of it.
func (s *openaiDecoder) decode(data []byte) (llm.Chunk, error) {
	clear(s.choices[:cap(s.choices)]) // the decoder would leave old fields in reused elements
	c := openaiChunk{Choices: s.choices[:0]}
	if err := fastjson.Unmarshal(data, &c); err != nil { // reads every piece of every answer
		return llm.Chunk{}, chunkError(err)
	}
	if present(c.Error) || c.ErrType != "" || isComplaint(&c, data) {
		return llm.Chunk{}, s.failure(data, 0)
	}
	if c.Usage != nil {
		s.usage = c.Usage.toUsage(modelOf(data, s.model))
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

func (s *openaiDecoder) choice(c *openaiChoice, piece *llm.Chunk) error {
	if present(c.Error) {
		return s.failure(c.Error, 0)
	}
	if c.FinishReason == "error" {
		return &llm.Error{Kind: llm.Unavailable, Message: "the model broke off with an error"}
	}
	s.finish = cmp.Or(s.finish, c.FinishReason)
	d := &c.Delta
	if c.Message != nil {
		d = c.Message
	}
	piece.Text += string(d.Content) + d.Refusal
	piece.Reasoning += cmp.Or(d.ReasoningContent, string(d.Reasoning))
	s.text += len(d.Content) + len(d.Refusal)
	if s.thoughts.Len() < maxState {
		s.thoughts.WriteString(d.ReasoningContent)
	}
	s.refused = s.refused || d.Refusal != ""
	return s.addCalls(d)
}

func (s *openaiDecoder) addCalls(d *openaiDelta) error {
	for i := range d.ToolCalls {
		c := &d.ToolCalls[i]
		p := callPiece{ID: c.ID, Name: c.Function.Name, Args: string(c.Function.Arguments), Extra: c.Extra}
		if c.Index != nil {
			p.Index, p.Indexed = *c.Index, true
		}
		if err := s.calls.add(p, i); err != nil {
			return err
		}
	}
	if f := d.FunctionCall; f != nil {
		return s.calls.add(callPiece{Indexed: true, Name: f.Name, Args: string(f.Arguments)}, 0)
	}
	return nil
}

func (s *openaiDecoder) end() (answer, error) {
	final := llm.Chunk{Usage: s.usage, Finish: s.reason()}
	if final.Finish == llm.FinishTools {
		final.State = s.state()
	}
	return answer{&s.calls, final}, nil
}

// state keeps what some servers want back with calls: DeepSeek its thoughts,
// Gemini its signatures.
func (s *openaiDecoder) state() *llm.ProviderState {
	var t trail
	if s.thoughts.Len() > 0 {
		b, _ := json.Marshal(s.thoughts.String())
		t.add(block{Raw: b})
	}
	t.text(s.text)
	for _, c := range s.calls.calls {
		t.add(block{Call: true, Raw: c.extra})
	}
	return t.state(s.wire)
}

// reason maps the server's words. A turn with calls ends for them, whatever
// a server says of a stop; one that was cut off has none, since its last
// arguments may look whole and not be.
func (s *openaiDecoder) reason() llm.Finish {
	switch s.finish {
	case "length", "max_tokens", "model_length":
		return llm.FinishLength
	case "content_filter", "refusal", "safety":
		return llm.FinishRefused
	}
	switch {
	case s.calls.len() > 0:
		return llm.FinishTools
	case s.refused:
		return llm.FinishRefused
	}
	return llm.FinishStop
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

func (s *openaiDecoder) cost() *llm.Usage { return s.usage }
