package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxLevels is how deep the schemas of a tool's parameters may be nested.
const maxLevels = 24

// cuts say how much detail a tool's schema has.
type cuts struct {
	description int  // bytes of one; zero means none
	depth       int  // levels of schemas; what is deeper is a stub
	open        int  // levels whose optional properties are more than stubs
	optional    int  // levels that have their optional properties at all
	enum        int  // values of an enum; a longer one is left out
	defaults    bool // default, format and their like
}

// whole reports whether schemas say all that they say in the document.
func (c cuts) whole() bool { return c.depth == maxLevels && c.open == maxLevels }

// rounds are what is cut, one after the other, until a schema fits: words
// first, then what may be left out, from the depths up, then the rest.
func rounds() []cuts {
	const all = maxLevels
	return []cuts{
		{2000, all, all, all, 1000, true},
		{300, all, all, all, 1000, true},
		{120, all, all, all, 1000, true},
		{120, all, 8, all, 1000, true},
		{120, all, 6, all, 200, true},
		{100, all, 4, all, 200, true},
		{100, all, 3, all, 100, true},
		{80, 12, 2, all, 100, true},
		{80, 9, 1, all, 50, true},
		{60, 7, 1, 4, 50, false},
		{60, 5, 0, 3, 50, false},
		{40, 4, 0, 2, 30, false},
		{0, 3, 0, 1, 30, false},
		{0, 2, 0, 1, 20, false},
		{0, 2, 0, 0, 20, false},
		{0, 0, 0, 0, 0, false},
	}
}

// A shape is what a tool's parameters are made of, before schemas are
// converted.
type shape struct {
	properties []property
	form       bool // the body is a form, where an empty list or object is nothing
	open       bool // there may be more properties
}

type property struct {
	name        string
	description string
	schema      any
	required    bool
	filled      bool // an empty list or object cannot be sent there
}

// parameters returns the tool's schema, cut down to fit; warnings say what was
// cut.
func (d *document) parameters(s shape, n *notes) (json.RawMessage, error) {
	var raw json.RawMessage
	for i, cuts := range rounds() {
		var faults notes
		c := d.converter(cuts, &faults)
		c.form = s.form
		root, err := json.Marshal(c.root(s))
		if err != nil {
			return nil, err
		}
		if raw = root; len(raw) > d.opts.MaxSchema && i+1 < len(rounds()) {
			if d.ctx.Err() != nil {
				return nil, d.ctx.Err()
			}
			continue
		}
		n.add(faults.list...)
		if i > 0 || len(c.lost) > 0 {
			n.add(c.told(i > 0, d.opts.MaxSchema)...)
		}
		break
	}
	if len(raw) > d.opts.MaxSchema {
		n.addf("the parameters' names alone are larger than %d bytes: they are %d", d.opts.MaxSchema, len(raw))
	}
	return raw, nil
}

// told says what was left out.
func (c *converter) told(pruned bool, most int) (texts []string) {
	places := slices.Sorted(maps.Keys(c.lost))
	places = slices.DeleteFunc(places, func(p string) bool { return p == "descriptions" })
	if pruned && c.lost["descriptions"] || pruned && c.cuts.description == 0 {
		texts = append(texts, fmt.Sprintf("descriptions were shortened to keep the schema below %d bytes", most))
	}
	if len(places) == 0 {
		return texts
	}
	shown := places[:min(len(places), 8)]
	text := "left open or left out: " + line(strings.Join(shown, ", "), 400)
	if more := len(places) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if pruned {
		text += fmt.Sprintf(", to keep the schema below %d bytes", most)
	}
	return append(texts, text)
}

func (c *converter) root(s shape) any {
	props := object{}
	var required []string
	for _, p := range s.properties {
		if c.cuts.optional == 0 && !p.required {
			c.lost[p.name] = true
			continue
		}
		schema := c.property(p.schema, p.required, 1, p.name)
		if o, ok := schema.(object); ok && p.description != "" && c.cuts.description > 0 {
			o["description"] = paragraph(p.description, c.cuts.description)
		}
		if o, ok := schema.(object); ok && p.required && p.filled {
			c.fill(o, p.schema)
		}
		props[p.name] = schema
		if p.required {
			required = append(required, p.name)
		}
	}
	root := object{"type": "object", "properties": props, "additionalProperties": s.open}
	if len(required) > 0 {
		root["required"] = required
	}
	defs := inline(root, c.definitions())
	if len(defs) > 0 {
		root["$defs"] = defs
	}
	return flatten(root)
}

// fill asks for at least one element or member: an empty list or object has no
// form in a path, a query or a header.
func (c *converter) fill(out object, schema any) {
	s := c.loose(schema)
	kind := textIn(s, "type")
	if kind == "array" && s["minItems"] == nil {
		out["minItems"] = 1
	}
	if kind == "object" && s["minProperties"] == nil && len(listIn(s, "required")) == 0 {
		out["minProperties"] = 1
	}
}

// inline puts definitions that are used once in the place of the reference,
// since not every model follows references well, and returns the others.
func inline(root object, defs map[string]any) map[string]any {
	uses := map[string]int{}
	count(root, uses)
	for _, def := range defs {
		count(def, uses)
	}
	i := &inliner{defs, uses}
	for key, v := range root {
		root[key] = i.replace(v)
	}
	left := object{}
	i.keep(root, left)
	return left
}

// keep collects the definitions that v still refers to.
func (i *inliner) keep(v any, left map[string]any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			i.keep(e, left)
		}
	case object:
		if ref, ok := v["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/$defs/")
			if _, ok := left[name]; !ok {
				left[name] = i.replace(i.defs[name])
				i.keep(left[name], left)
			}
		}
		for _, e := range v {
			i.keep(e, left)
		}
	}
}

func count(v any, uses map[string]int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			count(e, uses)
		}
	case object:
		if ref, ok := v["$ref"].(string); ok {
			uses[strings.TrimPrefix(ref, "#/$defs/")]++
		}
		for _, e := range v {
			count(e, uses)
		}
	}
}

type inliner struct {
	defs map[string]any
	uses map[string]int
}

func (i *inliner) replace(v any) any {
	switch v := v.(type) {
	case []any:
		for n, e := range v {
			v[n] = i.replace(e)
		}
	case object:
		for key, e := range v {
			v[key] = i.replace(e)
		}
		ref, _ := v["$ref"].(string)
		name := strings.TrimPrefix(ref, "#/$defs/")
		if ref == "" || i.uses[name] != 1 || len(v) > 2 || len(v) == 2 && v["description"] == nil {
			return v
		}
		def := i.replace(i.defs[name])
		if o, ok := def.(object); ok && v["description"] != nil {
			o["description"] = v["description"]
		}
		return def
	}
	return v
}
