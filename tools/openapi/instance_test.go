package openapi_test

import (
	"encoding/json"
	"maps"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
)

// A maker makes one instance of a schema, the same one each time. Where a
// schema has branches, pick says which is taken.
type maker struct {
	root map[string]any
	full bool // with optional properties
	pick int
}

func makeArguments(parameters json.RawMessage, full bool, pick int) (json.RawMessage, error) {
	var root map[string]any
	dec := json.NewDecoder(strings.NewReader(string(parameters)))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		return nil, err
	}
	m := &maker{root, full, pick}
	return json.Marshal(m.value(root, 0))
}

// merged returns s with what its references, allOf and the branch picked say.
func (m *maker) merged(v any, depth int) map[string]any {
	s, ok := v.(map[string]any)
	if !ok || depth > 40 {
		return map[string]any{}
	}
	out := maps.Clone(s)
	var more []any
	if ref, ok := s["$ref"].(string); ok {
		defs, _ := m.root["$defs"].(map[string]any)
		more = append(more, defs[strings.TrimPrefix(ref, "#/$defs/")])
	}
	all, _ := s["allOf"].([]any)
	more = append(more, all...)
	for _, key := range []string{"oneOf", "anyOf"} {
		if branches, _ := s[key].([]any); len(branches) > 0 {
			n := m.pick
			if key == "oneOf" {
				n = m.pick / 2
			}
			more = append(more, branches[n%len(branches)])
		}
	}
	for _, key := range []string{"$ref", "allOf", "oneOf", "anyOf"} {
		delete(out, key)
	}
	for _, v := range more {
		out = join(out, m.merged(v, depth+1))
	}
	return out
}

func join(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	for key, v := range b {
		had, ok := out[key]
		switch {
		case !ok:
			out[key] = v
		case key == "properties":
			props := maps.Clone(had.(map[string]any))
			for name, p := range v.(map[string]any) {
				if q, ok := props[name]; ok {
					p = map[string]any{"allOf": []any{q, p}}
				}
				props[name] = p
			}
			out[key] = props
		case key == "required":
			out[key] = slices.Concat(had.([]any), v.([]any))
		case key == "const", key == "enum" && out["const"] == nil:
			out[key] = narrower(had, v)
		}
	}
	return out
}

func narrower(a, b any) any {
	x, ok1 := a.([]any)
	y, ok2 := b.([]any)
	if ok1 && ok2 && len(x) < len(y) {
		return a
	}
	return b
}

func (m *maker) value(v any, depth int) any {
	s := m.merged(v, 0)
	if c, ok := s["const"]; ok {
		return c
	}
	if enum, ok := s["enum"].([]any); ok && len(enum) > 0 {
		return enum[0]
	}
	switch m.kind(s) {
	case "object":
		return m.object(s, depth)
	case "array":
		return m.array(s, depth)
	case "string":
		return m.text(s)
	case "integer":
		return m.number(s, 1)
	case "number":
		return m.number(s, 0.5)
	case "boolean":
		return true
	case "null":
		return nil
	}
	return "x"
}

func (m *maker) kind(s map[string]any) string {
	if t, ok := s["type"].(string); ok {
		return t
	}
	if list, ok := s["type"].([]any); ok && len(list) > 0 {
		return list[0].(string)
	}
	for _, hint := range [][2]string{{"properties", "object"}, {"required", "object"}, {"additionalProperties", "object"}, {"items", "array"}, {"pattern", "string"}, {"minLength", "string"}, {"minimum", "number"}} {
		if s[hint[0]] != nil {
			return hint[1]
		}
	}
	return ""
}

func (m *maker) object(s map[string]any, depth int) any {
	out := map[string]any{}
	props, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if slices.Contains(required, any(name)) || m.full && depth < 3 && (depth > 0 || m.pick < 8) {
			if depth < 12 {
				out[name] = m.value(props[name], depth+1)
			}
		}
	}
	for _, name := range required {
		if _, ok := out[name.(string)]; !ok {
			out[name.(string)] = "x"
		}
	}
	least := int(float(s["minProperties"], 0))
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if _, ok := out[name]; !ok && len(out) < least {
			out[name] = m.value(props[name], depth+1)
		}
	}
	for i := len(out); i < least; i++ {
		out[strings.Repeat("k", i+1)] = m.value(s["additionalProperties"], depth+1)
	}
	return out
}

func (m *maker) array(s map[string]any, depth int) any {
	n := int(float(s["minItems"], 0))
	if n == 0 && m.full && depth < 6 && float(s["maxItems"], 1) > 0 {
		n = 1
	}
	out := []any{}
	if first, ok := s["prefixItems"].([]any); ok && m.full {
		for _, item := range first {
			out = append(out, m.value(item, depth+1))
		}
		return out
	}
	for range min(n, 50) {
		out = append(out, m.value(s["items"], depth+1))
	}
	return out
}

func (m *maker) number(s map[string]any, step float64) any {
	low, high := float(s["minimum"], math.Inf(-1)), float(s["maximum"], math.Inf(1))
	if x := float(s["exclusiveMinimum"], math.Inf(-1)); x >= low && s["exclusiveMinimum"] != nil {
		low = x + step
	}
	if x := float(s["exclusiveMaximum"], math.Inf(1)); x <= high && s["exclusiveMaximum"] != nil {
		high = x - step
	}
	if unit := float(s["multipleOf"], 0); unit > 0 {
		return max(math.Ceil(max(low, unit)/unit)*unit, unit)
	}
	n := 1.0
	if n < low {
		n = low
	}
	if n > high {
		n = high
	}
	if step == 1 {
		n = math.Ceil(n)
	}
	return n
}

func float(v any, otherwise float64) float64 {
	n, ok := v.(json.Number)
	f, err := n.Float64()
	if !ok || err != nil {
		return otherwise
	}
	return f
}

func (m *maker) text(s map[string]any) string {
	if p, ok := s["pattern"].(string); ok {
		if re, err := syntax.Parse(p, syntax.Perl); err == nil {
			return lengthened(matching(re), s)
		}
	}
	formats := map[string]string{
		"date": "2026-11-22", "date-time": "2026-11-22T12:00:00Z", "time": "12:00:00Z", "email": "a@b.example", "uuid": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
		"uri": "https://a.example/b", "url": "https://a.example/b", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "hostname": "a.example", "byte": "eHg=", "duration": "P1D",
	}
	if f, ok := s["format"].(string); ok && formats[f] != "" {
		return formats[f]
	}
	return lengthened("xx", s)
}

func lengthened(text string, s map[string]any) string {
	if least := int(float(s["minLength"], 0)); len(text) < least && s["pattern"] == nil {
		text += strings.Repeat("x", least-len(text))
	}
	if most := int(float(s["maxLength"], 1000)); len(text) > most {
		text = text[:most]
	}
	return text
}

// matching returns a text that the expression matches.
func matching(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for _, want := range []rune{'a', 'A', '1', '-'} {
				if re.Rune[i] <= want && want <= re.Rune[i+1] {
					return string(want)
				}
			}
		}
		if len(re.Rune) > 0 {
			return string(re.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture, syntax.OpPlus:
		return matching(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(matching(re.Sub[0]), re.Min)
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(matching(sub))
		}
		return b.String()
	case syntax.OpAlternate:
		return matching(re.Sub[0])
	}
	return ""
}
