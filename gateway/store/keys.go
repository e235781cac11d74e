package store

import (
	"context"
	"encoding/json"

	"parley/gateway/access"
	"parley/gateway/chat"
)

const keyColumns = `id, name, tenant, scopes, hash, created, expires`

// AddKey stores a new key. It returns [access.ErrTaken] if another has its
// name.
func (db *DB) AddKey(ctx context.Context, k access.Key) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return wrap("add key "+k.Name, err)
	}
	res, err := db.exec(ctx, `INSERT INTO api_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		k.ID, k.Name, k.Tenant, string(scopes), k.Hash, millis(k.Created), millis(k.Expires))
	return wrap("add key "+k.Name, oneRow(res, err, access.ErrTaken))
}

// Key returns the key of that id.
func (db *DB) Key(ctx context.Context, id string) (access.Key, error) {
	k, err := scanKey(db.read.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, id))
	return k, wrap("key "+id, err)
}

// Keys returns all keys, by name.
func (db *DB) Keys(ctx context.Context) ([]access.Key, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+keyColumns+` FROM api_keys ORDER BY name`)
	ks, err := collect(rows, err, scanKey)
	return ks, wrap("keys", err)
}

// DeleteKey takes a key back, for good.
func (db *DB) DeleteKey(ctx context.Context, id string) error {
	res, err := db.exec(ctx, `DELETE FROM api_keys WHERE id = $1`, id)
	return wrap("delete key "+id, oneRow(res, err, chat.ErrNotFound))
}

func scanKey(row interface{ Scan(...any) error }) (k access.Key, err error) {
	var scopes []byte
	var created, expires int64
	if err := row.Scan(&k.ID, &k.Name, &k.Tenant, &scopes, &k.Hash, &created, &expires); err != nil {
		return k, err
	}
	k.Created, k.Expires = fromMillis(created), fromMillis(expires)
	return k, json.Unmarshal(scopes, &k.Scopes)
}
