package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxNodes is how many values a YAML document may come to once its aliases
// and merge keys are followed; 16 MiB of a usual one have about two million.
const maxNodes = 8 << 20

// maxMerged is how many members merge keys may bring in.
const maxMerged = 1 << 20

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// parseYAML returns the first YAML document of doc as JSON values.
func parseYAML(ctx context.Context, doc []byte) (v any, warnings []string, err error) {
	defer func() {
		if p := recover(); p != nil { // it is foreign code on foreign input
			err = errors.New("it cannot be parsed")
		}
	}()
	var root yaml.Node
	if err := yaml.NewDecoder(&contextReader{ctx, bytes.NewReader(doc)}).Decode(&root); err != nil {
		return nil, nil, err
	}
	y := &yamlReader{shared: map[*yaml.Node]any{}, left: maxNodes}
	v, err = y.value(&root, 0)
	if y.doubles > 0 {
		warnings = append(warnings, fmt.Sprintf("%d keys stand twice in one object, the first in line %d; the last of them counts", y.doubles, y.firstDouble))
	}
	return v, warnings, err
}

// A yamlReader turns nodes into JSON values. What an alias names is made once
// and shared, so aliases of aliases cost nothing here; whoever walks the
// result counts its steps.
type yamlReader struct {
	shared      map[*yaml.Node]any
	left        int // values that may still be made
	merged      int // members that merge keys have brought in
	doubles     int
	firstDouble int
}

func (y *yamlReader) value(n *yaml.Node, depth int) (any, error) {
	if y.left--; y.left < 0 {
		return nil, fmt.Errorf("it has more than %d values", maxNodes)
	}
	if depth > maxDepth {
		return nil, errDeep
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) > 0 {
			return y.value(n.Content[0], depth)
		}
	case yaml.AliasNode:
		return y.alias(n, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := y.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return y.object(n, depth)
	case yaml.ScalarNode:
		return scalar(n), nil
	}
	return nil, nil
}

func (y *yamlReader) alias(n *yaml.Node, depth int) (any, error) {
	if v, ok := y.shared[n.Alias]; ok {
		return v, nil
	}
	y.shared[n.Alias] = nil // what an alias inside of it finds
	v, err := y.value(n.Alias, depth)
	y.shared[n.Alias] = v
	return v, err
}

func (y *yamlReader) object(n *yaml.Node, depth int) (any, error) {
	object := make(map[string]any, len(n.Content)/2)
	var merged []any
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		v, err := y.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, v)
			continue
		}
		if _, ok := object[key.Value]; ok {
			if y.doubles++; y.doubles == 1 {
				y.firstDouble = key.Line
			}
		}
		object[key.Value] = v
	}
	return object, y.merge(object, merged)
}

// merge adds what << brings in: an object or a list of objects.
func (y *yamlReader) merge(object map[string]any, from []any) error {
	for _, v := range from {
		if list, ok := v.([]any); ok {
			if err := y.merge(object, list); err != nil {
				return err
			}
			continue
		}
		more, _ := v.(map[string]any)
		if y.merged += len(more); y.merged > maxMerged {
			return fmt.Errorf("its merge keys bring in more than %d members", maxMerged)
		}
		for k, v := range more {
			if _, ok := object[k]; !ok {
				object[k] = v
			}
		}
	}
	return nil
}

// scalar returns a JSON value: a date is text, a number without a JSON form
// null.
func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
	case "!!int", "!!float":
		if jsonNumber.MatchString(n.Value) {
			return json.Number(n.Value)
		}
		return number(n)
	}
	return n.Value
}

// number reads what YAML writes otherwise than JSON, such as 0x1F and .5.
func number(n *yaml.Node) any {
	var i int64
	if n.ShortTag() == "!!int" && n.Decode(&i) == nil {
		return json.Number(strconv.FormatInt(i, 10))
	}
	var f float64
	if n.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
