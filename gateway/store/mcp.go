package store

import (
	"context"
	"encoding/json"

	"parley/gateway/chat"
	"parley/tools"
	"parley/tools/mcp"
)

// MCPServers returns all registered MCP servers, by name. A header that cannot
// be decrypted is [tools.Mask], which no server takes.
func (db *DB) MCPServers(ctx context.Context) ([]mcp.Server, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT body FROM mcp_servers ORDER BY name`)
	all, err := collect(rows, err, db.scanMCPServer)
	return all, wrap("mcp servers", err)
}

// MCPServer returns the MCP server of that name.
func (db *DB) MCPServer(ctx context.Context, name string) (mcp.Server, error) {
	s, err := db.scanMCPServer(db.read.QueryRowContext(ctx, `SELECT body FROM mcp_servers WHERE name = $1`, name))
	return s, wrap("mcp server "+name, err)
}

// PutMCPServer stores s in the place of the server of the same name, if there
// is one. Its headers are encrypted.
func (db *DB) PutMCPServer(ctx context.Context, s mcp.Server) error {
	body, err := db.closeMCPServer(s)
	if err != nil {
		return wrap("put mcp server "+s.Name, err)
	}
	_, err = db.exec(ctx, `
		INSERT INTO mcp_servers (name, body) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body`, s.Name, body)
	return wrap("put mcp server "+s.Name, err)
}

// DeleteMCPServer removes the MCP server of that name.
func (db *DB) DeleteMCPServer(ctx context.Context, name string) error {
	res, err := db.exec(ctx, `DELETE FROM mcp_servers WHERE name = $1`, name)
	return wrap("delete mcp server "+name, oneRow(res, err, chat.ErrNotFound))
}

func (db *DB) scanMCPServer(row interface{ Scan(...any) error }) (s mcp.Server, err error) {
	var body []byte
	if err := row.Scan(&body); err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s); err != nil || db.vault == nil {
		return s, err
	}
	return s.MapSecrets(func(member, value string) (string, error) {
		plain, err := db.unseal([]byte(value), mcpPlace(s.Name, member))
		if err != nil {
			return tools.Mask, nil
		}
		return string(plain), nil
	})
}

func (db *DB) closeMCPServer(s mcp.Server) (string, error) {
	s, err := s.MapSecrets(db.sealing(func(member string) string { return mcpPlace(s.Name, member) }))
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(s)
	return string(b), err
}

// resealMCPServer returns a stored server with its headers under the newest
// key. It fails if one cannot be decrypted.
func (db *DB) resealMCPServer(body []byte) (string, error) {
	var s mcp.Server
	if err := json.Unmarshal(body, &s); err != nil {
		return "", err
	}
	s, err := s.MapSecrets(db.unsealing(func(member string) string { return mcpPlace(s.Name, member) }))
	if err != nil {
		return "", err
	}
	return db.closeMCPServer(s)
}
