package feed

import (
	"context"
	"io"
	"net/http"

	"golang.org/x/time/rate"
)

// paced is a transport whose WebSockets are read no faster than a bound, so
// that a server that floods waits instead of keeping this one busy. Empty
// frames and pings count as what they are on the wire.
type paced struct {
	ctx  context.Context // of the connection
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (p paced) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &pacedBody{ReadWriteCloser: conn, ctx: p.ctx, bytes: rate.NewLimiter(bytesPerSecond, 2*bytesPerSecond)}
	}
	return resp, nil
}

type pacedBody struct {
	io.ReadWriteCloser
	ctx   context.Context
	bytes *rate.Limiter
}

// Read implements [io.Reader].
func (b *pacedBody) Read(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(p[:min(len(p), bytesPerSecond)])
	if n > 0 {
		if slow := b.bytes.WaitN(b.ctx, n); slow != nil && err == nil {
			err = slow
		}
	}
	return n, err
}
