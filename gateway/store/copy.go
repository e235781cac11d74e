package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// copied are the tables in an order in which whatever a row belongs to comes
// before it.
func copied() []string {
	return []string{
		"conversations", "deleted_conversations", "messages", "runs", "guards", "secrets",
		"endpoints", "mcp_servers", "api_keys", "credentials", "tokens", "departures",
		"interrupts", "approvals", "file_owners", "files", "file_chunks", "feeds", "pins", "agents", "agent_versions", "usage_days",
		"rag_collections", "rag_documents", "rag_chunks", "rag_segments", "rag_postings", "rag_dead",
	}
}

// ErrNotEmpty is returned if a store is to be copied to one that is used.
var ErrNotEmpty = errors.New("it must be empty: take one on which no server has run")

// Copy copies everything from one store to another, which must be empty, or
// else nothing. It sees the state of from at one moment: what a server writes
// there afterwards is not in the copy. progress is told how many rows of a
// table are copied so far, of how many.
func Copy(ctx context.Context, from, to *DB, progress func(table string, rows, of int64)) error {
	err := once(ctx, from.read, from.dialect.snapshot, func(r *sql.Tx) error {
		return once(ctx, to.write, nil, func(w *sql.Tx) error {
			c := copier{ctx: ctx, from: r, to: w, into: to.dialect, progress: progress}
			return c.all(from.dialect, to.dialect)
		})
	})
	return wrap("copy", err)
}

// A copier copies within one transaction on each side.
type copier struct {
	ctx      context.Context
	from, to *sql.Tx
	into     dialect
	progress func(table string, rows, of int64)
}

func (c copier) all(from, to dialect) error {
	if err := errors.Join(c.exec(c.from, from.bulk), c.exec(c.to, to.bulk)); err != nil {
		return err
	}
	for _, table := range copied() {
		n, err := c.count(c.to, table)
		if err == nil && n > 0 {
			err = fmt.Errorf("the target has %d rows of %s: %w", n, table, ErrNotEmpty)
		}
		if err != nil {
			return err
		}
	}
	if err := c.segments(from, to); err != nil {
		return err
	}
	for _, table := range copied() {
		if err := c.table(table); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	return nil
}

func (c copier) exec(tx *sql.Tx, statements []string, args ...any) error {
	for _, s := range statements {
		if _, err := tx.ExecContext(c.ctx, s, args...); err != nil {
			return err
		}
	}
	return nil
}

func (c copier) count(tx *sql.Tx, table string) (n int64, err error) {
	err = tx.QueryRowContext(c.ctx, "SELECT COUNT(*) FROM "+table).Scan(&n)
	return n, err
}

// segments has the new store go on numbering where the old one ended.
func (c copier) segments(from, to dialect) error {
	var last int64
	if err := c.from.QueryRowContext(c.ctx, from.lastSegment).Scan(&last); err != nil || last == 0 {
		return err
	}
	return c.exec(c.to, to.skipSegments, last)
}

// table copies a table and compares the numbers of rows.
func (c copier) table(table string) error {
	of, err := c.count(c.from, table)
	if err != nil {
		return err
	}
	if err := c.rows(table, of); err != nil {
		return err
	}
	n, err := c.count(c.to, table)
	if err == nil && n != of {
		err = fmt.Errorf("%d rows became %d", of, n)
	}
	return err
}

// What is read before it is written, but for the row that goes beyond it.
const (
	copyRows  = 1024
	copyBytes = 4 << 20
)

func (c copier) rows(table string, of int64) error {
	rows, err := c.from.QueryContext(c.ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	var batch [][]any
	size, done := 0, int64(0)
	flush := func() error {
		err := c.into.insertRows(c.ctx, c.to, table, columns, batch)
		done += int64(len(batch))
		batch, size = batch[:0], 0
		c.progress(table, done, of)
		return err
	}
	for rows.Next() {
		row, n, err := scanAny(rows, len(columns))
		if err != nil {
			return err
		}
		batch, size = append(batch, row), size+n
		if len(batch) == copyRows || size >= copyBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return errors.Join(rows.Err(), flush())
}

// scanAny also returns about how many bytes the row has.
func scanAny(rows *sql.Rows, width int) (row []any, size int, err error) {
	row = make([]any, width)
	into := make([]any, width)
	for i := range row {
		into[i] = &row[i]
	}
	err = rows.Scan(into...)
	for _, v := range row {
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	return row, size, err
}
