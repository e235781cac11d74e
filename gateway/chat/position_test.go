package chat_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"parley/gateway/chat"
)

func TestParsePosition(t *testing.T) {
	for text, want := range map[string]chat.Position{
		"":                               {},
		"1795347242260-0":                {Generation: 1795347242260},
		"1-18446744073709551615":         {Generation: 1, N: math.MaxUint64},
		"18446744073709551615-10":        {Generation: math.MaxUint64, N: 10},
		"1795347242260-9007199254740993": {Generation: 1795347242260, N: 9007199254740993},
	} {
		if p, err := chat.ParsePosition(text); err != nil || p != want || p.String() != text {
			t.Errorf("%q is %v, %v", text, p, err)
		}
	}
	for _, text := range []string{
		"5", "5-", "-5", "-", "0-1", "05-1", "5-01", "+5-1", "5-+1", "5-1-1", " 5-1", "5-1 ", "5-1\n", "$", "5_0-1",
		"٥-1", "18446744073709551616-0", "0x5-1", "1e3-0", strings.Repeat("9", 100) + "-1",
	} {
		if p, err := chat.ParsePosition(text); !errors.Is(err, chat.ErrPosition) {
			t.Errorf("%q is %v, %v", text, p, err)
		}
	}
}

func TestPositionsAreOrderedAsALogIs(t *testing.T) {
	order := []chat.Position{{}, {Generation: 1, N: 9}, {Generation: 9}, {Generation: 9, N: 9}, {Generation: 9, N: 10}, {Generation: 10}}
	for i, p := range order {
		for j, q := range order {
			if p.Before(q) != (i < j) || (p == q) != (i == j) {
				t.Errorf("%v before %v is %v", p, q, p.Before(q))
			}
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"", "1795347242260-17", "1-0", "0-0", "007-1", "1-", "1-1-1", "18446744073709551615-18446744073709551615"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := chat.ParsePosition(s)
		if err != nil {
			return
		}
		if p.String() != s { // one spelling, or two cursors of one place would compare unequal
			t.Errorf("%q is written %q", s, p)
		}
		b, err := json.Marshal(p)
		var q chat.Position
		if err != nil || json.Unmarshal(b, &q) != nil || q != p {
			t.Errorf("%v becomes %v in JSON", p, q)
		}
	})
}
