package chat

import (
	"context"
	"fmt"
)

// Deleted tells all who follow a conversation, and whoever writes it, that the
// store has it no more. Nothing of it stays in Redis but an entry that says
// so. While Redis is away nobody hears of it: a writer finds out when it
// archives, a client when it asks for something.
func (i *Inbox) Deleted(ctx context.Context, conv string) error {
	k := keysOf(conv)
	entry, err := deleteScript.Run(ctx, i.rdb, []string{k.own, k.in, k.due, k.log}, conv, logTTL.Milliseconds()).Text()
	if err != nil {
		return fmt.Errorf("chat: delete %s: %w", conv, err)
	}
	pipe := i.rdb.Pipeline()
	ring(ctx, i.rdb, pipe, k.bell, entry)
	_, _ = pipe.Exec(ctx) // who does not hear it finds the entry at the next look
	return nil
}
