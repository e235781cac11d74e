package chat

import (
	"time"

	"parley/llm"
)

// Day names the day of a moment, in UTC, as spending is counted by.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// NextDay returns when the day after a moment begins, in UTC.
func NextDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour) }

// A UsageRow is what was spent in some respect: of a day, of a person, with a
// model, as far as those are named.
type UsageRow struct {
	Day      string `json:"day,omitempty"`
	Person   string `json:"person,omitempty"`
	Tenant   string `json:"tenant,omitempty"`
	Model    string `json:"model,omitempty"`
	Runs     int64  `json:"runs"` // that ended
	Tokens   int64  `json:"tokens"`
	Input    int64  `json:"inputTokens"`
	Cached   int64  `json:"cachedInputTokens,omitempty"`
	Written  int64  `json:"cacheWriteInputTokens,omitempty"`
	Output   int64  `json:"outputTokens"`
	Micros   int64  `json:"costMicros"`               // in millionths of a US dollar
	Unpriced int64  `json:"unpricedTokens,omitempty"` // of Tokens, whose price was not known
}

// A UsageQuery says which spending is summed up, and by what.
type UsageQuery struct {
	From, To string // days, both included
	Person   string // whose; empty for everybody's
	By       string // "day", "person", "tenant" or "model"; empty for one sum
	Limit    int    // rows, those with the most tokens; by day the latest: 100
}

// An Account is what may be spent on one day: by a person, by all of a tenant,
// or, if neither is named, by everybody.
type Account struct {
	Day, Person, Tenant string
	Limit               llm.Amount // 0 of a kind: any amount
}
