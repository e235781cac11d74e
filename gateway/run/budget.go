package run

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/price"
)

// Budgets bound what is spent. Of each amount 0 of a kind is any.
type Budgets struct {
	Run          llm.Amount // one answer
	Conversation llm.Amount
	Person       llm.Amount // one person's day, in UTC
	Tenant       llm.Amount // the day of all people of a tenant
	Day          llm.Amount // everybody's day

	Answer int // tokens that the model gives a turn at most by itself: 8192

	Ledger Ledger // where days are counted; nil: by the store alone, and nothing is held
	Spent  Spent  // what was spent before; nil: nothing but the answer is bounded
}

// A Ledger counts over all replicas what is spent on a day.
type Ledger interface {
	// Take settles what a run has spent since the last time, and holds what it
	// needs next. short is the account that has too little, -1 if all have
	// enough; left is what the scarcest has, -1 of a kind for any amount.
	Take(ctx context.Context, run string, spent, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int, err error)
	// TakeRest is Take of all that is left, if that is as much as it needs.
	TakeRest(ctx context.Context, run string, spent, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int, err error)
	// Settle is Take for a run that needs nothing more.
	Settle(ctx context.Context, run string, spent llm.Amount, accounts []chat.Account) error
	// Look returns an account of which nothing is left, -1 for none.
	Look(ctx context.Context, accounts []chat.Account) (short int, err error)
}

// Spent is what the store knows of spending.
type Spent interface {
	ConversationSpent(ctx context.Context, conv string) (llm.Amount, error)
	DaySpent(ctx context.Context, day, person, tenant string) (llm.Amount, error)
}

// A Scope is what a budget is of.
type Scope string

// The scopes.
const (
	ScopeRun          Scope = "run"
	ScopeConversation Scope = "conversation"
	ScopePerson       Scope = "person"
	ScopeTenant       Scope = "tenant"
	ScopeDay          Scope = "day"
)

// A BudgetError says that a budget is used up, in words for people.
type BudgetError struct {
	Scope Scope
	Limit llm.Amount
	Until time.Time // when there is more; zero: never
	Cut   bool      // in the middle of what the model said
}

func (e *BudgetError) Error() string { return "run: budget of the " + string(e.Scope) + " is used up" }

// Code is stable, such as budget_person.
func (e *BudgetError) Code() string { return "budget_" + string(e.Scope) }

// Advice says what happened and what to do.
func (e *BudgetError) Advice() string {
	var b strings.Builder
	if e.Cut {
		b.WriteString("The answer was cut short. ")
	}
	limit := amountText(e.Limit)
	switch e.Scope {
	case ScopeRun:
		fmt.Fprintf(&b, "This answer has used up the %s that one answer may cost. What was said is kept. Ask for less at once.", limit)
	case ScopeConversation:
		fmt.Fprintf(&b, "This conversation has used up the %s that one may cost. Begin a new one.", limit)
	case ScopePerson:
		fmt.Fprintf(&b, "You have used up the %s that one person has for a day. There is more from %s.", limit, untilText(e.Until))
	case ScopeTenant:
		fmt.Fprintf(&b, "Your organisation has used up the %s that it has for a day. There is more from %s.", limit, untilText(e.Until))
	default:
		fmt.Fprintf(&b, "This server has used up the %s that it has for a day. There is more from %s.", limit, untilText(e.Until))
	}
	return b.String()
}

func untilText(t time.Time) string { return t.UTC().Format("15:04 UTC on 2 January") }

func amountText(a llm.Amount) string {
	var parts []string
	if a.Tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens", a.Tokens))
	}
	if a.Micros > 0 {
		parts = append(parts, price.FormatDollars(a.Micros))
	}
	return strings.Join(parts, " or ")
}

// accounts are the days that somebody's spending counts towards, and of which
// scopes they are.
func (o Options) accounts(owner string, now time.Time) (as []chat.Account, scopes []Scope) {
	day := chat.Day(now)
	add := func(s Scope, a chat.Account) {
		if a.Limit != (llm.Amount{}) {
			as, scopes = append(as, a), append(scopes, s)
		}
	}
	if owner != "" && (o.Unbounded == nil || !o.Unbounded(owner)) {
		add(ScopePerson, chat.Account{Day: day, Person: owner, Limit: o.Budgets.Person})
	}
	if t := TenantOf(owner); t != "" {
		add(ScopeTenant, chat.Account{Day: day, Tenant: t, Limit: o.Budgets.Tenant})
	}
	add(ScopeDay, chat.Account{Day: day, Limit: o.Budgets.Day})
	return as, scopes
}

// ledgerWithin bounds one look at the ledger: what takes longer is asked of
// the store.
const ledgerWithin = time.Second

// empty returns an account of which nothing is left, -1 for none. What nobody
// can tell is enough.
func (r *Runner) empty(ctx context.Context, accounts []chat.Account) int {
	if len(accounts) == 0 {
		return -1
	}
	if l := r.o.Budgets.Ledger; l != nil {
		held, cancel := context.WithTimeout(ctx, ledgerWithin)
		defer cancel()
		short, err := l.Look(held, accounts)
		if err == nil {
			return short
		}
		r.log.Warn("budgets", "error", err)
	}
	_, short, err := r.o.Budgets.stored(ctx, llm.Amount{Tokens: 1, Micros: 1}, accounts)
	if err != nil {
		r.log.Warn("budgets", "error", err)
	}
	return short
}

// stored is [Ledger.Take] by what the store knows. Nothing is held.
func (b Budgets) stored(ctx context.Context, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int, err error) {
	left = llm.Amount{Tokens: -1, Micros: -1}
	if b.Spent == nil {
		return left, -1, nil
	}
	for i, a := range accounts {
		sum, err := b.Spent.DaySpent(ctx, a.Day, a.Person, a.Tenant)
		if err != nil {
			return left, -1, fmt.Errorf("run: budgets: %w", err)
		}
		has := remains(a.Limit, sum)
		if !has.covers(need) {
			return left, i, nil
		}
		left = scarcer(remainder(left), has).amount()
	}
	return left, -1, nil
}

// Affords returns a [*BudgetError] if somebody has used up what there is for
// today, unless what they say was taken before.
func (r *Runner) Affords(ctx context.Context, owner, conv, clientID string) error {
	now := time.Now()
	accounts, scopes := r.o.accounts(owner, now)
	short := r.empty(ctx, accounts)
	if short < 0 {
		return nil
	}
	if _, err := r.questions.Asked(ctx, conv, clientID); err == nil {
		return nil
	} else if !errors.Is(err, chat.ErrNotFound) {
		return fmt.Errorf("run: budgets: %w", err)
	}
	return &BudgetError{Scope: scopes[short], Limit: accounts[short].Limit, Until: chat.NextDay(now)}
}

// Accounts returns what there is for somebody today, for those who show it.
func (r *Runner) Accounts(owner string) ([]chat.Account, []Scope) {
	return r.o.accounts(owner, time.Now())
}

// A remainder is what is left of a budget, -1 of a kind for any amount.
type remainder llm.Amount

func (m remainder) amount() llm.Amount { return llm.Amount(m) }

// remains returns what is left of a limit.
func remains(limit, spent llm.Amount) remainder {
	left := func(limit, spent int64) int64 {
		if limit == 0 {
			return -1
		}
		return max(limit-spent, 0)
	}
	return remainder{left(limit.Tokens, spent.Tokens), left(limit.Micros, spent.Micros)}
}

// covers reports whether something is left, and need at least.
func (m remainder) covers(need llm.Amount) bool {
	has := func(left, need int64) bool { return left < 0 || left > 0 && left >= need }
	return has(m.Tokens, need.Tokens) && has(m.Micros, need.Micros)
}

// scarcer returns of each kind the smaller amount.
func scarcer(a, b remainder) remainder {
	less := func(a, b int64) int64 {
		if a < 0 || b >= 0 && b < a {
			return b
		}
		return a
	}
	return remainder{less(a.Tokens, b.Tokens), less(a.Micros, b.Micros)}
}
