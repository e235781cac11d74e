package provider

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"parley/llm"
)

// formed returns the turn with its text in the format that was asked for: what
// a schema names and the question has is filled in, other texts are the answer.
func (d *demo) formed(t demoTurn, req llm.Request) demoTurn {
	if req.Format == nil || len(t.calls) > 0 {
		return t
	}
	b, err := json.Marshal(demoInstance(req.Format.Schema, demoTalkOf(req.Messages).asked(), t.text, d.now()))
	if err != nil {
		return t
	}
	t.text = string(b)
	return t
}

// demoInstance makes a value by a schema.
func demoInstance(schema json.RawMessage, asked, answer string, now time.Time) any {
	var root map[string]any
	if json.Unmarshal(schema, &root) != nil {
		return map[string]any{"answer": answer}
	}
	f := demoFormer{translate: schemaTranslator{root: root, left: maxSchemaNodes}, answer: answer, now: now, found: map[string]any{}}
	filled := demoFillParams(demoParams(schema), demoRead(asked, now), false)
	for p, got := range filled.got {
		if len(got) > 0 && got[0].value != nil && p.class() != demoTextArg && p.class() != demoQueryArg {
			f.found[p.name] = got[0].value
		}
	}
	return f.value("", root, 0)
}

// A demoFormer makes one value.
type demoFormer struct {
	translate schemaTranslator
	answer    string
	now       time.Time
	found     map[string]any // by name, what the question has
}

func (f *demoFormer) value(name string, s map[string]any, depth int) any {
	s = f.translate.flat(s, 0)
	if v, ok := demoGiven(s); ok {
		return v
	}
	for _, k := range []string{"anyOf", "oneOf"} {
		if list, _ := s[k].([]any); len(list) > 0 && s["type"] == nil && s["properties"] == nil {
			one, _ := list[0].(map[string]any)
			return f.value(name, one, depth+1)
		}
	}
	kind := demoKind(s["type"])
	if v, ok := f.found[name]; ok && name != "" && demoIs(kind, v) && demoWithin(s, v) {
		return v
	}
	switch kind {
	case "array":
		return f.list(name, s, depth)
	case "integer", "number":
		return demoLeastNumber(s)
	case "boolean":
		return true
	case "null":
		return nil
	case "string":
		return f.text(s)
	}
	if kind == "" && s["properties"] == nil && depth > 0 {
		return f.text(s)
	}
	return f.object(s, depth)
}

// demoGiven returns the value that a schema has itself.
func demoGiven(s map[string]any) (any, bool) {
	if v, ok := s["const"]; ok {
		return v, true
	}
	if list, _ := s["enum"].([]any); len(list) > 0 {
		return list[0], true
	}
	if v, ok := s["default"]; ok {
		return v, true
	}
	list, _ := s["examples"].([]any)
	return slices.Concat(list, []any{nil})[0], len(list) > 0
}

func demoIs(kind string, v any) bool {
	switch v := v.(type) {
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == math.Trunc(v)
	}
	return false
}

func demoWithin(s map[string]any, v any) bool {
	n, ok := v.(float64)
	low, hasLow := s["minimum"].(float64)
	high, hasHigh := s["maximum"].(float64)
	return !ok || (!hasLow || n >= low) && (!hasHigh || n <= high)
}

func (f *demoFormer) object(s map[string]any, depth int) any {
	out := map[string]any{}
	props, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for name, v := range props {
		must := slices.Contains(required, any(name))
		if p, ok := v.(map[string]any); ok && (must || depth < demoMaxDepth) {
			out[name] = f.value(name, p, depth+1)
		}
	}
	for _, r := range required {
		if name, ok := r.(string); ok && out[name] == nil && props[name] == nil {
			out[name] = demoShort(f.answer, 200)
		}
	}
	if len(props)+len(required) == 0 && s["additionalProperties"] != false {
		out["answer"] = f.answer
	}
	return out
}

func (f *demoFormer) list(name string, s map[string]any, depth int) any {
	least, _ := s["minItems"].(float64)
	items, _ := s["items"].(map[string]any)
	n := min(int(max(least, 1)), 100)
	if most, ok := s["maxItems"].(float64); ok {
		n = min(n, int(most))
	}
	if least == 0 && depth > demoMaxDepth { // it may go round
		n = 0
	}
	out := make([]any, 0, n)
	for range n {
		out = append(out, f.value(name, items, depth+1))
	}
	return out
}

// demoLeastNumber returns the least number that is allowed, or zero.
func demoLeastNumber(s map[string]any) float64 {
	low, hasLow := s["minimum"].(float64)
	above, hasAbove := s["exclusiveMinimum"].(float64)
	high, hasHigh := s["maximum"].(float64)
	step, _ := s["multipleOf"].(float64)
	step = cmp.Or(step, 1)
	switch {
	case hasLow:
		return math.Ceil(low/step) * step
	case hasAbove:
		return (math.Floor(above/step) + 1) * step
	case hasHigh:
		return min(0, math.Floor(high/step)*step)
	}
	return 0
}

func (f *demoFormer) text(s map[string]any) string {
	switch format, _ := s["format"].(string); format {
	case "date":
		return f.now.Format(time.DateOnly)
	case "date-time":
		return f.now.Format(time.RFC3339)
	case "time":
		return f.now.Format("15:04:05Z07:00")
	case "email":
		return "somebody@example.com"
	case "uri":
		return "https://example.com/"
	case "uuid":
		return "00000000-0000-4000-8000-000000000000"
	}
	text := f.answer
	if most, ok := s["maxLength"].(float64); ok {
		text = demoShort(text, int(min(most, 1<<20)))
	}
	if least, ok := s["minLength"].(float64); ok {
		text += strings.Repeat(".", max(0, int(min(least, 1<<16))-len([]rune(text))))
	}
	return text
}

func demoShort(text string, most int) string {
	r := []rune(text)
	return string(r[:min(len(r), max(most, 0))])
}
