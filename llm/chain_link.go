package llm

import (
	"sync"

	"github.com/sony/gobreaker/v2"
)

// A StandIn says that a model answers because others before it did not.
type StandIn struct {
	Model  string
	Missed []Missed
	Anew   bool // what was handed on of the answer before is void
}

// A Missed is a model of a chain that did not answer.
type Missed struct {
	Model string `json:"model"`
	Kind  Kind   `json:"kind"`            // why
	Began bool   `json:"began,omitempty"` // it had said something, which was taken back
}

// A LinkStatus says how one model of a chain does, as this process knows it.
type LinkStatus struct {
	Model    string `json:"model"`
	Provider string `json:"provider,omitempty"` // and its host
	State    string `json:"state"`              // ready, resting, or trying: one request tries whether it is back
	Asked    int64  `json:"asked"`              // requests, retries among them
	Failed   int64  `json:"failed"`             // of these, by its own fault
	Retried  int64  `json:"retried"`
	StoodIn  int64  `json:"stoodIn"` // answers that it gave in place of others

	Price *Price `json:"-"`     // nil: it is not known
	Spent Usage  `json:"usage"` // of all requests
}

// Status returns how the models do, in the chain's order.
func (c *Chain) Status() []LinkStatus {
	all := make([]LinkStatus, len(c.links))
	for i, l := range c.links {
		all[i] = LinkStatus{
			Model: l.model.Name(), Provider: l.provider, State: stateName(l.breaker.State()),
			Asked: l.asked.Load(), Failed: l.failed.Load(), Retried: l.retried.Load(), StoodIn: l.stoodIn.Load(),
			Price: c.priceOf(l, ""), Spent: l.tally.sum(),
		}
	}
	return all
}

func stateName(s gobreaker.State) string {
	switch s {
	case gobreaker.StateOpen:
		return "resting"
	case gobreaker.StateHalfOpen:
		return "trying"
	}
	return "ready"
}

// A budget bounds the retries with one provider, so that one in trouble gets
// hardly more requests than one that is well. Its methods may be called
// concurrently.
type budget struct {
	mu           sync.Mutex
	tenths, most int
}

func newBudget(retries int) *budget { return &budget{tenths: 10 * retries, most: 10 * retries} }

// earn counts a request.
func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tenths = min(b.tenths+1, b.most)
}

// spend takes a retry, if there is one.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenths < 10 {
		return false
	}
	b.tenths -= 10
	return true
}
