package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"parley/gateway/store/vault"
	"parley/tools"
)

var (
	// ErrSealed is returned where a secret is needed of a store that was opened
	// without a vault.
	ErrSealed = errors.New("the store was opened without the key of its secrets")

	// ErrKey is returned if the secrets of a store are encrypted under a key
	// that was not given.
	ErrKey = errors.New("the secrets are encrypted under another key")
)

// The secret that tells whether a key fits the store.
const (
	checkName  = "vault-check"
	checkPlain = "parley"
)

// The places that secrets are sealed for: none opens elsewhere.

func secretPlace(name string) string             { return "secrets\x00" + name }
func endpointPlace(name, member string) string   { return "endpoints\x00" + name + "\x00" + member }
func mcpPlace(name, member string) string        { return "mcp\x00" + name + "\x00" + member }
func credentialPlace(name, member string) string { return "credentials\x00" + name + "\x00" + member }

func feedPlace(name, member string) string { return "feeds\x00" + name + "\x00" + member }

func tokenPlace(k tools.TokenKey) string { return "tokens\x00" + k.Credential + "\x00" + k.Person }
func departurePlace(state string) string { return "departures\x00" + state }

// seal encrypts a value for a place.
func (db *DB) seal(plain []byte, place string) (string, error) {
	if db.vault == nil {
		return "", ErrSealed
	}
	return db.vault.Seal(plain, place), nil
}

// unseal decrypts a value of a place. One that is not encrypted is taken as
// it is: a replica of an earlier version may just have stored it.
func (db *DB) unseal(value []byte, place string) ([]byte, error) {
	switch {
	case !vault.Sealed(value):
		return value, nil
	case db.vault == nil:
		return nil, ErrSealed
	}
	return db.vault.Open(value, place)
}

// sealing and unsealing are seal and unseal as stored texts are mapped.
func (db *DB) sealing(place func(member string) string) func(member, value string) (string, error) {
	return func(member, value string) (string, error) { return db.seal([]byte(value), place(member)) }
}

func (db *DB) unsealing(place func(member string) string) func(member, value string) (string, error) {
	return func(member, value string) (string, error) {
		plain, err := db.unseal([]byte(value), place(member))
		return string(plain), err
	}
}

// unlock sees that the vault's key fits the store, and brings all secrets
// under it: those that an earlier version stored as they are, and those under
// an old key. The first replica that comes does it for all.
func (db *DB) unlock(ctx context.Context) error {
	if err := db.all(ctx, db.dialect.scrub); err != nil {
		return wrap("unlock", err)
	}
	changed := false
	err := db.tx(ctx, func(tx *sql.Tx) (err error) {
		changed, err = db.unlockRows(ctx, tx)
		return err
	})
	err = errors.Join(err, db.all(ctx, db.dialect.unscrub))
	if err == nil && changed && db.dialect.settle != "" {
		err = db.all(ctx, []string{db.dialect.settle})
	}
	return wrap("unlock", err)
}

func (db *DB) all(ctx context.Context, statements []string) error {
	for _, s := range statements {
		if _, err := db.write.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) unlockRows(ctx context.Context, tx *sql.Tx) (changed bool, err error) {
	// Whoever inserts it has the others wait for the end.
	if _, err := tx.ExecContext(ctx, `INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, checkName, []byte{}); err != nil {
		return false, err
	}
	var check []byte
	if err := tx.QueryRowContext(ctx, `SELECT value FROM secrets WHERE name = $1`, checkName).Scan(&check); err != nil {
		return false, err
	}
	if len(check) > 0 {
		plain, err := db.vault.Open(check, secretPlace(checkName))
		if err != nil || string(plain) != checkPlain {
			return false, fmt.Errorf("%w: that of id %s, given was %s", ErrKey, vault.KeyID(check), db.vault.ID())
		}
	}
	if db.vault.Current(check) && !plainSecrets(ctx, tx) {
		return false, nil
	}
	return true, db.reseal(ctx, tx)
}

// plainSecrets reports whether there is a secret that a replica of an earlier
// version has stored since all were encrypted.
func plainSecrets(ctx context.Context, tx *sql.Tx) bool {
	rows, err := tx.QueryContext(ctx, `SELECT body FROM endpoints`)
	bodies, err := collect(rows, err, func(row interface{ Scan(...any) error }) (body string, err error) { return body, row.Scan(&body) })
	if err != nil {
		return false
	}
	for _, body := range bodies {
		e, err := decodeEndpoint([]byte(body))
		if err != nil {
			continue
		}
		_, err = e.MapSecrets(func(_, value string) (string, error) {
			if !vault.Sealed([]byte(value)) {
				return "", ErrSealed
			}
			return value, nil
		})
		if err != nil {
			return true
		}
	}
	return false
}

// A resealing is how the secrets of a table come under the newest key.
type resealing struct {
	table    string
	selects  string // two texts that name a row, and its value
	updates  string // $1 is the new value, $4 the old one
	isBinary bool
	again    func(a, b string, was []byte) (string, error)
}

func (db *DB) resealings() []resealing {
	return []resealing{
		{
			"secrets", `SELECT name, '', value FROM secrets WHERE name <> '` + checkName + `'`,
			`UPDATE secrets SET value = $1 WHERE name = $2 AND $3 = '' AND value = $4`, true,
			func(name, _ string, was []byte) (string, error) { return db.again(was, secretPlace(name)) },
		},
		{
			"endpoints", `SELECT name, '', body FROM endpoints`,
			`UPDATE endpoints SET body = $1 WHERE name = $2 AND $3 = '' AND body = $4`, false,
			func(_, _ string, was []byte) (string, error) {
				e, err := db.openEndpoint(was)
				if err != nil {
					return "", err
				}
				return db.closeEndpoint(e)
			},
		},
		{
			"mcp_servers", `SELECT name, '', body FROM mcp_servers`,
			`UPDATE mcp_servers SET body = $1 WHERE name = $2 AND $3 = '' AND body = $4`, false,
			func(_, _ string, was []byte) (string, error) { return db.resealMCPServer(was) },
		},
		{
			"credentials", `SELECT name, '', body FROM credentials`,
			`UPDATE credentials SET body = $1 WHERE name = $2 AND $3 = '' AND body = $4`, false,
			func(_, _ string, was []byte) (string, error) {
				c, err := db.openCredential(was)
				if err != nil {
					return "", err
				}
				return db.closeCredential(c)
			},
		},
		{
			"feeds", `SELECT name, '', body FROM feeds`,
			`UPDATE feeds SET body = $1 WHERE name = $2 AND $3 = '' AND body = $4`, false,
			func(_, _ string, was []byte) (string, error) {
				f, err := db.openFeed(was)
				if err != nil {
					return "", err
				}
				return db.closeFeed(f)
			},
		},
		{
			"tokens", `SELECT credential, person, body FROM tokens WHERE version > 0`,
			`UPDATE tokens SET body = $1 WHERE credential = $2 AND person = $3 AND body = $4`, false,
			func(credential, person string, was []byte) (string, error) {
				return db.again(was, tokenPlace(tools.TokenKey{Credential: credential, Person: person}))
			},
		},
	}
}

// again returns a value under the newest key.
func (db *DB) again(was []byte, place string) (string, error) {
	plain, err := db.unseal(was, place)
	if err != nil {
		return "", err
	}
	return db.seal(plain, place)
}

// reseal encrypts every secret under the newest key, and the check last.
func (db *DB) reseal(ctx context.Context, tx *sql.Tx) error {
	for _, r := range db.resealings() {
		if err := r.carryOut(ctx, tx); err != nil {
			return fmt.Errorf("%s: %w", r.table, err)
		}
	}
	check := db.vault.Seal([]byte(checkPlain), secretPlace(checkName))
	_, err := tx.ExecContext(ctx, `UPDATE secrets SET value = $2 WHERE name = $1`, checkName, []byte(check))
	return err
}

type sealedRow struct {
	a, b  string
	value []byte
}

func (r resealing) carryOut(ctx context.Context, tx *sql.Tx) error {
	found, err := tx.QueryContext(ctx, r.selects)
	rows, err := collect(found, err, func(row interface{ Scan(...any) error }) (s sealedRow, err error) {
		return s, row.Scan(&s.a, &s.b, &s.value)
	})
	if err != nil {
		return err
	}
	as := func(v []byte) any {
		if r.isBinary {
			return v
		}
		return string(v)
	}
	for _, row := range rows {
		now, err := r.again(row.a, row.b, row.value)
		if errors.Is(err, vault.ErrBroken) {
			continue // nobody can read it, and whoever needs it is told so
		}
		if err != nil {
			return fmt.Errorf("%s: %w", row.a, err)
		}
		// A replica that changes it at this moment encrypts it by itself.
		if _, err := tx.ExecContext(ctx, r.updates, as([]byte(now)), row.a, row.b, as(row.value)); err != nil {
			return err
		}
	}
	return nil
}
