package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/tools/rag"
)

// Commit implements [rag.Writer]. Every step that finds nothing to change
// shows that somebody else was first.
func (t Documents) Commit(ctx context.Context, ch rag.Change) error {
	err := t.db.tx(ctx, func(tx *sql.Tx) error {
		do := changer{ctx: ctx, tx: tx}
		do.bump(ch.Collection)
		do.remove(ch)
		do.add(ch)
		do.segments(ch)
		return do.err
	})
	if errors.Is(err, rag.ErrConflict) {
		return rag.ErrConflict
	}
	return wrap("commit documents", err)
}

// A changer makes the parts of one change. After the first error it does
// nothing.
type changer struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

func (c *changer) exec(query string, args ...any) {
	if c.err == nil {
		_, c.err = c.tx.ExecContext(c.ctx, query, args...)
	}
}

// one is exec for a statement that must change a row.
func (c *changer) one(query string, args ...any) {
	if c.err == nil {
		res, err := c.tx.ExecContext(c.ctx, query, args...)
		c.err = oneRow(res, err, rag.ErrConflict)
	}
}

// bump also locks the collection until the transaction ends.
func (c *changer) bump(collection string) {
	c.exec(`INSERT INTO rag_collections (name, version) VALUES ($1, 1)
		ON CONFLICT (name) DO UPDATE SET version = rag_collections.version + 1`, collection)
}

func (c *changer) remove(ch rag.Change) {
	if ch.Remove == 0 {
		return
	}
	c.one(`DELETE FROM rag_documents WHERE edition = $1 AND collection = $2`, ch.Remove, ch.Collection)
	c.exec(`DELETE FROM rag_chunks WHERE edition = $1`, ch.Remove)
	c.exec(`INSERT INTO rag_dead (edition, collection) VALUES ($1, $2) ON CONFLICT DO NOTHING`, ch.Remove, ch.Collection)
}

func (c *changer) add(ch rag.Change) {
	d := ch.Document
	if d == nil {
		return
	}
	c.one(`INSERT INTO rag_documents (collection, `+documentColumns+`, text)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		ch.Collection, d.ID, d.Edition, d.Name, d.Title, d.MediaType, d.Source, d.Runes, d.Chunks, millis(d.AddedAt), d.Text)
}

func (c *changer) segments(ch rag.Change) {
	const become = `UPDATE rag_segments SET state = $1 WHERE id = $2 AND state = $3`
	if ch.Add != 0 {
		c.one(become, segmentCommitted, ch.Add, segmentReserved)
	}
	for _, id := range ch.Drop {
		c.one(become, segmentDropped, id, segmentCommitted)
	}
	for _, e := range ch.Forget {
		c.exec(`DELETE FROM rag_dead WHERE edition = $1`, e)
	}
}

// Sweep implements [rag.Writer].
func (t Documents) Sweep(ctx context.Context, before time.Time, limit int) (n int, err error) {
	var id, state int64
	err = t.db.read.QueryRowContext(ctx, `
		SELECT id, state FROM rag_segments WHERE state = $1 OR state = $2 AND reserved < $3 ORDER BY id LIMIT 1`,
		segmentDropped, segmentReserved, millis(before)).Scan(&id, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, wrap("sweep documents", err)
	}
	err = t.db.tx(ctx, func(tx *sql.Tx) error {
		n, err = sweep(ctx, tx, id, state, limit)
		return err
	})
	if errors.Is(err, rag.ErrConflict) {
		return 0, nil
	}
	return n, wrap("sweep documents", err)
}

// sweep deletes rows of one segment, and the segment once it has none. Of
// one that was dropped the chunks stay, which belong to documents.
func sweep(ctx context.Context, tx *sql.Tx, id, state int64, limit int) (n int, err error) {
	if state == segmentReserved { // nobody may commit it from here on, and nobody may have
		do := changer{ctx: ctx, tx: tx}
		do.one(`UPDATE rag_segments SET state = $1 WHERE id = $2 AND state = $3`, segmentDropped, id, segmentReserved)
		if do.err != nil {
			return 0, do.err
		}
	}
	steps := []string{
		`DELETE FROM rag_postings WHERE segment = $1
		 AND term <= (SELECT max(term) FROM (SELECT term FROM rag_postings WHERE segment = $1 ORDER BY term LIMIT $2) AS first)`,
		`DELETE FROM rag_chunks WHERE edition = $1
		 AND number <= (SELECT max(number) FROM (SELECT number FROM rag_chunks WHERE edition = $1 ORDER BY number LIMIT $2) AS first)
		 AND NOT EXISTS (SELECT 1 FROM rag_documents WHERE edition = $1)`,
		`DELETE FROM rag_segments WHERE id = $1 AND $2 > 0`,
	}
	for _, step := range steps {
		res, err := tx.ExecContext(ctx, step, id, limit-n)
		if err != nil {
			return n, err
		}
		deleted, err := res.RowsAffected()
		if n += int(deleted); n >= limit || err != nil {
			return n, err
		}
	}
	return n, nil
}
