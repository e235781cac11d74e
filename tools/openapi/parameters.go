package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"parley/tools"
)

// Parameters makes a tool's parameters of a JSON Schema that a stranger wrote,
// such as an MCP server: what refers to a place within it is put there,
// nothing else is fetched, and it is cut as an operation's schemas are until
// it has at most so many bytes. The root must be an object; properties that
// only one of its branches (allOf, anyOf, oneOf) has are optional. The
// warnings say what was cut.
func Parameters(ctx context.Context, schema json.RawMessage, most int) (params json.RawMessage, warnings []string, err error) {
	if tools.Depth(schema) > maxDepth {
		return nil, nil, fault("parameters", "%v", errDeep)
	}
	v, err := parseJSON(ctx, schema)
	if err != nil {
		return nil, nil, fault("parameters", "it is no JSON: %s", line(err.Error(), 200))
	}
	root, ok := v.(object)
	if !ok || root["type"] != "object" {
		return nil, nil, fault("parameters", `it is not a JSON Schema with "type": "object"`)
	}
	d := &document{ctx: ctx, root: root, siblings: true, opts: Options{MaxSchema: most}, patterns: map[string]bool{}}
	var n notes
	params, err = d.parameters(d.rootShape(root), &n)
	if err != nil {
		return nil, nil, fmt.Errorf("openapi: parameters: %w", err)
	}
	if len(params) > most {
		return nil, nil, fault("parameters", "the names alone are larger than %d bytes", most)
	}
	return params, n.all(), nil
}

// rootShape gathers what an object may be made of.
func (d *document) rootShape(root object) shape {
	props, required := object{}, map[string]bool{}
	d.gather(root, props, required, true, 4)
	s := shape{open: root["additionalProperties"] != nil && root["additionalProperties"] != false}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		s.properties = append(s.properties, property{name: name, schema: props[name], required: required[name]})
	}
	return s
}

func (d *document) gather(s, props object, required map[string]bool, must bool, levels int) {
	if s == nil || levels == 0 {
		return
	}
	for name, p := range objectIn(s, "properties") {
		if _, ok := props[name]; !ok {
			props[name] = p
		}
	}
	for _, name := range textsIn(s, "required") {
		required[name] = required[name] || must
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		for _, branch := range listIn(s, key)[:min(len(listIn(s, key)), 100)] {
			d.gather(d.loose(branch), props, required, must && key == "allOf", levels-1)
		}
	}
	if s["$ref"] != nil {
		d.gather(d.loose(s), props, required, must, levels-1)
	}
}
