package chat

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"parley/llm"
)

// A Kind says what an [Item] wants of a conversation.
type Kind string

// The kinds of items.
const (
	Say        Kind = "say"        // answer Message in Run
	Regenerate Kind = "regenerate" // answer the old Message anew in Run, instead of Replaces
	Edit       Kind = "edit"       // answer Message in Run; it stands in the place of Edits
	Cancel     Kind = "cancel"     // end Run
	Answer     Kind = "answer"     // look what people have answered: Run may go on
	Pin        Kind = "pin"        // other feeds are pinned now: the store says which
	Heal       Kind = "heal"       // a follower sees a hole that no read fills: begin a new generation
)

// An Item is what somebody wants of a conversation. It stays in the inbox
// until its effect is safe, so whoever takes the conversation over finds it.
type Item struct {
	ID       string       `json:"id"` // posted once, however often it is sent
	Kind     Kind         `json:"kind"`
	Run      string       `json:"run,omitempty"`
	Message  *llm.Message `json:"message,omitempty"`
	Replaces string       `json:"replaces,omitempty"`
	Edits    string       `json:"edits,omitempty"`
	Instead  uint64       `json:"instead,omitempty"` // of a Heal: the generation that a new one is to replace

	raw string // as it stands in the inbox, by which it is removed
}

// An Inbox is how everybody but its writer speaks to a conversation. All
// methods may be called concurrently, on any replica.
type Inbox struct {
	rdb redis.UniversalClient
}

// NewInbox returns the inboxes kept in rdb.
func NewInbox(rdb redis.UniversalClient) *Inbox { return &Inbox{rdb} }

// Post puts an item into a conversation's inbox, unless one with its ID was
// put there within the last hour, and makes the conversation due. claimable
// says that nobody writes the conversation now, so that the caller may try to
// claim it.
func (i *Inbox) Post(ctx context.Context, conv string, it Item) (claimable bool, err error) {
	b, err := json.Marshal(it)
	if err != nil {
		return false, fmt.Errorf("chat: post: %w", err)
	}
	k := keysOf(conv)
	n, err := postScript.Run(ctx, i.rdb, []string{k.sent(conv, it.ID), k.in, k.due, k.own},
		conv, b, livePrefix, sentTTL.Milliseconds(), inTTL.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("chat: post to %s: %w", conv, err)
	}
	return n < 2, nil
}

// Restore puts items that only the store remembers into a conversation's
// inbox, if it is empty and nobody writes the conversation.
func (i *Inbox) Restore(ctx context.Context, conv string, items []Item) error {
	k := keysOf(conv)
	args := []any{conv, inTTL.Milliseconds()}
	for _, it := range items {
		b, err := json.Marshal(it)
		if err != nil {
			return fmt.Errorf("chat: restore: %w", err)
		}
		args = append(args, b)
	}
	if err := restoreScript.Run(ctx, i.rdb, []string{k.in, k.due, k.own}, args...).Err(); err != nil {
		return fmt.Errorf("chat: restore %s: %w", conv, err)
	}
	return nil
}

// items returns what waits, oldest first. Of what cannot be read, because a
// later version of Parley posted it, only the place is known.
func (i *Inbox) items(ctx context.Context, conv string) ([]Item, error) {
	raw, err := i.rdb.LRange(ctx, keysOf(conv).in, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("chat: inbox of %s: %w", conv, err)
	}
	var its []Item
	for _, r := range raw {
		it := Item{}
		if json.Unmarshal([]byte(r), &it) != nil || it.ID == "" {
			it = Item{ID: r}
		}
		it.raw = r
		its = append(its, it)
	}
	return its, nil
}

// remove takes an item out, by value: repeatable, and it takes nothing that
// is not meant.
func (i *Inbox) remove(ctx context.Context, conv string, it Item) error {
	if err := i.rdb.LRem(ctx, keysOf(conv).in, 0, it.raw).Err(); err != nil {
		return fmt.Errorf("chat: inbox of %s: %w", conv, err)
	}
	return nil
}
