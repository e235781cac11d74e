package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"parley/tools"
)

// An owner declares a tool as JSON; nothing is written in Go.
func ExampleDecodeEndpoint() {
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"order": {"path": %q, "state": "sent"}}`, r.URL.EscapedPath())
	}))
	defer shop.Close()

	e, err := tools.DecodeEndpoint([]byte(`{
		"name": "get_order",
		"description": "Looks up one order of the shop.",
		"parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
		"url": "` + shop.URL + `/v1/orders/{order}",
		"select": "/order"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := tools.NewClient(tools.ClientOptions{Allow: []string{strings.TrimPrefix(shop.URL, "http://")}})
	tool, err := e.Tool(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	set := tools.NewSet(tool)
	fmt.Println(set.Call(context.Background(), tools.Call{Name: "get_order", Arguments: json.RawMessage(`{"order": "7/../8"}`)}).Content)
	// Output: {"path":"/v1/orders/7%2F..%2F8","state":"sent"}
}
