package llmtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"parley/llm"
)

// parseRequest reads a body, and refuses what the real API refuses too and
// clients get wrong: a call without its result, a result without its call.
func parseRequest(d Dialect, body []byte) (Request, error) {
	req := Request{Dialect: d, Body: body, Stream: true}
	read := map[Dialect]func(*Request) error{
		OpenAI: (*Request).readOpenAI, Ollama: (*Request).readOpenAI, Responses: (*Request).readResponses,
		Anthropic: (*Request).readAnthropic, Gemini: (*Request).readGemini,
	}[d]
	if err := read(&req); err != nil {
		return Request{}, fmt.Errorf("the request is not JSON: %w", err)
	}
	if err := checkCalls(req.Messages); err != nil {
		return req, err
	}
	return req, req.checkFormat()
}

// add appends a message, leaving out empty ones.
func (r *Request) add(m Message) {
	if m.Content != "" || len(m.Calls)+len(m.Opaque)+len(m.Parts) > 0 || m.Role == "tool" || m.Role == "user" {
		r.Messages = append(r.Messages, m)
	}
}

func (r *Request) readOpenAI() error {
	var in struct {
		Model    string
		Messages []struct {
			Role       string
			Content    any
			Images     [][]byte
			ToolCallID string `json:"tool_call_id"`
			ToolCalls  []struct {
				ID       string
				Function struct {
					Name      string
					Arguments json.RawMessage
				}
				Extra json.RawMessage `json:"extra_content"`
			} `json:"tool_calls"`
		}
		Tools      []struct{ Function struct{ Name string } }
		ToolChoice any `json:"tool_choice"`
		Stream     bool
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	r.Model, r.ToolChoice, r.Stream = in.Model, textOf(in.ToolChoice), in.Stream
	for _, t := range in.Tools {
		r.Tools = append(r.Tools, t.Function.Name)
	}
	for _, m := range in.Messages {
		out := Message{Role: m.Role, Content: textOf(m.Content), ToolCallID: m.ToolCallID}
		if err := out.readOpenAIParts(r.Dialect, m.Content, m.Images); err != nil {
			return err
		}
		for _, c := range m.ToolCalls {
			out.Calls = append(out.Calls, Call{c.ID, c.Function.Name, argumentsOf(c.Function.Arguments)})
			if signed := between(string(c.Extra), `"thought_signature":"`); signed != "" {
				out.Opaque = append(out.Opaque, signed)
			}
		}
		r.Messages = append(r.Messages, out)
	}
	return nil
}

// readOpenAIParts reads a content of parts, or Ollama's images behind a text.
func (m *Message) readOpenAIParts(d Dialect, content any, images [][]byte) (err error) {
	if d != Ollama {
		m.Parts, err = readParts(d, content)
		return err
	}
	if _, ok := content.(string); !ok && content != nil {
		return fmt.Errorf("json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string")
	}
	for i, b := range images {
		if i == 0 {
			m.Parts = []Part{{Kind: llm.TextPart, Text: m.Content}}
		}
		m.Parts = append(m.Parts, Part{Kind: llm.ImagePart, Media: http.DetectContentType(b), Data: b})
	}
	return nil
}

// argumentsOf returns arguments that come as a text or as an object.
func argumentsOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// between returns what stands in s between a beginning and the next quote.
func between(s, beginning string) string {
	_, rest, _ := strings.Cut(s, beginning)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func (r *Request) readResponses() error {
	var in struct {
		Model, Instructions string
		Input               []struct {
			Type, Role, Name, Arguments, Output string
			Content                             any
			CallID                              string `json:"call_id"`
			Encrypted                           string `json:"encrypted_content"`
		}
		Tools      []struct{ Name string }
		ToolChoice any `json:"tool_choice"`
		Stream     bool
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	r.Model, r.ToolChoice, r.Stream = in.Model, textOf(in.ToolChoice), in.Stream
	for _, t := range in.Tools {
		r.Tools = append(r.Tools, t.Name)
	}
	r.add(Message{Role: "system", Content: in.Instructions})
	for _, it := range in.Input {
		switch it.Type {
		case "function_call":
			r.assistant().Calls = append(r.assistant().Calls, Call{it.CallID, it.Name, it.Arguments})
		case "function_call_output":
			r.add(Message{Role: "tool", Content: it.Output, ToolCallID: it.CallID})
		case "reasoning":
			r.assistant().Opaque = append(r.assistant().Opaque, it.Encrypted)
		default:
			if it.Role == "assistant" {
				r.assistant().Content += textOf(it.Content)
			} else {
				parts, err := readParts(r.Dialect, it.Content)
				if err != nil {
					return err
				}
				r.add(Message{Role: it.Role, Content: textOf(it.Content), Parts: parts})
			}
		}
	}
	return nil
}

// assistant returns the last message, which is the model's.
func (r *Request) assistant() *Message {
	if n := len(r.Messages); n == 0 || r.Messages[n-1].Role != "assistant" {
		r.Messages = append(r.Messages, Message{Role: "assistant"})
	}
	return &r.Messages[len(r.Messages)-1]
}

func (r *Request) readAnthropic() error {
	var in struct {
		Model    string
		System   any
		Messages []struct {
			Role    string
			Content []struct {
				Type, Text, ID, Name, Signature string
				Content                         any
				Input                           json.RawMessage
				ToolUseID                       string `json:"tool_use_id"`
				Title                           string
				Source                          object
			}
		}
		Tools      []struct{ Name string }
		ToolChoice struct{ Type string } `json:"tool_choice"`
		MaxTokens  int                   `json:"max_tokens"`
		Stream     bool
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	if in.MaxTokens == 0 {
		return fmt.Errorf("max_tokens: Field required")
	}
	r.Model, r.ToolChoice, r.Stream = in.Model, in.ToolChoice.Type, in.Stream
	for _, t := range in.Tools {
		r.Tools = append(r.Tools, t.Name)
	}
	r.add(Message{Role: "system", Content: textOf(in.System)})
	for _, m := range in.Messages {
		out := Message{Role: m.Role}
		for _, b := range m.Content {
			switch b.Type {
			case "tool_result":
				r.add(Message{Role: "tool", Content: textOf(b.Content), ToolCallID: b.ToolUseID})
			case "tool_use":
				out.Calls = append(out.Calls, Call{b.ID, b.Name, string(b.Input)})
			case "thinking":
				out.Opaque = append(out.Opaque, b.Signature)
			default:
				out.Content += b.Text
				p, err := readPart(r.Dialect, object{"type": b.Type, "text": b.Text, "title": b.Title, "source": b.Source})
				if err != nil {
					return err
				}
				out.Parts = append(out.Parts, p)
			}
		}
		out.Parts = only(out.Parts)
		switch {
		case out.Role == "assistant": // neighbours of one role are one
			last := r.assistant()
			last.Content += out.Content
			last.Calls, last.Opaque = append(last.Calls, out.Calls...), append(last.Opaque, out.Opaque...)
		case out.Content != "" || len(out.Parts) > 0:
			r.add(out)
		}
	}
	return nil
}

func (r *Request) readGemini() error {
	type part struct {
		Text, ThoughtSignature string
		InlineData             object
		FunctionCall           *struct {
			ID, Name string
			Args     json.RawMessage
		}
		FunctionResponse *struct {
			ID, Name string
			Response map[string]any
		}
	}
	type content struct {
		Role  string
		Parts []part
	}
	var in struct {
		Contents          []content
		SystemInstruction *content
		Tools             []struct{ FunctionDeclarations []struct{ Name string } }
		ToolConfig        struct{ FunctionCallingConfig struct{ Mode string } }
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	r.ToolChoice = strings.ToLower(in.ToolConfig.FunctionCallingConfig.Mode)
	for _, t := range in.Tools {
		for _, f := range t.FunctionDeclarations {
			r.Tools = append(r.Tools, f.Name)
		}
	}
	if in.SystemInstruction != nil {
		in.Contents = append([]content{{"system", in.SystemInstruction.Parts}}, in.Contents...)
	}
	var open []Call // calls without ids are answered in their order
	for _, c := range in.Contents {
		out := Message{Role: strings.Replace(c.Role, "model", "assistant", 1)}
		for _, p := range c.Parts {
			out.Content += p.Text
			if p.Text != "" {
				out.Parts = append(out.Parts, Part{Kind: llm.TextPart, Text: p.Text})
			}
			if p.InlineData != nil {
				inline, err := geminiPart(object{"inlineData": p.InlineData})
				if err != nil {
					return err
				}
				out.Parts = append(out.Parts, inline)
			}
			if p.ThoughtSignature != "" {
				out.Opaque = append(out.Opaque, p.ThoughtSignature)
			}
			if f := p.FunctionCall; f != nil {
				out.Calls = append(out.Calls, Call{f.ID, f.Name, string(f.Args)})
				if f.ID == "" {
					out.Calls[len(out.Calls)-1].ID = fmt.Sprint("#", len(r.Messages), ".", len(out.Calls))
					open = append(open, out.Calls[len(out.Calls)-1])
				}
			}
			if f := p.FunctionResponse; f != nil {
				m := Message{Role: "tool", ToolCallID: f.ID, Content: fmt.Sprint(f.Response["output"])}
				if f.Response["output"] == nil {
					m.Content = fmt.Sprint(f.Response["error"])
				}
				if m.ToolCallID == "" && len(open) > 0 && open[0].Name == f.Name {
					m.ToolCallID, open = open[0].ID, open[1:]
				}
				r.add(m)
			}
		}
		out.Parts = only(out.Parts)
		if out.Content != "" || len(out.Calls)+len(out.Parts) > 0 || out.Role == "assistant" {
			r.add(out)
		}
	}
	return nil
}

// textOf returns a text, or the texts of a list of parts.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var all strings.Builder
		for _, part := range v {
			all.WriteString(textOf(part))
		}
		return all.String()
	case object:
		return textOf(v["text"])
	}
	return ""
}
