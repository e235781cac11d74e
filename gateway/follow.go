package gateway

import (
	"context"
	"time"

	"parley/gateway/chat"
)

// take returns the frame of what the conversation has for the connection, or
// nil for nothing. It is called by the connection's writer.
func (fo *follow) take() []byte {
	c := fo.conn
	d, ready, err := fo.f.Take(c.ctx, maxBatch)
	if err != nil {
		if c.ctx.Err() == nil { // Redis or the store is away: the client waits, it is not sent away
			time.AfterFunc(retryTake, fo.wake)
		}
		return nil
	}
	if !ready {
		return nil
	}
	begins, left := fo.begin()
	if left || !begins && d.Empty() {
		return nil
	}
	if d.More {
		fo.wake()
	}
	if begins {
		return fo.subscribed(d)
	}
	return fo.frame(d)
}

// takeReady is a take that waits for nothing. It reports false if take may
// find more.
func (fo *follow) takeReady() (frame []byte, ok bool) {
	fo.conn.mu.Lock()
	open, left := fo.open, fo.left
	fo.conn.mu.Unlock()
	if left {
		return nil, true
	}
	if !open {
		return nil, false
	}
	d, ok := fo.f.TakeReady(maxBatch)
	if !ok || d.Empty() {
		return nil, ok
	}
	if d.More {
		fo.wake()
	}
	return fo.frame(d), true
}

// begin reports whether the command that began the following is to be
// answered now. Once the client has left, nothing is to be sent.
func (fo *follow) begin() (begins, left bool) {
	fo.conn.mu.Lock()
	defer fo.conn.mu.Unlock()
	begins = !fo.open && !fo.left
	fo.open = fo.open || begins
	return begins, fo.left
}

func (fo *follow) frame(d chat.Delivery) []byte {
	switch {
	case d.Snapshot != nil:
		return encode(snap{Type: frameSnap, C: fo.c, At: d.At, Snapshot: d.Snapshot, Reason: d.Reason})
	case len(d.Entries) == 1 && d.Entries[0].Frame != nil:
		return d.Entries[0].Frame
	}
	return eventsFrame(fo.c, merged(d.Entries))
}

// subscribed answers sub. What follows the client's position without a hole
// comes as the frames behind it.
func (fo *follow) subscribed(d chat.Delivery) []byte {
	a := subscribed{Type: frameSub, ID: fo.subID, C: fo.c, Head: fo.f.Head(), Recovered: d.Snapshot == nil}
	if d.Snapshot != nil {
		a.Snapshot, a.At, a.Older = d.Snapshot, &d.At, fo.older(d)
		return encode(a)
	}
	if len(d.Entries) > 0 {
		fo.conn.first(eventsFrame(fo.c, merged(d.Entries)))
	}
	return encode(a)
}

// first puts a frame before all others that wait.
func (c *conn) first(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.replies = append([][]byte{frame}, c.replies...)
	}
}

// older returns the first message of a snapshot, if there are messages before
// it.
func (fo *follow) older(d chat.Delivery) string {
	ctx, cancel := context.WithTimeout(fo.conn.s.ctx, 5*time.Second) // no child of the connection's, see [conn.within]
	defer cancel()
	return fo.conn.s.older(ctx, fo.c, d.First)
}

// older returns first, if the store has messages before it.
func (s *Server) older(ctx context.Context, conv, first string) string {
	if first == "" {
		return ""
	}
	ms, _, err := s.Store.History(ctx, conv, first, 1)
	if err != nil || len(ms) == 0 {
		return ""
	}
	return first
}
