package openapi

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// A keyword converts one member of a schema. A value that JSON Schema does not
// allow there is left out, so that what is made can always be compiled.
type keyword func(c *converter, out, s object, key string, depth int, at string)

// keywordOf returns how a member is converted, nil for those that say nothing
// of a request, such as xml, externalDocs, example and x-….
func keywordOf(key string) keyword {
	switch key {
	case "type":
		return typeKeyword
	case "enum":
		return enumKeyword
	case "const", "default":
		return valueKeyword
	case "pattern":
		return patternKeyword
	case "properties":
		return propertiesKeyword
	case "patternProperties", "dependentSchemas":
		return schemasKeyword
	case "items":
		return itemsKeyword
	case "prefixItems", "allOf", "anyOf", "oneOf":
		return listKeyword
	case "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "unevaluatedProperties", "unevaluatedItems":
		return schemaKeyword
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		return numberKeyword
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		return countKeyword
	case "uniqueItems", "deprecated":
		return truthKeyword
	case "format", "contentEncoding", "contentMediaType":
		return wordKeyword
	}
	return nil
}

func knownTypes() []string {
	return []string{"object", "array", "string", "number", "integer", "boolean", "null"}
}

func typeKeyword(c *converter, out, s object, key string, _ int, at string) {
	var types []any
	add := func(v any) {
		t, _ := v.(string)
		switch {
		case t == "file":
			t = "string"
		case !slices.Contains(knownTypes(), t):
			c.notes.addf("at %s the type %q is not one of JSON Schema and is left out", line(at, 100), line(t, 40))
			return
		}
		if !slices.Contains(types, any(t)) {
			types = append(types, t)
		}
	}
	if list, ok := s[key].([]any); ok {
		for _, v := range list[:min(len(list), 10)] {
			add(v)
		}
	} else if s[key] != nil {
		add(s[key])
	}
	switch len(types) {
	case 0:
	case 1:
		out[key] = types[0]
	default:
		out[key] = types
	}
}

func enumKeyword(c *converter, out, s object, key string, _ int, at string) {
	list, ok := s[key].([]any)
	if !ok || len(list) == 0 {
		return
	}
	if len(list) > c.cuts.enum {
		c.lost[at] = true
		return
	}
	values := make([]any, 0, len(list))
	for _, v := range list {
		if v, ok := c.plain(v); ok {
			values = append(values, c.meant(v, s))
		}
	}
	if len(values) == len(list) {
		out[key] = values
	}
}

// meant returns the text that a number or truth value stands for where only
// text is allowed: YAML reads 1 and true without quotes as what they look like.
func (c *converter) meant(v any, s object) any {
	if s["type"] != "string" {
		return v
	}
	switch v.(type) {
	case json.Number, bool:
		return scalarText(v)
	}
	return v
}

func valueKeyword(c *converter, out, s object, key string, _ int, _ string) {
	if v, ok := s[key]; !ok || v == nil && key == "default" {
		return
	}
	if v, ok := c.plain(s[key]); ok && (key == "const" || c.cuts.defaults) {
		out[key] = c.meant(v, s)
	}
}

// plain copies a JSON value, if it is not too large.
func (c *converter) plain(v any) (any, bool) {
	if c.left--; c.left < 0 {
		return nil, false
	}
	switch v := v.(type) {
	case json.Number:
		return v, goodNumber(v)
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			e, ok := c.plain(e)
			if !ok {
				return nil, false
			}
			out = append(out, e)
		}
		return out, true
	case object:
		out := make(object, len(v))
		for k, e := range v {
			e, ok := c.plain(e)
			if !ok {
				return nil, false
			}
			out[k] = e
		}
		return out, true
	}
	return v, true
}

// goodNumber keeps out numbers that take long to reckon with.
func goodNumber(n json.Number) bool {
	_, err := strconv.ParseFloat(string(n), 64)
	return err == nil && len(n) <= 40
}

func numberKeyword(c *converter, out, s object, key string, _ int, _ string) {
	n, ok := s[key].(json.Number)
	if f, err := n.Float64(); ok && err == nil && goodNumber(n) && (key != "multipleOf" || f > 0) {
		out[key] = n
	}
}

func countKeyword(c *converter, out, s object, key string, _ int, _ string) {
	n, _ := s[key].(json.Number)
	if i, err := strconv.ParseInt(string(n), 10, 53); err == nil && i >= 0 {
		out[key] = n
	}
}

func truthKeyword(_ *converter, out, s object, key string, _ int, _ string) {
	if isTrue(s, key) {
		out[key] = true
	}
}

func wordKeyword(c *converter, out, s object, key string, _ int, _ string) {
	if w := textIn(s, key); w != "" && len(w) <= 100 && c.cuts.defaults {
		out[key] = w
	}
}

// patternKeyword leaves out patterns that Go cannot compile: they are
// ECMAScript's.
func patternKeyword(c *converter, out, s object, key string, _ int, at string) {
	p := textIn(s, key)
	if p == "" {
		return
	}
	if !c.compiles(p) {
		c.notes.addf("at %s the pattern %s cannot be checked and is left out", line(at, 100), line(p, 60))
		return
	}
	out[key] = p
}

func (d *document) compiles(pattern string) bool {
	ok, known := d.patterns[pattern]
	if !known {
		_, err := regexp.Compile(pattern)
		ok = err == nil && len(pattern) <= 1000
		d.patterns[pattern] = ok
	}
	return ok
}

func propertiesKeyword(c *converter, out, s object, key string, depth int, at string) {
	props, ok := s[key].(object)
	if !ok {
		return
	}
	required := textsIn(s, "required")
	made := object{}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if c.isReadOnly(props[name]) {
			continue
		}
		if c.cuts.optional < depth && !slices.Contains(required, name) {
			c.lost[at+"."+name] = true
			continue
		}
		must := slices.Contains(required, name)
		made[name] = c.property(props[name], must, depth+1, at+"."+name)
		if o, ok := made[name].(object); ok && must && c.form {
			c.fill(o, props[name])
		}
	}
	out[key] = made
}

func schemasKeyword(c *converter, out, s object, key string, depth int, at string) {
	made := object{}
	for _, name := range slices.Sorted(maps.Keys(objectIn(s, key))) {
		if key == "patternProperties" && !c.compiles(name) {
			c.notes.addf("at %s the pattern %s cannot be checked and is left out", line(at, 100), line(name, 60))
			continue
		}
		made[name] = c.schema(objectIn(s, key)[name], depth+1, at+"."+name)
	}
	if len(made) > 0 {
		out[key] = made
	}
}

// itemsKeyword reads a list of schemas as older drafts mean it.
func itemsKeyword(c *converter, out, s object, key string, depth int, at string) {
	if _, ok := s[key].([]any); ok {
		out["prefixItems"] = c.schemas(listIn(s, key), depth, at+"[]")
		return
	}
	schemaKeyword(c, out, s, key, depth, at+"[]")
}

func schemaKeyword(c *converter, out, s object, key string, depth int, at string) {
	switch s[key].(type) {
	case bool, object:
		made := c.schema(s[key], depth+1, at)
		if o, ok := made.(object); ok && key == "not" && len(o) == 0 {
			return // nothing could be said of it, and not nothing is never
		}
		out[key] = made
	}
}

func listKeyword(c *converter, out, s object, key string, depth int, at string) {
	if list := c.schemas(listIn(s, key), depth, at); len(list) > 0 {
		out[key] = list
	}
}

func (c *converter) schemas(list []any, depth int, at string) []any {
	made := make([]any, 0, len(list))
	for _, v := range list {
		switch v.(type) {
		case bool, object:
			made = append(made, c.schema(v, depth+1, at))
		}
	}
	return made
}
