package tools_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"parley/tools"
)

// calls are the names of the tools that were called.
type calls []string

func (c *calls) Observe(name string, _ time.Duration, _ tools.Outcome) { *c = append(*c, name) }

// A part of a set is a set: what is not in it cannot be called or found, what
// is pinned stays so, and calls are counted, however they are offered.
func TestAPartOfASet(t *testing.T) {
	echo := func(name string) tools.Tool {
		return tools.Func(tools.Spec{Name: name, Description: "Repeats an order.", Effect: tools.Safe, Parameters: json.RawMessage(`{"type":"object"}`)},
			func(_ context.Context, in struct{}) (tools.Result, error) { return tools.Result{Content: name}, nil })
	}
	var counted calls
	r := &tools.Registry{Builtins: []tools.Tool{echo("shop_a"), echo("shop_b"), echo("other")}, Observer: &counted}
	set, err := r.Set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keep := func(s tools.Spec) bool { return s.Name != "other" }
	only := set.Only(keep, nil)
	for _, s := range []*tools.Set{only, set.Only(keep, only), only.WithFind()} {
		if found := s.Find(9, "an order"); len(found) != 2 || slices.ContainsFunc(found, func(f tools.Spec) bool { return f.Name == "other" }) {
			t.Errorf("found %v", found)
		}
		if r := s.Call(t.Context(), tools.Call{Name: "other"}); !r.Failed {
			t.Errorf("what is not in it says %q", r.Content)
		}
		counted = nil
		if r := s.Call(t.Context(), tools.Call{Name: "shop_a", Arguments: json.RawMessage("{}")}); r.Content != "shop_a" || !s.Pinned("shop_a") {
			t.Errorf("what is in it says %q", r.Content)
		}
		if !slices.Equal(counted, calls{"shop_a"}) {
			t.Errorf("counted %v", counted)
		}
	}
	if got := set.Specs(); len(got) != 3 {
		t.Errorf("the whole has become %v", got)
	}
}
