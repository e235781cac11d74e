package provider

import (
	"cmp"
	"encoding/json"
	"strings"

	"parley/llm"
	"parley/tools"
)

// gemini is the Gemini API (https://ai.google.dev/api/generate-content).
type gemini struct{}

// Gemini returns a model of Google's Gemini API. It asks the server nothing.
//
// What the model signs goes back with its signatures. The schemas of tools are
// translated into what Gemini takes.
func Gemini(opts Options) (*Remote, error) {
	p := place{"gemini", "https://generativelanguage.googleapis.com/v1beta", "/v1beta", []string{"/models"}}
	u, err := p.base(opts.BaseURL)
	if err != nil {
		return nil, err
	}
	r, err := newRemote(p, opts, gemini{})
	if err != nil {
		return nil, err
	}
	u = u.JoinPath("models", strings.TrimPrefix(r.model, "models/")+":streamGenerateContent")
	q := u.Query()
	q.Set("alt", "sse")
	u.RawQuery = q.Encode()
	r.at(u)
	if r.key != "" {
		r.header.Set("X-Goog-Api-Key", r.key)
	}
	return r, nil
}

func (gemini) decoder(w *wire) decoder {
	return &geminiDecoder{wire: w, calls: callList{limit: w.limits.MaxLine}}
}

type geminiContent struct {
	Role  string       `json:"role,omitempty"`
	Parts []geminiPart `json:"parts"`
}

type geminiPart struct {
	Text      *string         `json:"text,omitempty"`
	Call      *geminiCall     `json:"functionCall,omitempty"`
	Response  *geminiResponse `json:"functionResponse,omitempty"`
	Signature string          `json:"thoughtSignature,omitempty"`
	Inline    *geminiBytes    `json:"inlineData,omitempty"`
}

type geminiCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

type geminiResponse struct {
	ID       string            `json:"id,omitempty"`
	Name     string            `json:"name"`
	Response map[string]string `json:"response"`
}

type geminiFunction struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty"`
}

func (gemini) request(w *wire, req llm.Request) any {
	system, ms := history(req)
	b := map[string]any{"contents": geminiContents(w, ms)}
	if system != "" {
		b["systemInstruction"] = geminiContent{Parts: []geminiPart{{Text: &system}}}
	}
	if len(req.Tools) > 0 && !formsAlone(req) { // most models refuse tools beside a format
		b["tools"] = []any{map[string]any{"functionDeclarations": geminiFunctions(req.Tools)}}
		if req.NoTools {
			b["toolConfig"] = map[string]any{"functionCallingConfig": map[string]string{"mode": "NONE"}}
		}
	}
	if c := geminiConfig(w, req); len(c) > 0 {
		b["generationConfig"] = c
	}
	return b
}

func geminiConfig(w *wire, req llm.Request) map[string]any {
	c := map[string]any{}
	if req.Temperature != nil {
		c["temperature"] = *req.Temperature
	}
	if n := w.limit(req); n > 0 {
		c["maxOutputTokens"] = n
	}
	if formsAlone(req) {
		c["responseMimeType"] = "application/json"
		if len(req.Format.Schema) > 0 {
			c["responseJsonSchema"] = req.Format.Schema
		}
	}
	if e := w.opts.Reasoning; e != "" {
		c["thinkingConfig"] = map[string]any{"includeThoughts": e != EffortOff, "thinkingBudget": e.budget()}
	}
	return c
}

func geminiFunctions(specs []tools.Spec) []geminiFunction {
	out := make([]geminiFunction, len(specs))
	for i, s := range specs {
		out[i] = geminiFunction{s.Name, s.Description, geminiSchema(s.Parameters)}
	}
	return out
}

func geminiContents(w *wire, ms []llm.Message) (out []geminiContent) {
	names := map[string]string{}
	for _, m := range ms {
		role, parts := "user", []geminiPart(nil)
		switch m.Role {
		case llm.Assistant:
			role, parts = "model", geminiAnswer(w, m, names)
		case llm.ToolRole:
			parts = append(parts, geminiPart{Response: &geminiResponse{
				ID: theirs(m.ToolCallID), Name: names[m.ToolCallID], Response: geminiResult(m),
			}})
		default:
			parts = geminiParts(m)
		}
		if len(parts) == 0 {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].Role == role {
			out[last].Parts = append(out[last].Parts, parts...)
			continue
		}
		out = append(out, geminiContent{role, parts})
	}
	return out
}

func geminiResult(m llm.Message) map[string]string {
	if m.Error != "" {
		return map[string]string{"error": cmp.Or(m.Content, m.Error)}
	}
	return map[string]string{"output": m.Content}
}

func geminiAnswer(w *wire, m llm.Message, names map[string]string) (parts []geminiPart) {
	for _, p := range w.partsOf(m) {
		var g geminiPart
		if p.raw != nil {
			_ = json.Unmarshal(p.raw, &g.Signature) // was a string when it was kept
		}
		if p.call == nil {
			g.Text = &p.text
		} else {
			names[p.call.ID] = p.call.Function.Name
			g.Call = &geminiCall{theirs(p.call.ID), p.call.Function.Name, objectOf(p.call.Function)}
		}
		parts = append(parts, g)
	}
	return parts
}

// theirs returns a call's id if the server gave it: of one that it does not
// know it would complain.
func theirs(id string) string {
	if strings.HasPrefix(id, "call_") {
		return ""
	}
	return id
}
