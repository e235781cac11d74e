package gateway

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/gateway/chat"
)

// How often a client hears that its connection lives.
const (
	beatActive = 5 * time.Second // while an answer that it follows is being written
	beatIdle   = 15 * time.Second
)

// Bounds of what waits for one connection.
const (
	maxReplies   = 64               // answers to commands; beyond, the client's next command waits
	maxBatch     = 512              // entries taken at once
	writeTimeout = 10 * time.Second // of one frame; beyond, the client is gone
	retryTake    = 250 * time.Millisecond
)

// A conn is one WebSocket. It costs a goroutine that reads; the server's crew
// writes, and one of its own only what may have to wait. No event is queued for it:
// the writer takes what follows from the rooms when the frame before is out.
type conn struct {
	s       *Server
	ws      *websocket.Conn // reads, and writes what is not data
	wire    *wire           // takes frames as they are
	who     Principal
	session string
	ctx     context.Context // ends with the connection
	cancel  context.CancelFunc

	mu      sync.Mutex // guards all below
	replies [][]byte
	drained chan struct{} // closed, and forgotten, when a reply has gone out; nil while nobody waits
	follows []*follow     // few
	ready   []*follow     // may have something to take
	writing bool          // the writer exists
	since   time.Time     // when the frame began that is being written, zero if none is
	beaten  time.Time     // last beat
	leaving bool          // bye was said: only answers are written
	ended   bool
	doing   context.CancelFunc // ends what the reader waits for; nil if nothing

	uploads uploads // owned by the reader

	placed, late bool // a place was told, and that what is followed is late; owned by [Server.Run]
}

// A follow is a conversation that a connection follows. Its follower is used
// by the connection's writer alone.
type follow struct {
	conn  *conn
	c     string
	f     *chat.Follower // set under conn.mu before the first take
	subID string         // of the command that began it

	open   bool // that command was answered; guarded by conn.mu
	queued bool // in conn.ready; guarded by conn.mu
	left   bool // guarded by conn.mu

	place int // that the client was told, from 1; 0 for none. Owned by [Server.Run]
}

func newConn(s *Server, ws *websocket.Conn, w *wire, p Principal) *conn {
	c := &conn{s: s, ws: ws, wire: w, who: p, session: chat.NewID("s"), beaten: time.Now()}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// stop ends the connection from whatever goroutine. The read under way ends
// with the wire: were it to end with a context, that would cost as much memory
// as all else of an idle connection's reader.
func (c *conn) stop() {
	c.cancel()
	c.mu.Lock()
	doing := c.doing
	c.mu.Unlock()
	if doing != nil {
		doing()
	}
	_ = c.wire.Close()
}

// within returns a context for what the reader does, which ends with the
// connection too. It is no child of the connection's: a context that has had
// one keeps half a KiB for others. The caller must call the function.
func (c *conn) within(d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(c.s.ctx, d)
	c.mu.Lock()
	c.doing = cancel
	c.mu.Unlock()
	if c.ctx.Err() != nil {
		cancel()
	}
	return ctx, func() {
		c.mu.Lock()
		c.doing = nil
		c.mu.Unlock()
		cancel()
	}
}

// send queues the answer to a command.
func (c *conn) send(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.replies = append(c.replies, frame)
	c.startWriter()
}

// drain returns a channel that is closed when a reply has gone out. It
// requires c.mu.
func (c *conn) drain() chan struct{} {
	if c.drained == nil {
		c.drained = make(chan struct{})
	}
	return c.drained
}

// room waits until few enough answers wait, so that a client that sends and
// does not read is no longer read. It reports false when the connection ends.
func (c *conn) room() bool {
	for {
		c.mu.Lock()
		if len(c.replies) < maxReplies {
			c.mu.Unlock()
			return true
		}
		drained := c.drain()
		c.mu.Unlock()
		select {
		case <-drained:
		case <-c.ctx.Done():
			return false
		}
	}
}

// follow begins to follow a conversation. It reports false if the connection
// follows too many. Like unsubscribe and end, it is called by the reader.
func (c *conn) follow(cmd command, at chat.Position) bool {
	c.mu.Lock()
	full := len(c.follows) >= c.s.Limits.Follows
	c.mu.Unlock()
	if full {
		return false
	}
	fo := &follow{conn: c, c: cmd.C, subID: cmd.ID}
	f := c.s.Hub.Join(cmd.C, at, fo.wake) // not under c.mu, which rooms take when they wake
	c.mu.Lock()
	defer c.mu.Unlock()
	fo.f = f
	c.follows = append(c.follows, fo)
	c.enqueue(fo)
	return true
}

func (c *conn) unsubscribe(conv string) {
	c.mu.Lock()
	var fo *follow
	if i := slices.IndexFunc(c.follows, func(fo *follow) bool { return fo.c == conv }); i >= 0 {
		fo = c.follows[i]
		c.follows = slices.Delete(c.follows, i, i+1)
	}
	answered := fo == nil || fo.open
	if fo != nil {
		fo.left = true
	}
	c.mu.Unlock()
	if fo != nil {
		fo.f.Leave()
	}
	if !answered {
		c.send(encode(reply{Type: frameErr, ID: fo.subID, C: conv, Problem: problem(http.StatusConflict, codeConflict,
			"Another sub or unsub of this conversation came before this one was answered.")}))
	}
}

// wake is called by the room, under its lock: it must not block.
func (fo *follow) wake() {
	fo.conn.mu.Lock()
	defer fo.conn.mu.Unlock()
	fo.conn.enqueue(fo)
}

// enqueue requires c.mu.
func (c *conn) enqueue(fo *follow) {
	if fo.f == nil || fo.queued || fo.left || c.ended {
		return
	}
	fo.queued = true
	c.ready = append(c.ready, fo)
	c.startWriter()
}

// startWriter requires c.mu.
func (c *conn) startWriter() {
	if !c.writing {
		c.writing = true
		if c.wire.raw != nil {
			c.s.crew.add(c)
		} else {
			c.s.wg.Go(c.write)
		}
	}
}

// writeReady sends what there is and goes at once. For the rest it leaves a
// goroutine of the connection's own.
func (c *conn) writeReady() {
	defer c.contain("")
	for {
		frame, fo := c.next()
		if fo != nil {
			var ok bool
			if frame, ok = fo.takeReady(); !ok {
				c.again(fo)
				c.s.wg.Go(c.write)
				return
			}
		}
		if frame == nil && fo == nil {
			return
		}
		if frame == nil {
			continue
		}
		left, begun, err := c.wire.tryFrame(frame)
		if err != nil {
			c.failed()
			return
		}
		if len(left) > 0 {
			c.s.wg.Go(func() { c.writeOn(left, begun) })
			return
		}
	}
}

// writeOn sends what did not go at once, and then what there is.
func (c *conn) writeOn(left []byte, begun bool) {
	defer c.contain("")
	if c.timed(func() error { return c.wire.finish(left, begun) }) {
		c.write()
	}
}

// again puts back what next has returned.
func (c *conn) again(fo *follow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !fo.queued && !fo.left {
		fo.queued = true
		c.ready = append([]*follow{fo}, c.ready...)
	}
}

// write sends what there is and ends.
func (c *conn) write() {
	defer c.contain("")
	for {
		frame, fo := c.next()
		if fo != nil {
			frame = fo.take()
		}
		if frame == nil && fo == nil {
			return
		}
		if frame != nil && !c.writeFrame(frame) {
			return
		}
	}
}

// next returns what to write now: an answer before what rooms have. With
// nothing left the writer no longer exists.
func (c *conn) next() ([]byte, *follow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		c.writing = false
		return nil, nil
	}
	if len(c.replies) > 0 {
		frame := c.replies[0]
		if c.replies = c.replies[1:]; len(c.replies) == 0 {
			c.replies = nil
		}
		if c.drained != nil {
			close(c.drained)
			c.drained = nil
		}
		return frame, nil
	}
	if len(c.ready) > 0 && !c.leaving {
		fo := c.ready[0]
		if c.ready = c.ready[1:]; len(c.ready) == 0 {
			c.ready = nil
		}
		fo.queued = false
		return nil, fo
	}
	c.writing = false
	return nil, nil
}

func (c *conn) writeFrame(frame []byte) bool {
	return c.timed(func() error { return c.wire.writeFrame(frame) })
}

// timed writes without a deadline of its own: the sweep closes connections
// whose write takes too long.
func (c *conn) timed(write func() error) bool {
	c.mu.Lock()
	c.since = time.Now()
	c.mu.Unlock()
	err := write()
	c.mu.Lock()
	c.since = time.Time{}
	c.mu.Unlock()
	if err != nil {
		c.failed()
	}
	return err == nil
}

// failed ends a connection that cannot be written.
func (c *conn) failed() {
	c.mu.Lock()
	c.writing = false
	c.mu.Unlock()
	c.stop()
}

// end clears up when the connection has ended for whatever reason.
func (c *conn) end() {
	c.stop()
	c.mu.Lock()
	c.ended = true
	follows := c.follows
	c.follows, c.ready, c.replies = nil, nil, nil
	for _, fo := range follows {
		fo.left = true
	}
	c.mu.Unlock()
	for _, fo := range follows {
		fo.f.Leave()
	}
	_ = c.ws.CloseNow()
	c.s.conns.remove(c)
}

// sweep is called every second: it ends a connection that does not take what
// is written, and lets the client know that the connection lives.
func (c *conn) sweep(now time.Time) {
	c.mu.Lock()
	stuck := !c.since.IsZero() && now.Sub(c.since) > writeTimeout
	follows := slices.Clone(c.follows)
	age := now.Sub(c.beaten)
	c.mu.Unlock()
	if stuck {
		c.stop()
		_ = c.ws.CloseNow()
		return
	}
	late := c.anyLate(follows)
	if late == c.late && (age < beatActive-time.Second/2 || age < beatIdle-time.Second/2 && !anyActive(follows)) {
		return
	}
	c.late = late
	c.mu.Lock()
	c.beaten = now
	c.mu.Unlock()
	c.send(encode(beat{frameBeat, late}))
}

// lateAfter is how long Redis may be away before clients are told.
const lateAfter = time.Second

// anyLate reports whether nothing can be heard of something that is followed.
func (c *conn) anyLate(follows []*follow) bool {
	for _, fo := range follows {
		if c.s.Hub.DownFor(fo.c) > lateAfter {
			return true
		}
	}
	return false
}

func anyActive(follows []*follow) bool {
	for _, fo := range follows {
		if fo.f.Active() {
			return true
		}
	}
	return false
}
