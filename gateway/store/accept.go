package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// Accept stores a question and the run that is to answer it, and the
// conversation if there is none yet. If the question's client id was used in
// the conversation before, nothing is stored: the question accepted then is
// returned, and fresh is false.
//
// If q.Replaces is set, q.Message names an old question, the one that the
// replaced run answered, and only the run is new. The message returned is the
// old one with the client id of q. If q.Edits is set, q.Message is a new
// question that is to stand in the place of that message; until a writer
// archives it, the old one is shown. A run that waits for people is abandoned,
// as by [DB.Abandon].
//
// Errors: [chat.ErrNotFound] if the conversation is another owner's or was
// deleted, or has no such run to replace or message to edit; [ErrRunning] if
// something is to be replaced or edited while any run of the conversation has
// not ended; [ErrNotLast], [ErrNotQuestion] and [ErrEdited] if it cannot be;
// [fs.ErrExist] if the id of the run or the message is taken; [chat.ErrNoFile]
// if one of q.Files cannot be attached.
func (db *DB) Accept(ctx context.Context, q chat.Question) (stored chat.Question, fresh bool, err error) {
	if q.Conversation == "" || q.Run == "" || q.Message.ID == "" {
		return chat.Question{}, false, errors.New("store: accept: a question needs the ids of a conversation, a run and a message")
	}
	q.Accepted = fromMillis(millisOrNow(q.Accepted))
	err = db.tx(ctx, func(tx *sql.Tx) error {
		fresh = false
		if err := admit(ctx, tx, q); err != nil {
			return err
		}
		stored, err = accepted(ctx, tx, q)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		fresh = true
		stored, err = insertQuestion(ctx, tx, q)
		return err
	})
	if err != nil {
		return chat.Question{}, false, wrap("accept "+q.Run+" in "+q.Conversation, err)
	}
	return stored, fresh, nil
}

// admit makes sure that there is a conversation of the asker's, and locks it
// until the transaction ends.
func admit(ctx context.Context, tx *sql.Tx, q chat.Question) error {
	var owner string
	var created int64
	err := tx.QueryRowContext(ctx, `
		INSERT INTO conversations (id, owner, title, created, updated)
		SELECT $1, $2, '', CAST($3 AS BIGINT), CAST($3 AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM deleted_conversations WHERE id = $1)
		ON CONFLICT (id) DO UPDATE SET generation = conversations.generation
		RETURNING owner, created`, q.Conversation, q.Owner, millis(q.Accepted)).Scan(&owner, &created)
	if err != nil {
		return err
	}
	if owner != q.Owner {
		return chat.ErrNotFound
	}
	if created == millis(q.Accepted) { // it may be new
		return notDeleted(ctx, tx, q.Conversation, chat.ErrNotFound)
	}
	return nil
}

// notDeleted returns the error deleted if a conversation that was inserted
// just now has been deleted before. The insertion may have waited for that:
// then its own look at what was deleted came too early.
func notDeleted(ctx context.Context, tx *sql.Tx, id string, deleted error) error {
	var found int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM deleted_conversations WHERE id = $1`, id).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = deleted
	}
	return err
}

// accepted returns the question that was stored under q's client id, or
// sql.ErrNoRows.
func accepted(ctx context.Context, tx *sql.Tx, q chat.Question) (chat.Question, error) {
	id := clientID(q.Message)
	if id == "" {
		return chat.Question{}, sql.ErrNoRows
	}
	return scanQuestion(tx.QueryRowContext(ctx, questionQuery+`
		WHERE r.conversation = $1 AND r.client_id = $2`, q.Conversation, id))
}

func insertQuestion(ctx context.Context, tx *sql.Tx, q chat.Question) (chat.Question, error) {
	var err error
	switch {
	case q.Replaces != "":
		q.Message, err = replaced(ctx, tx, q)
	case q.Edits != "":
		err = edited(ctx, tx, &q)
	}
	if err == nil {
		err = attach(ctx, tx, &q)
	}
	if err == nil && q.Replaces == "" {
		err = insertMessage(ctx, tx, q)
	}
	if err != nil {
		return q, err
	}
	if err := choose(ctx, tx, q); err != nil {
		return q, err
	}
	if err := insertRun(ctx, tx, q); err != nil {
		return q, err
	}
	if _, err := abandon(ctx, tx, q.Conversation, ""); err != nil { // the person goes on without deciding
		return q, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE conversations SET updated = $2 WHERE id = $1 AND updated < $2`,
		q.Conversation, millis(q.Accepted))
	return q, err
}

// choose has the agent answer that q names, from now on.
func choose(ctx context.Context, tx *sql.Tx, q chat.Question) error {
	if q.Agent == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE conversations SET agent = $2 WHERE id = $1`, q.Conversation, q.Agent)
	return err
}

func insertMessage(ctx context.Context, tx *sql.Tx, q chat.Question) error {
	body, err := json.Marshal(q.Message)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, `
		INSERT INTO messages (conversation, id, run, role, body) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`, q.Conversation, q.Message.ID, q.Run, q.Message.Role, string(body))
	return oneRow(res, err, fmt.Errorf("message %s: %w", q.Message.ID, fs.ErrExist))
}

func insertRun(ctx context.Context, tx *sql.Tx, q chat.Question) error {
	client := clientID(q.Message)
	format, err := encodeFormat(q.Format)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, `
		INSERT INTO runs (id, conversation, place, client_id, question, replaces, edits, format, status, ended,
			try, model, usage, failure, created, updated, agent)
		VALUES ($1, $2, (SELECT COALESCE(MAX(place), 0) + 1 FROM runs WHERE conversation = $2),
			$3, $4, $5, $6, $7, $8, 0, 0, '', '', '', $9, $9, (SELECT agent FROM conversations WHERE id = $2))
		ON CONFLICT DO NOTHING`, q.Run, q.Conversation,
		sql.NullString{String: client, Valid: client != ""},
		q.Message.ID, q.Replaces, q.Edits, format, chat.RunAccepted, millis(q.Accepted))
	return oneRow(res, err, fmt.Errorf("run %s: %w", q.Run, fs.ErrExist))
}

// replaced returns the question of the run that q replaces, with q's client
// id.
func replaced(ctx context.Context, tx *sql.Tx, q chat.Question) (llm.Message, error) {
	var body string
	err := tx.QueryRowContext(ctx, `
		SELECT m.body FROM runs r
		JOIN messages m ON m.conversation = r.conversation AND m.id = r.question
		WHERE r.id = $1 AND r.conversation = $2 AND r.question = $3`,
		q.Replaces, q.Conversation, q.Message.ID).Scan(&body)
	if err == nil {
		err = nonePending(ctx, tx, q.Conversation)
	}
	if err == nil {
		err = last(ctx, tx, q)
	}
	if err != nil {
		return llm.Message{}, fmt.Errorf("replace %s: %w", q.Replaces, err)
	}
	return decodeQuestion(body, clientID(q.Message))
}

// last makes sure that q's question is the last one that is shown.
func last(ctx context.Context, tx *sql.Tx, q chat.Question) error {
	var id string
	err := tx.QueryRowContext(ctx, `
		SELECT id FROM messages WHERE conversation = $1 AND place IS NOT NULL AND hidden = 0 AND role = $2
		ORDER BY place DESC LIMIT 1`, q.Conversation, llm.User).Scan(&id)
	if err == nil && id != q.Message.ID || errors.Is(err, sql.ErrNoRows) {
		return ErrNotLast
	}
	return err
}

// edited makes sure that the message that q edits is a question that is shown,
// and gives q its files if they are to be kept.
func edited(ctx context.Context, tx *sql.Tx, q *chat.Question) error {
	var role llm.Role
	var hidden bool
	var body string
	err := tx.QueryRowContext(ctx, `SELECT role, hidden, body FROM messages WHERE conversation = $1 AND id = $2`,
		q.Conversation, q.Edits).Scan(&role, &hidden, &body)
	switch {
	case err == nil && role != llm.User:
		err = ErrNotQuestion
	case err == nil && hidden:
		err = ErrEdited
	case err == nil:
		err = nonePending(ctx, tx, q.Conversation) // so it does not wait: it has its place
	}
	if err == nil && q.KeepFiles {
		err = keepFiles(q, body)
	}
	if err == nil && q.Format == nil {
		q.Format, err = formatOf(ctx, tx, q.Conversation, q.Edits)
	}
	if err != nil {
		return fmt.Errorf("edit %s: %w", q.Edits, err)
	}
	return nil
}

// keepFiles gives q the files of the message that it edits.
func keepFiles(q *chat.Question, body string) error {
	var old llm.Message
	if err := json.Unmarshal([]byte(body), &old); err != nil || old.Metadata == nil {
		return err
	}
	q.Files = nil
	for _, f := range old.Metadata.Parley.Files {
		q.Files = append(q.Files, f.ID)
	}
	return nil
}

// formatOf returns what format the answer to a message was to have.
func formatOf(ctx context.Context, tx *sql.Tx, conv, message string) (*llm.Format, error) {
	var format string
	err := tx.QueryRowContext(ctx, `SELECT format FROM runs WHERE conversation = $1 AND question = $2 ORDER BY place DESC LIMIT 1`,
		conv, message).Scan(&format)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	return decodeOrNone[llm.Format](format)
}

func encodeFormat(f *llm.Format) (string, error) {
	if f == nil {
		return "", nil
	}
	b, err := json.Marshal(f)
	return string(b), err
}

// nonePending makes sure that all runs of a conversation have ended. Whoever
// accepts a question holds the row of the conversation: of two, one comes
// later, and sees the other's run.
func nonePending(ctx context.Context, tx *sql.Tx, conv string) error {
	var found int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM runs WHERE conversation = $1 AND ended = 0 LIMIT 1`, conv).Scan(&found)
	if err == nil {
		return ErrRunning
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

const questionQuery = `
	SELECT r.conversation, c.owner, r.id, r.replaces, r.edits, r.created, COALESCE(r.client_id, ''), m.body FROM runs r
	JOIN conversations c ON c.id = r.conversation
	JOIN messages m ON m.conversation = r.conversation AND m.id = r.question`

func scanQuestion(row interface{ Scan(...any) error }) (q chat.Question, err error) {
	var created int64
	var client, body string
	if err := row.Scan(&q.Conversation, &q.Owner, &q.Run, &q.Replaces, &q.Edits, &created, &client, &body); err != nil {
		return q, err
	}
	q.Accepted = fromMillis(created)
	q.Message, err = decodeQuestion(body, client)
	return q, err
}

// decodeQuestion reads a message and gives it the client id of a run: where
// that replaces another, it is not the one that the message came with.
func decodeQuestion(body, client string) (m llm.Message, err error) {
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return m, err
	}
	if clientID(m) != client {
		if m.Metadata == nil {
			m.Metadata = &llm.Metadata{}
		}
		m.Metadata.Parley.ClientID = client
	}
	return m, nil
}

func clientID(m llm.Message) string {
	if m.Metadata == nil {
		return ""
	}
	return m.Metadata.Parley.ClientID
}

// Asked returns the question that was accepted under a client id.
func (db *DB) Asked(ctx context.Context, conv, clientID string) (chat.Question, error) {
	q, err := scanQuestion(db.read.QueryRowContext(ctx, questionQuery+`
		WHERE r.conversation = $1 AND r.client_id = $2`, conv, clientID))
	return q, wrap("question "+clientID+" of "+conv, err)
}

// Pending returns the questions of a conversation whose runs have not ended,
// in the order in which they were accepted.
func (db *DB) Pending(ctx context.Context, conv string) ([]chat.Question, error) {
	rows, err := db.read.QueryContext(ctx, questionQuery+`
		WHERE r.conversation = $1 AND r.ended = 0 ORDER BY r.place`, conv)
	qs, err := collect(rows, err, scanQuestion)
	return qs, wrap("pending questions of "+conv, err)
}

// Due returns, of all conversations, the questions whose runs have not ended
// and have not been heard of since olderThan, those first that have waited
// longest.
func (db *DB) Due(ctx context.Context, olderThan time.Time, limit int) ([]chat.Question, error) {
	rows, err := db.read.QueryContext(ctx, questionQuery+`
		WHERE r.ended = 0 AND r.updated < $1 ORDER BY r.updated, r.conversation, r.place LIMIT $2`,
		olderThan.UnixMilli(), page(limit))
	qs, err := collect(rows, err, scanQuestion)
	return qs, wrap("questions that are due", err)
}
