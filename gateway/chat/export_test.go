package chat

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Window returns what a generation's first entry repeats of s.
func (s *State) Window() State { return s.window() }

// KeysOf returns the names of a conversation's keys: log, inbox, owner, index
// of what is due.
func KeysOf(conv string) (log, in, own, due string) {
	k := keysOf(conv)
	return k.log, k.in, k.own, k.due
}

// SentKey returns the name of the key that says that an item was posted.
func SentKey(conv, id string) string { return keysOf(conv).sent(conv, id) }

// BellOf returns the name of a conversation's channel.
func BellOf(conv string) string { return keysOf(conv).bell }

// RenewHash returns what renewals are called by in Redis.
func RenewHash() string { return renewScript.Hash() }

// Stop ends the lease as a process that is killed does: its keeper stops and
// nothing is given back.
func (l *Lease) Stop() { l.End(errReleased) }

// Ring returns how many entries the hub keeps in memory of a conversation,
// and whether anybody follows it.
func (h *Hub) Ring(conv string) (entries int, followed bool) {
	entries, _, followed = h.ring(conv)
	return entries, followed
}

// RingBytes returns how large those entries are.
func (h *Hub) RingBytes(conv string) int {
	_, bytes, _ := h.ring(conv)
	return bytes
}

func (h *Hub) ring(conv string) (entries, bytes int, followed bool) {
	h.mu.Lock()
	r := h.rooms[conv]
	h.mu.Unlock()
	if r == nil {
		return 0, 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range r.ring {
		bytes += it.size()
	}
	return len(r.ring), bytes, true
}

// Listeners returns to how many channels the bus listens, the one of the
// process included, however many connections are probed on one like it.
func (b *Bus) Listeners() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 1
	for _, l := range b.links {
		l.mu.Lock()
		n += len(l.listeners) - 1
		l.mu.Unlock()
	}
	return n
}

// Scan returns at most limit conversations that are due.
func (q *Queue) Scan(ctx context.Context, limit int) (due []string, err error) {
	ws, _, err := q.Lookout().Look(ctx)
	for _, w := range ws {
		due = append(due, w.Conversation)
	}
	return due[:min(len(due), limit)], err
}

// Settled reports whether the queue would claim a conversation of another's.
func (q *Queue) Settled(conv string) bool { return q.isSettled(partition(conv)) }

// Subscribers returns how many listen to a channel of no partition.
func Subscribers(ctx context.Context, rdb redis.UniversalClient, channel string) int64 {
	n, _ := subscribers(ctx, rdb, []string{channel})
	return n[channel]
}
