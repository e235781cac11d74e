package store

import (
	"context"
	"database/sql"
	"time"
)

// Guard takes the right to make a tool call that may be made once. It returns
// true for the first that asks, for good, whoever asks again and whatever
// became of the call. If there is no such run, perhaps because its
// conversation was deleted, the error is [chat.ErrNotFound].
//
// An error leaves it open whether the right was taken.
func (db *DB) Guard(ctx context.Context, run, call, by string) (first bool, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		var found int
		if err := tx.QueryRowContext(ctx, `SELECT 1 FROM runs WHERE id = $1`, run).Scan(&found); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `
			INSERT INTO guards (run, call, taker, taken) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			run, call, by, time.Now().UnixMilli())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		first = n > 0
		return err
	})
	return first && err == nil, wrap("guard "+call+" of "+run, err)
}

// Secret returns the secret of that name, which is fresh if there was none: so
// all replicas that share a store use the same one.
func (db *DB) Secret(ctx context.Context, name string, fresh []byte) (secret []byte, err error) {
	sealed, err := db.seal(fresh, secretPlace(name))
	if err != nil {
		return nil, wrap("secret "+name, err)
	}
	err = db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
			name, []byte(sealed)); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT value FROM secrets WHERE name = $1`, name).Scan(&secret)
	})
	if err == nil {
		secret, err = db.unseal(secret, secretPlace(name))
	}
	return secret, wrap("secret "+name, err)
}
