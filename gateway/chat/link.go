package chat

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A link is one subscription connection. Its reader does nothing but take:
// Redis cuts a subscriber that stalls, and the in-process Redis would stop
// altogether.
//
// All methods may be called concurrently, but run, which is called once.
type link struct {
	bus  *Bus
	tag  string // of the partition whose channels it carries, which are a shard's; "" for all others
	self string // the channel on which it is probed

	ops sync.Mutex // orders changes of what is subscribed; the reader takes it only to dial again

	mu        sync.Mutex           // never held across a Redis call
	ps        *redis.PubSub        // replaced when it has gone silent, or its slot has moved
	listeners map[string]*listener // by channel
	leaving   map[string]int       // channels whose subscription we are ending
	heard     int                  // what has come, counted
	doubted   bool                 // somebody waits for something to come
	down      time.Time            // since when it hears nothing for sure, zero if it may
	closed    bool
}

// probeEvery is how long a connection may be silent before it is probed. A
// second silence means that it is dialled again: a connection can be healthy
// on TCP and attached to a Redis that is no longer the primary
// (centrifugal/centrifugo#1189).
const probeEvery = 5 * time.Second

func newLink(b *Bus, tag string) *link {
	l := &link{bus: b, tag: tag, self: livePrefix + b.inc, leaving: map[string]int{}}
	if tag != "" {
		l.self = tag + ":live:" + b.inc
	}
	l.listeners = map[string]*listener{l.self: {}}
	l.ps = l.dial()
	return l
}

// dial returns a PubSub, which connects when it subscribes to something.
func (l *link) dial() *redis.PubSub {
	if l.tag != "" {
		return l.bus.rdb.SSubscribe(context.Background())
	}
	return l.bus.rdb.Subscribe(context.Background())
}

func (l *link) subscribe(ctx context.Context, ps *redis.PubSub, channels ...string) error {
	if l.tag != "" {
		return ps.SSubscribe(ctx, channels...)
	}
	return ps.Subscribe(ctx, channels...)
}

// run reads until ctx ends.
func (l *link) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = l.current().Close() })
	defer stop()
	defer l.close()
	_ = l.subscribe(ctx, l.current(), l.self) // repeated by go-redis once it has a connection
	var probes sync.WaitGroup
	defer probes.Wait()
	silent := false
	for ctx.Err() == nil {
		m, err := l.current().ReceiveTimeout(ctx, probeEvery)
		switch {
		case err == nil:
			silent = false
			l.setDown(false)
			l.hears()
			l.dispatch(ctx, m)
		case isTimeout(err):
			if silent {
				l.setDown(true)
				l.redial(ctx)
			}
			silent = !silent
			probes.Go(func() { l.probe(ctx) })
		case ctx.Err() == nil:
			l.setDown(true)
			l.failed(ctx, err)
		}
	}
}

// setDown notes whether anything can be heard.
func (l *link) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case down && l.down.IsZero():
		l.down = time.Now()
		l.bus.down.Add(1)
	case !down && !l.down.IsZero():
		l.down = time.Time{}
		l.bus.down.Add(-1)
	}
}

// downFor returns for how long nothing could be heard.
func (l *link) downFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down.IsZero() {
		return 0
	}
	return time.Since(l.down)
}

// close ends the connection for good.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	_ = l.ps.Close()
}

func (l *link) hears() {
	l.mu.Lock()
	l.heard++
	l.mu.Unlock()
}

// late is how long a bell may take that is on its way.
const late = 200 * time.Millisecond

// missed dials again if nothing comes for a moment: a connection to a Redis
// that is no longer the primary, or that hangs, is silent and otherwise well.
func (l *link) missed(ctx context.Context) {
	l.mu.Lock()
	heard, others := l.heard, l.doubted
	l.doubted = true
	l.mu.Unlock()
	if others {
		return
	}
	pauseFor(ctx, late)
	l.mu.Lock()
	deaf := l.heard == heard && ctx.Err() == nil
	l.doubted = false
	l.mu.Unlock()
	if deaf {
		l.redial(ctx)
	}
}

func (l *link) current() *redis.PubSub {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ps
}

func (l *link) dispatch(ctx context.Context, m any) {
	switch m := m.(type) {
	case *redis.Message:
		if li := l.listener(m.Channel); li != nil && li.message != nil {
			li.message(m.Payload)
		}
	case *redis.Subscription:
		switch m.Kind {
		case "subscribe", "ssubscribe":
			if li := l.listener(m.Channel); li != nil && li.joined != nil {
				li.joined()
			}
			if m.Channel == l.self { // a fresh connection: what was under way on the old one is over
				l.left("")
			}
		case "sunsubscribe":
			if !l.left(m.Channel) { // the slot has moved, and nothing more comes here
				l.redial(ctx)
			}
		}
	}
}

// left reports whether we have asked for the end of a channel's subscription,
// of which Redis tells. No channel means all.
func (l *link) left(channel string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if channel == "" {
		clear(l.leaving)
		return false
	}
	n := l.leaving[channel]
	if n > 1 {
		l.leaving[channel] = n - 1
	} else {
		delete(l.leaving, channel)
	}
	return n > 0
}

func (l *link) listener(channel string) *listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listeners[channel]
}

func (l *link) listen(ctx context.Context, channel string, li *listener) error {
	l.ops.Lock()
	defer l.ops.Unlock()
	l.mu.Lock()
	l.listeners[channel] = li
	ps := l.ps
	l.mu.Unlock()
	return l.subscribe(ctx, ps, channel)
}

func (l *link) leave(ctx context.Context, channel string, li *listener) error {
	l.ops.Lock()
	defer l.ops.Unlock()
	l.mu.Lock()
	if l.listeners[channel] != li {
		l.mu.Unlock()
		return nil
	}
	delete(l.listeners, channel)
	ps := l.ps
	if l.tag != "" {
		l.leaving[channel]++
	}
	l.mu.Unlock()
	if l.tag != "" {
		return ps.SUnsubscribe(ctx, channel)
	}
	return ps.Unsubscribe(ctx, channel)
}

// probe sends a message the way that every message goes.
func (l *link) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	if l.tag != "" {
		_ = l.bus.rdb.SPublish(ctx, l.self, "").Err()
		return
	}
	_ = l.bus.rdb.Publish(ctx, l.self, "").Err()
}

// failed deals with an error of the connection. What go-redis does not mend
// by itself is what a cluster's node says: the slot is not its own any more.
func (l *link) failed(ctx context.Context, err error) {
	if c, ok := l.bus.rdb.(*redis.ClusterClient); ok {
		c.ReloadState(ctx)
	}
	l.pause(ctx)
	if _, said := errors.AsType[redis.Error](err); said {
		l.redial(ctx)
	}
}

// redial replaces the connection and subscribes to everything again.
func (l *link) redial(ctx context.Context) {
	if c, ok := l.bus.rdb.(*redis.ClusterClient); ok {
		c.ReloadState(ctx)
	}
	l.ops.Lock()
	defer l.ops.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	old := l.ps
	l.ps = l.dial()
	channels := make([]string, 0, len(l.listeners))
	for c := range l.listeners {
		channels = append(channels, c)
	}
	ps := l.ps
	clear(l.leaving)
	l.mu.Unlock()
	_ = old.Close()
	_ = l.subscribe(ctx, ps, channels...) // what fails here go-redis repeats when it has a connection
}

// pause keeps a Redis that is away from being asked in a tight loop.
func (l *link) pause(ctx context.Context) { pauseFor(ctx, 50*time.Millisecond) }

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
