package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
)

// The sizes of a WebSocket's buffers: what clients send is short, and only
// control frames, of 127 bytes at most, are written through one. net/http's
// are 4 KiB each, and most connections are idle.
const (
	readBuffer  = 256
	writeBuffer = 128
)

// A hijacker hands out a hijacked connection as a wire, with small buffers:
// together with a handler that returns, an idle connection costs half.
type hijacker struct {
	http.ResponseWriter
	wire *wire // set once hijacked
}

// Hijack implements [http.Hijacker].
func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := w.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.New("gateway: this connection cannot carry a WebSocket")
	}
	c, rw, err := h.Hijack()
	if err != nil {
		return nil, nil, err
	}
	// A client may send before Accept has us take over: what was read early
	// must be buffered here too, since Accept keeps what is buffered alone.
	n := rw.Reader.Buffered()
	early, err := rw.Reader.Peek(n)
	if err != nil {
		return nil, nil, err
	}
	w.wire = newWire(c)
	var in io.Reader = c
	if n > 0 {
		in = io.MultiReader(bytes.NewReader(bytes.Clone(early)), c)
	}
	r := bufio.NewReaderSize(in, max(n, readBuffer))
	if _, err := r.Peek(n); err != nil {
		return nil, nil, err
	}
	return w.wire, bufio.NewReadWriter(r, bufio.NewWriterSize(w.wire, writeBuffer)), nil
}

// Unwrap lets [http.ResponseController] find the writer below.
func (w *hijacker) Unwrap() http.ResponseWriter { return w.ResponseWriter }
