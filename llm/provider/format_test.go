package provider_test

import (
	"encoding/json"
	"testing"
	"time"

	"parley/llm"
	"parley/llm/provider"
)

const (
	strictCity = `{"additionalProperties":false,"properties":{"city":{"type":"string"}},"required":["city"],"type":"object"}`
	looseCity  = `{"properties":{"city":{"minLength":1,"type":"string"}},"type":"object"}`
	listCity   = `{"items":{"type":"string"},"type":"array"}`
)

func TestTheDemoModelKeepsToFormats(t *testing.T) {
	m := provider.Demo(provider.DemoOptions{Pace: -1, Now: func() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }})
	for name, schema := range map[string]string{
		"any object": "", "strict": strictCity, "loose": looseCity, "list": listCity,
		"numbers":   `{"type":"object","properties":{"a":{"type":"integer","minimum":3},"b":{"type":"number","maximum":-2.5},"c":{"exclusiveMinimum":7,"multipleOf":5,"type":"number"}},"required":["a","b","c"]}`,
		"texts":     `{"type":"object","properties":{"a":{"type":"string","format":"date"},"b":{"type":"string","maxLength":3},"c":{"enum":["x"]},"d":{"const":null},"e":{"type":"string","minLength":4000}},"required":["a","b","c","d","e"]}`,
		"lists":     `{"type":"array","minItems":3,"items":{"type":"object","properties":{"x":{"type":["null","boolean"]}},"required":["x"]}}`,
		"recursive": `{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"text":{"type":"string"},"below":{"type":"array","items":{"$ref":"#/$defs/n"}}},"required":["text","below"]}}}`,
		"choices":   `{"anyOf":[{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]},{"type":"null"}]}`,
		"a scalar":  `{"type":"integer","minimum":1,"maximum":5}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := llm.NewFormat("x", json.RawMessage(schema), false)
			text, err := collect(t.Context(), m, llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "What about 4 days in Bern?"}}, Format: f})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Check(text, llm.FinishStop); err != nil {
				t.Errorf("%v: %s", err, text)
			}
		})
	}
}
