package store

import (
	"context"
	"encoding/json"

	"parley/gateway/chat"
	"parley/tools"
)

// Endpoints returns all registered endpoints, by name. A secret that cannot
// be decrypted is [tools.Mask], with which an endpoint cannot be called.
func (db *DB) Endpoints(ctx context.Context) ([]tools.Endpoint, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT body FROM endpoints ORDER BY name`)
	es, err := collect(rows, err, db.scanEndpoint)
	return es, wrap("endpoints", err)
}

// Endpoint returns the endpoint of that name, as Endpoints does.
func (db *DB) Endpoint(ctx context.Context, name string) (tools.Endpoint, error) {
	e, err := db.scanEndpoint(db.read.QueryRowContext(ctx, `SELECT body FROM endpoints WHERE name = $1`, name))
	return e, wrap("endpoint "+name, err)
}

// PutEndpoint stores e in the place of the endpoint of the same name, if there
// is one. Its headers and secret queries are encrypted.
func (db *DB) PutEndpoint(ctx context.Context, e tools.Endpoint) error {
	body, err := db.closeEndpoint(e)
	if err != nil {
		return wrap("put endpoint "+e.Name, err)
	}
	_, err = db.exec(ctx, `
		INSERT INTO endpoints (name, body) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body`, e.Name, body)
	return wrap("put endpoint "+e.Name, err)
}

// DeleteEndpoint removes the endpoint of that name.
func (db *DB) DeleteEndpoint(ctx context.Context, name string) error {
	res, err := db.exec(ctx, `DELETE FROM endpoints WHERE name = $1`, name)
	return wrap("delete endpoint "+name, oneRow(res, err, chat.ErrNotFound))
}

func (db *DB) scanEndpoint(row interface{ Scan(...any) error }) (e tools.Endpoint, err error) {
	var body []byte
	if err := row.Scan(&body); err != nil {
		return e, err
	}
	if e, err = decodeEndpoint(body); err != nil || db.vault == nil {
		return e, err
	}
	return e.MapSecrets(func(member, value string) (string, error) {
		plain, err := db.unseal([]byte(value), endpointPlace(e.Name, member))
		if err != nil {
			return tools.Mask, nil
		}
		return string(plain), nil
	})
}

func decodeEndpoint(body []byte) (e tools.Endpoint, err error) { return e, json.Unmarshal(body, &e) }

// openEndpoint fails if a secret cannot be decrypted.
func (db *DB) openEndpoint(body []byte) (tools.Endpoint, error) {
	e, err := decodeEndpoint(body)
	if err != nil {
		return e, err
	}
	return e.MapSecrets(db.unsealing(func(member string) string { return endpointPlace(e.Name, member) }))
}

func (db *DB) closeEndpoint(e tools.Endpoint) (string, error) {
	name := e.Name
	e, err := e.MapSecrets(db.sealing(func(member string) string { return endpointPlace(name, member) }))
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(e)
	return string(b), err
}
