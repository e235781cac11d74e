package gateway

import (
	"io"
	"net/http"
	"time"
)

// What a client still sends when it has been answered is read, so much and for
// so long. A connection that is closed before is reset, which may take the
// answer away. A balancer takes that for a replica that is away, and sends the
// next one what this one has refused: a few such requests leave it none.
const (
	unreadMost = 64 << 20 // as much as deploy/nginx lets through
	unreadTime = 5 * time.Second
)

// A requestBody knows whether it was read to its end.
type requestBody struct {
	io.ReadCloser
	ended bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err != nil
	return n, err
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || waitsToSend(r) {
		s.echo.ServeHTTP(w, r)
		return
	}
	b := &requestBody{ReadCloser: r.Body}
	r.Body = b
	s.echo.ServeHTTP(w, r)
	if !b.ended {
		readRest(w, b)
	}
}

// waitsToSend reports whether a client sends its body only once it is told to,
// or speaks something else than HTTP from then on.
func waitsToSend(r *http.Request) bool {
	return r.Header.Get("Expect") != "" || r.Header.Get("Upgrade") != ""
}

func readRest(w http.ResponseWriter, b *requestBody) {
	c := http.NewResponseController(w)
	if c.Flush() != nil || c.SetReadDeadline(time.Now().Add(unreadTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, b, unreadMost)
}
