// Package store is what outlives Redis: conversations, their messages and
// runs, registered tool endpoints, documents and keys, in SQL: a SQLite file,
// or a PostgreSQL database that replicas on several machines share.
//
// Delivery: what a method has acknowledged by returning nil survives the end
// of the process, however it comes. Everything that the writer of a
// conversation stores is fenced by its generation.
//
// An error means that nothing was stored, unless it is the connection to
// PostgreSQL that failed, or the context that ended: then a change may have
// been stored whole. All changes may be made again.
//
// The texts of the statements are the same for both databases. What they lock
// is the row of the conversation, or of the collection of documents: whoever
// changes something in one holds its row until the transaction ends, and
// reads in later statements, which see what others have committed until then.
package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"parley/gateway/store/vault"
)

// A DB is an open store. All methods may be called concurrently, and several
// processes may have one store open.
type DB struct {
	// write has one connection to a SQLite file: SQLite has one writer at a
	// time, and waiting for it in Go is fair and can be cancelled. Its
	// transactions take the write lock when they begin. For PostgreSQL it is
	// the same pool as read.
	write   *sql.DB
	read    *sql.DB
	dialect dialect
	vault   *vault.Vault // nil: secrets can neither be read nor stored
}

// Open opens a store and brings its tables up to date. The path is that of a
// SQLite file, which is created, readable for its owner alone, if there is
// none; or ":memory:", a store of its own that ends with Close; or the URL of
// a PostgreSQL database, postgres://user:password@host:5432/database.
//
// Such a URL takes all parameters of libpq (several hosts, sslmode,
// search_path …), and these have defaults of Parley's: pool_max_conns (10),
// pool_max_conn_lifetime (1h), pool_max_conn_idle_time (30m), connect_timeout
// (5, in seconds), statement_timeout (30s), lock_timeout (10s),
// idle_in_transaction_session_timeout (60s), application_name (parley).
//
// PostgreSQL holds neither NUL nor invalid UTF-8 in a text: U+FFFD stands in
// their place, in what is stored and in what is looked for. Messages lose
// nothing by it: they are stored as JSON, where NUL is escaped.
//
// Secrets are encrypted by v: those that an earlier version has stored as they
// are, and those under an old key of v, are brought under its newest key here.
// If they are under a key that v has not, the error is [ErrKey] and nothing has
// changed. With a nil v secrets can be neither read nor stored; all else works.
func Open(ctx context.Context, path string, v *vault.Vault) (*DB, error) {
	db, err := openTables(ctx, path)
	if err != nil || v == nil {
		return db, err
	}
	db.vault = v
	if err := db.unlock(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func openTables(ctx context.Context, path string) (*DB, error) {
	switch {
	case path == "":
		return nil, errors.New("store: no path: set PARLEY_STORE to the path of a SQLite file or to a postgres:// URL")
	case IsPostgres(path):
		return openPostgres(ctx, path)
	}
	return openSQLite(ctx, path)
}

// IsPostgres reports whether [Open] takes a path for the URL of a PostgreSQL
// database.
func IsPostgres(path string) bool {
	return strings.HasPrefix(path, "postgres://") || strings.HasPrefix(path, "postgresql://")
}

// Ping reports whether the store answers and its writer can be had. It does
// not try whether the disk has room.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.read.PingContext(ctx); err != nil {
		return wrap("ping", err)
	}
	return wrap("ping", db.tx(ctx, func(*sql.Tx) error { return nil }))
}

// Close ends the store, once what is under way is done.
func (db *DB) Close() error { return wrap("close", errors.Join(db.read.Close(), db.write.Close())) }

// tx runs f in a transaction of the writer and commits it unless f fails. It
// must not be called from within f, which would wait for itself. f is run
// again if another's transaction undid this one.
func (db *DB) tx(ctx context.Context, f func(*sql.Tx) error) error {
	return again(ctx, func() error { return once(ctx, db.write, nil, f) })
}

func once(ctx context.Context, pool *sql.DB, o *sql.TxOptions, f func(*sql.Tx) error) error {
	tx, err := pool.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		tx.Rollback() //nolint:errcheck // f's error says more
		return err
	}
	return tx.Commit()
}

// exec runs one statement of the writer by itself.
func (db *DB) exec(ctx context.Context, query string, args ...any) (res sql.Result, err error) {
	err = again(ctx, func() error {
		res, err = db.write.ExecContext(ctx, query, args...)
		return err
	})
	return res, err
}

// How often a change is made that others' transactions undo, and how long the
// first pause is at most; each one later is twice as long. All of them
// together last a second on average.
const (
	undoneTries = 8
	undonePause = 16 * time.Millisecond
)

// again runs f until it is not undone, or too often.
func again(ctx context.Context, f func() error) error {
	for try := range undoneTries - 1 {
		err := f()
		if !undone(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(undonePause << try)):
		}
	}
	return f()
}
