package fleet

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
	"parley/llm"
)

var (
	//go:embed lua/budget_take.lua
	budgetTakeLua string
	//go:embed lua/budget_sync.lua
	budgetSyncLua string
)

var (
	budgetTakeScript = redis.NewScript(budgetTakeLua)
	budgetSyncScript = redis.NewScript(budgetSyncLua)
)

// LedgerOptions are the settings of a [Ledger]. Zero values are the defaults.
type LedgerOptions struct {
	Hold  time.Duration // for which something is held for a run that is not heard of: 11 min
	Fresh time.Duration // after which the store is asked again what was spent: 30 s
}

// accountKeep is how long an account is kept: its day, whenever it began.
const accountKeep = 26 * time.Hour

// A Ledger counts over all replicas what is spent on a day. A run holds what
// its next request needs, and settles what it has cost; who holds something
// and dies loses it when its run goes on elsewhere, or after a while.
//
// The store has the truth: it is asked when Redis does not know an account,
// and again every so often, so whatever was not settled counts within that
// time. What was stored and is settled just then counts twice for as long.
//
// All methods may be called concurrently.
type Ledger struct {
	rdb   redis.UniversalClient
	truth func(ctx context.Context, day, person, tenant string) (llm.Amount, error)
	o     LedgerOptions
}

// NewLedger returns a Ledger that is kept in rdb. truth is what the store says
// was spent on a day by a person, of a tenant, or by everybody.
func NewLedger(rdb redis.UniversalClient, truth func(ctx context.Context, day, person, tenant string) (llm.Amount, error), o LedgerOptions) *Ledger {
	if o.Hold <= 0 {
		o.Hold = 11 * time.Minute
	}
	if o.Fresh <= 0 {
		o.Fresh = 30 * time.Second
	}
	return &Ledger{rdb, truth, o}
}

// accountKeys are an account's keys: its sums, and until when something is
// held for whom. All accounts share a Cluster slot, so that one script sees
// all that a run needs.
func accountKeys(a chat.Account) [2]string {
	k := "parley:{budget}:" + a.Day + ":"
	switch {
	case a.Person != "":
		k += "p:" + a.Person
	case a.Tenant != "":
		k += "t:" + a.Tenant
	default:
		k += "all"
	}
	return [2]string{k, k + ":held"}
}

// Take settles what a run has spent since the last time, and holds what it
// needs next. short is the account that has too little, -1 if all have enough;
// left is what the scarcest has, with what is now held, and -1 of a kind that
// is not bounded. An error means that nothing is held.
func (l *Ledger) Take(ctx context.Context, run string, spent, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int, err error) {
	return l.move(ctx, "take", run, spent, need, accounts)
}

// TakeRest is Take of all that is left, if that is as much as it needs.
func (l *Ledger) TakeRest(ctx context.Context, run string, spent, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int, err error) {
	return l.move(ctx, "rest", run, spent, need, accounts)
}

// Settle is Take for a run that needs nothing more.
func (l *Ledger) Settle(ctx context.Context, run string, spent llm.Amount, accounts []chat.Account) error {
	_, _, err := l.move(ctx, "settle", run, spent, llm.Amount{}, accounts)
	return err
}

// Look returns an account of which nothing is left, -1 if something is of all.
func (l *Ledger) Look(ctx context.Context, accounts []chat.Account) (short int, err error) {
	_, short, err = l.move(ctx, "look", "", llm.Amount{}, llm.Amount{}, accounts)
	return short, err
}

// syncsMost is how often an account is read from the store for one request,
// if something is settled each time meanwhile.
const syncsMost = 16

func (l *Ledger) move(ctx context.Context, mode, run string, spent, need llm.Amount, accounts []chat.Account) (left llm.Amount, short int, err error) {
	left = llm.Amount{Tokens: -1, Micros: -1}
	if len(accounts) == 0 {
		return left, -1, nil
	}
	var keys []string
	var limits []any
	for _, a := range accounts {
		k := accountKeys(a)
		keys = append(keys, k[:]...)
		limits = append(limits, a.Limit.Tokens, a.Limit.Micros)
	}
	for range syncsMost {
		args := append([]any{run, mode, l.o.Hold.Milliseconds(), accountKeep.Milliseconds(), l.o.Fresh.Milliseconds(), spent.Tokens, spent.Micros, need.Tokens, need.Micros}, limits...)
		reply, err := budgetTakeScript.Run(ctx, l.rdb, keys, args...).Slice()
		if err != nil {
			return left, -1, fmt.Errorf("fleet: budget: %w", err)
		}
		switch one := number(reply[0]); {
		case one == 0:
			return left, int(number(reply[1])) - 1, nil
		case one == 1:
			return llm.Amount{Tokens: number(reply[1]), Micros: number(reply[2])}, -1, nil
		}
		spent = llm.Amount{} // is settled
		version, _ := reply[2].(string)
		if err := l.sync(ctx, accounts[number(reply[1])-1], version); err != nil {
			return left, -1, err
		}
	}
	return left, -1, errors.New("fleet: budget: too much is settled at once")
}

// sync reads an account from the store.
func (l *Ledger) sync(ctx context.Context, a chat.Account, version string) error {
	sum, err := l.truth(ctx, a.Day, a.Person, a.Tenant)
	if err != nil {
		return fmt.Errorf("fleet: budget: %w", err)
	}
	keys := accountKeys(a)
	if err := budgetSyncScript.Run(ctx, l.rdb, keys[:1], version, sum.Tokens, sum.Micros, accountKeep.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("fleet: budget: %w", err)
	}
	return nil
}

// number reads a number of a script's reply.
func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}
