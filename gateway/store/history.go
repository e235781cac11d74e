package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"slices"

	"parley/gateway/chat"
	"parley/llm"
)

// History returns a page of a conversation's messages, in order: the latest
// ones before the message with the id before, or the latest of all if that is
// empty. next is the id that the page before this one is asked for with, empty
// at the beginning of the conversation. Questions that wait for the run before
// theirs are not in it, nor are answers that were replaced, nor what was edited
// and what was behind it.
func (db *DB) History(ctx context.Context, conv, before string, limit int) (_ []llm.Message, next string, err error) {
	place, err := db.place(ctx, conv, before)
	if err != nil {
		return nil, "", wrap("history of "+conv+" before "+before, err)
	}
	limit = page(limit)
	rows, err := db.read.QueryContext(ctx, `
		SELECT body FROM messages WHERE conversation = $1 AND place < $2 AND hidden = 0
		ORDER BY place DESC LIMIT $3`, conv, place, limit+1)
	ms, err := collect(rows, err, scanMessage)
	if err != nil {
		return nil, "", wrap("history of "+conv, err)
	}
	if len(ms) > limit {
		ms = ms[:limit]
		next = ms[limit-1].ID
	}
	slices.Reverse(ms)
	return ms, next, nil
}

// place returns the place of a message: the end for none, and for a question
// that has no place yet, but for one that is to stand in another's.
func (db *DB) place(ctx context.Context, conv, id string) (int64, error) {
	if id == "" {
		return math.MaxInt64, nil
	}
	var p sql.NullInt64
	err := db.read.QueryRowContext(ctx, `SELECT place FROM messages WHERE conversation = $1 AND id = $2`, conv, id).Scan(&p)
	if err != nil || p.Valid {
		return p.Int64, err
	}
	err = db.read.QueryRowContext(ctx, `
		SELECT COALESCE(MIN(m.place), $3) FROM runs r JOIN messages m ON m.conversation = r.conversation AND m.id = r.edits
		WHERE r.conversation = $1 AND r.question = $2`, conv, id, int64(math.MaxInt64)).Scan(&p)
	return p.Int64, err
}

func scanMessage(row interface{ Scan(...any) error }) (m llm.Message, err error) {
	var body []byte
	if err := row.Scan(&body); err != nil {
		return m, err
	}
	return m, json.Unmarshal(body, &m)
}

// RunRecord returns what is known of a run.
func (db *DB) RunRecord(ctx context.Context, run string) (chat.RunRecord, error) {
	var r chat.RunRecord
	var usage, failure, format string
	var created, updated int64
	err := db.read.QueryRowContext(ctx, `
		SELECT id, conversation, question, replaces, edits, format, status, try, model, usage, failure, created, updated, agent, agent_version
		FROM runs WHERE id = $1`, run).Scan(&r.ID, &r.Conversation, &r.Question, &r.Replaces, &r.Edits, &format, &r.Status,
		&r.Try, &r.Model, &usage, &failure, &created, &updated, &r.Agent, &r.AgentVersion)
	if err == nil {
		r.Usage, err = decodeOrNone[llm.Usage](usage)
	}
	if err == nil {
		r.Failure, err = decodeOrNone[llm.Failure](failure)
	}
	if err == nil {
		r.Format, err = decodeOrNone[llm.Format](format)
	}
	r.Created, r.Updated = fromMillis(created), fromMillis(updated)
	return r, wrap("run "+run, err)
}

func decodeOrNone[T any](s string) (*T, error) {
	if s == "" {
		return nil, nil
	}
	v := new(T)
	return v, json.Unmarshal([]byte(s), v)
}
