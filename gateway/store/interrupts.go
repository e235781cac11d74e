package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/gateway/chat"
	"parley/tools"
)

// statusOpen is the status of an interrupt about which nobody has decided.
const statusOpen = "open"

// asks stores what a run waits for, unless it is stored already. If people
// have answered all of it, the run is due again at once: a batch may be stored
// again whose first acknowledgement was lost. If another question waits
// already, the person has gone on.
func (a *archive) asks(ctx context.Context, b chat.Batch) error {
	for _, ask := range b.Asks {
		body, err := json.Marshal(ask.Interrupt)
		if err != nil {
			return err
		}
		if err := a.exec(ctx, `
			INSERT INTO interrupts (id, conversation, run, place, body, state, status, created, expires, payload, answered_by, answered)
			VALUES ($1, $2, $3, (SELECT COALESCE(MAX(place), 0) + 1 FROM interrupts WHERE conversation = $2),
				$4, $5, $6, $7, $8, '', '', 0)
			ON CONFLICT (id) DO NOTHING`, ask.ID, a.conv, b.Run.ID, string(body), ask.State, statusOpen,
			a.now, millis(ask.Expires)); err != nil {
			return err
		}
	}
	if len(b.Asks) == 0 {
		return nil
	}
	if err := goOn(ctx, a.tx, b.Run.ID, chat.RunAnswered, a.now); err != nil {
		return err
	}
	var found int
	err := a.tx.QueryRowContext(ctx, `SELECT 1 FROM runs WHERE conversation = $1 AND ended = 0 AND id <> $2 LIMIT 1`,
		a.conv, b.Run.ID).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = abandon(ctx, a.tx, a.conv, b.Run.ID)
	}
	return err
}

// goOn makes a run that waits due again, if nothing of it is open any more.
func goOn(ctx context.Context, tx *sql.Tx, run string, as chat.RunStatus, now int64) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE runs SET status = $2, ended = 0, updated = $3 WHERE id = $1 AND status = $4
		AND NOT EXISTS (SELECT 1 FROM interrupts WHERE run = $1 AND status = $5)`,
		run, as, now, chat.RunWaiting, statusOpen)
	return err
}

const askQuery = `SELECT conversation, run, body, state, status, created, payload, answered_by, answered FROM interrupts`

func scanAsk(row interface{ Scan(...any) error }) (a chat.Ask, err error) {
	var body, payload string
	var created, answered int64
	if err := row.Scan(&a.Conversation, &a.Run, &body, &a.State, &a.Status, &created, &payload, &a.By, &answered); err != nil {
		return a, err
	}
	if a.Status == statusOpen {
		a.Status = ""
	}
	if payload != "" {
		a.Payload = json.RawMessage(payload)
	}
	a.Created, a.Answered = fromMillis(created), fromMillis(answered)
	return a, json.Unmarshal([]byte(body), &a.Interrupt)
}

// Asks returns all that a run has asked people, in the order in which it did.
func (db *DB) Asks(ctx context.Context, run string) ([]chat.Ask, error) {
	rows, err := db.read.QueryContext(ctx, askQuery+` WHERE run = $1 ORDER BY place`, run)
	asks, err := collect(rows, err, scanAsk)
	return asks, wrap("asks of "+run, err)
}

// Ask returns one interrupt of a conversation.
func (db *DB) Ask(ctx context.Context, conv, id string) (chat.Ask, error) {
	a, err := scanAsk(db.read.QueryRowContext(ctx, askQuery+` WHERE id = $1 AND conversation = $2`, id, conv))
	return a, wrap("interrupt "+id+" of "+conv, err)
}

// Waiting returns the run of a conversation that waits for people, and all
// that it has asked. If none does, the error is [chat.ErrNotFound].
func (db *DB) Waiting(ctx context.Context, conv string) (chat.RunRecord, []chat.Ask, error) {
	var run string
	err := db.read.QueryRowContext(ctx, `SELECT id FROM runs WHERE conversation = $1 AND status = 'waiting'`, conv).Scan(&run)
	if err != nil {
		return chat.RunRecord{}, nil, wrap("what waits in "+conv, err)
	}
	rec, err := db.RunRecord(ctx, run)
	if err != nil {
		return rec, nil, err
	}
	asks, err := db.Asks(ctx, run)
	return rec, asks, err
}

// Answer stores decisions about interrupts of a conversation, all of them or
// none, and returns them as they are stored now. A run of which nothing is
// open any more is due again. The same decision again changes nothing.
//
// Errors: [chat.ErrNotFound], [chat.ErrExpired] or [chat.ErrAnswered], each as
// a [*DecisionError]; then asks are those that were looked at.
func (db *DB) Answer(ctx context.Context, conv string, ds []chat.Decision) (asks []chat.Ask, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		asks = nil
		if err := hold(ctx, tx, conv); err != nil {
			return err
		}
		now := time.Now()
		for i, d := range ds {
			a, err := decide(ctx, tx, conv, d, now)
			asks = append(asks, a)
			if err != nil {
				return &DecisionError{Index: i, Ask: a, Err: err}
			}
		}
		return allGoOn(ctx, tx, asks, chat.RunAnswered, now)
	})
	return asks, wrap("answer in "+conv, err)
}

// A DecisionError says which of several decisions could not be stored.
type DecisionError struct {
	Index int
	Ask   chat.Ask // as it is; empty if there is none
	Err   error
}

func (e *DecisionError) Error() string { return fmt.Sprintf("decision %d: %v", e.Index, e.Err) }
func (e *DecisionError) Unwrap() error { return e.Err }

// hold keeps all others from changing a conversation until the transaction
// ends.
func hold(ctx context.Context, tx *sql.Tx, conv string) error {
	res, err := tx.ExecContext(ctx, `UPDATE conversations SET generation = generation WHERE id = $1`, conv)
	return oneRow(res, err, chat.ErrNotFound)
}

func allGoOn(ctx context.Context, tx *sql.Tx, asks []chat.Ask, as chat.RunStatus, now time.Time) error {
	var runs []string
	for _, a := range asks {
		if !slices.Contains(runs, a.Run) {
			runs = append(runs, a.Run)
		}
	}
	for _, run := range runs {
		if err := goOn(ctx, tx, run, as, now.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

func decide(ctx context.Context, tx *sql.Tx, conv string, d chat.Decision, now time.Time) (chat.Ask, error) {
	a, err := scanAsk(tx.QueryRowContext(ctx, askQuery+` WHERE id = $1 AND conversation = $2`, d.Interrupt, conv))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return a, chat.ErrNotFound
	case err != nil:
		return a, err
	case !a.Open() && a.Status == d.Status && sameJSON(a.Payload, d.Payload):
		return a, nil
	case !a.Open():
		return a, chat.ErrAnswered
	case !now.Before(a.Expires):
		return a, chat.ErrExpired
	}
	if d.Always != "" {
		if _, err := tx.ExecContext(ctx, `INSERT INTO approvals (conversation, tool, approval) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, conv, d.Always, tools.ApprovalAuto); err != nil {
			return a, err
		}
	}
	a.Status, a.Payload, a.By, a.Answered = d.Status, d.Payload, d.By, fromMillis(now.UnixMilli())
	_, err = tx.ExecContext(ctx, `UPDATE interrupts SET status = $2, payload = $3, answered_by = $4, answered = $5 WHERE id = $1`,
		a.ID, a.Status, string(a.Payload), a.By, millis(a.Answered))
	return a, err
}

// sameJSON reports whether two payloads say the same.
func sameJSON(a, b json.RawMessage) bool {
	return bytes.Equal(a, b) || bytes.Equal(canonical(a), canonical(b))
}

func canonical(raw json.RawMessage) []byte {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil || v == nil {
		return nil
	}
	b, _ := json.Marshal(v)
	return b
}

// Abandon ends the waiting of a conversation's run, if one waits: what is open
// of it counts as cancelled, and it is due again, to be ended. It returns the
// run, "" for none. If only one run is meant and another waits, nothing is
// done.
func (db *DB) Abandon(ctx context.Context, conv, only string) (run string, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		if err := hold(ctx, tx, conv); err != nil {
			return err
		}
		run, err = abandon(ctx, tx, conv, only)
		return err
	})
	return run, wrap("abandon what waits in "+conv, err)
}

// abandon requires the row of the conversation.
func abandon(ctx context.Context, tx *sql.Tx, conv, only string) (run string, err error) {
	err = tx.QueryRowContext(ctx, `SELECT id FROM runs WHERE conversation = $1 AND status = 'waiting'`, conv).Scan(&run)
	if errors.Is(err, sql.ErrNoRows) || err == nil && only != "" && run != only {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	now := time.Now().UnixMilli()
	if _, err := tx.ExecContext(ctx, `UPDATE interrupts SET status = $2, answered = $3 WHERE run = $1 AND status = $4`,
		run, tools.AnswerCancelled, now, statusOpen); err != nil {
		return "", err
	}
	return run, goOn(ctx, tx, run, chat.RunAbandoned, now)
}

// Expire decides what nobody has decided in time, of at most limit
// conversations, and returns it.
func (db *DB) Expire(ctx context.Context, limit int) (due []chat.Expired, err error) {
	now := time.Now()
	rows, err := db.read.QueryContext(ctx, `SELECT DISTINCT conversation FROM interrupts
		WHERE status = 'open' AND expires <= $1 LIMIT $2`, now.UnixMilli(), page(limit))
	convs, err := collect(rows, err, func(row interface{ Scan(...any) error }) (conv string, err error) {
		return conv, row.Scan(&conv)
	})
	for _, conv := range convs {
		var some []chat.Ask
		if some, err = db.expire(ctx, conv, now); errors.Is(err, chat.ErrNotFound) {
			err = nil // deleted meanwhile
		}
		for _, a := range some {
			due = append(due, chat.Expired{Conversation: conv, Run: a.Run, Interrupt: a.ID})
		}
		if err != nil {
			break
		}
	}
	return due, wrap("expire", err)
}

func (db *DB) expire(ctx context.Context, conv string, now time.Time) (asks []chat.Ask, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		if err := hold(ctx, tx, conv); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, askQuery+` WHERE conversation = $1 AND status = 'open' AND expires <= $2`, conv, now.UnixMilli())
		if asks, err = collect(rows, err, scanAsk); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE interrupts SET status = $2, answered = $3
			WHERE conversation = $1 AND status = 'open' AND expires <= $3`, conv, tools.AnswerExpired, now.UnixMilli()); err != nil {
			return err
		}
		return allGoOn(ctx, tx, asks, chat.RunAnswered, now)
	})
	return asks, err
}

// Allowed returns the approval of a tool in one conversation, "" for what its
// owner has declared.
func (db *DB) Allowed(ctx context.Context, conv, tool string) (a tools.Approval, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT approval FROM approvals WHERE conversation = $1 AND tool = $2`, conv, tool).Scan(&a)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return a, wrap("approval of "+tool+" in "+conv, err)
}

// Allowances returns the tools that a conversation never asks about again, by
// name.
func (db *DB) Allowances(ctx context.Context, conv string) ([]string, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT tool FROM approvals WHERE conversation = $1 AND approval = $2 ORDER BY tool`,
		conv, tools.ApprovalAuto)
	names, err := collect(rows, err, func(row interface{ Scan(...any) error }) (name string, err error) {
		return name, row.Scan(&name)
	})
	return names, wrap("allowances of "+conv, err)
}

// Disallow has a conversation ask about a tool again. If it did anyway, the
// error is [chat.ErrNotFound].
func (db *DB) Disallow(ctx context.Context, conv, tool string) error {
	err := db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM approvals WHERE conversation = $1 AND tool = $2`, conv, tool)
		return oneRow(res, err, chat.ErrNotFound)
	})
	return wrap("allowance of "+tool+" in "+conv, err)
}
