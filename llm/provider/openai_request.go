package provider

import (
	"cmp"
	"encoding/json"

	"parley/llm"
	"parley/tools"
)

type openaiMessage struct {
	Role       string       `json:"role"`
	Content    *string      `json:"content"` // null beside calls
	ToolCalls  []openaiCall `json:"tool_calls,omitempty"`
	ToolCallID string       `json:"tool_call_id,omitempty"`
}

type openaiCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function llm.Function `json:"function"`
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

// body returns what is posted. What req leaves open is left out, so that the
// server's own defaults hold.
func (o *OpenAIModel) body(req llm.Request) map[string]any {
	b := map[string]any{
		"model":          o.model,
		"messages":       openaiMessages(req),
		"stream":         true,
		"stream_options": map[string]bool{"include_usage": true},
	}
	if len(req.Tools) > 0 {
		b["tools"] = openaiTools(req.Tools)
		if req.NoTools {
			b["tool_choice"] = "none"
		}
	}
	if req.Temperature != nil {
		b["temperature"] = *req.Temperature
	}
	if req.MaxTokens > 0 {
		b[o.maxTokens] = req.MaxTokens
	}
	return b
}

func openaiMessages(req llm.Request) []openaiMessage {
	out := make([]openaiMessage, 0, len(req.Messages)+1)
	if req.System != "" {
		out = append(out, openaiMessage{Role: "system", Content: &req.System})
	}
	for _, m := range req.Messages {
		switch m.Role {
		case llm.Reasoning:
		case llm.Assistant:
			out = appendAssistant(out, m)
		case llm.ToolRole:
			content := cmp.Or(m.Content, m.Error)
			out = append(out, openaiMessage{Role: "tool", Content: &content, ToolCallID: m.ToolCallID})
		default:
			out = append(out, openaiMessage{Role: string(m.Role), Content: &m.Content})
		}
	}
	return out
}

// appendAssistant appends an answer of the model, unless it is empty, as that
// of a run stopped early is: servers refuse those.
func appendAssistant(out []openaiMessage, m llm.Message) []openaiMessage {
	if m.Content == "" && len(m.ToolCalls) == 0 {
		return out
	}
	a := openaiMessage{Role: "assistant"}
	if m.Content != "" {
		a.Content = &m.Content
	}
	for _, c := range m.ToolCalls {
		c.Function.Arguments = cmp.Or(c.Function.Arguments, "{}")
		a.ToolCalls = append(a.ToolCalls, openaiCall{ID: c.ID, Type: "function", Function: c.Function})
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
