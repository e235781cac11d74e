package provider

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"parley/tools"
)

// A demoTool is a tool as the demo model reads it.
type demoTool struct {
	spec     tools.Spec
	params   []*demoParam
	weights  map[string]float64 // of its words: what sharing one is worth
	own      float64            // worth of the words of its name and first sentence
	concepts map[string]float64
}

// A demoParam is a parameter of a tool, read from its JSON Schema.
type demoParam struct {
	name, desc string
	kind       string // JSON Schema's type; "" for any
	format     string
	required   bool
	fixed      any   // its only value (const, default), nil if none
	enum       []any // the only values, if any
	examples   []any
	pattern    *regexp.Regexp // what a string must match, nil for anything
	items      *demoParam     // of an array
	params     []*demoParam   // of an object
	minLength  int
	maxLength  int
	stems      []string // of the name
	about      string   // name, description, examples, default in lower case
}

// demoSchema is the part of JSON Schema that is read.
type demoSchema struct {
	Type        any             `json:"type"`
	Description string          `json:"description"`
	Title       string          `json:"title"`
	Format      string          `json:"format"`
	Pattern     string          `json:"pattern"`
	Enum        []any           `json:"enum"`
	Const       any             `json:"const"`
	Default     any             `json:"default"`
	Example     any             `json:"example"`
	Examples    []any           `json:"examples"`
	MinLength   float64         `json:"minLength"`
	MaxLength   float64         `json:"maxLength"`
	Items       json.RawMessage `json:"items"`
	Properties  json.RawMessage `json:"properties"`
	Required    []any           `json:"required"`
	AnyOf       []any           `json:"anyOf"`
	OneOf       []any           `json:"oneOf"`
	AllOf       []any           `json:"allOf"`
	Ref         string          `json:"$ref"`
}

const (
	demoMaxDepth  = 4       // of schemas within a schema
	demoMaxSchema = 1 << 20 // bytes
	demoMaxParams = 200     // of one object, but for those it requires
)

// A demoSchemaReader reads one tool's schema.
type demoSchemaReader struct {
	root  map[string]json.RawMessage // of "#/$defs" and the like
	depth int
}

// demoParams returns a schema's parameters, the required ones first. Of a
// schema that makes no sense there are none.
func demoParams(schema json.RawMessage) []*demoParam {
	if len(schema) > demoMaxSchema {
		return nil
	}
	r := demoSchemaReader{}
	_ = json.Unmarshal(schema, &r.root)
	return r.object(r.schema(schema))
}

// schema decodes leniently: a keyword of the wrong type is as good as absent.
func (r *demoSchemaReader) schema(raw json.RawMessage) demoSchema {
	var s demoSchema
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &s) != nil && json.Unmarshal(raw, &keys) == nil {
		s = demoSchema{}
		for k, v := range keys {
			one, _ := json.Marshal(map[string]json.RawMessage{k: v})
			keep := s
			if json.Unmarshal(one, &s) != nil {
				s = keep
			}
		}
	}
	return r.resolve(s)
}

// resolve follows a reference, or takes the first alternative that says more
// than null.
func (r *demoSchemaReader) resolve(s demoSchema) demoSchema {
	if r.depth >= demoMaxDepth {
		return s
	}
	r.depth++
	defer func() { r.depth-- }()
	if name, ok := strings.CutPrefix(s.Ref, "#/"); ok {
		return demoOver(s, r.schema(r.pointer(name)))
	}
	if s.Type != nil || len(s.Properties) > 0 || len(s.Enum) > 0 {
		return s
	}
	for _, alternative := range slices.Concat(s.AllOf, s.AnyOf, s.OneOf) {
		raw, _ := json.Marshal(alternative)
		if other := r.schema(raw); demoKind(other.Type) != "null" {
			return demoOver(s, other)
		}
	}
	return s
}

// demoOver returns t with what s says beside it.
func demoOver(s, t demoSchema) demoSchema {
	if s.Description != "" {
		t.Description = s.Description
	}
	if s.Default != nil {
		t.Default = s.Default
	}
	if len(s.Properties) > 0 {
		t.Properties = s.Properties
	}
	t.Required = slices.Concat(s.Required, t.Required)
	return t
}

func (r *demoSchemaReader) pointer(path string) json.RawMessage {
	at := r.root
	var raw json.RawMessage
	for part := range strings.SplitSeq(path, "/") {
		raw = at[part]
		at = nil
		_ = json.Unmarshal(raw, &at)
	}
	return raw
}

// object returns the parameters of a schema of type object.
func (r *demoSchemaReader) object(s demoSchema) []*demoParam {
	if r.depth >= demoMaxDepth {
		return nil
	}
	r.depth++
	defer func() { r.depth-- }()
	required := map[string]bool{}
	for _, name := range s.Required {
		if text, ok := name.(string); ok {
			required[text] = true
		}
	}
	names, schemas := demoOrdered(s.Properties)
	for _, name := range slices.Sorted(maps.Keys(required)) {
		if _, ok := schemas[name]; !ok {
			names = append(names, name)
		}
	}
	var out []*demoParam
	for _, name := range names {
		if len(out) < demoMaxParams || required[name] {
			out = append(out, r.param(name, r.schema(schemas[name]), required[name]))
		}
	}
	slices.SortStableFunc(out, func(a, b *demoParam) int { return demoBool(b.required) - demoBool(a.required) })
	return out
}

func demoBool(b bool) int {
	if b {
		return 1
	}
	return 0
}

// demoOrdered returns the keys of a JSON object in their order, and its
// values.
func demoOrdered(object json.RawMessage) ([]string, map[string]json.RawMessage) {
	values := map[string]json.RawMessage{}
	if json.Unmarshal(object, &values) != nil {
		return nil, values
	}
	d := json.NewDecoder(bytes.NewReader(object))
	_, _ = d.Token()
	var names []string
	for d.More() {
		key, err := d.Token()
		var skip json.RawMessage
		if err != nil || d.Decode(&skip) != nil {
			break
		}
		if name, _ := key.(string); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, values
}

func (r *demoSchemaReader) param(name string, s demoSchema, required bool) *demoParam {
	p := &demoParam{
		name: name, desc: strings.TrimSpace(s.Title + " " + s.Description), kind: demoKind(s.Type), format: s.Format,
		required: required, enum: s.Enum, examples: s.Examples, stems: demoStems(name),
		minLength: int(s.MinLength), maxLength: int(s.MaxLength),
	}
	if len(s.Pattern) < 200 && s.Pattern != "" {
		p.pattern, _ = regexp.Compile(s.Pattern)
	}
	if p.fixed = s.Const; p.fixed == nil {
		p.fixed = s.Default
	}
	if s.Example != nil {
		p.examples = append(p.examples, s.Example)
	}
	if p.fixed == nil && len(p.enum) == 1 {
		p.fixed = p.enum[0]
	}
	if p.kind == "" && len(s.Properties) > 0 {
		p.kind = "object"
	}
	switch p.kind {
	case "array":
		p.items = r.item(name, s)
	case "object":
		p.params = r.object(s)
	}
	p.about = demoAbout(p)
	return p
}

func (r *demoSchemaReader) item(name string, s demoSchema) *demoParam {
	if r.depth >= demoMaxDepth {
		return nil
	}
	r.depth++
	defer func() { r.depth-- }()
	item := r.param(name, r.schema(s.Items), false)
	item.desc = strings.TrimSpace(s.Description + " " + item.desc)
	item.about = demoAbout(item)
	return item
}

func demoAbout(p *demoParam) string {
	words := []string{strings.Join(demoStems(p.name), " "), p.name, p.desc}
	for _, v := range append(slices.Concat(p.examples, p.enum), p.fixed) {
		if text, ok := v.(string); ok {
			words = append(words, text)
		}
	}
	return strings.ToLower(demoCut(strings.Join(words, " ")))
}

// demoKind returns the first of a schema's types that is not null.
func demoKind(t any) string {
	switch t := t.(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if text, ok := one.(string); ok && text != "null" {
				return text
			}
		}
	}
	return ""
}
