package price

import (
	"fmt"
	"strconv"
	"strings"

	"parley/llm"
)

// maxDollars is the most that a price or a budget may be.
const maxDollars = 1_000_000_000

// Dollars reads an amount of US dollars, such as 0.50 or $3, as millionths.
func Dollars(text string) (micros int64, err error) {
	digits := strings.TrimPrefix(strings.TrimSpace(text), "$")
	whole, part, point := strings.Cut(digits, ".")
	if !isNumber(whole) || point && !isNumber(part) || len(whole) > 10 || len(part) > 6 {
		return 0, fmt.Errorf("has the amount %q: write dollars with at most six decimals, such as 0.25", text)
	}
	n, _ := strconv.ParseInt(whole, 10, 64)
	if n > maxDollars {
		return 0, fmt.Errorf("has the amount %q, which is more than %d dollars", text, maxDollars)
	}
	m, _ := strconv.ParseInt((part + "000000")[:6], 10, 64)
	return n*1_000_000 + m, nil
}

func isNumber(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// FormatDollars returns an amount as people read it: cents, and for less than
// a dollar as many decimals as say something.
func FormatDollars(micros int64) string {
	s := fmt.Sprintf("$%d.%06d", micros/1_000_000, micros%1_000_000)
	if micros >= 1_000_000 {
		return s[:len(s)-4]
	}
	for strings.HasSuffix(s, "0") && len(s) > len("$0.00") {
		s = s[:len(s)-1]
	}
	return s
}

// maxTokens is the most that a budget of tokens may be.
const maxTokens = 1_000_000_000_000

// Budget reads an amount that may be spent: tokens, dollars, or both with a
// comma between them, such as 200000,$0.50. What is 0 or not named is not
// bounded.
func Budget(text string) (a llm.Amount, err error) {
	seen := map[bool]bool{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		money := strings.HasPrefix(part, "$")
		if part == "" && text == "" {
			return a, nil
		}
		if seen[money] {
			return a, fmt.Errorf("names two amounts of the same kind: write tokens, dollars, or both, such as 200000,$0.50")
		}
		seen[money] = true
		if money {
			if a.Micros, err = Dollars(part); err != nil {
				return a, err
			}
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 || n > maxTokens || !isNumber(part) {
			return a, fmt.Errorf("is not a number of tokens, dollars, or both, such as 200000,$0.50")
		}
		a.Tokens = n
	}
	return a, nil
}

// FormatBudget is what [Budget] reads, empty for none.
func FormatBudget(a llm.Amount) string {
	var parts []string
	if a.Tokens > 0 {
		parts = append(parts, strconv.FormatInt(a.Tokens, 10))
	}
	if a.Micros > 0 {
		parts = append(parts, FormatDollars(a.Micros))
	}
	return strings.Join(parts, ",")
}
