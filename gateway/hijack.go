package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
)

// The sizes of a WebSocket's buffers: what clients send is short, and a frame
// of some pieces fits. net/http's are 4 KiB each, and most connections are
// idle.
const (
	readBuffer  = 512
	writeBuffer = 1 << 10
)

// smallHijacker hands out hijacked connections with small buffers: together
// with a handler that returns, an idle connection costs half.
type smallHijacker struct{ http.ResponseWriter }

// Hijack implements [http.Hijacker].
func (w smallHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
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
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(early)), c), max(n, readBuffer))
	if _, err := r.Peek(n); err != nil {
		return nil, nil, err
	}
	return c, bufio.NewReadWriter(r, bufio.NewWriterSize(c, writeBuffer)), nil
}

// Unwrap lets [http.ResponseController] find the writer below.
func (w smallHijacker) Unwrap() http.ResponseWriter { return w.ResponseWriter }
