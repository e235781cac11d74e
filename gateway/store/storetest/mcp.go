package storetest

import (
	"testing"

	"parley/gateway/chat"
	"parley/tools/mcp"
)

func mcpServers() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are kept whole, by name":       mcpWhole,
		"are replaced and deleted":      mcpReplace,
		"that are absent are not found": mcpAbsent,
	}
}

func mcpServer(name string) mcp.Server {
	return mcp.Server{
		Name: name, URL: "https://mcp.example/" + name, Headers: map[string]string{"Authorization": "Bearer é"},
		Trusted: true, Allow: []string{"a.b", "c"}, Deny: []string{"d"}, TimeoutMs: 5,
	}
}

func mcpWhole(t *testing.T, s Store) {
	all, err := s.MCPServers(t.Context())
	ok(t, err)
	equal(t, "none", all, nil)
	for _, name := range []string{"b", "C", "a"} { // by bytes, in no language's order
		ok(t, s.PutMCPServer(t.Context(), mcpServer(name)))
	}
	all, err = s.MCPServers(t.Context())
	ok(t, err)
	equal(t, "servers", all, []mcp.Server{mcpServer("C"), mcpServer("a"), mcpServer("b")})
}

func mcpReplace(t *testing.T, s Store) {
	ok(t, s.PutMCPServer(t.Context(), mcpServer("a")))
	next := mcp.Server{Name: "a", URL: "http://other.example/", Disabled: true}
	ok(t, s.PutMCPServer(t.Context(), next))
	got, err := s.MCPServer(t.Context(), "a")
	ok(t, err)
	equal(t, "server", got, next)
	ok(t, s.DeleteMCPServer(t.Context(), "a"))
	mcpAbsent(t, s)
}

func mcpAbsent(t *testing.T, s Store) {
	_, err := s.MCPServer(t.Context(), "a")
	fails(t, err, chat.ErrNotFound)
	fails(t, s.DeleteMCPServer(t.Context(), "a"), chat.ErrNotFound)
}
