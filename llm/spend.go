package llm

import (
	"context"
	"math"
	"math/bits"

	"parley/tools"
)

// An Amount is what was spent, or may be: tokens, and money in millionths of a
// US dollar.
type Amount struct {
	Tokens int64 `json:"tokens"`
	Micros int64 `json:"micros"`
}

// Add returns the sum of two amounts, at most as large as it can be told.
func (a Amount) Add(b Amount) Amount {
	return Amount{sum(a.Tokens, b.Tokens), sum(a.Micros, b.Micros)}
}

// sum adds without wrapping around; neither is negative.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// A Price is what a million tokens of a model cost, in millionths of a US
// dollar.
type Price struct {
	Input, CachedInput, CacheWritten, Output int64
}

// Cost returns what usage costs, in millionths of a US dollar, rounded up.
// Some providers count cached tokens as input and some do not; their total
// tells which.
func (p Price) Cost(u Usage) int64 {
	fresh := u.Total - u.Output - u.CachedInput - u.CacheWritten
	if u.Total <= 0 {
		fresh = u.Input - u.CachedInput
	}
	var hi, lo uint64
	for _, part := range [...]struct {
		tokens int
		price  int64
	}{{fresh, p.Input}, {u.CachedInput, p.CachedInput}, {u.CacheWritten, p.CacheWritten}, {u.Output, p.Output}} {
		h, l := bits.Mul64(uint64(max(part.tokens, 0)), uint64(max(part.price, 0)))
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi += h + carry
	}
	lo, carry := bits.Add64(lo, 999_999, 0)
	if hi += carry; hi >= 1_000_000 {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, 1_000_000)
	return int64(min(q, math.MaxInt64))
}

// Prices knows what models cost. It may be called concurrently.
type Prices interface {
	// Price returns the price of a provider's model, false if it is not known.
	Price(provider, model string) (Price, bool)
}

// A Purse says what a run may still spend.
type Purse interface {
	// Take is asked before each request, also before those of a [Chain] that
	// stand behind something that was spent. It needs about so many tokens before
	// the model has said a word. An error ends the run.
	Take(ctx context.Context, need int) (Grant, error)
}

// A Grant is what one request may cost.
type Grant struct {
	Tokens int  // of the answer; 0: as many as the model likes
	Last   bool // nothing is left for another request behind it: no tools are called any more
}

// An Estimator knows what is usually spent where nobody has counted.
type Estimator interface {
	// Estimate returns the usage of a request with so many tokens in and out,
	// with what it costs at the model that is asked first.
	Estimate(input, output int) Usage
}

// bytesPerToken is how long a token is, about, in the languages that models
// read best. In others it is less, and an estimate too small.
const bytesPerToken = 4

// EstimateTokens returns about how many tokens a text of so many bytes is, of
// which no more is known; of one that is there, [tools.Tokens] knows better.
func EstimateTokens(bytes int) int { return (bytes + bytesPerToken - 1) / bytesPerToken }

// tokens estimates how many tokens a model reads of a request.
func (r Request) tokens() int {
	n := tools.Tokens(r.System) + specTokens(r.Tools) + messagesTokens(r.Messages)
	if r.Begun != nil {
		n += tools.Tokens(r.Begun.Text)
	}
	return n
}
