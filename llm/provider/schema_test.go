package provider

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGeminiSchema(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"nothing":       {``, `null`},
		"no parameters": {`{"type":"object","properties":{},"additionalProperties":false}`, `null`},
		"what it does not take is left out": {
			`{"$schema":"x","type":"object","properties":{"n":{"type":"integer","minimum":1,"exclusiveMaximum":9,"multipleOf":2,"examples":[2]}},"additionalProperties":false,"patternProperties":{}}`,
			`{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}`,
		},
		"null is a flag": {
			`{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"anyOf":[{"type":"integer"},{"type":"null"}]}}}`,
			`{"type":"object","properties":{"a":{"type":"string","nullable":true},"b":{"anyOf":[{"type":"integer"}],"nullable":true}}}`,
		},
		"several types": {
			`{"type":"object","properties":{"a":{"type":["string","number"]}}}`,
			`{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"number"}]}}}`,
		},
		"const, oneOf, formats, enums of numbers": {
			`{"type":"object","properties":{"a":{"const":"x"},"b":{"oneOf":[{"type":"string","format":"uuid"},{"type":"string","format":"date-time"}]},"c":{"type":"integer","enum":[1,2]}}}`,
			`{"type":"object","properties":{"a":{"enum":["x"],"type":"string"},"b":{"anyOf":[{"type":"string"},{"type":"string","format":"date-time"}]},"c":{"type":"integer"}}}`,
		},
		"references and allOf": {
			`{"type":"object","properties":{"a":{"$ref":"#/$defs/A"},"b":{"allOf":[{"$ref":"#/$defs/A"},{"properties":{"z":{"type":"string"}},"required":["z"]}]}},"$defs":{"A":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]}}}`,
			`{"type":"object","properties":{"a":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]},"b":{"type":"object","properties":{"x":{"type":"number"},"z":{"type":"string"}},"required":["x","z"]}}}`,
		},
		"an array must have items, and required what there is": {
			`{"type":"object","properties":{"a":{"type":"array"}},"required":["a","b"]}`,
			`{"type":"object","properties":{"a":{"type":"array","items":{"type":"string"}}},"required":["a"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := json.Marshal(geminiSchema(json.RawMessage(c.in)))
			var got, want any
			json.Unmarshal(b, &got)
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("schema (-want +got):\n%s", d)
			}
		})
	}
}

// Schemas come from whoever registers a tool.
func FuzzGeminiSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#"}}}`)
	f.Add(`{"$ref":"#","allOf":[{"$ref":"#"},{"$ref":"#"}]}`)
	f.Add(`{"properties":{"a":{"anyOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}}}`)
	f.Add(`{"properties":{"a":{"type":["null"]},"b":true,"c":{"enum":[null,1,"x"]}},"required":[1,"a"]}`)
	f.Fuzz(func(t *testing.T, s string) {
		b, err := json.Marshal(geminiSchema(json.RawMessage(s)))
		if err != nil || len(b) > 64*len(s)+200_000 {
			t.Fatalf("%d bytes became %d, %v", len(s), len(b), err)
		}
		if strings.Contains(string(b), `"$ref":`) && !strings.Contains(s, "properties") {
			t.Fatalf("a reference is left in %s", b)
		}
	})
}
