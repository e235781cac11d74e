package openapi

import (
	"slices"
	"strings"
)

// A Selection says which operations of a document are meant.
type Selection struct {
	All        bool     `json:"all,omitempty"`
	Tags       []string `json:"tags,omitempty"`
	Paths      []string `json:"paths,omitempty"`      // as the document has them; /pets/* means all that begin so
	Operations []string `json:"operations,omitempty"` // by operationId, by "GET /pets" or by the tool's name
	Registered bool     `json:"registered,omitempty"` // those that were imported before
	Deprecated bool     `json:"deprecated,omitempty"` // deprecated ones too; those that Operations names are in any case
}

// Empty reports whether s means nothing at all.
func (s Selection) Empty() bool {
	return !s.All && !s.Registered && len(s.Tags)+len(s.Paths)+len(s.Operations) == 0
}

// Has reports whether an operation is meant; registered says that it was
// imported before.
func (s Selection) Has(o Operation, registered bool) bool {
	if slices.ContainsFunc(s.Operations, func(name string) bool { return o.goesBy(name) }) || s.Registered && registered {
		return true
	}
	if o.Deprecated && !s.Deprecated {
		return false
	}
	_, path, _ := strings.Cut(o.Operation, " ")
	return s.All || slices.ContainsFunc(s.Tags, func(t string) bool { return slices.Contains(o.Tags, t) }) ||
		slices.ContainsFunc(s.Paths, func(p string) bool { return matches(p, path) })
}

func (o Operation) goesBy(name string) bool {
	return name != "" && (name == o.ID || name == o.Operation || name == o.Name)
}

func matches(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return pattern == path
}

// Unmatched lists what s names and no operation has.
func (s Selection) Unmatched(ops []Operation) (names []string) {
	missing := func(kind string, list []string, has func(Operation, string) bool) {
		for _, name := range list {
			if !slices.ContainsFunc(ops, func(o Operation) bool { return has(o, name) }) {
				names = append(names, kind+" "+line(name, 100))
			}
		}
	}
	missing("tag", s.Tags, func(o Operation, name string) bool { return slices.Contains(o.Tags, name) })
	missing("path", s.Paths, func(o Operation, name string) bool {
		_, path, _ := strings.Cut(o.Operation, " ")
		return matches(name, path)
	})
	missing("operation", s.Operations, Operation.goesBy)
	return names
}
