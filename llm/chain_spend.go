package llm

import (
	"cmp"
	"errors"
	"sync"
)

var _ Estimator = (*Chain)(nil)

// priceOf returns the price of what a link asks, nil if it is not known. The
// model may call itself by another name than the one that it is asked by.
func (c *Chain) priceOf(l *link, called string) *Price {
	if c.opts.Prices == nil {
		return nil
	}
	for _, name := range []string{called, l.model.Name()} {
		if p, ok := c.opts.Prices.Price(l.protocol, name); ok && name != "" {
			return &p
		}
	}
	return nil
}

// account says what a request has cost: as the model has counted, or, if it
// has not, about what it must be. An error before the first piece costs
// nothing, unless it is that nobody waits any more.
func (t *chainTurn) account(l *link, u *Usage, said int, err error) *Usage {
	if t.opts.Prices == nil {
		return u
	}
	if u == nil {
		var e *Error
		if err != nil && said == 0 && errors.As(err, &e) {
			return nil
		}
		u = estimated(l, t.req.tokens(), EstimateTokens(said))
	}
	priced := t.priced(l, *u)
	l.tally.add(priced)
	return &priced
}

// afford asks whether a model may be asked behind what was spent on the answer.
func (t *chainTurn) afford(l *link) error {
	if t.spent == nil || t.req.More == nil {
		return nil
	}
	grant, err := t.req.More(t.spent, t.asked(l).tokens())
	t.spent = nil
	if err != nil {
		t.poor = true
		return err
	}
	if grant.Tokens > 0 && (t.req.MaxTokens == 0 || grant.Tokens < t.req.MaxTokens) {
		t.req.MaxTokens = grant.Tokens
	}
	return nil
}

func estimated(l *link, input, output int) *Usage {
	return &Usage{
		Provider: l.protocol, Model: l.model.Name(), Input: input, Output: output,
		Total: input + output, Estimated: input + output,
	}
}

// priced returns usage with what it costs at a link.
func (c *Chain) priced(l *link, u Usage) Usage {
	u.Model = cmp.Or(u.Model, l.model.Name())
	if p := c.priceOf(l, u.Model); p != nil {
		u.Cost = p.Cost(u)
	} else if c.opts.Prices != nil {
		u.Unpriced = u.Tokens()
	}
	return u
}

// Estimate implements [Estimator].
func (c *Chain) Estimate(input, output int) Usage {
	l := c.links[0]
	return c.priced(l, *estimated(l, input, output))
}

// A tally is what was spent at one model. Its methods may be called
// concurrently.
type tally struct {
	mu    sync.Mutex
	usage Usage
}

func (t *tally) add(u Usage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage = t.usage.Add(u)
}

func (t *tally) sum() Usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.usage
}
