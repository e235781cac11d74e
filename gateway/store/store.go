// Package store is what outlives Redis: conversations, their messages and
// runs, registered tool endpoints, documents and keys, in SQL. Today that is a
// SQLite file.
//
// Delivery: what a method has acknowledged by returning nil survives the end
// of the process, however it comes. Everything that the writer of a
// conversation stores is fenced by its generation.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// memory is the path of a store that is not kept.
const memory = ":memory:"

// readers is how many statements may read at once. Each reader keeps a page
// cache of about 2 MB.
const readers = 4

// A DB is an open store. All methods may be called concurrently, and several
// processes may have one file open.
type DB struct {
	// write has one connection: SQLite has one writer at a time, and waiting
	// for it in Go is fair and can be cancelled. Its transactions take the
	// write lock when they begin.
	write *sql.DB
	read  *sql.DB
}

// Open opens the store at path, a SQLite file that is created, readable for
// its owner alone, if there is none, and brings its tables up to date. The
// path ":memory:" is a store of its own that ends with Close.
func Open(ctx context.Context, path string) (*DB, error) {
	if strings.HasPrefix(path, "postgres://") || strings.HasPrefix(path, "postgresql://") {
		return nil, errors.New("store: PostgreSQL is not supported yet: set PARLEY_STORE to the path of a SQLite file")
	}
	if path == "" {
		return nil, errors.New("store: no path: set PARLEY_STORE to the path of a SQLite file")
	}
	if err := create(path); err != nil {
		return nil, wrap("open "+path, err)
	}
	db, err := openPools(dsn(path))
	if err != nil {
		return nil, wrap("open "+path, err)
	}
	if err := db.migrate(ctx); err != nil {
		db.Close()
		return nil, wrap("open "+path, err)
	}
	return db, nil
}

// create makes the file, and its directory, before SQLite does, which would
// let everybody read them. A file that exists is not even opened: closing it
// would drop the locks that this process may hold on it.
func create(path string) error {
	if path == memory {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func dsn(path string) string {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)"}}
	if path == memory {
		path = "/" + rand.Text() // memdb shares within the process what begins with a slash
		q.Set("vfs", "memdb")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func openPools(dsn string) (*DB, error) {
	w, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	r, err := sql.Open("sqlite", dsn)
	if err != nil {
		w.Close()
		return nil, err
	}
	w.SetMaxOpenConns(1)
	r.SetMaxOpenConns(readers)
	r.SetMaxIdleConns(readers)
	return &DB{write: w, read: r}, nil
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
// must not be called from within f, which would wait for itself.
func (db *DB) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		tx.Rollback() //nolint:errcheck // f's error says more
		return err
	}
	return tx.Commit()
}
