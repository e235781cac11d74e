package chat

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Bus is a replica's one subscription connection, shared by everything that
// listens. Its reader does nothing but take: Redis cuts a subscriber that
// stalls, and the in-process Redis would stop altogether.
//
// All methods may be called concurrently.
type Bus struct {
	rdb redis.UniversalClient
	inc string // names this process's own channel, on which the connection is probed

	ops sync.Mutex // orders changes of what is subscribed; the reader takes it only to dial again

	mu        sync.Mutex           // never held across a Redis call
	ps        *redis.PubSub        // replaced when it has gone silent
	listeners map[string]*listener // by channel
}

// A listener is told what comes on a channel. Both functions run on the
// reader and must not block.
type listener struct {
	message func(payload string)
	joined  func() // the subscription stands, for the first time or again: bells may have been lost
}

// probeEvery is how long the connection may be silent before it is probed. A
// second silence means that it is dialled again: a connection can be healthy
// on TCP and attached to a Redis that is no longer the primary
// (centrifugal/centrifugo#1189).
const probeEvery = 5 * time.Second

// NewBus returns a bus over rdb. The incarnation names this process and must
// be new at every start of it.
func NewBus(rdb redis.UniversalClient, incarnation string) *Bus {
	return &Bus{rdb: rdb, inc: incarnation, ps: rdb.Subscribe(context.Background()), listeners: map[string]*listener{livePrefix + incarnation: {}}}
}

// Incarnation returns the name of this process.
func (b *Bus) Incarnation() string { return b.inc }

// Run reads until ctx ends.
func (b *Bus) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = b.current().Close() })
	defer stop()
	defer func() { _ = b.current().Close() }()
	_ = b.current().Subscribe(ctx, livePrefix+b.inc) // repeated by go-redis once it has a connection
	var probes sync.WaitGroup
	defer probes.Wait()
	silent := false
	for ctx.Err() == nil {
		m, err := b.current().ReceiveTimeout(ctx, probeEvery)
		switch {
		case err == nil:
			silent = false
			b.dispatch(m)
		case isTimeout(err):
			if silent {
				b.redial(ctx)
			}
			silent = !silent
			probes.Go(func() { b.probe(ctx) })
		case ctx.Err() == nil:
			b.pause(ctx)
		}
	}
	return nil
}

func (b *Bus) current() *redis.PubSub {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ps
}

func (b *Bus) dispatch(m any) {
	switch m := m.(type) {
	case *redis.Message:
		if l := b.listener(m.Channel); l != nil && l.message != nil {
			l.message(m.Payload)
		}
	case *redis.Subscription:
		if l := b.listener(m.Channel); l != nil && l.joined != nil && m.Kind == "subscribe" {
			l.joined()
		}
	}
}

func (b *Bus) listener(channel string) *listener {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listeners[channel]
}

// listen subscribes to a channel, in place of whoever listens to it now.
// l.joined is called when the subscription stands.
func (b *Bus) listen(ctx context.Context, channel string, l *listener) error {
	b.ops.Lock()
	defer b.ops.Unlock()
	b.mu.Lock()
	b.listeners[channel] = l
	ps := b.ps
	b.mu.Unlock()
	return ps.Subscribe(ctx, channel)
}

// leave ends l's subscription, unless another listener has taken its place.
func (b *Bus) leave(ctx context.Context, channel string, l *listener) error {
	b.ops.Lock()
	defer b.ops.Unlock()
	b.mu.Lock()
	if b.listeners[channel] != l {
		b.mu.Unlock()
		return nil
	}
	delete(b.listeners, channel)
	ps := b.ps
	b.mu.Unlock()
	return ps.Unsubscribe(ctx, channel)
}

// probe sends a message the way that every message goes.
func (b *Bus) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	_ = b.rdb.Publish(ctx, livePrefix+b.inc, "").Err()
}

// redial replaces the connection and subscribes to everything again.
func (b *Bus) redial(ctx context.Context) {
	b.ops.Lock()
	defer b.ops.Unlock()
	b.mu.Lock()
	old := b.ps
	b.ps = b.rdb.Subscribe(ctx)
	channels := make([]string, 0, len(b.listeners))
	for c := range b.listeners {
		channels = append(channels, c)
	}
	ps := b.ps
	b.mu.Unlock()
	_ = old.Close()
	_ = ps.Subscribe(ctx, channels...) // what fails here go-redis repeats when it has a connection
}

// pause keeps a Redis that is away from being asked in a tight loop.
func (b *Bus) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
