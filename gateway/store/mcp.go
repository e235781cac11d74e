package store

import (
	"context"
	"encoding/json"

	"parley/gateway/chat"
	"parley/tools/mcp"
)

// MCPServers returns all registered MCP servers, by name.
func (db *DB) MCPServers(ctx context.Context) ([]mcp.Server, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT body FROM mcp_servers ORDER BY name`)
	all, err := collect(rows, err, scanMCPServer)
	return all, wrap("mcp servers", err)
}

// MCPServer returns the MCP server of that name.
func (db *DB) MCPServer(ctx context.Context, name string) (mcp.Server, error) {
	s, err := scanMCPServer(db.read.QueryRowContext(ctx, `SELECT body FROM mcp_servers WHERE name = $1`, name))
	return s, wrap("mcp server "+name, err)
}

// PutMCPServer stores s in the place of the server of the same name, if there
// is one.
func (db *DB) PutMCPServer(ctx context.Context, s mcp.Server) error {
	body, err := json.Marshal(s)
	if err != nil {
		return wrap("put mcp server "+s.Name, err)
	}
	_, err = db.exec(ctx, `
		INSERT INTO mcp_servers (name, body) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body`, s.Name, string(body))
	return wrap("put mcp server "+s.Name, err)
}

// DeleteMCPServer removes the MCP server of that name.
func (db *DB) DeleteMCPServer(ctx context.Context, name string) error {
	res, err := db.exec(ctx, `DELETE FROM mcp_servers WHERE name = $1`, name)
	return wrap("delete mcp server "+name, oneRow(res, err, chat.ErrNotFound))
}

func scanMCPServer(row interface{ Scan(...any) error }) (s mcp.Server, err error) {
	var body []byte
	if err := row.Scan(&body); err != nil {
		return s, err
	}
	return s, json.Unmarshal(body, &s)
}
