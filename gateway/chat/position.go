package chat

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Position is the place of an entry in a conversation's log. As text it is
// "generation-n": the entry's id in Redis, its id on SSE and the cursor that
// a client sends back to go on behind it. The zero Position lies before every
// entry and is the empty string.
type Position struct {
	Generation uint64 // begun anew, and greater, with each claim
	N          uint64 // 0, 1, 2 … without a hole within a generation
}

// ErrPosition is in the chain of every error of [ParsePosition].
var ErrPosition = errors.New("not a position, which looks like 1795347242260-17")

// ParsePosition is the inverse of [Position.String].
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	g, n, _ := strings.Cut(s, "-")
	gen, err1 := parseDigits(g)
	num, err2 := parseDigits(n)
	if err1 != nil || err2 != nil || gen == 0 {
		return Position{}, fmt.Errorf("chat: %.60q: %w", s, ErrPosition)
	}
	return Position{gen, num}, nil
}

// parseDigits takes only the form that String writes, so that a position has
// one spelling.
func parseDigits(s string) (uint64, error) {
	if s == "" || len(s) > 1 && s[0] == '0' || s[0] == '+' {
		return 0, ErrPosition
	}
	return strconv.ParseUint(s, 10, 64)
}

func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	return string(p.append(nil))
}

func (p Position) append(b []byte) []byte {
	b = strconv.AppendUint(b, p.Generation, 10)
	b = append(b, '-')
	return strconv.AppendUint(b, p.N, 10)
}

// IsZero reports whether p lies before every entry.
func (p Position) IsZero() bool { return p.Generation == 0 }

// Compare orders positions as a log does.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Generation, q.Generation), cmp.Compare(p.N, q.N))
}

// Before reports whether p lies before q in a log.
func (p Position) Before(q Position) bool { return p.Compare(q) < 0 }

// Next returns the position behind p in p's generation.
func (p Position) Next() Position { return Position{p.Generation, p.N + 1} }

// MarshalText implements [encoding.TextMarshaler].
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Position) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePosition(string(b))
	return err
}
