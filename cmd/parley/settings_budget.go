package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/fleet"
	"parley/gateway/run"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/price"
)

// maxPrices is how large a file of prices may be, in bytes.
const maxPrices = 1 << 20

// pricesRow is prices that are added to those that come with Parley, or
// replace some.
func pricesRow() setting {
	row := setting{
		name: "prices", arg: "model=in/out,…|file", def: "",
		help: "Prices of models in dollars for a million tokens, added to the table that comes with Parley or in its place: [provider:]model=input/output or input/cached/written/output, or the path of a YAML file of them.",
		set: func(s *settings, v string) (err error) {
			s.PricesText = v
			s.Prices, err = pricesOf(v)
			return err
		},
		get: func(s *settings) string { return s.PricesText },
	}
	row.shown = "those of " + price.Asof + ", see parley models"
	return row
}

func pricesOf(v string) (*price.Table, error) {
	t := price.Default()
	if v == "" || strings.Contains(v, "=") {
		return t.Parse(v)
	}
	b, err := readSmall(v, maxPrices)
	if err != nil {
		return nil, fmt.Errorf("is no prices, and no file that can be read: %w", reason(err))
	}
	return t.ParseFile(b)
}

// budget is a row whose value is what may be spent.
func budget(name, help string, field func(*settings) *llm.Amount) setting {
	return setting{
		name: name, arg: "tokens,$dollars", help: help,
		set: func(s *settings, v string) (err error) { *field(s), err = price.Budget(v); return err },
		get: func(s *settings) string { return price.FormatBudget(*field(s)) },
	}
}

// budgets are all that are bounded of one kind or another.
func (s settings) budgets() []llm.Amount {
	return []llm.Amount{s.BudgetRun, s.BudgetConversation, s.BudgetPerson, s.BudgetTenant, s.BudgetDay}
}

func budgetsOf(s settings, db *store.DB, rdb redis.UniversalClient) run.Budgets {
	return run.Budgets{
		Run: s.BudgetRun, Conversation: s.BudgetConversation, Person: s.BudgetPerson, Tenant: s.BudgetTenant, Day: s.BudgetDay,
		Answer: s.ModelMaxTokens, Spent: db,
		Ledger: fleet.NewLedger(rdb, db.DaySpent, fleet.LedgerOptions{Hold: cmp.Or(s.MaxRun, 10*time.Minute) + time.Minute}),
	}
}

// warnOfPrices says which models' tokens count towards no budget of money.
func warnOfPrices(s settings, models *llm.Chain, log *slog.Logger) {
	money := false
	for _, b := range s.budgets() {
		money = money || b.Micros > 0
	}
	for _, m := range models.Status() {
		if money && m.Price == nil {
			log.Warn("a budget in dollars does not bound this model, whose price is not known: set PARLEY_PRICES, or a budget in tokens", "model", m.Model, "provider", m.Provider)
		}
	}
}
