package run

import (
	"context"
	"math"
	"slices"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// How long an answer is reckoned to be before it is there, and the shortest
// for which it is worth asking.
const (
	answerRoom  = 1024
	answerLeast = 64
)

// A purse is what one attempt at a run may spend. It is owned by the run's
// goroutine, like the answer that it belongs to.
type purse struct {
	a       *answer
	before  llm.Amount // what the conversation's other runs have spent
	settled llm.Amount // of what this run has spent

	last int // tokens of the last request, which the next begins with

	open  bool // a request is under way
	input int  // its tokens
	said  int  // bytes of what came

	grant llm.Grant    // of the request under way
	by    *BudgetError // the budget that bounds it most
}

var _ llm.Purse = (*purse)(nil)

// newPurse returns the purse of an answer.
func newPurse(ctx context.Context, a *answer) (*purse, error) {
	p := &purse{a: a}
	if a.rec.Usage != nil {
		p.settled = a.rec.Usage.Spent()
	}
	b := a.r.o.Budgets
	if b.Conversation == (llm.Amount{}) || b.Spent == nil {
		return p, nil
	}
	sum, err := b.Spent.ConversationSpent(ctx, a.lease.Conversation)
	if err != nil {
		return nil, err
	}
	if a.rec.Usage != nil {
		own := a.rec.Usage.Spent()
		sum = llm.Amount{Tokens: max(sum.Tokens-own.Tokens, 0), Micros: max(sum.Micros-own.Micros, 0)}
	}
	p.before = sum
	return p, nil
}

// Take implements [llm.Purse].
func (p *purse) Take(ctx context.Context, need int) (llm.Grant, error) {
	p.open, p.input, p.said = true, max(need, p.last), 0
	p.grant, p.by = llm.Grant{}, nil
	usual, least := p.estimate(p.input, answerRoom), p.estimate(p.input, answerLeast)
	left := remainder{-1, -1}
	own := p.a.usage.Spent()
	for _, c := range []struct {
		scope Scope
		limit llm.Amount
		spent llm.Amount
	}{{ScopeRun, p.a.r.o.Budgets.Run, own}, {ScopeConversation, p.a.r.o.Budgets.Conversation, p.before.Add(own)}} {
		has := remains(c.limit, c.spent)
		if !has.covers(least) {
			return p.refuse(&BudgetError{Scope: c.scope, Limit: c.limit})
		}
		p.bound(&left, has, &BudgetError{Scope: c.scope, Limit: c.limit})
	}
	if err := p.takeDays(ctx, &left, usual, least); err != nil {
		return p.refuse(err)
	}
	p.grant = llm.Grant{Tokens: p.longest(left), Last: !left.covers(usual.Add(least))}
	return p.grant, nil
}

func (p *purse) refuse(err *BudgetError) (llm.Grant, error) {
	p.open, p.by = false, err
	return llm.Grant{}, err
}

// bound notes a budget, if less is left of it than of those before.
func (p *purse) bound(left *remainder, has remainder, by *BudgetError) {
	if less := scarcer(*left, has); less != *left {
		*left, p.by = less, by
	}
}

// takeDays holds what the request needs in the accounts of this day: as much
// as is usual, or, if that is not there, all that is left.
func (p *purse) takeDays(ctx context.Context, left *remainder, usual, least llm.Amount) *BudgetError {
	now := time.Now()
	accounts, scopes := p.a.r.o.accounts(p.a.owner, now)
	if len(accounts) == 0 {
		return nil
	}
	take, rest := p.a.r.o.Budgets.takers()
	has, short := p.take(ctx, take, usual, accounts)
	scarce := -1
	if short >= 0 {
		scarce = short
		has, short = p.take(ctx, rest, least, accounts)
	}
	by := func(i int) *BudgetError {
		return &BudgetError{Scope: scopes[i], Limit: accounts[i].Limit, Until: chat.NextDay(now)}
	}
	if short >= 0 {
		return by(short)
	}
	p.bound(left, remainder(has), by(max(scarce, 0)))
	return nil
}

// A taker is [Ledger.Take], or another way of it; nil if there is no ledger.
type taker func(ctx context.Context, run string, spent, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int, err error)

func (b Budgets) takers() (take, rest taker) {
	if b.Ledger == nil {
		return nil, nil
	}
	return b.Ledger.Take, b.Ledger.TakeRest
}

// take asks the ledger, or, if it does not answer, the store.
func (p *purse) take(ctx context.Context, ask taker, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int) {
	if ask != nil {
		spent := p.unsettled()
		held, cancel := context.WithTimeout(ctx, ledgerWithin)
		defer cancel()
		left, short, err := ask(held, p.a.it.Run, spent, need, accounts)
		if err == nil {
			p.settled = p.settled.Add(spent)
			return left, short
		}
		p.a.r.log.Warn("budgets", "error", err)
	}
	left, short, err := p.a.r.o.Budgets.stored(ctx, need, accounts)
	if err != nil {
		p.a.r.log.Warn("budgets", "error", err) // what cannot be counted is allowed
	}
	return left, short
}

// unsettled is what the ledger does not know of.
func (p *purse) unsettled() llm.Amount {
	own := p.a.usage.Spent()
	return llm.Amount{Tokens: max(own.Tokens-p.settled.Tokens, 0), Micros: max(own.Micros-p.settled.Micros, 0)}
}

// estimate is what a request costs, about.
func (p *purse) estimate(input, output int) llm.Amount {
	if e, ok := p.a.chosen.Agent.Model.(llm.Estimator); ok {
		return e.Estimate(input, output).Spent()
	}
	return llm.Amount{Tokens: int64(input + output)}
}

// longest returns how many tokens the answer may have with what is left, 0 if
// that is more than the model says by itself.
func (p *purse) longest(left remainder) int {
	most := int64(math.MaxInt64)
	if left.Tokens >= 0 {
		most = left.Tokens - int64(p.input)
	}
	if left.Micros >= 0 {
		const some = 10_000
		asked := p.estimate(p.input, 0).Micros
		if each := p.estimate(p.input, some).Micros - asked; each > 0 {
			most = min(most, int64(float64(left.Micros-asked)/float64(each)*some))
		}
	}
	if most >= int64(or(p.a.r.o.Budgets.Answer, 8192)) {
		return 0
	}
	return int(max(most, 1))
}

// came counts what the model says while nobody else does.
func (p *purse) came(bytes int) { p.said += bytes }

// counted notes what the request has cost.
func (p *purse) counted(u llm.Usage) {
	p.open, p.last = false, u.Tokens()
}

// left returns what a request has cost that was left in its middle, and of
// which nobody has counted anything.
func (p *purse) leftOpen() (u llm.Usage) {
	e, ok := p.a.chosen.Agent.Model.(llm.Estimator)
	if !p.open || p.said == 0 || !ok {
		return u
	}
	p.open = false
	return e.Estimate(p.input, llm.EstimateTokens(p.said))
}

// cut returns why the last turn ended in its middle, nil if no budget is why.
func (p *purse) cut(f llm.Finish) *BudgetError {
	if f != llm.FinishLength || p.grant.Tokens == 0 || p.by == nil {
		return nil
	}
	e := *p.by
	e.Cut = true
	return &e
}

// close settles what the run has spent, and holds nothing any more.
func (p *purse) close(ctx context.Context) {
	accounts, _ := p.a.r.o.accounts(p.a.owner, time.Now())
	if l := p.a.r.o.Budgets.Ledger; l != nil && len(accounts) > 0 {
		ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
		defer cancel()
		if err := l.Settle(ctx, p.a.it.Run, p.unsettled(), accounts); err != nil {
			p.a.r.log.Warn("budgets", "error", err) // the store is asked again
		}
	}
}

// lost is what the turn has cost, about, that another writer was at when it
// died: what it had said is in the log, and what it was asked is what it is asked
// again.
func (a *answer) lost(st chat.State) (u llm.Usage) {
	e, ok := a.chosen.Agent.Model.(llm.Estimator)
	if !ok {
		return u
	}
	said := 0
	for _, m := range st.Messages {
		if slices.Contains(st.Open, m.ID) {
			said += len(m.Content)
		}
	}
	if said == 0 {
		return u
	}
	return e.Estimate(a.chosen.Agent.Tokens(a.msgs, &guarded{a, a.set}), llm.EstimateTokens(said))
}
