package chat

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A record is an entry as it stands in Redis: its place, and its JSON, which
// is never encoded again.
type record struct {
	at  Position
	raw string
}

// field is the one field of a stream entry.
const field = "e"

// readSize is how many entries one read of a log brings.
const readSize = 512

// A Log reads the logs of conversations. Only a [Lease] writes them.
type Log struct {
	rdb redis.UniversalClient
}

// NewLog returns the logs kept in rdb.
func NewLog(rdb redis.UniversalClient) *Log { return &Log{rdb} }

// after returns up to readSize entries behind p, oldest first.
func (l *Log) after(ctx context.Context, conv string, p Position) ([]record, error) {
	from := "-"
	if !p.IsZero() {
		from = "(" + p.String()
	}
	xs, err := l.rdb.XRangeN(ctx, keysOf(conv).log, from, "+", readSize).Result()
	return records(xs, err, conv)
}

// head returns the position of the last entry, zero if there is none.
func (l *Log) head(ctx context.Context, conv string) (Position, error) {
	xs, err := l.rdb.XRevRangeN(ctx, keysOf(conv).log, "+", "-", 1).Result()
	rs, err := records(xs, err, conv)
	if err != nil || len(rs) == 0 {
		return Position{}, err
	}
	return rs[0].at, nil
}

// generation returns the entries of the last generation, oldest first. It
// returns none if their beginning is not there or one is missing, as after a
// rollback of Redis: they add up to nothing then.
func (l *Log) generation(ctx context.Context, conv string) ([]record, error) {
	var back []record
	to := "+"
	for {
		xs, err := l.rdb.XRevRangeN(ctx, keysOf(conv).log, to, "-", readSize).Result()
		rs, err := records(xs, err, conv)
		if err != nil {
			return nil, err
		}
		for _, r := range rs {
			if len(back) > 0 && back[len(back)-1].at != r.at.Next() {
				return nil, nil
			}
			if back = append(back, r); r.at.N == 0 {
				return reversed(back), nil
			}
		}
		if len(rs) < readSize {
			return nil, nil
		}
		to = "(" + rs[len(rs)-1].at.String()
	}
}

// Fold returns what a conversation's log adds up to and the position of its
// last entry: zero, and an empty State, if Redis has no log or not all of it.
func (l *Log) Fold(ctx context.Context, conv string) (State, Position, error) {
	rs, err := l.generation(ctx, conv)
	if err != nil {
		return State{}, Position{}, err
	}
	return foldAll(rs)
}

func foldAll(rs []record) (s State, at Position, err error) {
	for _, r := range rs {
		e, err := r.entry()
		if err != nil {
			return State{}, Position{}, err
		}
		s.Apply(e)
		at = r.at
	}
	return s, at, nil
}

func (r record) entry() (Entry, error) { return DecodeEntry([]byte(r.raw)) }

func records(xs []redis.XMessage, err error, conv string) ([]record, error) {
	if err != nil {
		return nil, fmt.Errorf("chat: log of %s: %w", conv, err)
	}
	rs := make([]record, 0, len(xs))
	for _, x := range xs {
		at, err := ParsePosition(x.ID)
		if err != nil {
			return nil, err
		}
		raw, _ := x.Values[field].(string)
		rs = append(rs, record{at, raw})
	}
	return rs, nil
}

func reversed(rs []record) []record {
	out := make([]record, len(rs))
	for i, r := range rs {
		out[len(rs)-1-i] = r
	}
	return out
}
