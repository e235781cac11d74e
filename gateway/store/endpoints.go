package store

import (
	"context"
	"encoding/json"

	"parley/gateway/chat"
	"parley/tools"
)

// Endpoints returns all registered endpoints, by name.
func (db *DB) Endpoints(ctx context.Context) ([]tools.Endpoint, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT body FROM endpoints ORDER BY name`)
	es, err := collect(rows, err, scanEndpoint)
	return es, wrap("endpoints", err)
}

// Endpoint returns the endpoint of that name.
func (db *DB) Endpoint(ctx context.Context, name string) (tools.Endpoint, error) {
	e, err := scanEndpoint(db.read.QueryRowContext(ctx, `SELECT body FROM endpoints WHERE name = $1`, name))
	return e, wrap("endpoint "+name, err)
}

// PutEndpoint stores e in the place of the endpoint of the same name, if there
// is one.
func (db *DB) PutEndpoint(ctx context.Context, e tools.Endpoint) error {
	body, err := json.Marshal(e)
	if err != nil {
		return wrap("put endpoint "+e.Name, err)
	}
	_, err = db.exec(ctx, `
		INSERT INTO endpoints (name, body) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body`, e.Name, string(body))
	return wrap("put endpoint "+e.Name, err)
}

// DeleteEndpoint removes the endpoint of that name.
func (db *DB) DeleteEndpoint(ctx context.Context, name string) error {
	res, err := db.exec(ctx, `DELETE FROM endpoints WHERE name = $1`, name)
	return wrap("delete endpoint "+name, oneRow(res, err, chat.ErrNotFound))
}

func scanEndpoint(row interface{ Scan(...any) error }) (e tools.Endpoint, err error) {
	var body []byte
	if err := row.Scan(&body); err != nil {
		return e, err
	}
	return e, json.Unmarshal(body, &e)
}
