package provider

import (
	"cmp"
	"encoding/json"
	"strings"

	"parley/llm"
	"parley/tools"
)

// responses is OpenAI's Responses API
// (https://platform.openai.com/docs/api-reference/responses), used without
// anything being kept at the server.
type responses struct{}

// Responses returns a model behind OpenAI's Responses API. It asks the server
// nothing, and has it store nothing: encrypted reasoning comes with the answer
// and goes back verbatim.
func Responses(opts Options) (*Remote, error) {
	p := place{"openai-responses", "https://api.openai.com/v1", "/v1", []string{"/responses"}}
	u, err := openaiBase(p, opts.BaseURL)
	if err != nil {
		return nil, err
	}
	r, err := newRemote(p, opts, responses{})
	if err != nil {
		return nil, err
	}
	r.at(u.JoinPath("responses"))
	r.authorize(u)
	return r, nil
}

func (responses) decoder(w *wire) decoder {
	return &responsesDecoder{wire: w, calls: callList{limit: w.limits.MaxLine}, items: map[int]*responsesOpen{}}
}

type responsesInput struct {
	Type      string `json:"type,omitempty"`
	Role      string `json:"role,omitempty"`
	Content   any    `json:"content,omitempty"` // a text or parts
	CallID    string `json:"call_id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"`
	Output    string `json:"output,omitempty"`
}

type responsesTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"` // its default of true would refuse most schemas
}

func (responses) request(w *wire, req llm.Request) any {
	b := map[string]any{"model": w.model, "input": responsesInputs(w, req), "stream": true, "store": false}
	if req.System != "" {
		b["instructions"] = req.System
	}
	if len(req.Tools) > 0 {
		b["tools"] = responsesTools(req.Tools)
		if req.NoTools {
			b["tool_choice"] = "none"
		}
	}
	if f := responsesFormat(req.Format); f != nil {
		b["text"] = map[string]any{"format": f}
	}
	if req.Temperature != nil {
		b["temperature"] = *req.Temperature
	}
	if n := w.limit(req); n > 0 {
		b["max_output_tokens"] = n
	}
	if e := w.opts.Reasoning; e == EffortOff {
		b["reasoning"] = map[string]any{"effort": "none"}
	} else if e != "" {
		b["reasoning"] = map[string]any{"effort": e, "summary": "auto"}
	}
	if w.opts.Reasoning != "" || reasons(w.model) {
		b["include"] = []string{"reasoning.encrypted_content"} // others refuse it
	}
	return b
}

// reasons reports whether OpenAI's model of this name reasons.
func reasons(model string) bool {
	for _, p := range []string{"o1", "o3", "o4", "gpt-5", "gpt-6", "codex"} {
		if strings.HasPrefix(model, p) {
			return !strings.Contains(model, "-chat")
		}
	}
	return false
}

func responsesTools(specs []tools.Spec) []responsesTool {
	out := make([]responsesTool, len(specs))
	for i, s := range specs {
		params := s.Parameters
		if len(params) == 0 {
			params = json.RawMessage(noParameters)
		}
		out[i] = responsesTool{Type: "function", Name: s.Name, Description: s.Description, Parameters: params}
	}
	return out
}

func responsesInputs(w *wire, req llm.Request) []any {
	out := []any{}
	for _, m := range req.Messages {
		switch m.Role {
		case llm.Reasoning:
		case llm.Assistant:
			for _, p := range w.partsOf(m) {
				out = append(out, responsesPart(p))
			}
		case llm.ToolRole:
			out = append(out, responsesInput{Type: "function_call_output", CallID: m.ToolCallID, Output: cmp.Or(m.Content, m.Error, "(nothing)")})
		default:
			out = append(out, responsesInput{Role: string(m.Role), Content: responsesContent(m)})
		}
	}
	return out
}

func responsesPart(p part) any {
	switch {
	case p.call != nil:
		f := p.call.Function
		return responsesInput{Type: "function_call", CallID: p.call.ID, Name: f.Name, Arguments: string(objectOf(f))}
	case p.text != "":
		return responsesInput{Role: "assistant", Content: p.text}
	}
	return p.raw
}
