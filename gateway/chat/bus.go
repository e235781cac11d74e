package chat

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Bus is what a replica hears of Redis: its subscriptions, shared by
// everything that listens.
//
// They go over one connection, except in a Redis Cluster. There a channel of a
// conversation belongs to the shard that has its keys, so that its bells stay
// within that shard, and each partition that anybody follows has a connection
// of its own: a connection can hear only one slot for sure.
//
// All methods may be called concurrently.
type Bus struct {
	rdb     redis.UniversalClient
	inc     string // names this process's own channel
	sharded bool
	down    atomic.Int32 // links that hear nothing

	mu      sync.Mutex
	links   map[string]*link // by tag; "" for channels of no partition
	running context.Context  // of Run, once it runs
	readers sync.WaitGroup
}

// A listener is told what comes on a channel. Both functions run on the
// reader and must not block.
type listener struct {
	message func(payload string)
	joined  func() // the subscription stands, for the first time or again: bells may have been lost
}

// NewBus returns a bus over rdb. The incarnation names this process and must
// be new at every start of it.
func NewBus(rdb redis.UniversalClient, incarnation string) *Bus {
	b := &Bus{rdb: rdb, inc: incarnation, sharded: sharded(rdb), links: map[string]*link{}}
	b.links[""] = newLink(b, "")
	return b
}

// Incarnation returns the name of this process.
func (b *Bus) Incarnation() string { return b.inc }

// Run reads until ctx ends.
func (b *Bus) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = ctx
	for _, l := range b.links {
		b.readers.Go(func() { l.run(ctx) })
	}
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.running = nil
	b.mu.Unlock()
	b.readers.Wait()
	return nil
}

// downFor returns for how long nothing that is published on a channel can
// have been heard.
func (b *Bus) downFor(channel string) time.Duration {
	if b.down.Load() == 0 {
		return 0
	}
	return b.link(channel).downFor()
}

// link returns the link that carries a channel.
func (b *Bus) link(channel string) *link {
	tag := ""
	if b.sharded {
		tag = tagOf(channel)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.links[tag]
	if l == nil {
		l = newLink(b, tag)
		b.links[tag] = l
		if ctx := b.running; ctx != nil {
			b.readers.Go(func() { l.run(ctx) })
		}
	}
	return l
}

// listen subscribes to a channel, in place of whoever listens to it now.
// l.joined is called when the subscription stands.
func (b *Bus) listen(ctx context.Context, channel string, l *listener) error {
	return b.link(channel).listen(ctx, channel, l)
}

// leave ends l's subscription, unless another listener has taken its place.
func (b *Bus) leave(ctx context.Context, channel string, l *listener) error {
	return b.link(channel).leave(ctx, channel, l)
}

// missed is told that something was published on a channel and was not heard.
// It may still come; if nothing comes at all, the link is deaf.
func (b *Bus) missed(ctx context.Context, channel string) { b.link(channel).missed(ctx) }
