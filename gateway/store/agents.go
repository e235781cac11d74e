package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"parley/gateway/agents"
	"parley/gateway/chat"
)

var _ agents.Store = (*DB)(nil)

const versionColumns = `v.name, v.version, v.body, v.maker, v.made`

// Agents returns the newest version of each agent, by name.
func (db *DB) Agents(ctx context.Context) ([]agents.Version, error) {
	rows, err := db.read.QueryContext(ctx, `
		SELECT `+versionColumns+` FROM agents a
		JOIN agent_versions v ON v.name = a.name AND v.version = a.version ORDER BY a.name`)
	all, err := collect(rows, err, scanAgentVersion)
	return all, wrap("agents", err)
}

// AgentVersions returns versions of an agent, the newest first: those before
// one of them, or all for 0.
func (db *DB) AgentVersions(ctx context.Context, name string, before, limit int) ([]agents.Version, error) {
	rows, err := db.read.QueryContext(ctx, `
		SELECT `+versionColumns+` FROM agent_versions v
		WHERE v.name = $1 AND ($2 = 0 OR v.version < $2) ORDER BY v.version DESC LIMIT $3`, name, int64(before), page(limit))
	all, err := collect(rows, err, scanAgentVersion)
	return all, wrap("versions of agent "+name, err)
}

// AgentVersion returns one version of an agent, also of one that was deleted.
func (db *DB) AgentVersion(ctx context.Context, name string, version int) (agents.Version, error) {
	v, err := scanAgentVersion(db.read.QueryRowContext(ctx, `
		SELECT `+versionColumns+` FROM agent_versions v WHERE v.name = $1 AND v.version = $2`, name, version))
	return v, wrap("agent "+name, err)
}

// PutAgent stores a new version of an agent, unless the newest says the same:
// then that is returned, and fresh is false. If the newest is not the one
// expected (0 for none, negative for any), the error is [agents.ErrChanged].
func (db *DB) PutAgent(ctx context.Context, a agents.Agent, by string, expected int) (v agents.Version, fresh bool, err error) {
	body, err := json.Marshal(a)
	if err != nil {
		return agents.Version{}, false, wrap("put agent "+a.Name, err)
	}
	err = db.tx(ctx, func(tx *sql.Tx) (err error) {
		v, fresh, err = putAgent(ctx, tx, a.Name, string(body), by, expected)
		return err
	})
	if err != nil {
		return agents.Version{}, false, wrap("put agent "+a.Name, err)
	}
	return v, fresh, nil
}

// putAgent holds the agent's row until the transaction ends, so of two
// changes at the same time one sees the other.
func putAgent(ctx context.Context, tx *sql.Tx, name, body, by string, expected int) (v agents.Version, fresh bool, err error) {
	var newest int
	err = tx.QueryRowContext(ctx, `
		INSERT INTO agents (name, version) VALUES ($1, 0)
		ON CONFLICT (name) DO UPDATE SET version = agents.version RETURNING version`, name).Scan(&newest)
	if err != nil {
		return v, false, err
	}
	if expected >= 0 && expected != newest {
		return v, false, agents.ErrChanged
	}
	if newest > 0 {
		row := tx.QueryRowContext(ctx, `SELECT `+versionColumns+` FROM agent_versions v WHERE v.name = $1 AND v.version = $2 AND v.body = $3`, name, newest, body)
		if v, err = scanAgentVersion(row); err != sql.ErrNoRows {
			return v, false, err
		}
	}
	row := tx.QueryRowContext(ctx, `
		INSERT INTO agent_versions (name, version, body, maker, made)
		VALUES ($1, (SELECT COALESCE(MAX(version), 0) + 1 FROM agent_versions WHERE name = $1), $2, $3, $4)
		RETURNING name, version, body, maker, made`, name, body, by, time.Now().UnixMilli())
	if v, err = scanAgentVersion(row); err != nil {
		return v, false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE agents SET version = $2 WHERE name = $1`, name, v.Version)
	return v, true, err
}

// DeleteAgent removes an agent. Its versions stay.
func (db *DB) DeleteAgent(ctx context.Context, name string) error {
	res, err := db.exec(ctx, `DELETE FROM agents WHERE name = $1`, name)
	return wrap("delete agent "+name, oneRow(res, err, chat.ErrNotFound))
}

func scanAgentVersion(row interface{ Scan(...any) error }) (v agents.Version, err error) {
	var name, body string
	var made int64
	if err := row.Scan(&name, &v.Version, &body, &v.By, &made); err != nil {
		return v, err
	}
	v.At = fromMillis(made)
	if err := json.Unmarshal([]byte(body), &v.Agent); err != nil {
		return v, err
	}
	v.Name = name
	return v, nil
}

// ChooseAgent has another agent answer a conversation from the next question
// on. That is no activity: the conversation keeps its place among its owner's.
func (db *DB) ChooseAgent(ctx context.Context, conv, agent string) error {
	res, err := db.exec(ctx, `UPDATE conversations SET agent = $2 WHERE id = $1`, conv, agent)
	return wrap("choose agent of "+conv, oneRow(res, err, chat.ErrNotFound))
}
