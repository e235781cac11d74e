package tools_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"parley/tools"
	"parley/tools/toolstest"
)

// serve starts a server and returns its address and a client that may reach
// it.
func serve(t *testing.T, h http.Handler) (address string, client *tools.Client) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	client = tools.NewClient(tools.ClientOptions{Allow: []string{host(t, s.URL)}})
	t.Cleanup(client.CloseIdle)
	return s.URL, client
}

func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// nasty starts a [toolstest.Nasty].
func nasty(t *testing.T) (address string, client *tools.Client) { return serve(t, toolstest.Nasty()) }

// endpoint decodes an endpoint in which BASE stands for base.
func endpoint(t *testing.T, base, js string) tools.Endpoint {
	t.Helper()
	e, err := tools.DecodeEndpoint([]byte(strings.ReplaceAll(js, "BASE", base)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// call calls an endpoint declared as js.
func call(t *testing.T, client *tools.Client, e tools.Endpoint, args string) tools.Result {
	t.Helper()
	tool, err := e.Tool(client)
	if err != nil {
		t.Fatal(err)
	}
	res, err := tool.Call(context.Background(), tools.Call{ID: "call-1", Name: e.Name, Arguments: json.RawMessage(args), Generation: 7})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// get returns an endpoint for GET without parameters.
func get(t *testing.T, base, path string) tools.Endpoint {
	return endpoint(t, base, `{"name":"t","description":"d","url":"BASE`+path+`"}`)
}

// echoed decodes what the server says it was sent.
func echoed(t *testing.T, res tools.Result) (e toolstest.Echo) {
	t.Helper()
	if res.Failed {
		t.Fatalf("failed: %s", res.Content)
	}
	if err := json.Unmarshal([]byte(res.Content), &e); err != nil {
		t.Fatalf("%v: %s", err, res.Content)
	}
	return e
}

func mustContain(t *testing.T, what, s string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(s, part) {
			t.Errorf("%s lacks %q: %s", what, part, s)
		}
	}
}
