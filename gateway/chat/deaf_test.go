package chat_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/gateway/chat"
)

// A line is a way to Redis whose subscriptions can go deaf: they take whatever
// is written and bring nothing, as a connection does to a Redis that is no
// longer the primary. New ones hear.
type line struct {
	mu   sync.Mutex
	subs []*deaf
}

func (l *line) deafen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.subs {
		d.off = true
	}
}

// count returns how many connections have subscribed.
func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.subs)
}

type deaf struct {
	net.Conn
	line *line
	off  bool // guarded by line.mu
}

func (d *deaf) Write(b []byte) (int, error) {
	d.line.mu.Lock()
	if bytes.Contains(b, []byte("\r\nsubscribe\r\n")) && !slices.Contains(d.line.subs, d) {
		d.line.subs = append(d.line.subs, d)
	}
	off := d.off
	d.line.mu.Unlock()
	if off {
		return len(b), nil
	}
	return d.Conn.Write(b)
}

func (d *deaf) Read(b []byte) (int, error) {
	for {
		n, err := d.Conn.Read(b)
		d.line.mu.Lock()
		off := d.off
		d.line.mu.Unlock()
		if err != nil || !off {
			return n, err
		}
	}
}

func TestBusDialsAgainWhenItHearsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, client func() redis.UniversalClient) {
		w, ln := newWorld(t, client), &line{}
		w.client = func() redis.UniversalClient {
			o := *client().(*redis.Client).Options()
			o.MaxRetries = -1 // a client has made 0 of it, which would mean 3
			dial := o.Dialer
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := dial(ctx, network, addr)
				return &deaf{Conn: c, line: ln}, err
			}
			c := redis.NewClient(&o)
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		a := w.start(nil)
		w.ask("conv", "r1")
		l := a.claim("conv")
		f := a.follow("conv", chat.Position{}, chat.State{})
		titled := func(title string) func() bool {
			return func() bool { s, _, _ := f.now(); return s.Title == title }
		}
		l.Put("", 0, chat.Event{Type: chat.Titled, Title: "heard"}) // there is no run, so heads are seldom looked at
		eventually(t, "heard", titled("heard"))
		time.Sleep(30 * time.Second) // probes keep the silence of a line apart from that of a conversation
		n := ln.count()
		ln.deafen()
		began := time.Now()
		l.Put("", 0, chat.Event{Type: chat.Titled, Title: "unheard"})
		for (!titled("unheard")() || ln.count() < 2) && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("heard after %v", took)
		}
		if n != 1 || ln.count() != 2 {
			t.Errorf("%d connections before the silence, want 1; %d after, want 2", n, ln.count())
		}
	})
}
