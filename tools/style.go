package tools

import (
	"fmt"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
)

// A Style says how an argument is written where it goes, in OpenAPI's terms
// (OpenAPI 3.1, 4.8.12.2 and RFC 6570). An argument without one is written as
// the documentation of [Endpoint] has it.
type Style struct {
	// Style is simple, label or matrix in a path, form, spaceDelimited,
	// pipeDelimited, tabDelimited or deepObject in a query, simple in a
	// header, form in a cookie; empty means the first of these.
	Style         string `json:"style,omitempty"`
	Explode       bool   `json:"explode,omitempty"`       // each element or member is written by itself
	AllowReserved bool   `json:"allowReserved,omitempty"` // :/?@!$'()*,= stay as they are, in a query

	// Content is the media type that the value is written in instead, JSON
	// or text. Of a part of a multipart body it is the part's type; one that
	// is neither JSON nor plain text makes the part a file.
	Content string `json:"content,omitempty"`
}

// stylesOf lists the styles that a place knows, the default first.
func stylesOf(where string) []string {
	switch where {
	case "path":
		return []string{"simple", "label", "matrix"}
	case "query":
		return []string{"form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject"}
	case "header":
		return []string{"simple"}
	case "cookie":
		return []string{"form"}
	}
	return nil
}

// in returns s with its default filled in, or what is wrong with it there.
func (s Style) in(where string) (Style, error) {
	known := stylesOf(where)
	if len(known) == 0 {
		return s, fmt.Errorf("is for arguments in path, query, header or cookie")
	}
	if s.Style == "" {
		s.Style = known[0]
	}
	if !slices.Contains(known, s.Style) {
		return s, fmt.Errorf("must be one of %s in a %s", strings.Join(known, ", "), where)
	}
	return s, s.checkContent()
}

func (s Style) checkContent() error {
	if s.Content == "" {
		return nil
	}
	if _, _, err := mime.ParseMediaType(s.Content); err != nil || !goodHeaderValue(s.Content) {
		return fmt.Errorf("has a content that is no media type")
	}
	return nil
}

// A styled is an argument that is written in a style.
type styled struct {
	wire  string // its name there
	param string // its name among the values
	style Style
}

// text writes v for a path, a header or a cookie, each value escaped.
func (s styled) text(v any, escape func(string) string) string {
	if s.style.Content != "" {
		return escape(s.contentText(v))
	}
	lead, sep := "", ","
	switch s.style.Style {
	case "label":
		lead, sep = ".", ","
		if s.style.Explode {
			sep = "."
		}
	case "matrix":
		return s.matrix(v, escape)
	}
	return lead + strings.Join(s.items(v, escape), sep)
}

// items writes the elements of a list or the members of an object: k,v or,
// exploded, k=v.
func (s styled) items(v any, escape func(string) string) (items []string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			items = append(items, escape(flatText(e)))
		}
	case map[string]any:
		for _, k := range presentKeys(v) {
			if s.style.Explode {
				items = append(items, escape(k)+"="+escape(flatText(v[k])))
			} else {
				items = append(items, escape(k), escape(flatText(v[k])))
			}
		}
	default:
		items = []string{escape(flatText(v))}
	}
	return items
}

func (s styled) matrix(v any, escape func(string) string) string {
	var b strings.Builder
	items := s.items(v, escape)
	_, isObject := v.(map[string]any)
	switch {
	case !s.style.Explode:
		return ";" + escape(s.wire) + "=" + strings.Join(items, ",")
	case isObject:
		return ";" + strings.Join(items, ";")
	}
	for _, item := range items {
		b.WriteString(";" + escape(s.wire) + "=" + item)
	}
	return b.String()
}

// query writes v as members of a query, escaped. Members named by an exploded
// object are refused if they are taken.
func (s styled) query(v any, taken func(string) bool) ([]string, error) {
	name, escape := url.QueryEscape(s.wire), s.escape
	if s.style.Content != "" {
		return []string{name + "=" + escape(s.contentText(v))}, nil
	}
	list, isList := v.([]any)
	object, isObject := v.(map[string]any)
	switch {
	case !isList && !isObject:
		return []string{name + "=" + escape(flatText(v))}, nil
	case s.style.Style == "deepObject":
		return s.deep(s.wire, v), nil
	case isList && s.style.Explode:
		var pairs []string
		for _, e := range list {
			pairs = append(pairs, name+"="+escape(flatText(e)))
		}
		return pairs, nil
	case isObject && s.style.Explode && s.style.Style == "form":
		return s.members(object, taken)
	}
	items := styled{style: Style{}}.items(v, escape)
	if len(items) == 0 {
		return nil, nil
	}
	return []string{name + "=" + strings.Join(items, s.delimiter())}, nil
}

func (s styled) members(object map[string]any, taken func(string) bool) (pairs []string, err error) {
	for _, k := range presentKeys(object) {
		if taken(k) {
			return nil, fmt.Errorf("%s must not have a member %q, which is another parameter", s.param, oneLine(k, 80))
		}
		pairs = append(pairs, url.QueryEscape(k)+"="+s.escape(flatText(object[k])))
	}
	return pairs, nil
}

func (s styled) delimiter() string {
	switch s.style.Style {
	case "spaceDelimited":
		return "%20"
	case "pipeDelimited":
		return "%7C"
	case "tabDelimited":
		return "%09"
	}
	return ","
}

// deep writes a[b]=c. OpenAPI leaves lists and deeper objects open; those are
// a[0]=b and a[b][c]=d, as services that use this style read them.
func (s styled) deep(name string, v any) (pairs []string) {
	switch v := v.(type) {
	case nil:
	case []any:
		for i, e := range v {
			pairs = append(pairs, s.deep(fmt.Sprintf("%s[%d]", name, i), e)...)
		}
	case map[string]any:
		for _, k := range presentKeys(v) {
			pairs = append(pairs, s.deep(name+"["+k+"]", v[k])...)
		}
	default:
		pairs = []string{url.QueryEscape(name) + "=" + s.escape(flatText(v))}
	}
	return pairs
}

// escape escapes a query's value. What would end the value stays escaped even
// where reserved characters are allowed.
func (s styled) escape(v string) string {
	v = strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
	if s.style.AllowReserved {
		v = reserved.Replace(v)
	}
	return v
}

var reserved = strings.NewReplacer("%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'",
	"%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3D", "=")

// flatText writes a value that has no structure left in its style.
func flatText(v any) string {
	if list, ok := v.([]any); ok {
		return string(compactJSON(list))
	}
	return textOf(v)
}

// contentText writes a value whose parameter has a media type: as JSON, or as
// the text that it is.
func (s styled) contentText(v any) string {
	media, _, _ := mime.ParseMediaType(s.style.Content)
	if text, ok := v.(string); ok && !isJSONMedia(media) {
		return text
	}
	return string(compactJSON(v))
}

func presentKeys(object map[string]any) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(object)), func(k string) bool { return object[k] == nil })
}
