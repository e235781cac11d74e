package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"parley/gateway/chat"
	"parley/tools"
)

// Token implements [tools.TokenStore].
func (db *DB) Token(ctx context.Context, k tools.TokenKey) (t tools.Token, err error) {
	var body []byte
	var version int64
	err = db.read.QueryRowContext(ctx, `SELECT body, version FROM tokens WHERE credential = $1 AND person = $2 AND version > 0`,
		k.Credential, k.Person).Scan(&body, &version)
	if err == nil {
		body, err = db.unseal(body, tokenPlace(k))
	}
	if err == nil {
		err = json.Unmarshal(body, &t)
	}
	t.Version = version
	return t, wrap("token of "+k.Credential, err)
}

// LeaseToken implements [tools.TokenStore].
func (db *DB) LeaseToken(ctx context.Context, k tools.TokenKey, version int64, holder string, until time.Time) (held bool, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		if version == 0 && !until.IsZero() { // a place for the lease
			_, err := tx.ExecContext(ctx, `
				INSERT INTO tokens (credential, person, version, body, holder, held_until) VALUES ($1, $2, 0, '', '', 0)
				ON CONFLICT DO NOTHING`, k.Credential, k.Person)
			if err != nil {
				return missing(err)
			}
		}
		res, err := tx.ExecContext(ctx, `
			UPDATE tokens SET holder = $4, held_until = $5
			WHERE credential = $1 AND person = $2 AND version = $3 AND (holder = $4 OR held_until < $6)`,
			k.Credential, k.Person, version, holder, millis(until), time.Now().UnixMilli())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		held = n > 0
		return err
	})
	return held && err == nil, wrap("lease token of "+k.Credential, err)
}

// PutToken implements [tools.TokenStore].
func (db *DB) PutToken(ctx context.Context, k tools.TokenKey, t tools.Token, version int64) (stored bool, err error) {
	b, err := json.Marshal(t)
	if err != nil {
		return false, wrap("put token of "+k.Credential, err)
	}
	body, err := db.seal(b, tokenPlace(k))
	if err != nil {
		return false, wrap("put token of "+k.Credential, err)
	}
	err = db.tx(ctx, func(tx *sql.Tx) error {
		stored, err = putToken(ctx, tx, k, body, version)
		return err
	})
	return stored && err == nil, wrap("put token of "+k.Credential, err)
}

// putToken numbers tokens by the time, so that one that was deleted and is
// there again has another version.
func putToken(ctx context.Context, tx *sql.Tx, k tools.TokenKey, body string, version int64) (bool, error) {
	res, err := tx.ExecContext(ctx, `
		UPDATE tokens SET body = $3, version = CASE WHEN version < $4 THEN $4 ELSE version + 1 END, holder = '', held_until = 0
		WHERE credential = $1 AND person = $2 AND (version = $5 OR $5 = -1)`,
		k.Credential, k.Person, body, time.Now().UnixMicro(), version)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil || n > 0 || version > 0 {
		return n > 0, err
	}
	res, err = tx.ExecContext(ctx, `
		INSERT INTO tokens (credential, person, version, body, holder, held_until) VALUES ($1, $2, $3, $4, '', 0)
		ON CONFLICT DO NOTHING`, k.Credential, k.Person, time.Now().UnixMicro(), body)
	if err != nil {
		return false, missing(err)
	}
	n, err = res.RowsAffected()
	return n > 0, err
}

// missing is [sql.ErrNoRows] if what a row belongs to is not there.
func missing(err error) error {
	if orphan(err) {
		return sql.ErrNoRows
	}
	return err
}

// DeleteToken implements [tools.TokenStore].
func (db *DB) DeleteToken(ctx context.Context, k tools.TokenKey, version int64) (bool, error) {
	res, err := db.exec(ctx, `DELETE FROM tokens WHERE credential = $1 AND person = $2 AND (version = $3 OR $3 = -1) AND version > 0`,
		k.Credential, k.Person, version)
	err = oneRow(res, err, chat.ErrNotFound)
	if errors.Is(err, chat.ErrNotFound) {
		return false, nil
	}
	return err == nil, wrap("delete token of "+k.Credential, err)
}

// Connections returns the tokens of a person, by credential, without what is
// secret in them.
func (db *DB) Connections(ctx context.Context, person string) ([]tools.Connection, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT credential FROM tokens WHERE person = $1 AND version > 0 ORDER BY credential`, person)
	names, err := collect(rows, err, func(row interface{ Scan(...any) error }) (name string, err error) { return name, row.Scan(&name) })
	if err != nil {
		return nil, wrap("connections", err)
	}
	var cs []tools.Connection
	for _, name := range names {
		t, err := db.Token(ctx, tools.TokenKey{Credential: name, Person: person})
		switch {
		case errors.Is(err, chat.ErrNotFound):
			continue // ended at this moment
		case err != nil:
			return nil, err
		}
		cs = append(cs, tools.Connection{Credential: name, Since: t.Since, Revision: t.Revision})
	}
	return cs, nil
}

// PutDeparture implements [tools.DepartureStore].
func (db *DB) PutDeparture(ctx context.Context, state string, d tools.Departure) error {
	b, err := json.Marshal(d)
	if err != nil {
		return wrap("put departure", err)
	}
	body, err := db.seal(b, departurePlace(state))
	if err != nil {
		return wrap("put departure", err)
	}
	return wrap("put departure", db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM departures WHERE expires < $1`, time.Now().UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO departures (state, body, expires) VALUES ($1, $2, $3)`, state, body, d.Expires.UnixMilli())
		return err
	}))
}

// TakeDeparture implements [tools.DepartureStore].
func (db *DB) TakeDeparture(ctx context.Context, state string) (d tools.Departure, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		var body []byte
		if err := tx.QueryRowContext(ctx, `DELETE FROM departures WHERE state = $1 RETURNING body`, state).Scan(&body); err != nil {
			return err
		}
		plain, err := db.unseal(body, departurePlace(state))
		if err != nil {
			return err
		}
		return json.Unmarshal(plain, &d)
	})
	if err == nil && time.Now().After(d.Expires) {
		err = sql.ErrNoRows
	}
	return d, wrap("take departure", err)
}
