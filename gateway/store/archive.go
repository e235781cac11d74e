package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// Claimed notes that a generation of a conversation has begun: from now on
// nothing of an earlier one is stored. It may be repeated with the same nonce.
// If a later generation, or another claim of the same one, came first, or the
// conversation is no more, the error is [chat.ErrFenced].
func (db *DB) Claimed(ctx context.Context, conv string, generation uint64, nonce string) error {
	res, err := db.exec(ctx, `
		UPDATE conversations SET generation = $2, nonce = $3
		WHERE id = $1 AND (generation < $2 OR (generation = $2 AND nonce = $3))`, conv, int64(generation), nonce)
	return wrap("claim "+conv, oneRow(res, err, chat.ErrFenced))
}

// Generation returns the latest generation that [DB.Claimed] has noted, 0 for
// none.
func (db *DB) Generation(ctx context.Context, conv string) (uint64, error) {
	var g int64
	err := db.read.QueryRowContext(ctx, `SELECT generation FROM conversations WHERE id = $1`, conv).Scan(&g)
	return uint64(g), wrap("generation of "+conv, err)
}

// Archive stores a batch, all of it or nothing, if generation is still that of
// the conversation, otherwise the error is [chat.ErrFenced]. The same batch
// again changes nothing, but for what it has Spent.
func (db *DB) Archive(ctx context.Context, conv string, generation uint64, b chat.Batch) error {
	err := db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE conversations SET generation = generation WHERE id = $1 AND generation = $2`,
			conv, int64(generation))
		if err := oneRow(res, err, chat.ErrFenced); err != nil {
			return err
		}
		a := archive{tx: tx, conv: conv, now: time.Now().UnixMilli()}
		return a.store(ctx, b)
	})
	return wrap("archive "+conv, err)
}

// An archive is one batch on its way into the store.
type archive struct {
	tx      *sql.Tx
	conv    string
	now     int64
	changed int64 // rows
}

func (a *archive) store(ctx context.Context, b chat.Batch) error {
	if err := a.spent(ctx, b.Spent); err != nil {
		return err
	}
	a.changed = 0 // nobody has said anything by it
	for _, m := range b.Messages {
		if err := a.message(ctx, m); err != nil {
			return err
		}
	}
	if err := a.hide(ctx, b.Replaced); err != nil {
		return err
	}
	if err := a.cut(ctx, b); err != nil {
		return err
	}
	if err := a.run(ctx, b.Run); err != nil {
		return err
	}
	if err := a.asks(ctx, b); err != nil {
		return err
	}
	if err := a.title(ctx, b.Title); err != nil || a.changed == 0 {
		return err
	}
	return a.exec(ctx, `UPDATE conversations SET updated = $2 WHERE id = $1 AND updated < $2`, a.conv, a.now)
}

func (a *archive) exec(ctx context.Context, query string, args ...any) error {
	res, err := a.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	a.changed += n
	return err
}

// message stores m in its place: the one that it has, or behind the last.
func (a *archive) message(ctx context.Context, m llm.Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var run string
	if m.Metadata != nil {
		run = m.Metadata.Parley.Run
	}
	return a.exec(ctx, `
		INSERT INTO messages (conversation, id, place, run, role, body)
		VALUES ($1, $2, (SELECT COALESCE(MAX(place), 0) + 1 FROM messages WHERE conversation = $1), $3, $4, $5)
		ON CONFLICT (conversation, id) DO UPDATE SET
			place = COALESCE(messages.place, excluded.place),
			run = CASE WHEN excluded.run = '' THEN messages.run ELSE excluded.run END,
			role = excluded.role, body = excluded.body
		WHERE messages.place IS NULL OR messages.body <> excluded.body`,
		a.conv, m.ID, run, m.Role, string(body))
}

// hide takes the answer of a run out of the history.
func (a *archive) hide(ctx context.Context, run string) error {
	if run == "" {
		return nil
	}
	return a.exec(ctx, `UPDATE messages SET hidden = 1 WHERE conversation = $1 AND run = $2 AND role <> $3 AND hidden = 0`,
		a.conv, run, llm.User)
}

// cut takes a message that was edited out of the history, with all that lies
// between it and the one in its place.
func (a *archive) cut(ctx context.Context, b chat.Batch) error {
	if b.Edited == "" || len(b.Messages) == 0 {
		return nil
	}
	return a.exec(ctx, `UPDATE messages SET hidden = 1 WHERE conversation = $1 AND hidden = 0
		AND place >= (SELECT place FROM messages WHERE conversation = $1 AND id = $2)
		AND place < (SELECT place FROM messages WHERE conversation = $1 AND id = $3)`,
		a.conv, b.Edited, b.Messages[0].ID)
}

func (a *archive) title(ctx context.Context, title string) error {
	if title == "" {
		return nil
	}
	return a.exec(ctx, `UPDATE conversations SET title = $2 WHERE id = $1 AND title = ''`, a.conv, title)
}

// Retitle gives a conversation another title in the place of the one named. If
// it has yet another, which a person may have given it, nothing changes. If
// generation has passed, the error is [chat.ErrFenced].
func (db *DB) Retitle(ctx context.Context, conv string, generation uint64, from, to string) error {
	res, err := db.exec(ctx, `UPDATE conversations SET title = CASE WHEN title = $3 THEN $4 ELSE title END
		WHERE id = $1 AND generation = $2`, conv, int64(generation), from, to)
	return wrap("retitle "+conv, oneRow(res, err, chat.ErrFenced))
}

// run stores how far a run is.
func (a *archive) run(ctx context.Context, r *chat.RunRecord) error {
	if r == nil {
		return nil
	}
	if err := a.spend(ctx, r); err != nil {
		return err
	}
	usage, err := encodeOrNone(r.Usage)
	if err != nil {
		return err
	}
	failure, err := encodeOrNone(r.Failure)
	if err != nil {
		return err
	}
	ended := 0
	if r.Status.Rests() { // one that waits for people is not due
		ended = 1
	}
	return a.exec(ctx, `
		INSERT INTO runs (id, conversation, place, question, replaces, edits, status, ended,
			try, model, usage, failure, created, updated, agent, agent_version)
		VALUES ($1, $2, (SELECT COALESCE(MAX(place), 0) + 1 FROM runs WHERE conversation = $2),
			$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, ended = excluded.ended, try = excluded.try,
			model = excluded.model, usage = excluded.usage, failure = excluded.failure, updated = excluded.updated,
			agent_version = CASE WHEN excluded.agent = '' THEN runs.agent_version ELSE excluded.agent_version END,
			agent = CASE WHEN excluded.agent = '' THEN runs.agent ELSE excluded.agent END
		WHERE runs.conversation = excluded.conversation AND (runs.status <> excluded.status
			OR runs.try <> excluded.try OR runs.model <> excluded.model
			OR runs.usage <> excluded.usage OR runs.failure <> excluded.failure
			OR excluded.agent <> '' AND (runs.agent <> excluded.agent OR runs.agent_version <> excluded.agent_version))`,
		r.ID, a.conv, r.Question, r.Replaces, r.Edits, r.Status, ended, r.Try, r.Model, usage, failure, a.now, r.Agent, r.AgentVersion)
}

// encodeOrNone returns v as JSON, or nothing for nil.
func encodeOrNone[T any](v *T) (string, error) {
	if v == nil {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}
