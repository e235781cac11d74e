package openapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxSteps is how many schemas and values one tool's parameters may be made
// of; OpenAI's largest operation has about 3,000.
const maxSteps = 50_000

// A converter turns the schemas of one operation into JSON Schema 2020-12
// whose references stay inside the tool's own $defs. It does so with the
// detail that cuts leaves.
type converter struct {
	*document
	cuts  cuts
	notes *notes // what is wrong with the schemas

	names map[string]string // of definitions, by what the document's references say
	taken map[string]bool
	queue []definition
	defs  map[string]any
	form  bool            // empty lists and objects cannot be sent
	left  int             // steps
	lost  map[string]bool // where something was cut, by path
}

// A definition is a schema that others refer to and that is still to be
// converted.
type definition struct {
	name  string
	value any
	depth int
}

func (d *document) converter(c cuts, n *notes) *converter {
	return &converter{
		document: d, cuts: c, notes: n, left: maxSteps,
		names: map[string]string{}, taken: map[string]bool{}, defs: map[string]any{}, lost: map[string]bool{},
	}
}

// schema converts one schema; at says where it is, for people.
func (c *converter) schema(v any, depth int, at string) any {
	s, ok := v.(object)
	if truth, isBool := v.(bool); isBool {
		return truth
	}
	if !ok {
		return object{}
	}
	if c.left--; c.left < 0 {
		c.notes.addf("the schema is too large: what is beyond %d values is left open", maxSteps)
		return object{}
	}
	if depth > c.cuts.depth {
		return c.stub(s, at)
	}
	if ref, ok := s["$ref"].(string); ok {
		return c.reference(s, ref, depth, at)
	}
	out := object{}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if convert := keywordOf(key); convert != nil {
			convert(c, out, s, key, depth, at)
		}
	}
	c.finish(out, s, depth, at)
	return out
}

// reference converts a $ref, and before 3.1 ignores what stands beside it but
// for words.
func (c *converter) reference(s object, ref string, depth int, at string) any {
	target, err := c.lookup(ref)
	if err == nil {
		_, err = c.resolve(target)
		if _, isBool := target.(bool); isBool {
			return target
		}
	}
	if err != nil {
		c.notes.addf("the reference %s %s: anything is let through there", line(ref, 100), err)
		return c.describe(object{}, s, at)
	}
	name, ok := c.names[ref]
	if !ok {
		name = c.nameOf(ref)
		c.names[ref] = name
		c.queue = append(c.queue, definition{name, target, depth})
	}
	out := object{}
	if c.siblings {
		rest := maps.Clone(s)
		delete(rest, "$ref")
		out, _ = c.schema(rest, depth, at).(object)
	}
	out["$ref"] = "#/$defs/" + name
	return c.describe(out, s, at)
}

var badDefinition = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

func (c *converter) nameOf(ref string) string {
	base := ref[strings.LastIndexByte(ref, '/')+1:]
	base = badDefinition.ReplaceAllString(base, "_")
	if base == "" || len(base) > 60 {
		base = cut(base, 60) + "_"
	}
	return unused(base, c.taken)
}

// unused returns base, or base with a number that nobody has yet, and takes it.
func unused(base string, taken map[string]bool) string {
	name := base
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s%d", base, i)
	}
	taken[name] = true
	return name
}

// definitions converts what was referred to until nothing is left.
func (c *converter) definitions() map[string]any {
	for len(c.queue) > 0 {
		def := c.queue[0]
		c.queue = c.queue[1:]
		c.defs[def.name] = c.schema(def.value, def.depth, def.name)
	}
	return c.defs
}

// property converts a property; an optional one too deep down is a stub.
func (c *converter) property(v any, required bool, depth int, at string) any {
	if s, ok := v.(object); ok && !required && depth > c.cuts.open {
		return c.stub(s, at)
	}
	return c.schema(v, depth, at)
}

// stub is a schema that is cut down to its type and to what an object cannot
// do without.
func (c *converter) stub(s object, at string) any {
	if c.isScalar(s, 4) && len(listIn(c.loose(s), "enum")) <= 20 {
		full := *c
		full.cuts.depth, full.cuts.open = maxLevels, maxLevels
		made := full.schema(s, maxLevels-6, at)
		c.left, c.queue = full.left, full.queue
		return made
	}
	return c.stubOf(s, 3, at)
}

// typesOf returns the types that a schema may have, as far as it or its
// branches say; nil if any may be.
func (c *converter) typesOf(v any, levels int) (types []any) {
	s := c.loose(v)
	if c.left--; s == nil || levels == 0 || c.left < 0 {
		return nil
	}
	out := object{}
	typeKeyword(c, out, s, "type", 0, "")
	c.nullable(out, s)
	switch t := out["type"].(type) {
	case string:
		return []any{t}
	case []any:
		return t
	}
	if s["properties"] != nil {
		return []any{"object"}
	}
	for _, v := range listIn(s, "allOf") {
		if types := c.typesOf(v, levels-1); types != nil {
			return types
		}
	}
	for _, v := range slices.Concat(listIn(s, "anyOf"), listIn(s, "oneOf")) {
		more := c.typesOf(v, levels-1)
		if more == nil {
			return nil
		}
		for _, t := range more {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	return types
}

func (c *converter) stubOf(s object, levels int, at string) any {
	r := c.loose(s)
	if c.left--; r == nil || c.left < 0 {
		return object{}
	}
	out := object{}
	switch types := c.typesOf(r, 4); len(types) {
	case 0:
	case 1:
		out["type"] = types[0]
	default:
		out["type"] = types
	}
	for _, key := range []string{"minItems", "maxItems", "minimum"} {
		if r[key] != nil {
			keywordOf(key)(c, out, r, key, 0, at)
		}
	}
	if len(listIn(r, "enum")) <= 20 {
		enumKeyword(c, out, r, "enum", 0, at)
	}
	valueKeyword(c, out, r, "const", 0, at)
	items, _ := r["items"].(object)
	needed := textsIn(r, "required")
	switch {
	case levels == 0:
	case out["type"] == "array" && items != nil:
		out["items"] = c.stubOf(items, levels-1, at+"[]")
	case len(needed) > 0 && len(needed) <= 20 && c.cuts.depth > 0:
		c.stubProperties(out, r, needed, levels, at)
	}
	c.nullable(out, r)
	if out["type"] == nil || len(objectIn(r, "properties")) > len(objectIn(out, "properties")) {
		c.lost[at] = true
	}
	return c.describe(out, r, at)
}

func (c *converter) stubProperties(out, s object, needed []string, levels int, at string) {
	made := object{}
	for _, name := range needed {
		if p, ok := objectIn(s, "properties")[name].(object); ok && !c.isReadOnly(p) {
			made[name] = c.stubOf(p, levels-1, at+"."+name)
		}
	}
	if len(made) > 0 {
		out["properties"] = made
	}
	c.requireOnly(out, s)
}

// describe puts in what is said of a schema.
func (c *converter) describe(out, s object, _ string) object {
	text := textIn(s, "description")
	if title := textIn(s, "title"); text == "" && strings.Contains(title, " ") { // not a name of code
		text = title
	}
	text = withoutTags(text)
	if text == "" || c.cuts.description == 0 {
		return out
	}
	short := paragraph(text, c.cuts.description)
	if len(short) < len(strings.TrimSpace(text)) {
		c.lost["descriptions"] = true
	}
	out["description"] = short
	return out
}

// finish sees to what concerns several keywords at once.
func (c *converter) finish(out, s object, depth int, at string) {
	c.nullable(out, s)
	c.requireOnly(out, s)
	c.discriminate(out, s, depth, at)
	c.describe(out, s, at)
	c.loosen(out)
	if min, ok := out["minimum"]; ok && isTrue(s, "exclusiveMinimum") {
		delete(out, "minimum")
		out["exclusiveMinimum"] = min
	}
	if max, ok := out["maximum"]; ok && isTrue(s, "exclusiveMaximum") {
		delete(out, "maximum")
		out["exclusiveMaximum"] = max
	}
}

// loosen takes out what stubs inside it would turn into a contradiction:
// several of them match the same value.
func (c *converter) loosen(out object) {
	if c.cuts.whole() {
		return
	}
	if one, ok := out["oneOf"].([]any); ok {
		delete(out, "oneOf")
		if out["anyOf"] == nil {
			out["anyOf"] = one
		}
	}
	for _, key := range []string{"not", "if", "then", "else"} {
		delete(out, key)
	}
}

// nullable lets null in where 3.0 (and a custom of 2.0) says so.
func (c *converter) nullable(out, s object) {
	if !isTrue(s, "nullable") && !isTrue(s, "x-nullable") {
		return
	}
	if t, ok := out["type"].(string); ok && t != "null" {
		out["type"] = []any{t, "null"}
	}
	if enum, ok := out["enum"].([]any); ok && !slices.Contains(enum, nil) {
		out["enum"] = append(enum, nil)
	}
	if out["type"] == nil && out["enum"] == nil {
		if branches := slices.DeleteFunc([]string{"allOf", "anyOf", "oneOf"}, func(k string) bool { return out[k] == nil }); len(branches) == 1 {
			inner := object{branches[0]: out[branches[0]]}
			delete(out, branches[0])
			out["anyOf"] = []any{inner, object{"type": "null"}}
		}
	}
}

// requireOnly writes required without properties that a request leaves out.
func (c *converter) requireOnly(out, s object) {
	all := textsIn(s, "required")
	props := objectIn(s, "properties")
	var names []any
	for _, name := range all {
		if p, ok := props[name]; ok && c.isReadOnly(p) {
			continue
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		out["required"] = names
	}
}

// isReadOnly reports whether a property is only ever sent by the service.
func (c *converter) isReadOnly(v any) bool {
	s, ok := v.(object)
	if !ok {
		return false
	}
	if isTrue(s, "readOnly") {
		return true
	}
	if r := c.loose(s); r != nil && isTrue(r, "readOnly") {
		return true
	}
	return false
}

// discriminate turns a discriminator over branches into what JSON Schema has
// for it: the branch's value of the property. A branch that says by itself
// what the property is stays as it is.
func (c *converter) discriminate(out, s object, depth int, at string) {
	d := objectIn(s, "discriminator")
	property := textIn(d, "propertyName")
	if property == "" {
		return
	}
	mapping := map[string]string{} // reference to value
	for value, ref := range objectIn(d, "mapping") {
		if ref, ok := ref.(string); ok {
			if !strings.ContainsAny(ref, "#/") {
				ref = "#/components/schemas/" + ref
			}
			if was, ok := mapping[ref]; !ok || value < was {
				mapping[ref] = value
			}
		}
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		branches, _ := out[key].([]any)
		if len(branches) != len(listIn(s, key)) {
			continue
		}
		for i, v := range listIn(s, key) {
			branch, _ := v.(object)
			ref := textIn(branch, "$ref")
			if i >= len(branches) || ref == "" {
				continue
			}
			if c.fixes(branch, property, 8) {
				if !c.requires(branch, property, 8) {
					branches[i] = object{"allOf": []any{branches[i], object{"required": []any{property}}}}
				}
				continue
			}
			value, ok := mapping[ref]
			if !ok {
				value = ref[strings.LastIndexByte(ref, '/')+1:]
			}
			branches[i] = object{"allOf": []any{branches[i], object{
				"properties": object{property: object{"const": value}}, "required": []any{property},
			}}}
		}
	}
}

// fixes reports whether a schema itself says which value a property has.
func (c *converter) fixes(v any, property string, depth int) bool {
	s := c.loose(v)
	if s == nil || depth == 0 {
		return false
	}
	if p := c.loose(objectIn(s, "properties")[property]); p != nil && (p["enum"] != nil || p["const"] != nil) {
		return true
	}
	return slices.ContainsFunc(listIn(s, "allOf"), func(v any) bool { return c.fixes(v, property, depth-1) })
}

// requires reports whether a schema itself asks for a property.
func (c *converter) requires(v any, property string, depth int) bool {
	s := c.loose(v)
	if s == nil || depth == 0 {
		return false
	}
	return slices.Contains(textsIn(s, "required"), property) ||
		slices.ContainsFunc(listIn(s, "allOf"), func(v any) bool { return c.requires(v, property, depth-1) })
}
