package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
)

// A socket is the client's end of a WebSocket (RFC 6455), made to be had
// by the ten thousand: it costs a small buffer and no goroutine. What is read
// is neither copied nor allocated anew. next is called by one goroutine at a
// time; write and close may be called by any.
type socket struct {
	conn     net.Conn
	least    int    // size of buf while frames are small
	buf      []byte // buf[from:to] was read and not yet taken
	from, to int
	message  []byte    // the fragments so far of a message
	until    time.Time // read deadline

	mu  sync.Mutex // guards out and writing
	out []byte
}

const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// maxKept is how large a buffer may stay after a large frame.
const maxKept = 64 << 10

func newSocket(conn net.Conn, least int, read []byte) *socket {
	w := &socket{conn: conn, least: least, buf: make([]byte, max(least, len(read)))}
	w.to = copy(w.buf, read)
	return w
}

// close ends the connection; next returns an error.
func (w *socket) close() { _ = w.conn.Close() }

// next returns the next message, which stays as it is until next is called
// again. It answers pings. At the end it returns an error.
func (w *socket) next() ([]byte, error) {
	w.settle()
	for {
		op, last, size, err := w.header()
		if err != nil {
			return nil, err
		}
		if err := w.fill(size); err != nil {
			return nil, err
		}
		body := w.buf[w.from : w.from+size]
		w.from += size
		switch {
		case op == opClose:
			return nil, closed(body)
		case op == opPing:
			err = w.write(opPong, body)
		case op > opClose: // a pong nobody asked for
		case last && len(w.message) == 0:
			return body, nil
		case len(w.message)+size > client.ReadLimit:
			err = errTooLong
		default:
			w.message = append(w.message, body...)
			if last {
				return w.message, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// settle gives back what the last message took.
func (w *socket) settle() {
	w.message = w.message[:0]
	if w.from == w.to {
		w.from, w.to = 0, 0
		if len(w.buf) > maxKept {
			w.buf, w.message = make([]byte, w.least), nil
		}
	}
}

var (
	errTooLong = fmt.Errorf("a message of more than %d MiB", client.ReadLimit>>20)
	errMasked  = errors.New("a frame that is masked, as no server's may be")
)

// header reads what comes before a frame's payload.
func (w *socket) header() (op byte, last bool, size int, err error) {
	if err := w.fill(2); err != nil {
		return 0, false, 0, err
	}
	h := w.buf[w.from:]
	op, last, size = h[0]&0xf, h[0]&0x80 != 0, int(h[1]&0x7f)
	if h[1]&0x80 != 0 {
		return 0, false, 0, errMasked
	}
	n := 2
	switch size {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	if err := w.fill(n); err != nil {
		return 0, false, 0, err
	}
	switch h = w.buf[w.from:]; n {
	case 4:
		size = int(binary.BigEndian.Uint16(h[2:]))
	case 10:
		long := binary.BigEndian.Uint64(h[2:])
		if long > client.ReadLimit {
			return 0, false, 0, errTooLong
		}
		size = int(long)
	}
	w.from += n
	return op, last, size, nil
}

// fill reads until n bytes are there to be taken.
func (w *socket) fill(n int) error {
	if w.to-w.from >= n {
		return nil
	}
	if w.from+n > len(w.buf) {
		w.makeRoom(n)
	}
	for w.to-w.from < n {
		w.watch()
		k, err := w.conn.Read(w.buf[w.to:])
		if w.to += k; err != nil && w.to-w.from < n {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func (w *socket) makeRoom(n int) {
	to := w.buf
	if n > len(to) {
		to = make([]byte, max(n, 2*len(to)))
	}
	w.to = copy(to, w.buf[w.from:w.to])
	w.buf, w.from = to, 0
}

// watch has the connection end when nothing is heard for so long: a server
// says every 15 s that it lives. The deadline is moved every few seconds, not
// with every read, which would cost as much as a small read.
func (w *socket) watch() {
	if now := time.Now(); w.until.Sub(now) < client.SilenceIdle {
		w.until = now.Add(client.SilenceIdle + 5*time.Second)
		_ = w.conn.SetReadDeadline(w.until)
	}
}

// write sends one frame, masked as a client's must be.
func (w *socket) write(op byte, body []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := append(w.out[:0], 0x80|op)
	switch n := len(body); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	var mask [4]byte
	binary.NativeEndian.PutUint32(mask[:], rand.Uint32())
	b = append(b, mask[:]...)
	for i, c := range body {
		b = append(b, c^mask[i&3])
	}
	w.out = nil
	if len(b) <= 256 {
		w.out = b
	}
	_ = w.conn.SetWriteDeadline(time.Now().Add(client.WriteTimeout))
	_, err := w.conn.Write(b)
	return err
}

// A closedError is the server's close of a connection.
type closedError struct {
	code   int // 1005 if none was given
	reason string
}

func (e *closedError) Error() string {
	return fmt.Sprintf("the server has closed the connection (%d %s)", e.code, plain.Text(e.reason))
}

func closed(body []byte) error {
	if len(body) < 2 {
		return &closedError{code: 1005}
	}
	return &closedError{int(binary.BigEndian.Uint16(body)), string(body[2:])}
}
