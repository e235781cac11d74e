package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
)

// memory is the path of a store that is not kept.
const memory = ":memory:"

// readers is how many statements may read a file at once. Each reader keeps a
// page cache of about 2 MB.
const readers = 4

// migrateTries bounds how often a migration of a file is begun anew: another
// process that opens it at the same time may have done a part of it.
const migrateTries = 5

func sqliteDialect() dialect {
	return dialect{
		goose: goose.DialectSQLite3, folder: "sqlite",
		insertMost:  16, // it searches numbered parameters by their names, one by one
		scrub:       []string{`PRAGMA secure_delete = ON`},
		unscrub:     []string{`PRAGMA secure_delete = OFF`},
		settle:      `PRAGMA wal_checkpoint(TRUNCATE)`,
		lastSegment: `SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'rag_segments'`,
		skipSegments: []string{
			`INSERT INTO rag_segments (id, collection, state, reserved) VALUES ($1, '', 0, 0)`,
			`DELETE FROM rag_segments WHERE id = $1`,
		},
	}
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := create(path); err != nil {
		return nil, wrap("open "+path, err)
	}
	db, err := openPools(dsn(path))
	if err != nil {
		return nil, wrap("open "+path, err)
	}
	for range migrateTries {
		if err = db.dialect.migrate(ctx, db.write); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
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
	writes, err := newSQLiteConnector(dsn + "&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	reads, err := newSQLiteConnector(dsn)
	if err != nil {
		return nil, err
	}
	w, r := sql.OpenDB(writes), sql.OpenDB(reads)
	w.SetMaxOpenConns(1)
	r.SetMaxOpenConns(readers)
	r.SetMaxIdleConns(readers)
	return &DB{write: w, read: r, dialect: sqliteDialect()}, nil
}
