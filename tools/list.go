package tools

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// A Listing is a tool as people see it in a list, whether it can be used or
// not.
type Listing struct {
	Spec
	Builtin  bool     `json:"builtin"`
	Supplied bool     `json:"supplied,omitempty"` // it comes from a [Supplier], and is changed there
	Disabled bool     `json:"disabled,omitempty"`
	Fault    string   `json:"fault,omitempty"`   // why it cannot be used
	Secrets  []string `json:"secrets,omitempty"` // names of the headers and query members whose values are kept
	Import   *Import  `json:"import,omitempty"`
}

// List returns all tools by name, the disabled ones and those that cannot be
// used among them. With words in query it returns those that fit, the best
// first.
func (r *Registry) List(ctx context.Context, query string) ([]Listing, error) {
	var list []Listing
	for _, t := range r.Builtins {
		list = append(list, Listing{Spec: t.Spec(), Builtin: true})
	}
	set, err := r.Set(ctx)
	if err != nil {
		return nil, err
	}
	if r.Endpoints != nil {
		stored, err := r.Endpoints.Endpoints(ctx)
		if err != nil {
			return nil, fmt.Errorf("tools: list: %w", err)
		}
		for _, e := range stored {
			list = append(list, r.listing(e, set))
		}
	}
	list = append(list, supplied(set, list)...)
	slices.SortStableFunc(list, func(a, b Listing) int { return cmp.Compare(a.Name, b.Name) })
	if query == "" {
		return list, nil
	}
	return found(list, query), nil
}

// supplied returns what a set has besides what is listed: the tools of
// suppliers.
func supplied(set *Set, listed []Listing) (more []Listing) {
	names := map[string]bool{}
	for _, l := range listed {
		names[l.Name] = true
	}
	for _, spec := range set.Specs() {
		if !names[spec.Name] {
			more = append(more, Listing{Spec: spec, Supplied: true})
		}
	}
	return more
}

// listing describes e. One that the set has is compiled already.
func (r *Registry) listing(e Endpoint, set *Set) Listing {
	l := Listing{Disabled: e.Disabled, Import: e.Import, Secrets: e.secretNames()}
	if spec, ok := set.Spec(e.Name); ok && !e.Disabled && !r.builtin(e.Name) {
		l.Spec = spec
		return l
	}
	t, err := r.tool(e)
	if err != nil {
		l.Fault = oneLine(err.Error(), 300)
		l.Spec = Spec{Name: e.Name, Description: e.Description, Parameters: e.Parameters, Effect: e.effect(), Tags: e.Tags}
		return l
	}
	l.Spec = t.Spec()
	return l
}

// secretNames lists what e keeps the values of.
func (e *Endpoint) secretNames() []string {
	names := map[string]bool{}
	for _, r := range e.requests() {
		for name := range r.Headers {
			names[name] = names[name] || secretHeader(name)
		}
		for name := range r.SecretQuery {
			names[name] = true
		}
	}
	maps.DeleteFunc(names, func(_ string, secret bool) bool { return !secret })
	return slices.Sorted(maps.Keys(names))
}

// found returns those of list that fit a query, the best first.
func found(list []Listing, query string) []Listing {
	specs, byName := make([]Spec, len(list)), make(map[string]Listing, len(list))
	for i, l := range list {
		specs[i], byName[l.Name] = l.Spec, l
	}
	var out []Listing
	for _, s := range newFinder(specs).find(len(specs), []string{query}) {
		out = append(out, byName[s.Name])
	}
	return out
}
