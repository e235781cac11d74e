package provider

import (
	"cmp"
	"encoding/json"
	"strings"

	"parley/llm"
	"parley/tools"
)

// anthropic is the Messages API (https://docs.anthropic.com/en/api/messages).
type anthropic struct{}

// Anthropic returns a model of Anthropic, or of a server that speaks its
// Messages API. It asks the server nothing.
//
// Instructions, tools and the conversation so far are marked for Anthropic's
// cache. Thinking goes back verbatim, with its signatures.
func Anthropic(opts Options) (*Remote, error) {
	p := place{"anthropic", "https://api.anthropic.com/v1", "/v1", []string{"/messages"}}
	u, err := p.base(opts.BaseURL)
	if err != nil {
		return nil, err
	}
	r, err := newRemote(p, opts, anthropic{})
	if err != nil {
		return nil, err
	}
	r.at(u.JoinPath("messages"))
	r.header.Set("Anthropic-Version", "2023-06-01")
	if r.key != "" {
		r.header.Set("X-Api-Key", r.key)
	}
	return r, nil
}

func (anthropic) decoder(w *wire) decoder {
	return &anthropicDecoder{wire: w, calls: callList{limit: w.limits.MaxLine}, blocks: map[int]*anthropicOpen{}}
}

type anthropicMessage struct {
	Role    string `json:"role"`
	Content []any  `json:"content"` // *anthropicBlock, or a block verbatim
}

type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	ID        string          `json:"id,omitempty"` // of a call
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"` // of a result
	Content   string          `json:"content,omitempty"`
	IsError   bool            `json:"is_error,omitempty"`
	Title     string          `json:"title,omitempty"` // of a document
	Source    *anthropicBytes `json:"source,omitempty"`
	Cache     *anthropicCache `json:"cache_control,omitempty"`
}

type anthropicCache struct {
	Type string `json:"type"`
}

type anthropicTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema"`
	Cache       *anthropicCache `json:"cache_control,omitempty"`
}

func ephemeral() *anthropicCache { return &anthropicCache{"ephemeral"} }

// defaultMax is the longest answer where the API insists on a number.
const defaultMax = 8192

func (anthropic) request(w *wire, req llm.Request) any {
	system, ms := history(req)
	longest := cmp.Or(w.limit(req), defaultMax)
	b := map[string]any{"model": w.model, "stream": true}
	messages := anthropicMessages(w, ms)
	switch budget := w.opts.Reasoning.budget(); {
	case w.opts.Reasoning == EffortOff:
		b["thinking"] = map[string]any{"type": "disabled"}
	case budget > 0 && mayThink(messages):
		req.Temperature = nil // thinking takes no other than its own
		b["thinking"] = map[string]any{"type": "enabled", "budget_tokens": budget}
		longest += budget // which counts towards it
	}
	b["max_tokens"], b["messages"] = longest, cached(messages)
	if system != "" {
		b["system"] = []*anthropicBlock{{Type: "text", Text: system, Cache: ephemeral()}}
	}
	if len(req.Tools) > 0 {
		b["tools"] = anthropicTools(req.Tools)
		if req.NoTools {
			b["tool_choice"] = map[string]string{"type": "none"}
		}
	}
	if req.Temperature != nil {
		b["temperature"] = *req.Temperature
	}
	return b
}

func anthropicTools(specs []tools.Spec) []anthropicTool {
	out := make([]anthropicTool, len(specs))
	for i, s := range specs {
		out[i] = anthropicTool{Name: s.Name, Description: s.Description, InputSchema: objectSchema(s.Parameters)}
	}
	out[len(out)-1].Cache = ephemeral()
	return out
}

func anthropicMessages(w *wire, ms []llm.Message) (out []anthropicMessage) {
	for _, m := range ms {
		role, content := "user", []any(nil)
		switch m.Role {
		case llm.Assistant:
			role, content = "assistant", anthropicAnswer(w, m)
		case llm.ToolRole:
			content = append(content, &anthropicBlock{
				Type: "tool_result", ToolUseID: m.ToolCallID, Content: cmp.Or(m.Content, m.Error), IsError: m.Error != "",
			})
		default:
			content = anthropicParts(m)
		}
		if len(content) == 0 {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].Role == role {
			out[last].Content = append(out[last].Content, content...)
			continue
		}
		out = append(out, anthropicMessage{role, content})
	}
	return out
}

// anthropicAnswer leaves out text that is blank, which the API refuses.
func anthropicAnswer(w *wire, m llm.Message) (content []any) {
	for _, p := range w.partsOf(m) {
		switch {
		case p.call != nil:
			f := p.call.Function
			content = append(content, &anthropicBlock{Type: "tool_use", ID: p.call.ID, Name: f.Name, Input: objectOf(f)})
		case len(p.raw) > 0:
			content = append(content, p.raw)
		case strings.TrimSpace(p.text) != "":
			content = append(content, &anthropicBlock{Type: "text", Text: p.text})
		}
	}
	return content
}

// mayThink reports whether thinking can be on: in the middle of a turn only
// if the thoughts with which it began are still there.
func mayThink(ms []anthropicMessage) bool {
	for i := len(ms) - 1; i >= 0; i-- {
		switch first := ms[i].Content[0].(type) {
		case json.RawMessage:
			return true
		case *anthropicBlock:
			if ms[i].Role == "assistant" || first.Type != "tool_result" {
				return ms[i].Role == "user"
			}
		}
	}
	return true
}

// cached marks the end of what is the same in the next request.
func cached(ms []anthropicMessage) []anthropicMessage {
	if len(ms) == 0 {
		return ms
	}
	last := ms[len(ms)-1].Content
	if b, ok := last[len(last)-1].(*anthropicBlock); ok {
		b.Cache = ephemeral()
	}
	return ms
}
