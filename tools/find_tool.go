package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// FindName is the name of the tool that finds tools. No other can have it.
const FindName = "find_tools"

const (
	defaultFound = 8
	maxFound     = 20
)

// WithFind returns the set with one tool more: [FindName], by which a model
// finds those that it was not offered.
func (s *Set) WithFind() *Set {
	if s == nil {
		s = NewSet()
	}
	t := Func(findSpec(), func(_ context.Context, in findCall) (Result, error) { return s.found(in), nil })
	with := &Set{byName: maps.Clone(s.byName), specs: slices.Clone(s.specs), pinned: maps.Clone(s.pinned), finder: s.finder, observer: s.observer}
	if with.pinned == nil {
		with.pinned = map[string]bool{}
	}
	with.byName[FindName], with.pinned[FindName] = t, true
	with.specs = slices.DeleteFunc(with.specs, func(s Spec) bool { return s.Name == FindName })
	with.specs = append(with.specs, t.Spec())
	slices.SortFunc(with.specs, func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
	return with
}

func findSpec() Spec {
	return Spec{
		Name: FindName,
		Description: "Search all tools of this assistant, of which you are given only those that seemed to fit. " +
			"Call it when none of yours does what is asked. Every tool that it names can be called from then on.",
		Parameters: json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","minLength":1,"maxLength":400,"description":"what the tool should do, such as: cancel an order"},"limit":{"type":"integer","minimum":1,"maximum":20,"default":8}},"required":["query"],"additionalProperties":false}`),
		Effect:     Safe,
	}
}

type findCall struct {
	Query string `json:"query"`
	Limit int    `json:"limit"`
}

// Found returns the tools that a call of [FindName] with these arguments
// names. It is the same each time.
func (s *Set) Found(arguments json.RawMessage) []Spec {
	var in findCall
	if json.Unmarshal(arguments, &in) != nil {
		return nil
	}
	return s.Find(min(cmp.Or(max(in.Limit, 0), defaultFound), maxFound), in.Query)
}

// found writes what was found for the model.
func (s *Set) found(in findCall) Result {
	type line struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	lines := []line{}
	for _, spec := range s.Find(min(cmp.Or(in.Limit, defaultFound), maxFound), in.Query) {
		lines = append(lines, line{spec.Name, Summary(spec.Description, 160)})
	}
	if len(lines) == 0 {
		return Result{Content: "No tool has any of these words. Try others, or tell the person that there is none for this."}
	}
	return Result{Content: string(compactJSON(map[string]any{"tools": lines}))}
}

// Summary returns the first sentence of a description in one line of at most n
// bytes.
func Summary(description string, n int) string {
	text := strings.Join(strings.Fields(cutText(description, 4*n)), " ")
	if first, _, ok := strings.Cut(text, ". "); ok {
		text = first + "."
	}
	if len(text) > n {
		text = strings.TrimSpace(cutText(text, n-len("…"))) + "…"
	}
	return text
}
