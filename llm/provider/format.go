package provider

import (
	"encoding/json"
	"slices"

	"parley/llm"
)

var _ llm.Former = (*Remote)(nil)

// Forms reports whether the API holds the answer to req to its format. OpenAI's
// do, tools or not, if the format is an object. Gemini and Ollama do where
// nothing can be called: most models of the one refuse tools beside a format,
// and a grammar for the answer keeps those of the other from calling. Anthropic's
// Messages API has no stable way to.
func (r *Remote) Forms(req llm.Request) bool {
	switch r.provider {
	case "openai", "openai-responses":
		return openaiFormat(req.Format) != nil
	case "gemini", "ollama":
		return formsAlone(req)
	}
	return false
}

// told returns req with words about its format, unless the API holds the model
// to a schema. OpenAI refuses its JSON mode if the word is not in the request,
// and Ollama's models write better what they were told of.
func (r *Remote) told(req llm.Request) llm.Request {
	if r.provider != "ollama" && r.Forms(req) && len(req.Format.Schema) > 0 {
		return req
	}
	return toldFormat(req)
}

func toldFormat(req llm.Request) llm.Request {
	if req.Format != nil {
		req.System = join(req.System, req.Format.Words())
	}
	return req
}

// formsAlone reports whether there is a format and nothing that can be called.
func formsAlone(req llm.Request) bool {
	return req.Format != nil && (len(req.Tools) == 0 || req.NoTools)
}

func ollamaFormat(f *llm.Format) any {
	if len(f.Schema) == 0 {
		return "json"
	}
	return f.Schema
}

// openaiFormat returns chat completions' response_format, nil for none and for
// a schema that OpenAI does not take: one whose top is no object.
func openaiFormat(f *llm.Format) map[string]any {
	flat := responsesFormat(f)
	if flat == nil || flat["schema"] == nil {
		return flat
	}
	delete(flat, "type")
	return map[string]any{"type": "json_schema", "json_schema": flat}
}

// responsesFormat returns the Responses API's text.format, as openaiFormat.
// strict is sent only with a schema that OpenAI takes so: others it refuses.
// The answer is checked either way.
func responsesFormat(f *llm.Format) map[string]any {
	if f == nil {
		return nil
	}
	if len(f.Schema) == 0 {
		return map[string]any{"type": "json_object"}
	}
	var root map[string]any
	if json.Unmarshal(f.Schema, &root) != nil || root["type"] != "object" {
		return nil
	}
	out := map[string]any{"type": "json_schema", "name": f.Name, "schema": f.Schema, "strict": f.Strict && isStrict(root)}
	if f.Description != "" {
		out["description"] = f.Description
	}
	return out
}

// isStrict reports whether OpenAI takes a schema with strict: the whole top an
// object, all of every object's properties required and no others allowed, and
// no words but those that are known
// (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas).
func isStrict(root map[string]any) bool {
	c := strictCheck{}
	return root["anyOf"] == nil && c.node(root, 1) && c.properties <= strictProperties
}

// OpenAI's limits.
const (
	strictProperties = 5000
	strictLevels     = 10
)

type strictCheck struct{ properties int }

func (c *strictCheck) node(v any, level int) bool {
	s, ok := v.(map[string]any)
	if !ok || level > strictLevels {
		return false
	}
	if describesObject(s) && !c.object(s, level) {
		return false
	}
	for word, v := range s {
		if !c.word(word, v, level) {
			return false
		}
	}
	return true
}

func describesObject(s map[string]any) bool {
	types, _ := s["type"].([]any)
	return s["type"] == "object" || s["properties"] != nil || slices.Contains(types, any("object"))
}

func (c *strictCheck) object(s map[string]any, level int) bool {
	props, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	c.properties += len(props)
	if s["additionalProperties"] != false || len(required) != len(props) {
		return false
	}
	for name, p := range props {
		if !slices.Contains(required, any(name)) || !c.node(p, level+1) {
			return false
		}
	}
	return true
}

func (c *strictCheck) word(word string, v any, level int) bool {
	switch word {
	case "type", "title", "description", "properties", "required", "additionalProperties", "enum", "const", "$ref", "$schema",
		"pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems":
		return true
	case "items":
		return c.node(v, level+1)
	case "anyOf":
		list, _ := v.([]any)
		for _, one := range list {
			if !c.node(one, level) {
				return false
			}
		}
		return len(list) > 0
	case "$defs", "definitions":
		defs, _ := v.(map[string]any)
		for _, one := range defs {
			if !c.node(one, 1) {
				return false
			}
		}
		return true
	}
	return false
}
