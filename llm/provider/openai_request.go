package provider

import (
	"cmp"
	"encoding/json"

	"parley/llm"
	"parley/tools"
)

type openaiMessage struct {
	Role       string       `json:"role"`
	Content    any          `json:"content"`                     // a text or parts; null beside calls
	Thoughts   string       `json:"reasoning_content,omitempty"` // of a turn with calls, where the server wants them back
	ToolCalls  []openaiCall `json:"tool_calls,omitempty"`
	ToolCallID string       `json:"tool_call_id,omitempty"`
	Prefix     bool         `json:"prefix,omitempty"` // of the last one, Mistral's: go on with it
}

type openaiCall struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Function llm.Function    `json:"function"`
	Extra    json.RawMessage `json:"extra_content,omitempty"` // Gemini's signatures
}

type openaiTool struct {
	Type     string         `json:"type"`
	Function openaiFunction `json:"function"`
}

type openaiFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

// request returns what is posted. What req leaves open is left out, so that
// the server's own defaults hold.
func (o *openai) request(w *wire, req llm.Request) any {
	ms := openaiMessages(w, req)
	b := map[string]any{"model": w.model, "messages": ms, "stream": true}
	if req.Begun.Sent() != "" {
		o.goOn(b, ms)
	}
	if !o.mistral {
		b["stream_options"] = map[string]bool{"include_usage": true}
	}
	if len(req.Tools) > 0 {
		b["tools"] = openaiTools(req.Tools)
		if req.NoTools {
			b["tool_choice"] = "none"
		}
	}
	if f := openaiFormat(req.Format); f != nil {
		b["response_format"] = f
	}
	if req.Temperature != nil {
		b["temperature"] = *req.Temperature
	}
	if n := w.limit(req); n > 0 {
		b[o.maxTokens] = n
	}
	switch w.opts.Reasoning {
	case "":
	case EffortOff:
		b["reasoning_effort"] = "none"
	default:
		b["reasoning_effort"] = w.opts.Reasoning
	}
	return b
}

func openaiMessages(w *wire, req llm.Request) []openaiMessage {
	out := make([]openaiMessage, 0, len(req.Messages)+1)
	if req.System != "" {
		out = append(out, openaiMessage{Role: "system", Content: req.System})
	}
	for _, m := range req.Messages {
		switch m.Role {
		case llm.Reasoning:
		case llm.Assistant:
			out = w.appendAssistant(out, m)
		case llm.ToolRole:
			content := cmp.Or(m.Content, m.Error)
			out = append(out, openaiMessage{Role: "tool", Content: content, ToolCallID: m.ToolCallID})
		default:
			out = append(out, openaiMessage{Role: string(m.Role), Content: openaiContent(m)})
		}
	}
	return out
}

// appendAssistant appends an answer of the model, unless it is empty, as that
// of a run stopped early is: servers refuse those.
func (w *wire) appendAssistant(out []openaiMessage, m llm.Message) []openaiMessage {
	if m.Content == "" && len(m.ToolCalls) == 0 {
		return out
	}
	a := openaiMessage{Role: "assistant"}
	if m.Content != "" {
		a.Content = m.Content
	}
	for _, p := range w.partsOf(m) {
		switch {
		case p.call != nil:
			f := llm.Function{Name: p.call.Function.Name, Arguments: string(objectOf(p.call.Function))}
			a.ToolCalls = append(a.ToolCalls, openaiCall{ID: p.call.ID, Type: "function", Function: f, Extra: p.raw})
		case p.text == "":
			_ = json.Unmarshal(p.raw, &a.Thoughts) // was a string when it was kept
		}
	}
	return append(out, a)
}

func openaiTools(specs []tools.Spec) []openaiTool {
	out := make([]openaiTool, len(specs))
	for i, s := range specs {
		params := s.Parameters
		if len(params) == 0 {
			params = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out[i] = openaiTool{Type: "function", Function: openaiFunction{s.Name, s.Description, params}}
	}
	return out
}
