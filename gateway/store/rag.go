package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"parley/tools/rag"
)

// Documents are the tables of retrieval. All methods may be called
// concurrently.
type Documents struct{ db *DB }

var _ rag.Tables = Documents{}

// Documents returns the store's tables for [rag.New].
func (db *DB) Documents() Documents { return Documents{db} }

// States of a segment.
const (
	segmentReserved = iota
	segmentCommitted
	segmentDropped
)

const documentColumns = `id, edition, name, title, media_type, source, runes, chunks, added`

func scanDocument(row interface{ Scan(...any) error }) (d rag.Document, err error) {
	var added int64
	err = row.Scan(&d.ID, &d.Edition, &d.Name, &d.Title, &d.MediaType, &d.Source, &d.Runes, &d.Chunks, &added)
	d.AddedAt = fromMillis(added)
	return d, err
}

// List implements [rag.Library].
func (t Documents) List(ctx context.Context, collection, after string, limit int) ([]rag.Document, error) {
	rows, err := t.db.read.QueryContext(ctx, `
		SELECT `+documentColumns+` FROM rag_documents
		WHERE collection = $1 AND id > $2 ORDER BY id LIMIT $3`, collection, after, limit)
	docs, err := collect(rows, err, scanDocument)
	return docs, wrap("documents", err)
}

// Find implements [rag.Library].
func (t Documents) Find(ctx context.Context, collection, name, slug string) ([]rag.Document, error) {
	rows, err := t.db.read.QueryContext(ctx, `
		SELECT `+documentColumns+` FROM rag_documents WHERE collection = $1 AND name = $2
		UNION
		SELECT `+documentColumns+` FROM rag_documents WHERE collection = $1 AND id = $3
		UNION
		SELECT `+documentColumns+` FROM rag_documents WHERE collection = $1 AND id > $3 || '-' AND id < $3 || '.'`,
		collection, name, slug) // '.' follows '-'
	docs, err := collect(rows, err, scanDocument)
	return docs, wrap("find document "+name, err)
}

// Document implements [rag.Library].
func (t Documents) Document(ctx context.Context, collection, id string) (rag.Document, error) {
	var text string
	row := t.db.read.QueryRowContext(ctx, `
		SELECT `+documentColumns+`, text FROM rag_documents WHERE collection = $1 AND id = $2`, collection, id)
	d, err := scanDocument(scanMore{row, []any{&text}})
	if errors.Is(err, sql.ErrNoRows) {
		err = fs.ErrNotExist
	}
	d.Text = text
	return d, wrap("document "+id, err)
}

// scanMore scans columns behind those that a scan function knows.
type scanMore struct {
	row  *sql.Row
	more []any
}

func (s scanMore) Scan(dest ...any) error { return s.row.Scan(append(dest, s.more...)...) }

// Catalogue implements [rag.Reader]. One statement sees one state.
func (t Documents) Catalogue(ctx context.Context, collection string, known int64) (rag.Catalogue, error) {
	var cat rag.Catalogue
	err := t.db.read.QueryRowContext(ctx,
		`SELECT version FROM rag_collections WHERE name = $1`, collection).Scan(&cat.Version)
	if errors.Is(err, sql.ErrNoRows) || err == nil && cat.Version == known {
		return cat, nil
	}
	if err != nil {
		return cat, wrap("catalogue", err)
	}
	rows, err := t.db.read.QueryContext(ctx, `
		SELECT 0 AS kind, version AS n FROM rag_collections WHERE name = $1
		UNION ALL SELECT 1, id FROM rag_segments WHERE collection = $1 AND state = $2
		UNION ALL SELECT 2, edition FROM rag_dead WHERE collection = $1
		ORDER BY kind, n`, collection, segmentCommitted)
	if err == nil {
		cat, err = scanCatalogue(rows)
	}
	return cat, wrap("catalogue", err)
}

func scanCatalogue(rows *sql.Rows) (cat rag.Catalogue, err error) {
	defer rows.Close()
	for rows.Next() {
		var kind, n int64
		if err := rows.Scan(&kind, &n); err != nil {
			return cat, err
		}
		switch kind {
		case 0:
			cat.Version = n
		case 1:
			cat.Segments = append(cat.Segments, n)
		case 2:
			cat.Dead = append(cat.Dead, n)
		}
	}
	return cat, rows.Err()
}

// Postings implements [rag.Reader]. The outer join has a row for every
// segment, so what is missing was not there when the rest was read.
func (t Documents) Postings(ctx context.Context, segments []int64, terms []string) ([]rag.Posting, error) {
	args := make([]any, 0, len(segments)+len(terms))
	for _, id := range segments {
		args = append(args, id)
	}
	for _, term := range terms {
		args = append(args, term)
	}
	rows, err := t.db.read.QueryContext(ctx, `
		SELECT s.id, p.term, p.df, p.data FROM rag_segments s
		LEFT JOIN rag_postings p ON p.segment = s.id AND p.term IN (`+params(len(segments)+1, len(terms))+`)
		WHERE s.id IN (`+params(1, len(segments))+`) AND s.state = 1`, args...)
	if err != nil {
		return nil, wrap("postings", err)
	}
	out, seen, err := scanPostings(rows)
	if err == nil && seen < len(segments) {
		return nil, rag.ErrStale
	}
	return out, wrap("postings", err)
}

// scanPostings also returns how many segments it saw.
func scanPostings(rows *sql.Rows) (out []rag.Posting, segments int, err error) {
	defer rows.Close()
	seen := make(map[int64]bool)
	for rows.Next() {
		var p rag.Posting
		var term sql.NullString
		var df sql.NullInt64
		if err := rows.Scan(&p.Segment, &term, &df, &p.Data); err != nil {
			return nil, 0, err
		}
		seen[p.Segment] = true
		if term.Valid {
			p.Term, p.DF = term.String, int(df.Int64)
			out = append(out, p)
		}
	}
	return out, len(seen), rows.Err()
}

// Scan implements [rag.Reader].
func (t Documents) Scan(ctx context.Context, segment int64, after string, limit int) ([]rag.Posting, error) {
	rows, err := t.db.read.QueryContext(ctx, `
		SELECT segment, term, df, data FROM rag_postings
		WHERE segment = $1 AND term > $2 ORDER BY term LIMIT $3`, segment, after, limit)
	if err != nil {
		return nil, wrap("scan segment", err)
	}
	out, _, err := scanPostings(rows)
	return out, wrap("scan segment", err)
}

// Chunks implements [rag.Reader].
func (t Documents) Chunks(ctx context.Context, keys []rag.Key) ([]rag.Chunk, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	args := make([]any, 0, 2*len(keys))
	pairs := make([]string, len(keys))
	for i, k := range keys {
		args = append(args, k.Edition, k.Number)
		pairs[i] = fmt.Sprintf("(CAST($%d AS BIGINT), CAST($%d AS BIGINT))", 2*i+1, 2*i+2)
	}
	rows, err := t.db.read.QueryContext(ctx, `
		WITH k (edition, number) AS (VALUES `+strings.Join(pairs, ",")+`)
		SELECT c.edition, c.number, c.headings, c.begins, c.ends, c.text, d.id, d.title
		FROM k JOIN rag_chunks c ON c.edition = k.edition AND c.number = k.number
		JOIN rag_documents d ON d.edition = c.edition`, args...)
	out, err := collect(rows, err, scanChunk)
	return out, wrap("chunks", err)
}

func scanChunk(row interface{ Scan(...any) error }) (c rag.Chunk, err error) {
	var headings []byte
	s := &c.Source
	if err := row.Scan(&c.Edition, &c.Number, &headings, &s.Start, &s.End, &s.Text, &s.Document, &s.Title); err != nil {
		return c, err
	}
	return c, json.Unmarshal(headings, &s.Headings)
}

// Reserve implements [rag.Writer].
func (t Documents) Reserve(ctx context.Context, collection string, now time.Time) (id int64, err error) {
	err = again(ctx, func() error {
		return t.db.write.QueryRowContext(ctx, `
			INSERT INTO rag_segments (collection, state, reserved) VALUES ($1, $2, $3) RETURNING id`,
			collection, segmentReserved, millis(now)).Scan(&id)
	})
	return id, wrap("reserve segment", err)
}

// Write implements [rag.Writer].
func (t Documents) Write(ctx context.Context, segment int64, postings []rag.Posting, chunks []rag.Chunk) error {
	return wrap("write segment", t.db.tx(ctx, func(tx *sql.Tx) error {
		if err := t.writePostings(ctx, tx, segment, postings); err != nil {
			return err
		}
		return t.writeChunks(ctx, tx, segment, chunks)
	}))
}

func (t Documents) writePostings(ctx context.Context, tx *sql.Tx, segment int64, postings []rag.Posting) error {
	rows := make([][]any, len(postings))
	for i, p := range postings {
		rows[i] = []any{segment, p.Term, p.DF, p.Data}
	}
	return t.db.dialect.insertRows(ctx, tx, "rag_postings", []string{"segment", "term", "df", "data"}, rows)
}

func (t Documents) writeChunks(ctx context.Context, tx *sql.Tx, edition int64, chunks []rag.Chunk) error {
	rows := make([][]any, len(chunks))
	for i, c := range chunks {
		headings, err := json.Marshal(c.Source.Headings)
		if err != nil {
			return err
		}
		rows[i] = []any{edition, c.Number, string(headings), c.Source.Start, c.Source.End, c.Source.Text}
	}
	return t.db.dialect.insertRows(ctx, tx, "rag_chunks", []string{"edition", "number", "headings", "begins", "ends", "text"}, rows)
}
