package tools_test

import (
	"context"
	"errors"
	"net/http"
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

func TestRenewKeepsHowAToolIsCalled(t *testing.T) {
	old := tools.Endpoint{AttemptMs: 1000, Concurrency: 3, Cache: &tools.Caching{MaxAgeMs: 5000}}
	if e, _ := tools.Renew(old, tools.Endpoint{}); e.AttemptMs != 1000 || e.Concurrency != 3 || e.Cache == nil || e.Cache.MaxAgeMs != 5000 {
		t.Errorf("%+v", e)
	}
}
