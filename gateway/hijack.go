package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// ioBuffer is the size of a WebSocket's buffers. net/http's are four times as
// large, and most connections are idle.
const ioBuffer = 1 << 10

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
	var r io.Reader = c
	if n := rw.Reader.Buffered(); n > 0 { // a client may send before it has our answer
		early, err := rw.Reader.Peek(n)
		if err != nil {
			return nil, nil, err
		}
		r = &prefixed{append([]byte(nil), early...), c}
	}
	return c, bufio.NewReadWriter(bufio.NewReaderSize(r, ioBuffer), bufio.NewWriterSize(c, ioBuffer)), nil
}

// Unwrap lets [http.ResponseController] find the writer below.
func (w smallHijacker) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// prefixed reads what was read early before the rest.
type prefixed struct {
	early []byte
	rest  io.Reader
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.early) > 0 {
		n := copy(b, p.early)
		p.early = p.early[n:]
		return n, nil
	}
	return p.rest.Read(b)
}
