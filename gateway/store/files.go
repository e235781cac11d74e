package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// chunkSize is the length of all chunks of a file but the last: each is a row.
const chunkSize = 256 << 10

// A fileWriter implements [chat.FileWriter].
type fileWriter struct {
	db     *DB
	f      chat.NewFile
	sum    hash.Hash
	buf    []byte
	chunks int
	size   int64
}

// NewFile begins a file. Nobody sees it before Commit. What was begun under
// the same client id and is not whole gives way. The error is [chat.ErrQuota]
// if the person has too much already, and [chat.ErrTaken] if the client id is that of
// a whole file.
func (db *DB) NewFile(ctx context.Context, f chat.NewFile) (chat.FileWriter, error) {
	err := db.tx(ctx, func(tx *sql.Tx) error {
		if err := room(ctx, tx, f, f.Size); err != nil {
			return err
		}
		if f.ClientID != "" {
			if _, err := tx.ExecContext(ctx, `DELETE FROM files WHERE owner = $1 AND client_id = $2 AND whole = 0`, f.Owner, f.ClientID); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, `
			INSERT INTO files (id, owner, conversation, client_id, name, media, size, sha256, whole, created)
			VALUES ($1, $2, $3, $4, $5, '', $6, '', 0, $7) ON CONFLICT DO NOTHING`,
			f.ID, f.Owner, orNull(f.Conversation), orNull(f.ClientID), f.Name, f.Size, time.Now().UnixMilli())
		return oneRow(res, err, chat.ErrTaken)
	})
	if err != nil {
		return nil, wrapFile("new file "+f.ID, err)
	}
	return &fileWriter{db: db, f: f, sum: sha256.New()}, nil
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// room makes sure that a person may have size bytes more in one more file, but
// for the file itself. It locks what the person has until the transaction ends.
func room(ctx context.Context, tx *sql.Tx, f chat.NewFile, size int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO file_owners (owner) VALUES ($1) ON CONFLICT (owner) DO UPDATE SET owner = excluded.owner`, f.Owner)
	if err != nil {
		return err
	}
	var files int
	var bytes int64
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM files WHERE owner = $1 AND id <> $2`, f.Owner, f.ID).Scan(&files, &bytes)
	if err == nil && (f.Most.Files > 0 && files >= f.Most.Files || f.Most.Bytes > 0 && bytes+size > f.Most.Bytes) {
		err = chat.ErrQuota
	}
	return err
}

// Write implements [chat.FileWriter].
func (w *fileWriter) Write(ctx context.Context, p []byte) error {
	w.size += int64(len(p))
	w.sum.Write(p)
	for len(p) > 0 {
		n := min(chunkSize-len(w.buf), len(p))
		w.buf, p = append(w.buf, p[:n]...), p[n:]
		if len(w.buf) == chunkSize {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Size implements [chat.FileWriter].
func (w *fileWriter) Size() int64 { return w.size }

// SHA256 implements [chat.FileWriter].
func (w *fileWriter) SHA256() string { return hex.EncodeToString(w.sum.Sum(nil)) }

func (w *fileWriter) flush(ctx context.Context) error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.db.exec(ctx, `INSERT INTO file_chunks (file, number, data) VALUES ($1, $2, $3)`, w.f.ID, w.chunks, w.buf)
	w.chunks, w.buf = w.chunks+1, w.buf[:0]
	return wrapFile("write file "+w.f.ID, err)
}

// Commit implements [chat.FileWriter].
func (w *fileWriter) Commit(ctx context.Context, media string) (chat.File, error) {
	if err := w.flush(ctx); err != nil {
		return chat.File{}, err
	}
	var f chat.File
	err := w.db.tx(ctx, func(tx *sql.Tx) error {
		if err := room(ctx, tx, w.f, w.size); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `UPDATE files SET whole = 1, size = $2, sha256 = $3, media = $4 WHERE id = $1 AND whole = 0`,
			w.f.ID, w.size, w.SHA256(), media)
		if err := oneRow(res, err, chat.ErrNotFound); err != nil {
			return err
		}
		f, err = scanFile(tx.QueryRowContext(ctx, fileQuery+`id = $1`, w.f.ID))
		return err
	})
	return f, wrapFile("commit file "+w.f.ID, err)
}

// Abort implements [chat.FileWriter].
func (w *fileWriter) Abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := w.db.exec(ctx, `DELETE FROM files WHERE id = $1 AND whole = 0`, w.f.ID)
	return wrapFile("abort file "+w.f.ID, err)
}

func wrapFile(op string, err error) error {
	if isForeignKey(err) {
		err = chat.ErrNotFound
	}
	return wrap(op, err)
}

const fileQuery = `SELECT id, owner, COALESCE(conversation, ''), name, media, size, sha256, created FROM files WHERE whole = 1 AND `

func scanFile(row interface{ Scan(...any) error }) (f chat.File, err error) {
	var created int64
	err = row.Scan(&f.ID, &f.Owner, &f.Conversation, &f.Name, &f.Media, &f.Size, &f.SHA256, &created)
	f.Created = fromMillis(created)
	return f, err
}

// File returns a whole file, whoever owns it.
func (db *DB) File(ctx context.Context, id string) (chat.File, error) {
	f, err := scanFile(db.read.QueryRowContext(ctx, fileQuery+`id = $1`, id))
	return f, wrap("file "+id, err)
}

// FileOf returns the whole file that was uploaded under a client id.
func (db *DB) FileOf(ctx context.Context, owner, clientID string) (chat.File, error) {
	f, err := scanFile(db.read.QueryRowContext(ctx, fileQuery+`owner = $1 AND client_id = $2`, owner, clientID))
	return f, wrap("file "+clientID+" of "+owner, err)
}

// OpenFile returns a file and what is in it. Each read asks the store for at
// most one chunk; ctx must live as long as that.
func (db *DB) OpenFile(ctx context.Context, id string) (chat.File, io.ReadSeeker, error) {
	f, err := db.File(ctx, id)
	if err != nil {
		return f, nil, err
	}
	return f, &fileReader{ctx: ctx, db: db, f: f, have: -1}, nil
}

// A fileReader reads one file. It is used by one goroutine.
type fileReader struct {
	ctx   context.Context
	db    *DB
	f     chat.File
	at    int64
	have  int64 // number of chunk, -1 for none
	chunk []byte
}

// Read implements [io.Reader].
func (r *fileReader) Read(p []byte) (int, error) {
	if r.at >= r.f.Size {
		return 0, io.EOF
	}
	if number := r.at / chunkSize; number != r.have {
		err := r.db.read.QueryRowContext(r.ctx, `SELECT data FROM file_chunks WHERE file = $1 AND number = $2`, r.f.ID, number).Scan(&r.chunk)
		if err != nil {
			return 0, wrap("read file "+r.f.ID, err)
		}
		r.have = number
	}
	from := r.at % chunkSize
	if from >= int64(len(r.chunk)) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, r.chunk[from:])
	r.at += int64(n)
	return n, nil
}

// Seek implements [io.Seeker].
func (r *fileReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.f.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("store: seek in file %s: before its beginning", r.f.ID)
	}
	r.at = offset
	return offset, nil
}

// DeleteFile removes a file that is not attached. Otherwise, or if there is
// none, the error is [chat.ErrNotFound].
func (db *DB) DeleteFile(ctx context.Context, id string) error {
	res, err := db.exec(ctx, `DELETE FROM files WHERE id = $1 AND conversation IS NULL`, id)
	return wrap("delete file "+id, oneRow(res, err, chat.ErrNotFound))
}

// SweepFiles removes files that were uploaded before a time and never
// attached, and what was begun before begun and never became whole.
func (db *DB) SweepFiles(ctx context.Context, loose, begun time.Time) (n int64, err error) {
	res, err := db.exec(ctx, `
		DELETE FROM files WHERE conversation IS NULL AND created < $1 OR whole = 0 AND created < $2`, loose.UnixMilli(), begun.UnixMilli())
	if err == nil {
		n, err = res.RowsAffected()
	}
	if err == nil {
		_, err = db.exec(ctx, `DELETE FROM file_owners WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.owner = file_owners.owner)`)
	}
	return n, wrap("sweep files", err)
}

// attach attaches a question's files to its conversation and says in its
// message what they are.
func attach(ctx context.Context, tx *sql.Tx, q *chat.Question) error {
	if len(q.Files) == 0 {
		return nil
	}
	owner := q.Uploader
	if owner == "" {
		owner = q.Owner
	}
	var refs []tools.FileRef
	for _, id := range q.Files {
		var f tools.FileRef
		err := tx.QueryRowContext(ctx, `
			UPDATE files SET conversation = $2
			WHERE id = $1 AND whole = 1 AND (conversation = $2 OR conversation IS NULL AND owner = $3)
			RETURNING id, name, media, size`, id, q.Conversation, owner).Scan(&f.ID, &f.Name, &f.Media, &f.Size)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("file %s: %w", id, chat.ErrNoFile)
		}
		if err != nil {
			return err
		}
		refs = append(refs, f)
	}
	m := &llm.Metadata{}
	if q.Message.Metadata != nil {
		*m = *q.Message.Metadata
	}
	m.Parley.Files = refs
	q.Message.Metadata = m
	return nil
}
