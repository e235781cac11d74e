package run

import (
	"context"
	"time"

	"parley/gateway/chat"
)

// grace is how long a question may be in the store before it is looked for in
// Redis: whoever accepted it is about to post it.
const grace = 2 * time.Second

// reconcile makes due again what the store has as unanswered and Redis knows
// nothing of, so that Redis may be lost at any time.
func (r *Runner) reconcile(ctx context.Context) {
	for wait := time.Duration(0); ; wait = r.o.Reconcile {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if err := r.restore(ctx, wait == 0); err != nil && ctx.Err() == nil {
			r.log.Warn("reconciling Redis with the store", "error", err)
		}
	}
}

func (r *Runner) restore(ctx context.Context, first bool) error {
	before := time.Now().Add(-grace)
	if first {
		before = time.Now() // nothing was accepted by this process yet
	}
	qs, err := r.questions.Due(ctx, before, 1000)
	if err != nil {
		return err
	}
	byConv := map[string][]chat.Item{}
	var order []string
	for _, q := range qs {
		if byConv[q.Conversation] == nil {
			order = append(order, q.Conversation)
		}
		byConv[q.Conversation] = append(byConv[q.Conversation], itemOf(q))
	}
	for _, conv := range order {
		if r.queue.Holds(conv) {
			continue
		}
		if err := r.inbox.Restore(ctx, conv, byConv[conv]); err != nil {
			return err
		}
	}
	return nil
}
