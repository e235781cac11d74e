package gateway

import (
	"net"
	"sync"
)

// A wire is the connection below a WebSocket. Frames that are made once for
// many followers go onto it as they are, past the library, whose way of
// writing copies each and costs a fifth of the write; the library reads, and
// writes control frames, each with one Write.
type wire struct {
	net.Conn

	mu     sync.Mutex // keeps frames whole
	closed bool       // a close frame was written, the last one there may be; guarded by mu
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
func (w *wire) writeFrame(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, net.ErrClosed
	}
	return w.Conn.Write(b)
}
