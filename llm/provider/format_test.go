package provider_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

const (
	strictCity = `{"additionalProperties":false,"properties":{"city":{"type":"string"}},"required":["city"],"type":"object"}`
	looseCity  = `{"properties":{"city":{"minLength":1,"type":"string"}},"type":"object"}`
	listCity   = `{"items":{"type":"string"},"type":"array"}`
)

func TestFormatsInEachDialect(t *testing.T) {
	tool := []tools.Spec{{Name: "now"}}
	place := func(schema string) *llm.Format { return llm.NewFormat("place", json.RawMessage(schema), true) }
	chat := func(schema, strict string) string {
		return `{"json_schema":{"name":"place","schema":` + schema + `,"strict":` + strict + `},"type":"json_schema"}`
	}
	text := func(schema, strict string) string {
		return `{"format":{"name":"place","schema":` + schema + `,"strict":` + strict + `,"type":"json_schema"}}`
	}
	for name, c := range map[string]struct {
		dialect llmtest.Dialect
		req     llm.Request
		field   string
		want    string
		told    bool // the instructions say it
	}{
		"openai, strict":            {llmtest.OpenAI, llm.Request{Format: place(strictCity), Tools: tool}, "response_format", chat(strictCity, "true"), false},
		"openai, not strict enough": {llmtest.OpenAI, llm.Request{Format: place(looseCity)}, "response_format", chat(looseCity, "false"), false},
		"openai, no object":         {llmtest.OpenAI, llm.Request{Format: place(listCity)}, "response_format", "", true},
		"openai, any object":        {llmtest.OpenAI, llm.Request{Format: place("")}, "response_format", `{"type":"json_object"}`, true},
		"responses, strict":         {llmtest.Responses, llm.Request{Format: place(strictCity)}, "text", text(strictCity, "true"), false},
		"responses, not strict":     {llmtest.Responses, llm.Request{Format: place(looseCity)}, "text", text(looseCity, "false"), false},
		"anthropic":                 {llmtest.Anthropic, llm.Request{Format: place(strictCity)}, "output_format", "", true},
		"gemini":                    {llmtest.Gemini, llm.Request{Format: place(listCity)}, "generationConfig", `{"responseJsonSchema":` + listCity + `,"responseMimeType":"application/json"}`, false},
		"gemini, with tools":        {llmtest.Gemini, llm.Request{Format: place(listCity), Tools: tool}, "generationConfig", "", true},
		"gemini, its last turn":     {llmtest.Gemini, llm.Request{Format: place(listCity), Tools: tool, NoTools: true}, "tools", "", false},
		"ollama":                    {llmtest.Ollama, llm.Request{Format: place(listCity)}, "format", listCity, true},
		"ollama, with tools":        {llmtest.Ollama, llm.Request{Format: place(listCity), Tools: tool}, "format", "", true},
		"ollama, any object":        {llmtest.Ollama, llm.Request{Format: place("")}, "format", `"json"`, true},
		"openai, nothing asked for": {llmtest.OpenAI, llm.Request{}, "response_format", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Messages = asked.Messages
			got := sent(t, c.dialect, provider.Options{}, c.req)
			b, _ := json.Marshal(got[c.field])
			if have := strings.TrimSuffix(string(b), "null"); have != c.want {
				t.Errorf("%s is %s, want %s", c.field, have, c.want)
			}
			all, _ := json.Marshal(got)
			if strings.Contains(string(all), "one JSON value and nothing else") != c.told {
				t.Errorf("told should be %v: %s", c.told, all)
			}
		})
	}
}

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
