package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// values are what templates are filled in from: arguments and picked values.
// A name that is absent or nil has no value.
type values map[string]any

// A template is text with {name} in it. {name,} joins a list with commas
// where {name} alone would repeat it; {{ and }} stand for braces.
type template []part

type part struct {
	lit  string // if name is empty
	name string
	list bool

	placed bool // the name is an argument's, no longer what the URL calls it
}

func parseTemplate(s string) (template, error) {
	var t template
	for s != "" {
		i := strings.IndexAny(s, "{}")
		switch {
		case i < 0:
			return t.text(s), nil
		case i+1 < len(s) && s[i+1] == s[i]:
			t, s = t.text(s[:i+1]), s[i+2:]
			continue
		case s[i] == '}':
			return nil, errors.New("has a } without {; write }} for a brace")
		}
		name, rest, ok := strings.Cut(s[i+1:], "}")
		name, list := strings.CutSuffix(name, ",")
		if !ok || name == "" || strings.ContainsAny(name, "{,") {
			return nil, errors.New("has a { without a name and }; write {{ for a brace")
		}
		t, s = append(t.text(s[:i]), part{name: name, list: list}), rest
	}
	return t, nil
}

// text appends a literal.
func (t template) text(lit string) template {
	if lit == "" {
		return t
	}
	return append(t, part{lit: lit})
}

// names returns the names of t's values.
func (t template) names() (names []string) {
	for _, p := range t {
		if p.name != "" {
			names = append(names, p.name)
		}
	}
	return names
}

// sole returns the only value that t consists of.
func (t template) sole() (part, bool) {
	if len(t) == 1 && t[0].name != "" {
		return t[0], true
	}
	return part{}, false
}

// expand returns t's text, each value escaped. It fails with the name of a
// value that is absent.
func (t template) expand(vs values, escape func(string) string) (string, error) {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.lit)
			continue
		}
		v := vs[p.name]
		if v == nil {
			return "", absentError(p.name)
		}
		b.WriteString(escape(textOf(v)))
	}
	return b.String(), nil
}

// value is expand for JSON: a template that is one {name} becomes that value,
// whatever its type.
func (t template) value(vs values) (any, error) {
	if p, ok := t.sole(); ok {
		switch v := vs[p.name]; {
		case v == nil:
			return nil, absentError(p.name)
		case p.list:
			return textOf(v), nil
		default:
			return v, nil
		}
	}
	return t.expand(vs, verbatim)
}

func verbatim(s string) string { return s }

type absentError string

func (e absentError) Error() string { return fmt.Sprintf("%s has no value", string(e)) }

// textOf writes a JSON value as text: a list joined by commas, an object as
// JSON.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	case []any:
		texts := make([]string, len(v))
		for i, e := range v {
			texts[i] = textOf(e)
		}
		return strings.Join(texts, ",")
	}
	return string(compactJSON(v))
}

// parseTree replaces every string of a JSON value by its template.
func parseTree(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		return parseTemplate(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			if out[i], err = parseTree(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if out[k], err = parseTree(e); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
		return out, nil
	}
	return v, nil
}

// treeNames returns the names of all values in a parsed tree.
func treeNames(tree any) (names []string) {
	switch tree := tree.(type) {
	case template:
		return tree.names()
	case []any:
		for _, e := range tree {
			names = append(names, treeNames(e)...)
		}
	case map[string]any:
		for _, e := range tree {
			names = append(names, treeNames(e)...)
		}
	}
	slices.Sort(names)
	return names
}

// fillTree fills in a parsed tree. A member or element that uses an absent
// value is left out; ok is false if that is the tree itself.
func fillTree(tree any, vs values) (v any, ok bool) {
	switch tree := tree.(type) {
	case template:
		v, err := tree.value(vs)
		return v, err == nil
	case []any:
		out := make([]any, 0, len(tree))
		for _, e := range tree {
			if v, ok := fillTree(e, vs); ok {
				out = append(out, v)
			}
		}
		return out, true
	case map[string]any:
		out := make(map[string]any, len(tree))
		for k, e := range tree {
			if v, ok := fillTree(e, vs); ok {
				out[k] = v
			}
		}
		return out, true
	}
	return tree, true
}

// compactJSON encodes v without the escapes that are for HTML.
func compactJSON(v any) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil { // v came from JSON
		return nil
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// decodeJSON decodes one JSON value, numbers as they are written.
func decodeJSON(b []byte) (v any, err error) {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more after the JSON value")
	}
	return v, nil
}
