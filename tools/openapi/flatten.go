package openapi

import (
	"maps"
	"reflect"
	"slices"
)

// flatten writes an allOf whose members do not get in each other's way as the
// one schema that it amounts to: models, and some of their APIs, take that
// better. Members stay apart where putting them together could change what is
// meant.
func flatten(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = flatten(e)
		}
	case object:
		for key, e := range v {
			v[key] = flatten(e)
		}
		if members, ok := v["allOf"].([]any); ok {
			return together(v, members)
		}
	}
	return v
}

func together(s object, members []any) any {
	out := maps.Clone(s)
	delete(out, "allOf")
	if len(out) == 0 && len(members) == 1 {
		return members[0]
	}
	all := []object{out}
	for _, m := range members {
		o, ok := m.(object)
		if !ok || !apart(o) {
			return s
		}
		all = append(all, o)
	}
	if !apart(out) {
		return s
	}
	merged := object{}
	for _, o := range all {
		if !merge(merged, o) {
			return s
		}
	}
	return merged
}

// apart reports whether a schema's words mean the same beside another's.
func apart(s object) bool {
	for _, key := range []string{
		"$ref", "allOf", "additionalProperties", "patternProperties", "unevaluatedProperties", "unevaluatedItems",
		"items", "prefixItems", "contains", "minContains", "maxContains", "if", "then", "else",
	} {
		if _, ok := s[key]; ok {
			return false
		}
	}
	return true
}

// merge adds a schema's words to those of into; false if they conflict.
func merge(into, s object) bool {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		had, ok := into[key]
		switch {
		case !ok:
			into[key] = s[key]
		case key == "description":
		case key == "required":
			into[key] = union(had.([]any), s[key].([]any))
		case key == "properties":
			props := maps.Clone(had.(object))
			for name, p := range s[key].(object) {
				if q, ok := props[name]; ok && !reflect.DeepEqual(undescribed(p), undescribed(q)) {
					return false
				}
				props[name] = p // the later words are those of the more special schema
			}
			into[key] = props
		case !reflect.DeepEqual(had, s[key]):
			return false
		}
	}
	return true
}

func undescribed(v any) any {
	o, ok := v.(object)
	if !ok || o["description"] == nil {
		return v
	}
	o = maps.Clone(o)
	delete(o, "description")
	return o
}

func union(a, b []any) []any {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
