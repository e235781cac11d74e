package provider

import (
	"encoding/json"
	"slices"
	"strings"
)

// noParameters is the schema of a tool that takes nothing.
const noParameters = `{"type":"object","properties":{}}`

// objectSchema returns a tool's schema as an object without alternatives at
// its top, which Anthropic refuses.
func objectSchema(raw json.RawMessage) json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return json.RawMessage(noParameters)
	}
	if m["oneOf"] == nil && m["anyOf"] == nil && m["allOf"] == nil && string(m["type"]) == `"object"` {
		return raw
	}
	delete(m, "oneOf")
	delete(m, "anyOf")
	delete(m, "allOf")
	m["type"] = json.RawMessage(`"object"`)
	b, _ := json.Marshal(m)
	return b
}

// geminiSchema translates a JSON Schema into the subset of OpenAPI 3.0 that
// Gemini takes (https://ai.google.dev/api/caching#Schema): references are
// put in place, alternatives become anyOf, a constant an enum of one, null a
// flag; what has no counterpart is left out. nil stands for a tool without
// parameters.
func geminiSchema(raw json.RawMessage) map[string]any {
	var root map[string]any
	if json.Unmarshal(raw, &root) != nil {
		return nil
	}
	t := schemaTranslator{root: root, left: maxSchemaNodes}
	s := t.node(root, 0)
	if props, _ := s["properties"].(map[string]any); len(props) == 0 {
		return nil
	}
	s["type"] = "object"
	return s
}

// A recursive schema is cut where it is too deep, one that multiplies where it
// has too many nodes.
const (
	maxSchemaDepth = 12
	maxSchemaNodes = 2000
)

type schemaTranslator struct {
	root map[string]any
	left int
}

// geminiKeeps are the keywords that mean the same in both.
func geminiKeeps(keyword string) bool {
	switch keyword {
	case "type", "title", "description", "nullable", "maxItems", "minItems", "minProperties", "maxProperties",
		"minLength", "maxLength", "pattern", "minimum", "maximum", "default":
		return true
	}
	return false
}

func (t *schemaTranslator) node(in map[string]any, depth int) map[string]any {
	out := map[string]any{}
	if t.left--; depth > maxSchemaDepth || t.left < 0 {
		return map[string]any{"type": "object"}
	}
	in = t.flat(in, 0)
	for k, v := range in {
		if geminiKeeps(k) {
			out[k] = v
		}
	}
	t.types(in, out)
	t.values(in, out)
	t.children(in, out, depth)
	return out
}

// flat puts what in refers to, and all that it is made of, into one schema.
func (t *schemaTranslator) flat(in map[string]any, depth int) map[string]any {
	ref, _ := in["$ref"].(string)
	all, _ := in["allOf"].([]any)
	if ref == "" && len(all) == 0 || depth > maxSchemaDepth {
		return in
	}
	out := map[string]any{}
	if target := t.find(ref); target != nil {
		out = t.flat(target, depth+1)
	}
	for _, a := range append(slices.Clone(all), withoutRef(in)) {
		if m, ok := a.(map[string]any); ok {
			if t.left--; t.left < 0 {
				return out
			}
			out = merged(out, t.flat(m, depth+1))
		}
	}
	return out
}

func withoutRef(in map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range in {
		if k != "$ref" && k != "allOf" {
			out[k] = v
		}
	}
	return out
}

// merged returns both schemas in one: b's words go before a's, but properties
// and what is required add up.
func merged(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{a, b} {
		for k, v := range m {
			old, isMap := out[k].(map[string]any)
			add, too := v.(map[string]any)
			list, isList := out[k].([]any)
			more, tooList := v.([]any)
			switch {
			case k == "properties" && isMap && too:
				out[k] = merged(old, add)
			case k == "required" && isList && tooList:
				out[k] = append(slices.Clone(list), more...)
			default:
				out[k] = v
			}
		}
	}
	return out
}

// find returns what a reference within the schema means, nil if nothing.
func (t *schemaTranslator) find(ref string) map[string]any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	at := t.root
	for step := range strings.SplitSeq(path, "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		next, ok := at[step].(map[string]any)
		if !ok {
			return nil
		}
		at = next
	}
	return at
}

// types turns a list of types into one, with null as a flag, or into
// alternatives.
func (t *schemaTranslator) types(in, out map[string]any) {
	list, ok := in["type"].([]any)
	if !ok {
		return
	}
	delete(out, "type")
	var names []any
	for _, v := range list {
		if v == "null" {
			out["nullable"] = true
		} else if s, ok := v.(string); ok {
			names = append(names, s)
		}
	}
	if len(names) == 1 {
		out["type"] = names[0]
		return
	}
	var choices []any
	for _, n := range names {
		choices = append(choices, map[string]any{"type": n})
	}
	if len(choices) > 0 && in["anyOf"] == nil && in["oneOf"] == nil {
		out["anyOf"] = choices
	}
}

// values keeps enums of texts, the only ones that Gemini has, and the formats
// that it knows.
func (t *schemaTranslator) values(in, out map[string]any) {
	enum, _ := in["enum"].([]any)
	if c, ok := in["const"]; ok {
		enum = []any{c}
	}
	var texts []any
	for _, v := range enum {
		if s, ok := v.(string); ok && s != "" {
			texts = append(texts, s)
		}
	}
	if len(texts) > 0 {
		out["enum"], out["type"] = texts, "string"
	}
	switch f, _ := in["format"].(string); f {
	case "date-time", "int32", "int64", "float", "double":
		out["format"] = f
	}
}

func (t *schemaTranslator) children(in, out map[string]any, depth int) {
	if props, ok := in["properties"].(map[string]any); ok {
		kept := map[string]any{}
		for name, v := range props {
			m, _ := v.(map[string]any) // true and false say nothing about it
			kept[name] = t.node(m, depth+1)
		}
		out["properties"] = kept
		t.required(in, out, kept)
	}
	if items, ok := in["items"].(map[string]any); ok {
		out["items"] = t.node(items, depth+1)
	} else if out["type"] == "array" {
		out["items"] = map[string]any{"type": "string"} // it must have some
	}
	for _, k := range []string{"anyOf", "oneOf"} {
		if list, ok := in[k].([]any); ok {
			t.alternatives(list, out, depth)
		}
	}
}

func (t *schemaTranslator) required(in, out, props map[string]any) {
	var names []any
	list, _ := in["required"].([]any)
	for _, n := range list {
		if s, ok := n.(string); ok && props[s] != nil && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) > 0 {
		out["required"] = names
	}
}

// alternatives keeps all but null, which is a flag.
func (t *schemaTranslator) alternatives(list []any, out map[string]any, depth int) {
	var kept []any
	for _, v := range list {
		m, _ := v.(map[string]any)
		if m["type"] == "null" {
			out["nullable"] = true
			continue
		}
		kept = append(kept, t.node(m, depth+1))
	}
	if len(kept) > 0 {
		out["anyOf"] = kept
	}
}
