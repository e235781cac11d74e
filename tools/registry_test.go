package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/tools"
	"parley/tools/toolstest"
)

func clock() tools.Tool {
	return tools.Func(tools.Spec{Name: "clock", Description: "The time.", Effect: tools.Safe, Parameters: json.RawMessage(`{"type":"object","properties":{"zone":{"type":"string"}}}`)},
		func(_ context.Context, in struct{ Zone string }) (tools.Result, error) {
			return tools.Result{Content: "noon in " + in.Zone}, nil
		})
}

func listed(s *tools.Set) string {
	var names []string
	for _, spec := range s.Specs() {
		names = append(names, spec.Name)
	}
	return strings.Join(names, " ")
}

func TestRegistrySetFollowsTheStore(t *testing.T) {
	base, client := nasty(t)
	ctx := context.Background()
	store := &toolstest.Store{}
	here := &tools.Registry{Builtins: []tools.Tool{clock()}, Endpoints: store, Client: client}
	there := &tools.Registry{Builtins: []tools.Tool{clock()}, Endpoints: store, Client: client}
	check := func(want string) *tools.Set {
		t.Helper()
		set, err := there.Set(ctx)
		if err != nil || listed(set) != want {
			t.Fatalf("set %q, %v, want %q", listed(set), err, want)
		}
		return set
	}
	check("clock")
	e := get(t, base, "/echo?v=1")
	e.Headers = map[string]string{"X-Key": "canary"}
	if _, err := here.Put(ctx, e); err != nil {
		t.Fatal(err)
	}
	old := check("clock t")
	next := e.Public()
	next.URL = base + "/echo?v=2"
	if _, err := here.Put(ctx, next); err != nil {
		t.Fatal(err)
	}
	for set, want := range map[*tools.Set]string{old: "v=1", check("clock t"): "v=2"} {
		res := set.Call(ctx, tools.Call{Name: "t", Arguments: json.RawMessage("{}")})
		mustContain(t, "the answer", res.Content, want, `"X-Key":"•••"`)
	}
	if got, err := there.Get(ctx, "t"); err != nil || got.Headers["X-Key"] != "canary" {
		t.Errorf("%v, %v", got, err)
	}
	if err := here.Delete(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	check("clock")
	if err := here.Delete(ctx, "t"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err %v", err)
	}
	if _, err := here.Get(ctx, "t"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err %v", err)
	}
}

func TestRegistryCompilesARevisionOnce(t *testing.T) {
	ctx := context.Background()
	store := &toolstest.Store{}
	r := &tools.Registry{Endpoints: store}
	for _, name := range []string{"a", "b", "c"} {
		e := get(t, "https://api.example", "/")
		e.Name = name
		if _, err := r.Put(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Set(ctx); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = r.Set(ctx) }); n > 200 {
		t.Errorf("a set of three known tools costs %v allocations", n)
	}
}

func TestRegistryProtectsBuiltins(t *testing.T) {
	ctx := context.Background()
	store := &toolstest.Store{}
	var log strings.Builder
	r := &tools.Registry{Builtins: []tools.Tool{clock()}, Endpoints: store, Log: slog.New(slog.NewTextHandler(&log, nil))}
	e := get(t, "https://api.example", "/")
	e.Name = "clock"
	var fault *tools.FieldError
	if _, err := r.Put(ctx, e); !errors.As(err, &fault) || fault.Field != "name" || !strings.Contains(err.Error(), "built-in") {
		t.Errorf("err %v", err)
	}
	if err := r.Delete(ctx, "clock"); !errors.Is(err, tools.ErrBuiltin) {
		t.Errorf("err %v", err)
	}
	_ = store.PutEndpoint(ctx, e) // as one stored before the built-in came
	set, err := r.Set(ctx)
	if err != nil {
		t.Fatal(err)
	}
	res := set.Call(ctx, tools.Call{Name: "clock", Arguments: json.RawMessage(`{"zone":"Oslo"}`)})
	if res.Content != "noon in Oslo" {
		t.Errorf("the built-in is shadowed: %s", res.Content)
	}
	mustContain(t, "the log", log.String(), "clock", "built-in")
}

func TestRegistryLeavesOutABadEndpoint(t *testing.T) {
	ctx := context.Background()
	store := &toolstest.Store{}
	var log strings.Builder
	r := &tools.Registry{Endpoints: store, Log: slog.New(slog.NewTextHandler(&log, nil))}
	good := get(t, "https://api.example", "/")
	bad := tools.Endpoint{Name: "bad", Parameters: json.RawMessage(`{nonsense`), Request: tools.Request{URL: "://", Headers: map[string]string{"X-Key": "canary\n"}}}
	_ = store.PutEndpoint(ctx, good)
	_ = store.PutEndpoint(ctx, bad)
	set, err := r.Set(ctx)
	if err != nil || listed(set) != "t" {
		t.Errorf("set %q, %v", listed(set), err)
	}
	mustContain(t, "the log", log.String(), "tool=bad")
	if strings.Contains(log.String(), "canary") {
		t.Errorf("a secret is in the log: %s", log.String())
	}
	r.Max = 1
	_ = store.PutEndpoint(ctx, tools.Endpoint{Name: "zzz", Description: "d", Request: good.Request})
	_ = store.DeleteEndpoint(ctx, "bad")
	if set, _ := r.Set(ctx); listed(set) != "t" {
		t.Errorf("set %q is over its bound", listed(set))
	}
}

func TestRegistryWithoutStore(t *testing.T) {
	r := &tools.Registry{Builtins: []tools.Tool{clock()}}
	if set, err := r.Set(context.Background()); err != nil || listed(set) != "clock" {
		t.Errorf("set %q, %v", listed(set), err)
	}
	if _, err := r.Put(context.Background(), get(t, "https://api.example", "/")); err == nil {
		t.Error("it was stored nowhere")
	}
}

func TestFuncChecksArguments(t *testing.T) {
	set := tools.NewSet(clock())
	res := set.Call(context.Background(), tools.Call{Name: "clock", Arguments: json.RawMessage(`{"zone":7}`)})
	if !res.Failed {
		t.Error("a number was taken for a zone")
	}
	mustContain(t, "the result", res.Content, "at /zone", "want string")
}

func TestDisabledToolsAreKeptAndNotOffered(t *testing.T) {
	r := tools.Registry{Endpoints: &toolstest.Store{}}
	e := tools.Endpoint{Name: "get_order", Description: "Looks up an order.", Request: tools.Request{URL: "https://shop.example/orders"}, Disabled: true}
	if _, err := r.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for _, disabled := range []bool{true, false} {
		e.Disabled = disabled
		if _, err := r.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		set, err := r.Set(t.Context())
		if _, ok := set.Spec("get_order"); err != nil || ok == disabled || len(set.Find(1, "order")) == 1 == disabled {
			t.Errorf("disabled %v: in the set %v, %v", disabled, ok, err)
		}
		if got, err := r.Get(t.Context(), "get_order"); err != nil || got.Disabled != disabled {
			t.Errorf("disabled %v: kept as %+v, %v", disabled, got, err)
		}
	}
}

func TestTheNameOfFindToolsIsReserved(t *testing.T) {
	r := tools.Registry{Endpoints: &toolstest.Store{}}
	e := tools.Endpoint{Name: tools.FindName, Description: "x", Request: tools.Request{URL: "https://shop.example/"}}
	if _, err := r.Put(t.Context(), e); err == nil {
		t.Error("another tool has the name of the one that finds tools")
	}
}

func TestWhatCannotBeUsedIsListedAllTheSame(t *testing.T) {
	store := &toolstest.Store{}
	r := tools.Registry{Builtins: []tools.Tool{clock()}, Endpoints: store}
	for _, e := range []tools.Endpoint{
		{Name: "broken", Description: "Looks up an order.", Request: tools.Request{URL: "ftp://shop.example/"}},
		{Name: "clock", Description: "x", Request: tools.Request{URL: "https://shop.example/"}},
		{Name: "off", Description: "x", Disabled: true, Request: tools.Request{URL: "https://shop.example/", SecretQuery: map[string]string{"key": "k"}, Headers: map[string]string{"Accept": "*/*", "X-Key": "k"}}},
		{Name: "on", Description: "x", Request: tools.Request{URL: "https://shop.example/"}},
	} {
		if err := store.PutEndpoint(t.Context(), e); err != nil { // as another version may have stored it
			t.Fatal(err)
		}
	}
	list, err := r.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range list {
		got = append(got, fmt.Sprint(l.Name, " builtin ", l.Builtin, " disabled ", l.Disabled, " broken ", l.Fault != "", " ", l.Host, l.Secrets))
	}
	want := []string{
		"broken builtin false disabled false broken true []", "clock builtin true disabled false broken false []", "clock builtin false disabled false broken true []",
		"off builtin false disabled true broken false shop.example[X-Key key]", "on builtin false disabled false broken false shop.example[]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if found, err := r.List(t.Context(), "order"); err != nil || len(found) != 1 || found[0].Name != "broken" {
		t.Errorf("found %v, %v", found, err)
	}
}

// A shop supplies tools.
type shop []tools.Tool

func (s shop) Tools(context.Context) ([]tools.Tool, error) {
	if s == nil {
		return nil, errors.New("closed")
	}
	return s, nil
}

func TestSuppliedToolsGiveWay(t *testing.T) {
	supplied := func(name string) tools.Tool {
		return tools.Func(tools.Spec{Name: name, Description: "supplied"}, func(context.Context, struct{}) (tools.Result, error) { return tools.Result{}, nil })
	}
	store := &toolstest.Store{}
	_ = store.PutEndpoint(t.Context(), get(t, "https://api.example", "/"))
	r := &tools.Registry{Builtins: []tools.Tool{clock()}, Endpoints: store, Suppliers: []tools.Supplier{shop{supplied("clock"), supplied("t"), supplied("u")}}}
	set, err := r.Set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"clock": false, "t": false, "u": true} {
		if spec, _ := set.Spec(name); (spec.Description == "supplied") != want {
			t.Errorf("%s is %+v", name, spec)
		}
	}
	list, err := r.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range list {
		got = append(got, fmt.Sprint(l.Name, " builtin ", l.Builtin, " supplied ", l.Supplied))
	}
	if d := cmp.Diff([]string{"clock builtin true supplied false", "t builtin false supplied false", "u builtin false supplied true"}, got); d != "" {
		t.Error(d)
	}
	r.Suppliers = append(r.Suppliers, shop(nil))
	if _, err := r.Set(t.Context()); err == nil {
		t.Error("a supplier that fails is as good as one without tools")
	}
}

// A counted store counts how often it is read whole.
type countedStore struct {
	toolstest.Store
	reads int
}

func (s *countedStore) Endpoints(ctx context.Context) ([]tools.Endpoint, error) {
	s.reads++
	return s.Store.Endpoints(ctx)
}

func TestRegistryReadsTheStoreWhenSomethingHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store, v := &countedStore{}, &versions{}
		here := &tools.Registry{Endpoints: store, Versions: v}
		there := &tools.Registry{Endpoints: store, Versions: v}
		check := func(want string, reads int) {
			t.Helper()
			for range 5 {
				if set, err := there.Set(ctx); err != nil || listed(set) != want {
					t.Fatalf("set %q, %v, want %q", listed(set), err, want)
				}
			}
			if store.reads != reads {
				t.Errorf("the store was read %d times, want %d", store.reads, reads)
			}
		}
		check("", 1)
		if _, err := here.Put(ctx, get(t, "https://api.example", "/")); err != nil {
			t.Fatal(err)
		}
		check("t", 2)
		if err := here.Delete(ctx, "t"); err != nil {
			t.Fatal(err)
		}
		check("", 3)
		v.away = true
		e := get(t, "https://api.example", "/")
		if _, err := here.Put(ctx, e); err != nil {
			t.Fatal(err)
		}
		check("t", 8) // while nobody can say whether there was a change, it is looked
		if err := here.Delete(ctx, "t"); err != nil {
			t.Fatal(err)
		}
		v.away = false
		if _, err := here.Set(ctx); err != nil { // by which the others are told
			t.Fatal(err)
		}
		check("", 10)

		_ = store.PutEndpoint(ctx, e) // by who tells nobody
		time.Sleep(11 * time.Second)
		check("t", 11)
	})
}
