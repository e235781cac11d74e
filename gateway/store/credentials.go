package store

import (
	"context"
	"encoding/json"

	"parley/gateway/chat"
	"parley/tools"
)

// Credentials returns all credentials, by name, but those whose secrets
// cannot be decrypted: their secrets are [tools.Mask].
func (db *DB) Credentials(ctx context.Context) ([]tools.Credential, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT body FROM credentials ORDER BY name`)
	cs, err := collect(rows, err, func(row interface{ Scan(...any) error }) (c tools.Credential, err error) {
		var body []byte
		if err := row.Scan(&body); err != nil {
			return c, err
		}
		if c, err = db.openCredential(body); err != nil {
			return decodeCredential(body, func(string, string) (string, error) { return tools.Mask, nil })
		}
		return c, nil
	})
	return cs, wrap("credentials", err)
}

// Credential returns the credential of that name.
func (db *DB) Credential(ctx context.Context, name string) (tools.Credential, error) {
	var body []byte
	err := db.read.QueryRowContext(ctx, `SELECT body FROM credentials WHERE name = $1`, name).Scan(&body)
	if err != nil {
		return tools.Credential{}, wrap("credential "+name, err)
	}
	c, err := db.openCredential(body)
	return c, wrap("credential "+name, err)
}

// PutCredential stores c in the place of the credential of the same name, if
// there is one. Its secrets are encrypted, for the origins that it names.
func (db *DB) PutCredential(ctx context.Context, c tools.Credential) error {
	body, err := db.closeCredential(c)
	if err != nil {
		return wrap("put credential "+c.Name, err)
	}
	_, err = db.exec(ctx, `
		INSERT INTO credentials (name, body) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body`, c.Name, body)
	return wrap("put credential "+c.Name, err)
}

// DeleteCredential removes the credential of that name and all its tokens.
func (db *DB) DeleteCredential(ctx context.Context, name string) error {
	res, err := db.exec(ctx, `DELETE FROM credentials WHERE name = $1`, name)
	return wrap("delete credential "+name, oneRow(res, err, chat.ErrNotFound))
}

// openCredential fails if a secret cannot be decrypted.
func (db *DB) openCredential(body []byte) (tools.Credential, error) {
	var name struct{ Name string }
	if err := json.Unmarshal(body, &name); err != nil {
		return tools.Credential{}, err
	}
	return decodeCredential(body, db.unsealing(func(member string) string { return credentialPlace(name.Name, member) }))
}

func decodeCredential(body []byte, open func(member, value string) (string, error)) (c tools.Credential, err error) {
	if err := json.Unmarshal(body, &c); err != nil {
		return c, err
	}
	return c.MapSecrets(open)
}

func (db *DB) closeCredential(c tools.Credential) (string, error) {
	name := c.Name
	c, err := c.MapSecrets(db.sealing(func(member string) string { return credentialPlace(name, member) }))
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(c)
	return string(b), err
}
