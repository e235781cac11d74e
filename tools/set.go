package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Set is the tools that one run may use. It does not change.
type Set struct {
	byName   map[string]Tool
	specs    []Spec // by name
	pinned   map[string]bool
	finder   *finder
	observer Observer // nil for none
	tokens   int      // of a result whose tool does not see to its length itself; zero means DefaultMaxTokens
}

// NewSet returns a set of ts; of two with one name the later wins.
func NewSet(ts ...Tool) *Set {
	s := &Set{byName: make(map[string]Tool, len(ts))}
	for _, t := range ts {
		s.byName[t.Spec().Name] = t
	}
	for _, t := range s.byName {
		s.specs = append(s.specs, t.Spec())
	}
	slices.SortFunc(s.specs, func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
	s.finder = newFinder(s.specs)
	return s
}

// Pinned reports whether a tool is one that comes with the server: however
// many there are, those are offered to every model.
func (s *Set) Pinned(name string) bool { return s != nil && s.pinned[name] }

// Specs returns what the set holds, ordered by name. The caller must not
// change it.
func (s *Set) Specs() []Spec {
	if s == nil {
		return nil
	}
	return s.specs
}

// Spec returns the description of one tool.
func (s *Set) Spec(name string) (Spec, bool) {
	if s == nil || s.byName[name] == nil {
		return Spec{}, false
	}
	return s.byName[name].Spec(), true
}

// Call calls a tool of the set. It never fails: a tool that is not there,
// returned an error or panicked is a failed Result.
func (s *Set) Call(ctx context.Context, call Call) (res Result) {
	var t Tool
	if s != nil {
		t = s.byName[call.Name]
	}
	if t == nil {
		return Failure("there is no tool named %q", call.Name)
	}
	defer s.observe(ctx, call.Name, time.Now(), &res)
	defer func() {
		if p := recover(); p != nil {
			res = Failure("the tool %s broke down", call.Name)
		}
	}()
	res, err := t.Call(ctx, call)
	if err != nil {
		res = Failure("the tool %s could not be called: %v", call.Name, err)
	}
	if res.Content == "" {
		res.Content = "(the tool returned nothing)"
	}
	return s.fit(t, res)
}

// fit returns res with a content of bearable length. An endpoint has a limit
// of its own and has kept it; passages are cited as they are.
func (s *Set) fit(t Tool, res Result) Result {
	if _, kept := t.(*endpointTool); kept || res.Ask != nil || len(res.Sources) > 0 {
		return res
	}
	var cut bool
	res.Content, cut = Shorten(res.Content, cmp.Or(s.tokens, DefaultMaxTokens), func() string {
		var params struct {
			Properties map[string]json.RawMessage `json:"properties"`
		}
		_ = json.Unmarshal(t.Spec().Parameters, &params)
		return less(maps.Keys(params.Properties))
	})
	res.Outcome.Cut = res.Outcome.Cut || cut
	return res
}

// observe tells of a call that has ended: not of one that was stopped, or that
// waits for a person.
func (s *Set) observe(ctx context.Context, name string, began time.Time, res *Result) {
	if s.observer == nil || ctx.Err() != nil || res.Ask != nil {
		return
	}
	o := res.Outcome
	o.Failed = res.Failed
	s.observer.Observe(name, time.Since(began), o)
}

// Failure returns the Result of a call that failed for the reason given.
func Failure(format string, args ...any) Result {
	reason := fmt.Sprintf(format, args...)
	return Result{Content: "Error: " + reason, Failed: true, Outcome: Outcome{Failed: true, Reason: reason}}
}
