package gateway

import (
	"net"
	"sync"
	"syscall"
)

// A wire is the connection below a WebSocket. Frames that are made once for
// many followers go onto it as they are, past the library, whose way of
// writing copies each and costs a fifth of the write; the library reads, and
// writes control frames, each with one Write.
type wire struct {
	net.Conn
	raw syscall.RawConn // of Conn, nil if it has none

	mu     sync.Mutex // keeps frames whole
	closed bool       // a close frame was written, the last one there may be; guarded by mu
}

func newWire(c net.Conn) *wire {
	w := &wire{Conn: c}
	if s, ok := c.(syscall.Conn); ok {
		w.raw, _ = s.SyscallConn() // without one every write may wait
	}
	return w
}

// opClose is the opcode of a close frame (RFC 6455, section 5.5.1).
const opClose = 0x8

// Write takes a control frame of the library's.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = w.closed || len(b) > 0 && b[0]&0xF == opClose
	return w.Conn.Write(b)
}

// writeFrame writes a whole data frame.
func (w *wire) writeFrame(b []byte) error { return w.finish(b, false) }

// tryFrame writes a data frame as far as it goes at once. What is left is for
// finish, which must be called with it, and with begun, before anything else
// is written.
func (w *wire) tryFrame(b []byte) (left []byte, begun bool, err error) {
	if !w.mu.TryLock() { // a control frame is on its way
		return b, false, nil
	}
	if w.closed {
		w.mu.Unlock()
		return nil, false, net.ErrClosed
	}
	n, err := writeNow(w.raw, b)
	if begun = n > 0 && n < len(b) && err == nil; !begun {
		w.mu.Unlock()
	}
	return b[n:], begun, err
}

// finish writes what tryFrame has left. It holds the wire already if the frame
// was begun.
func (w *wire) finish(left []byte, begun bool) error {
	if !begun {
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	if w.closed {
		return net.ErrClosed
	}
	_, err := w.Conn.Write(left)
	return err
}
