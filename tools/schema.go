package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const (
	maxSchemaDepth = 100 // levels of JSON; real schemas have at most 22
	maxArguments   = 256 << 10
	noParameters   = `{"type":"object","properties":{},"additionalProperties":false}`
)

// A schema checks a tool's arguments. All methods may be called concurrently.
type schema struct {
	compiled func() (*jsonschema.Schema, error) // when it is first needed: it costs more than all the rest of a tool
	props    map[string]json.RawMessage
	open     bool // it may declare parameters elsewhere than in properties
}

// refuseLoader keeps the compiler from opening files: by default it follows
// references to file://.
type refuseLoader struct{}

func (refuseLoader) Load(string) (any, error) {
	return nil, errors.New("references outside the schema are not followed")
}

// compileSchema compiles a JSON Schema of type object, draft 2020-12 unless
// it says otherwise. References must stay inside it.
func compileSchema(raw json.RawMessage) (*schema, error) {
	s, err := readSchema(raw)
	if err == nil {
		_, err = s.compiled()
	}
	return s, err
}

// readSchema is compileSchema, but for faults that only compiling finds.
func readSchema(raw json.RawMessage) (*schema, error) {
	if len(raw) == 0 {
		raw = json.RawMessage(noParameters)
	}
	if Depth(raw) > maxSchemaDepth {
		return nil, fmt.Errorf("is nested deeper than %d levels", maxSchemaDepth)
	}
	doc, err := decodeJSON(raw)
	root, isObject := doc.(map[string]any)
	if err != nil || !isObject {
		return nil, errors.New("must be a JSON Schema object")
	}
	if root["type"] != "object" {
		return nil, errors.New(`must have "type": "object"`)
	}
	s := &schema{open: isOpen(root), props: map[string]json.RawMessage{}}
	s.compiled = sync.OnceValues(func() (*jsonschema.Schema, error) { return compile(raw) })
	if props, ok := (pointer{"properties"}).find(raw); ok && json.Unmarshal(props, &s.props) != nil {
		return nil, errors.New(`must have an object as "properties"`)
	}
	return s, nil
}

const schemaURL = "parley:///parameters"

func compile(raw json.RawMessage) (compiled *jsonschema.Schema, err error) {
	defer func() {
		if p := recover(); p != nil { // it is foreign code on foreign input
			err = errors.New("it cannot be compiled")
		}
		if err != nil {
			err = fmt.Errorf("is no valid JSON Schema: %s", oneLine(strings.ReplaceAll(err.Error(), schemaURL, ""), 300))
		}
	}()
	doc, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refuseLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

// isOpen reports whether a schema says itself that there are more properties
// than it lists.
func isOpen(root map[string]any) bool {
	if more, ok := root["additionalProperties"]; ok && more != false {
		return true
	}
	for _, k := range []string{"patternProperties", "unevaluatedProperties", "$ref", "allOf", "anyOf", "oneOf", "if"} {
		if _, ok := root[k]; ok {
			return true
		}
	}
	return false
}

// Depth returns how deep a JSON text is nested, without decoding it: a bound for
// what a decoder would have to hold.
func Depth(b []byte) int {
	var level, deepest int
	inText := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// check decodes the arguments of a call. What it finds wrong is written for
// the model that is to repair it.
func (s *schema) check(raw json.RawMessage) (values, error) {
	if len(strings.TrimSpace(string(raw))) == 0 {
		raw = json.RawMessage(`{}`)
	}
	if len(raw) > maxArguments || Depth(raw) > maxSchemaDepth {
		return nil, fmt.Errorf("the arguments are larger than %d bytes or nested deeper than %d levels", maxArguments, maxSchemaDepth)
	}
	doc, err := decodeJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("the arguments are not valid JSON: %w", err)
	}
	args, ok := doc.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the arguments must be a JSON object with the parameters as members%s", s.listed())
	}
	if faults := s.faults(args); len(faults) > 0 {
		return nil, fmt.Errorf("the arguments do not fit: %s", strings.Join(faults, "; "))
	}
	return args, nil
}

// Check reports the first thing that is wrong with a JSON value by a JSON
// Schema of type object, as a [*FieldError] with the path of it as a JSON
// Pointer; nil if nothing is. A schema that cannot be compiled allows any
// object.
func Check(raw, value json.RawMessage) error {
	doc, err := decodeJSON(value)
	if _, isObject := doc.(map[string]any); err != nil || !isObject || Depth(value) > maxSchemaDepth {
		return faultf("", "must be a JSON object")
	}
	s, err := compileSchema(raw)
	if err != nil {
		return nil
	}
	compiled, _ := s.compiled() // it has been
	var e *jsonschema.ValidationError
	if !errors.As(compiled.Validate(doc), &e) {
		return nil
	}
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	field := ""
	for _, name := range e.InstanceLocation {
		field += "/" + oneLine(name, 100)
	}
	return faultf(field, "%s", oneLine(e.ErrorKind.LocalizedString(message.NewPrinter(language.English)), 300))
}

// faults returns what is wrong with args, at most five.
func (s *schema) faults(args map[string]any) []string {
	var faults []string
	for name := range args {
		if _, ok := s.props[name]; !ok && !s.open {
			faults = append(faults, fmt.Sprintf("there is no parameter %q%s", oneLine(name, 80), s.listed()))
		}
	}
	compiled, err := s.compiled()
	if err != nil {
		return append(faults, "the tool's parameters are declared by what "+err.Error())
	}
	var invalid *jsonschema.ValidationError
	if errors.As(compiled.Validate(args), &invalid) {
		faults = append(faults, s.leaves(invalid)...)
	}
	slices.Sort(faults)
	faults = slices.Compact(faults)
	return faults[:min(len(faults), 5)]
}

func (s *schema) listed() string {
	if len(s.props) == 0 {
		return " (it takes none)"
	}
	names := make([]string, 0, len(s.props))
	for name := range s.props {
		names = append(names, name)
	}
	slices.Sort(names)
	return " (it takes " + strings.Join(names, ", ") + ")"
}

// leaves names each fault by its path, what was expected there and the
// schema of the parameter that it is in.
func (s *schema) leaves(e *jsonschema.ValidationError) (faults []string) {
	for _, cause := range e.Causes {
		faults = append(faults, s.leaves(cause)...)
	}
	if len(e.Causes) > 0 {
		return faults
	}
	fault := fmt.Sprintf("at /%s: %s", oneLine(strings.Join(e.InstanceLocation, "/"), 200),
		oneLine(e.ErrorKind.LocalizedString(message.NewPrinter(language.English)), 300))
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		if len(e.InstanceLocation) == 0 && !s.open {
			return nil // faults has said it, with what there is instead
		}
	case *kind.Required:
		if len(e.InstanceLocation) == 0 {
			return []string{fault + s.excerpt(k.Missing...)}
		}
	}
	return []string{fault + s.excerpt(e.InstanceLocation[:min(1, len(e.InstanceLocation))]...)}
}

// excerpt shows the schemas of the named parameters.
func (s *schema) excerpt(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		if prop, ok := s.props[name]; ok {
			fmt.Fprintf(&b, " (schema of %s: %s)", name, oneLine(string(prop), 400))
		}
	}
	return b.String()
}
