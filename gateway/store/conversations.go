package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"parley/gateway/chat"
)

// Sizes of a page of any list.
const (
	pageDefault = 50   // for a limit of 0 or less
	pageMost    = 1000 // whatever the limit
)

// ErrCursor is returned for a cursor that no list has given out.
var ErrCursor = errors.New("not a cursor of this list: begin without one")

// CreateConversation stores a new conversation. Times that are not set are
// now. If the id is taken, or was once, the error is [fs.ErrExist].
func (db *DB) CreateConversation(ctx context.Context, c chat.Conversation) error {
	created := millisOrNow(c.Created)
	err := db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			INSERT INTO conversations (id, owner, title, created, updated, agent)
			SELECT $1, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT), $6
			WHERE NOT EXISTS (SELECT 1 FROM deleted_conversations WHERE id = $1)
			ON CONFLICT (id) DO NOTHING`,
			c.ID, c.Owner, c.Title, created, max(created, millis(c.Updated)), c.Agent)
		if err := oneRow(res, err, fs.ErrExist); err != nil {
			return err
		}
		return notDeleted(ctx, tx, c.ID, fs.ErrExist)
	})
	return wrap("create conversation "+c.ID, err)
}

const conversationColumns = `id, owner, title, created, updated, agent,
	EXISTS (SELECT 1 FROM interrupts i WHERE i.conversation = conversations.id AND i.status = 'open')`

func scanConversation(row interface{ Scan(...any) error }) (c chat.Conversation, err error) {
	var created, updated int64
	err = row.Scan(&c.ID, &c.Owner, &c.Title, &created, &updated, &c.Agent, &c.Waiting)
	c.Created, c.Updated = fromMillis(created), fromMillis(updated)
	return c, err
}

// Conversation returns the conversation with that id, whoever owns it.
func (db *DB) Conversation(ctx context.Context, id string) (chat.Conversation, error) {
	c, err := scanConversation(db.read.QueryRowContext(ctx,
		`SELECT `+conversationColumns+` FROM conversations WHERE id = $1`, id))
	return c, wrap("conversation "+id, err)
}

// Conversations returns a page of an owner's conversations, the latest
// activity first, and the cursor of the next page, which is empty at the end.
// A conversation in which something happens between two pages moves to the
// front: it is not seen twice.
func (db *DB) Conversations(ctx context.Context, owner, after string, limit int) (_ []chat.Conversation, next string, err error) {
	updated, id, err := parseCursor(after)
	if err != nil {
		return nil, "", wrap("conversations", err)
	}
	limit = page(limit)
	rows, err := db.read.QueryContext(ctx, `
		SELECT `+conversationColumns+` FROM conversations
		WHERE owner = $1 AND (updated, id) < ($2, $3)
		ORDER BY updated DESC, id DESC LIMIT $4`, owner, updated, id, limit+1)
	cs, err := collect(rows, err, scanConversation)
	if err != nil {
		return nil, "", wrap("conversations of "+owner, err)
	}
	if len(cs) > limit {
		cs = cs[:limit]
		next = cursor(cs[limit-1])
	}
	return cs, next, nil
}

func cursor(c chat.Conversation) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", millis(c.Updated), c.ID))
}

func parseCursor(s string) (updated int64, id string, err error) {
	if s == "" {
		return 1<<63 - 1, "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, "", ErrCursor
	}
	ms, id, ok := strings.Cut(string(b), " ")
	updated, err = strconv.ParseInt(ms, 10, 64)
	if err != nil || !ok {
		return 0, "", ErrCursor
	}
	return updated, id, nil
}

// RenameConversation gives a conversation a title. That is no activity: it
// keeps its place among its owner's.
func (db *DB) RenameConversation(ctx context.Context, id, title string) error {
	res, err := db.exec(ctx, `UPDATE conversations SET title = $2 WHERE id = $1`, id, title)
	return wrap("rename conversation "+id, oneRow(res, err, chat.ErrNotFound))
}

// DeleteConversation removes a conversation with all that is in it. Whoever
// still writes it is fenced, and its id is never used again.
func (db *DB) DeleteConversation(ctx context.Context, id string) error {
	err := db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM conversations WHERE id = $1`, id)
		if err := oneRow(res, err, chat.ErrNotFound); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO deleted_conversations (id, deleted) VALUES ($1, $2)`,
			id, time.Now().UnixMilli())
		return err
	})
	return wrap("delete conversation "+id, err)
}
