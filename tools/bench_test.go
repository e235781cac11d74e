package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"parley/tools"
	"parley/tools/toolstest"
)

// upstreamFor starts a service that answers at once, and a client of it.
func upstreamFor(b *testing.B, cache tools.Cache, headers ...string) (tools.Tool, *tools.Client, string) {
	b.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		toolstest.Say(w, 200, `{"temperature":12.5,"wind":{"speed":3,"from":"NW"}}`, append(headers, "Content-Type", "application/json")...)
	}))
	b.Cleanup(s.Close)
	client := tools.NewClient(tools.ClientOptions{Allow: []string{strings.TrimPrefix(s.URL, "http://")}, Cache: cache})
	b.Cleanup(client.CloseIdle)
	e, err := tools.DecodeEndpoint([]byte(`{"name":"t","description":"d","url":"` + s.URL + `/v1/{city}","headers":{"X-Key":"canary-1"},
	  "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}`))
	if err != nil {
		b.Fatal(err)
	}
	tool, err := e.Tool(client)
	if err != nil {
		b.Fatal(err)
	}
	return tool, client, s.URL
}

func callInLoop(b *testing.B, tool tools.Tool, cache string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		res, err := tool.Call(context.Background(), tools.Call{ID: "r1.c1", Arguments: json.RawMessage(`{"city":"Bern"}`)})
		if err != nil || res.Failed || res.Outcome.Cache != cache {
			b.Fatal(res.Content, res.Outcome, err)
		}
	}
}

// What a call costs over what its HTTP request costs by itself.
func BenchmarkCall(b *testing.B) {
	b.Run("bare request", func(b *testing.B) {
		_, client, base := upstreamFor(b, nil)
		b.ReportAllocs()
		for b.Loop() {
			req, _ := http.NewRequest("GET", base+"/v1/Bern", nil)
			resp, err := client.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	b.Run("uncached", func(b *testing.B) {
		tool, _, _ := upstreamFor(b, nil)
		callInLoop(b, tool, "")
	})
	b.Run("not cacheable", func(b *testing.B) {
		tool, _, _ := upstreamFor(b, &toolstest.Cache{}, "Cache-Control", "no-store")
		callInLoop(b, tool, "")
	})
	b.Run("cached", func(b *testing.B) {
		tool, _, _ := upstreamFor(b, &toolstest.Cache{}, "Cache-Control", "max-age=3600")
		_, _ = tool.Call(context.Background(), tools.Call{Arguments: json.RawMessage(`{"city":"Bern"}`)})
		callInLoop(b, tool, "hit")
	})
}

// versions are those of replicas that nobody uses at the same time.
type versions struct {
	n    int
	away bool
}

func (v *versions) Version(context.Context) (string, error) { return fmt.Sprint(v.n), v.err() }
func (v *versions) Changed(context.Context) error {
	if !v.away {
		v.n++
	}
	return v.err()
}

func (v *versions) err() error {
	if v.away {
		return errors.New("nobody can be told")
	}
	return nil
}

func manyTools(tb testing.TB, n int) *toolstest.Store {
	store := &toolstest.Store{}
	for i := range n {
		e, err := tools.DecodeEndpoint([]byte(fmt.Sprintf(`{"name":"tool_%d","description":"Looks up number %d of a shop, by what is known of it.","url":"https://shop%d.example/v1/{city}/orders",
		 "headers":{"Authorization":"Bearer canary-%d"},
		 "parameters":{"type":"object","properties":{"city":{"type":"string","description":"where"},"kind":{"type":"string","enum":["a","b","c"]},
		  "limit":{"type":"integer","minimum":1,"maximum":100},"since":{"type":"string"},"filter":{"type":"object","properties":{"min":{"type":"number"}}}},"required":["city"]}}`, i, i, i%20, i)))
		if err != nil {
			tb.Fatal(err)
		}
		_ = store.PutEndpoint(context.Background(), e)
	}
	return store
}

// noTools is a source of tools that has none, as MCP and feeds have without any
// server.
type noTools struct{}

func (noTools) Tools(context.Context) ([]tools.Tool, error) { return nil, nil }

// What the start of a run costs with a thousand registered tools.
func BenchmarkSet1000(b *testing.B) {
	store := manyTools(b, 1000)
	set := func(r *tools.Registry) {
		if s, err := r.Set(context.Background()); err != nil || len(s.Specs()) != 1000 {
			b.Fatal(err)
		}
	}
	b.Run("unchanged", func(b *testing.B) {
		r := &tools.Registry{Endpoints: store, Versions: &versions{}}
		set(r)
		b.ReportAllocs()
		for b.Loop() {
			set(r)
		}
	})
	b.Run("with a supplier", func(b *testing.B) {
		r := &tools.Registry{Endpoints: store, Versions: &versions{}, Suppliers: []tools.Supplier{noTools{}}}
		set(r)
		b.ReportAllocs()
		for b.Loop() {
			set(r)
		}
	})
	b.Run("one changed", func(b *testing.B) {
		v := &versions{}
		r := &tools.Registry{Endpoints: store, Versions: v}
		set(r)
		b.ReportAllocs()
		for b.Loop() {
			v.n++
			set(r)
		}
	})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		kept := make([]*tools.Registry, 0, 1)
		for b.Loop() {
			kept = append(kept[:0], &tools.Registry{Endpoints: store})
			set(kept[0])
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6, "MB-kept")
		runtime.KeepAlive(kept)
	})
}
