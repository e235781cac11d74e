package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Limits of a [Document].
const (
	MaxDocumentSchema = 64 << 10 // bytes
	maxDocumentDepth  = 32       // levels of JSON, of the schema
	maxDocument       = 1 << 20  // bytes of a value
	maxDocumentWork   = 200_000  // schemas that are held against a value or a part of it
	maxSchemaWork     = 5_000    // of them against one part
	maxSchemaEnum     = 1_000    // values of one enum
)

// A Document is a JSON Schema that somebody else has written, for whole JSON
// values. All methods may be called concurrently.
//
// A schema can say so little in so few words that holding a value against it
// takes forever, and nothing ends that once it has begun. So it is counted
// before how often a schema would be held against a part of the value, and
// too much is refused.
type Document struct{ compiled *jsonschema.Schema }

// NewDocument compiles a JSON Schema, draft 2020-12 unless it says otherwise.
// References must stay inside it, and nothing is fetched. Errors are of type
// [*FieldError]; their field points into the schema.
func NewDocument(raw json.RawMessage) (*Document, error) {
	switch {
	case len(raw) > MaxDocumentSchema:
		return nil, faultf("", "The schema has %d bytes; %d are allowed.", len(raw), MaxDocumentSchema)
	case Depth(raw) > maxDocumentDepth:
		return nil, faultf("", "The schema is nested deeper than %d levels.", maxDocumentDepth)
	}
	doc, err := decodeJSON(raw)
	if _, isObject := doc.(map[string]any); err != nil || !isObject {
		return nil, faultf("", "The schema must be a JSON object.")
	}
	if err := tameValue(doc, ""); err != nil {
		return nil, err
	}
	compiled, err := compile(raw)
	if err != nil {
		return nil, faultf(pointed(err), "The schema %v.", err)
	}
	d := &Document{compiled}
	if err := d.worth("", maxSchemaWork); err != nil {
		return nil, faultf("", "The schema combines too much, or refers to itself without end. Write it with fewer allOf, anyOf, oneOf and $ref.")
	}
	return d, nil
}

var schemaFault = regexp.MustCompile(`at '([^']*)'`)

// pointed returns the longest JSON Pointer that the compiler's words name,
// which says most.
func pointed(err error) (deepest string) {
	for _, m := range schemaFault.FindAllStringSubmatch(err.Error(), -1) {
		if at := strings.TrimPrefix(m[1], "#"); len(at) > len(deepest) {
			deepest = at
		}
	}
	return deepest
}

// tameValue refuses what costs more to compare than to write.
func tameValue(v any, at string) error {
	switch v := v.(type) {
	case json.Number:
		if _, exponent, ok := strings.Cut(strings.ToLower(v.String()), "e"); len(v) > 100 || ok && len(strings.TrimLeft(exponent, "+-0")) > 3 {
			return faultf(at, "A number is too long or too large to be compared.")
		}
	case []any:
		if strings.HasSuffix(at, "/enum") && len(v) > maxSchemaEnum {
			return faultf(at, "An enum has %d values; %d are allowed.", len(v), maxSchemaEnum)
		}
		for i, item := range v {
			if err := tameValue(item, fmt.Sprint(at, "/", i)); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, item := range v {
			if err := tameValue(item, at+"/"+step(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// step returns a name as a step of a JSON Pointer.
func step(name string) string {
	return oneLine(strings.NewReplacer("~", "~0", "/", "~1").Replace(name), 100)
}

// Check reports the first thing that is wrong with a JSON text, as a
// [*FieldError] whose field is the JSON Pointer of it; nil if nothing is.
func (d *Document) Check(text []byte) error {
	if len(text) > maxDocument || Depth(text) > maxSchemaDepth {
		return faultf("", "must have at most %d bytes and %d levels", maxDocument, maxSchemaDepth)
	}
	doc, err := decodeJSON(text)
	if err != nil {
		return faultf("", "must be one JSON value and nothing else: %s", oneLine(err.Error(), 200))
	}
	if err := tameValue(doc, ""); err != nil {
		return err
	}
	if d == nil {
		return nil
	}
	if d.worth(doc, maxDocumentWork) != nil {
		return faultf("", "is too long to be held against this schema")
	}
	return d.validate(doc)
}

func (d *Document) validate(doc any) (fault error) {
	defer func() {
		if p := recover(); p != nil { // it is foreign code on foreign input
			fault = faultf("", "cannot be held against this schema")
		}
	}()
	var e *jsonschema.ValidationError
	if !errors.As(d.compiled.Validate(doc), &e) {
		return nil
	}
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	field := ""
	for _, name := range e.InstanceLocation {
		field += "/" + step(name)
	}
	return faultf(field, "%s", oneLine(e.ErrorKind.LocalizedString(message.NewPrinter(language.English)), 300))
}

// worth returns an error if holding a value against the schema takes more
// than limit steps, or does not end.
func (d *Document) worth(v any, limit int) error {
	w := work{left: limit, at: map[*jsonschema.Schema]bool{}}
	w.hold(d.compiled, v)
	if w.left < 0 {
		return errWork
	}
	return nil
}

var errWork = errors.New("tools: too much work")

// A work counts what holding a value against a schema takes, all of which it
// would do itself if it did not stop: so it takes no longer than its limit.
type work struct {
	left int
	at   map[*jsonschema.Schema]bool // held against this part already, and not done
}

// hold counts all schemas that v is held against, and its parts.
func (w *work) hold(s *jsonschema.Schema, v any) {
	if s == nil || w.left < 0 {
		return
	}
	if w.left--; w.at[s] {
		w.left = -1 // it goes round
		return
	}
	w.at[s] = true
	for _, same := range besides(s) {
		w.hold(same, v)
	}
	delete(w.at, s)
	outer := w.at
	w.at = map[*jsonschema.Schema]bool{}
	switch v := v.(type) {
	case map[string]any:
		w.members(s, v)
	case []any:
		w.items(s, v)
	}
	w.at = outer
}

// besides returns the schemas that are held against the same part as s.
func besides(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	all = append(append(append(all, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, d := range s.DependentSchemas {
		all = append(all, d)
	}
	for _, d := range s.Dependencies {
		if one, ok := d.(*jsonschema.Schema); ok {
			all = append(all, one)
		}
	}
	return all
}

func (w *work) members(s *jsonschema.Schema, v map[string]any) {
	more, _ := s.AdditionalProperties.(*jsonschema.Schema)
	for name, member := range v {
		w.hold(s.PropertyNames, name)
		w.hold(s.Properties[name], member)
		for pattern, p := range s.PatternProperties {
			if w.left--; pattern.MatchString(name) {
				w.hold(p, member)
			}
		}
		w.hold(more, member)
		w.hold(s.UnevaluatedProperties, member)
	}
}

func (w *work) items(s *jsonschema.Schema, v []any) {
	old, _ := s.Items.(*jsonschema.Schema)
	list, _ := s.Items.([]*jsonschema.Schema)
	more, _ := s.AdditionalItems.(*jsonschema.Schema)
	list = append(list[:len(list):len(list)], s.PrefixItems...)
	for i, item := range v {
		if i < len(list) {
			w.hold(list[i], item)
		}
		for _, each := range []*jsonschema.Schema{old, more, s.Items2020, s.Contains, s.UnevaluatedItems} {
			w.hold(each, item)
		}
	}
}
