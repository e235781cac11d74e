package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// spend counts what a run has spent since it was last stored: of the
// conversation, and of its owner on this day. What was counted is in the run's
// own row, so the same record again counts nothing.
func (a *archive) spend(ctx context.Context, r *chat.RunRecord) error {
	var before string
	var status chat.RunStatus
	err := a.tx.QueryRowContext(ctx, `SELECT usage, status FROM runs WHERE id = $1 AND conversation = $2`, r.ID, a.conv).Scan(&before, &status)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	old, err := decodeOrNone[llm.Usage](before)
	if err != nil {
		return err
	}
	more, ended := since(old, r.Usage), int64(0)
	if r.Status.Ended() && !status.Ended() {
		ended = 1
	}
	if more == (llm.Usage{}) && (ended == 0 || r.Usage == nil && r.Model == "") {
		return nil
	}
	model := r.Model
	if r.Usage != nil && r.Usage.Model != "" {
		model = r.Usage.Model
	}
	return a.count(ctx, model, more, ended)
}

// spent counts what was spent by no run.
func (a *archive) spent(ctx context.Context, u *llm.Usage) error {
	if u == nil {
		return nil
	}
	return a.count(ctx, u.Model, since(nil, u), 0)
}

// count adds to what the conversation and, on this day, its owner have spent.
func (a *archive) count(ctx context.Context, model string, more llm.Usage, ended int64) error {
	var owner string
	err := a.tx.QueryRowContext(ctx, `UPDATE conversations SET tokens = tokens + $2, micros = micros + $3 WHERE id = $1 RETURNING owner`,
		a.conv, int64(more.Tokens()), more.Cost).Scan(&owner)
	if err != nil {
		return err
	}
	return a.exec(ctx, `
		INSERT INTO usage_days (day, person, tenant, model, runs, tokens, input, cached, written, output, micros, unpriced)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (day, person, model) DO UPDATE SET
			runs = usage_days.runs + excluded.runs, tokens = usage_days.tokens + excluded.tokens,
			input = usage_days.input + excluded.input, cached = usage_days.cached + excluded.cached,
			written = usage_days.written + excluded.written, output = usage_days.output + excluded.output,
			micros = usage_days.micros + excluded.micros, unpriced = usage_days.unpriced + excluded.unpriced`,
		chat.Day(time.UnixMilli(a.now)), owner, tenantOf(owner), model, ended,
		int64(more.Tokens()), more.Input, more.CachedInput, more.CacheWritten, more.Output, more.Cost, more.Unpriced)
}

// tenantOf returns what is before the colon of a person's name.
func tenantOf(person string) string {
	tenant, _, ok := strings.Cut(person, ":")
	if !ok {
		return ""
	}
	return tenant
}

// since returns what now has more than before. Nothing becomes less.
func since(before, now *llm.Usage) (more llm.Usage) {
	if now == nil {
		return more
	}
	if before == nil {
		before = &llm.Usage{}
	}
	return llm.Usage{
		Input: max(now.Input-before.Input, 0), Output: max(now.Output-before.Output, 0), Total: max(now.Tokens()-before.Tokens(), 0),
		CachedInput: max(now.CachedInput-before.CachedInput, 0), CacheWritten: max(now.CacheWritten-before.CacheWritten, 0),
		Cost: max(now.Cost-before.Cost, 0), Unpriced: max(now.Unpriced-before.Unpriced, 0),
	}
}

// ConversationSpent returns what all runs of a conversation have spent.
func (db *DB) ConversationSpent(ctx context.Context, conv string) (a llm.Amount, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT tokens, micros FROM conversations WHERE id = $1`, conv).Scan(&a.Tokens, &a.Micros)
	return a, wrap("spending of "+conv, err)
}

// DaySpent returns what was spent on a day by a person, or by all of a tenant,
// or, if neither is named, by everybody.
func (db *DB) DaySpent(ctx context.Context, day, person, tenant string) (a llm.Amount, err error) {
	err = db.read.QueryRowContext(ctx, `
		SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT), CAST(COALESCE(SUM(micros), 0) AS BIGINT) FROM usage_days
		WHERE day = $1 AND ($2 = '' OR person = $2) AND ($3 = '' OR tenant = $3)`, day, person, tenant).Scan(&a.Tokens, &a.Micros)
	return a, wrap("spending of "+day, err)
}

// Usage sums up what was spent.
func (db *DB) Usage(ctx context.Context, q chat.UsageQuery) ([]chat.UsageRow, error) {
	columns := map[string]string{
		"": `'', '', '', ''`, "day": `day, '', '', ''`, "model": `'', '', '', model`,
		"person": `'', person, tenant, ''`, "tenant": `'', '', tenant, ''`,
	}
	groups := map[string]string{"": "", "day": "GROUP BY day", "model": "GROUP BY model", "person": "GROUP BY person, tenant", "tenant": "GROUP BY tenant"}
	order := "6 DESC, 1, 2, 3, 4"
	if q.By == "day" {
		order = "1 DESC"
	}
	if _, ok := columns[q.By]; !ok {
		return nil, fmt.Errorf("store: usage by %q", q.By)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	sums := ""
	for _, c := range []string{"runs", "tokens", "input", "cached", "written", "output", "micros", "unpriced"} {
		sums += ", CAST(COALESCE(SUM(" + c + "), 0) AS BIGINT)"
	}
	rows, err := db.read.QueryContext(ctx, `SELECT `+columns[q.By]+sums+` FROM usage_days
		WHERE day >= $1 AND day <= $2 AND ($3 = '' OR person = $3) `+groups[q.By]+` ORDER BY `+order+` LIMIT $4`,
		q.From, q.To, q.Person, min(limit, pageMost))
	all, err := collect(rows, err, scanUsage)
	return all, wrap("usage", err)
}

// SweepUsage forgets what was spent on days before one, most rows of it at a
// time, and returns how many they were. What conversations have spent stays.
func (db *DB) SweepUsage(ctx context.Context, before string, most int) (n int64, err error) {
	res, err := db.exec(ctx, `
		DELETE FROM usage_days WHERE (day, person, model) IN
			(SELECT day, person, model FROM usage_days WHERE day < $1 ORDER BY day, person, model LIMIT $2)`, before, most)
	if err == nil {
		n, err = res.RowsAffected()
	}
	return n, wrap("sweep usage", err)
}

func scanUsage(row interface{ Scan(...any) error }) (r chat.UsageRow, err error) {
	err = row.Scan(&r.Day, &r.Person, &r.Tenant, &r.Model, &r.Runs, &r.Tokens, &r.Input, &r.Cached, &r.Written, &r.Output, &r.Micros, &r.Unpriced)
	return r, err
}
