package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
	"parley/tools"
	"parley/tools/mcp"
)

// orders is an MCP server on the network, which wants the secret and sends no
// notices though it says that it does. It returns how often it was connected.
func (w *world) orders() *atomic.Int64 {
	var connected atomic.Int64
	s := sdk.NewServer(&sdk.Implementation{Name: "orders", Version: "1"}, nil)
	s.AddTool(&sdk.Tool{Name: "get.order", Description: "Looks up an order.", InputSchema: json.RawMessage(`{"type":"object","properties":{"order":{"type":"string"}},"required":["order"]}`)},
		func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: string(r.Params.Arguments) + " is shipped"}}}, nil
		})
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, &sdk.StreamableHTTPOptions{Stateless: true, JSONResponse: true, DisableLocalhostProtection: true})
	w.Cleanup(w.net.Serve(toolHost, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != toolSecret {
			http.Error(rw, "no key", http.StatusUnauthorized)
			return
		}
		switch r.Header.Get("Mcp-Method") {
		case "server/discover":
			connected.Add(1)
		case "subscriptions/listen":
			http.Error(rw, "not here", http.StatusNotFound)
			return
		}
		h.ServeHTTP(rw, r)
	})))
	return &connected
}

func useOrders(r llmtest.Request) llmtest.Reply {
	switch {
	case r.Last().Role == "tool":
		return llmtest.Text("It says: " + r.Last().Content)
	case len(r.Tools) > 0:
		return llmtest.Use(llmtest.Call{ID: "call_1", Name: "shop_get_order", Arguments: `{"order":"77"}`})
	}
	return llmtest.Text("I have no tools.")
}

func TestAnMCPServersToolsAreUsedByEveryReplica(t *testing.T) {
	inBubble(t, useOrders, func(w *world) {
		connected := w.orders()
		g, other := w.gate(), w.gate()
		admin := w.admin(g)
		var st mcp.Status
		admin.do("PUT", "/v1/mcp/shop", object{"url": "http://" + toolHost + "/mcp", "approval": "auto", "headers": object{"X-Api-Key": toolSecret}}).into(http.StatusOK, &st)
		if !st.State.Connected || st.State.Tools != 1 || st.Headers["X-Api-Key"] != tools.Mask {
			t.Fatalf("it stands as %+v", st)
		}
		w.rest()
		w.rest()
		if n := connected.Load(); n != 2 {
			t.Errorf("two replicas have connected %d times", n)
		}
		for _, g := range []*gatewaytest.Gateway{g, other} {
			if a := w.guest(g).say("new", "order?"); !strings.Contains(a.Answer.Content, "is shipped") {
				t.Errorf("at %s the answer is %q", g.Host, a.Answer.Content)
			}
		}
		var shown struct{ Name, Effect, Host string }
		admin.get("/v1/tools/shop_get_order").into(http.StatusOK, &shown)
		if shown.Effect != "unsafe" || shown.Host != toolHost {
			t.Errorf("the tool is shown as %+v", shown)
		}
		var list struct{ Servers []mcp.Status }
		admin.get("/v1/mcp").into(http.StatusOK, &list)
		if len(list.Servers) != 1 || list.Servers[0].Name != "shop" {
			t.Errorf("the list is %+v", list)
		}
		admin.do("PUT", "/v1/mcp/shop", object{"url": "http://" + toolHost + "/mcp", "headers": object{"X-Api-Key": tools.Mask}, "deny": []string{"get.order"}}).into(http.StatusOK, nil)
		if a := w.guest(other).say("new", "order?"); a.Answer.Content != "I have no tools." {
			t.Errorf("denied, the answer is %q", a.Answer.Content)
		}
		admin.at(other).do("DELETE", "/v1/mcp/shop", nil).into(http.StatusNoContent, nil)
		admin.get("/v1/mcp/shop").problem(http.StatusNotFound, "not_found", "")
		admin.do("DELETE", "/v1/mcp/shop", nil).problem(http.StatusNotFound, "not_found", "")
	})
}

func TestInvalidMCPServersNameTheField(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		admin := w.admin(w.gate())
		for _, tt := range []struct {
			name, server, body string
			status             int
			field              string
		}{
			{"not JSON", "s", `{`, 400, ""},
			{"another name", "s", `{"name":"u"}`, 400, "name"},
			{"a bad name", "a.b", `{"url":"http://x.example/"}`, 422, "name"},
			{"no url", "s", `{}`, 422, "url"},
			{"a command", "s", `{"command":"sh","args":["-c","id"]}`, 422, "server"},
			{"a masked header", "s", `{"url":"http://x.example/","headers":{"X":"•••"}}`, 422, "headers.X"},
		} {
			a := admin.do("PUT", "/v1/mcp/"+tt.server, tt.body)
			a.what = tt.name
			a.problem(tt.status, "bad_request", tt.field)
		}
		admin.get("/v1/mcp/s").problem(http.StatusNotFound, "not_found", "")
	})
}
