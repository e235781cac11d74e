package run

import (
	"context"
	"errors"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// errSpent says that a budget is used up: what is nobody's question can wait.
var errSpent = errors.New("run: nothing is left to tend with")

// afford returns the accounts towards which tending a conversation counts, if
// something is left of all budgets.
func (s *session) afford(ctx context.Context) ([]chat.Account, error) {
	b := s.r.o.Budgets
	if b == (Budgets{Ledger: b.Ledger, Spent: b.Spent, Answer: b.Answer}) {
		return nil, nil // nothing is bounded
	}
	conv, err := s.r.answers.Conversation(ctx, s.lease.Conversation)
	if err != nil {
		return nil, err
	}
	accounts, _ := s.r.o.accounts(conv.Owner, time.Now())
	if s.r.empty(ctx, accounts) >= 0 {
		return nil, errSpent
	}
	if b.Conversation != (llm.Amount{}) && b.Spent != nil {
		sum, err := b.Spent.ConversationSpent(ctx, conv.ID)
		if err != nil {
			return nil, err
		}
		if !remains(b.Conversation, sum).covers(llm.Amount{Tokens: 1, Micros: 1}) {
			return nil, errSpent
		}
	}
	return accounts, nil
}

// spent counts what tending has cost, also if something came and ended it.
func (t *tending) spent(ctx context.Context, u *llm.Usage) {
	if u == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ledgerWithin)
	defer cancel()
	err := t.r.answers.Archive(ctx, t.lease.Conversation, t.lease.Generation(), chat.Batch{Spent: u})
	if l := t.r.o.Budgets.Ledger; err == nil && l != nil && len(t.accounts) > 0 {
		err = l.Settle(ctx, "tend:"+t.lease.Conversation, u.Spent(), t.accounts)
	}
	if err != nil {
		t.r.log.Warn("tend", "conversation", t.lease.Conversation, "what", "spending", "error", err)
	}
}
