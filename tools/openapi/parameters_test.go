package openapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"parley/tools"
	"parley/tools/openapi"
)

func TestParametersOfALoneSchema(t *testing.T) {
	for _, tt := range []struct{ name, schema, want string }{
		{
			"plain", `{"type":"object","properties":{"q":{"type":"string","description":"what"}},"required":["q"]}`,
			`{"additionalProperties":false,"properties":{"q":{"description":"what","type":"string"}},"required":["q"],"type":"object"}`,
		},
		{
			"nothing", `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}`,
			`{"additionalProperties":false,"properties":{},"type":"object"}`,
		},
		{
			"open", `{"type":"object","additionalProperties":{}}`,
			`{"additionalProperties":true,"properties":{},"type":"object"}`,
		},
		{
			"references within it", `{"type":"object","properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"integer"}}}`,
			`{"additionalProperties":false,"properties":{"a":{"type":"integer"}},"type":"object"}`,
		},
		{
			"references elsewhere", `{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`,
			`{"additionalProperties":false,"properties":{"a":{}},"type":"object"}`,
		},
		{
			"branches", `{"type":"object","anyOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"string"}}}]}`,
			`{"additionalProperties":false,"properties":{"a":{"type":"string"},"b":{"type":"string"}},"type":"object"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := openapi.Parameters(t.Context(), json.RawMessage(tt.schema), 16<<10)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestParametersAreCutOrRefused(t *testing.T) {
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, `"p%d":{"type":"string","description":%q},`, i, strings.Repeat("long words ", 50))
	}
	bomb := `{"type":"object","properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{`
	for i := range 40 {
		bomb += fmt.Sprintf(`"d%d":{"type":"object","properties":{"x":{"$ref":"#/$defs/d%d"},"y":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	bomb += `"d40":{"type":"string"}}}`
	for name, schema := range map[string]string{
		"many":      `{"type":"object","properties":{` + many.String() + `"q":{"type":"string"}},"required":["q"]}`,
		"a bomb":    bomb,
		"recursive": `{"type":"object","properties":{"a":{"$ref":"#"}}}`,
	} {
		got, _, err := openapi.Parameters(t.Context(), json.RawMessage(schema), 16<<10)
		if err != nil || len(got) > 16<<10 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if _, err := tools.NewChecker(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, schema := range map[string]string{
		"no object": `{"type":"string"}`, "a list": `[]`, "no JSON": `{`, "nothing": ``,
		"deep": strings.Repeat(`{"type":"object","not":`, 300) + `{}` + strings.Repeat(`}`, 300),
	} {
		if got, _, err := openapi.Parameters(t.Context(), json.RawMessage(schema), 16<<10); err == nil {
			t.Errorf("%s became %s", name, got)
		}
	}
}
