package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/tools"
)

func TestFetch(t *testing.T) {
	base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://other.example/secret?canary", http.StatusFound)
		case "/near":
			http.Redirect(w, r, "/doc", http.StatusFound)
		case "/doc":
			_, _ = w.Write([]byte("0123456789"))
		default:
			http.NotFound(w, r)
		}
	}))
	r := &tools.Registry{Client: client}
	for _, path := range []string{"/doc", "/near"} {
		if b, err := r.Fetch(t.Context(), base+path, 10, nil); err != nil || string(b) != "0123456789" {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	for address, want := range map[string]string{
		base + "/doc?x":               "larger than the 9 bytes",
		base + "/none":                "404",
		base + "/away":                "redirects to http://other.example:80",
		"http://u:canary@a.example/":  "without a user",
		"file:///etc/passwd":          "http or https",
		"http://127.0.0.1:1/canary":   "private",
		"http://a.example/\x00canary": "http or https",
	} {
		_, err := r.Fetch(t.Context(), address, 9, nil)
		var fault *tools.FieldError
		if !errors.As(err, &fault) || fault.Field != "url" || !strings.Contains(fault.Reason, want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Fetch(ctx, base+"/doc", 10, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestRenewKeepsWhatWasEditedByHand(t *testing.T) {
	base := func(f func(e *tools.Endpoint)) tools.Endpoint {
		e := tools.Endpoint{
			Description: "The document's.", Parameters: json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"},"b":{}}}`),
			Request: tools.Request{Method: "GET", URL: "https://a.example/x"}, In: map[string]string{},
		}
		f(&e)
		e.Import = &tools.Import{From: "d", Operation: "GET /x", Declared: tools.Declared(e)}
		return e
	}
	imported := base(func(*tools.Endpoint) {})
	edit := func(f func(e *tools.Endpoint)) tools.Endpoint {
		e := imported
		e.In = nil // as a store gives it back
		f(&e)
		return e
	}
	said := base(func(e *tools.Endpoint) { e.Description = "The document's new one." })
	asks := base(func(e *tools.Endpoint) {
		e.Parameters = json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"},"c":{}}}`)
	})
	moved := base(func(e *tools.Endpoint) { e.Description, e.Headers = "New.", map[string]string{"X-Key": "k"} })
	slimmer := func(e *tools.Endpoint) {
		e.Parameters = json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}}}`)
	}
	for name, tt := range map[string]struct {
		old, next      tools.Endpoint
		description    string
		parameters     json.RawMessage
		kept, replaced []string
	}{
		"nothing": {edit(func(*tools.Endpoint) {}), said, said.Description, said.Parameters, nil, nil},
		"members in another order": {edit(func(e *tools.Endpoint) {
			e.Parameters = json.RawMessage(`{"properties":{"b":{},"a":{"type":"string"}},"type":"object"}`)
		}), asks, asks.Description, asks.Parameters, nil, nil},
		"a description":                                 {edit(func(e *tools.Endpoint) { e.Description = "Mine." }), said, "Mine.", said.Parameters, []string{"description"}, nil},
		"parameters that the document left":             {edit(slimmer), said, said.Description, edit(slimmer).Parameters, []string{"request"}, nil},
		"parameters that the document changed":          {edit(slimmer), asks, asks.Description, asks.Parameters, nil, []string{"request"}},
		"an address, and a secret is given for another": {edit(func(e *tools.Endpoint) { e.URL = "https://mine.example/x" }), moved, moved.Description, moved.Parameters, nil, []string{"request"}},
		"approval, and it is off":                       {edit(func(e *tools.Endpoint) { e.Approval, e.Disabled = tools.ApprovalAsk, true }), said, said.Description, said.Parameters, []string{"approval", "disabled"}, nil},
		"what an older version imported": {edit(func(e *tools.Endpoint) {
			e.Description, e.Import = "Mine.", &tools.Import{From: "d", Operation: "GET /x"}
		}), said, said.Description, said.Parameters, nil, nil},
		"a tool of another document": {edit(func(e *tools.Endpoint) {
			e.Description, e.Import = "Mine.", &tools.Import{From: "other", Operation: "GET /x", Declared: e.Import.Declared}
		}), said, said.Description, said.Parameters, nil, nil},
	} {
		r := tools.Renew(tt.old, tt.next)
		if e := r.Endpoint; e.Description != tt.description || string(e.Parameters) != string(tt.parameters) || !slices.Equal(r.Kept, tt.kept) || !slices.Equal(r.Replaced, tt.replaced) || e.URL != "https://a.example/x" {
			t.Errorf("%s: %q, %s, kept %q, replaced %q", name, e.Description, e.Parameters, r.Kept, r.Replaced)
		}
		if again := tools.Renew(r.Endpoint, tt.next); !slices.Equal(again.Kept, tt.kept) {
			t.Errorf("%s: a second time it keeps %q", name, again.Kept)
		}
	}
}

func TestRenewKeepsHowAToolIsCalled(t *testing.T) {
	old := tools.Endpoint{AttemptMs: 1000, Concurrency: 3, Cache: &tools.Caching{MaxAgeMs: 5000}}
	if e := tools.Renew(old, tools.Endpoint{}).Endpoint; e.AttemptMs != 1000 || e.Concurrency != 3 || e.Cache == nil || e.Cache.MaxAgeMs != 5000 {
		t.Errorf("%+v", e)
	}
}
