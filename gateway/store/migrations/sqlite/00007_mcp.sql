-- MCP servers whose tools are used.

-- +goose Up
CREATE TABLE mcp_servers (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL -- JSON
);

-- +goose Down
DROP TABLE mcp_servers;
