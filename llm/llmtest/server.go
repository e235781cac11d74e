package llmtest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// A Server is a [Handler] that listens. It ends with its test.
type Server struct {
	*Handler
	URL    string       // with /v1: a base URL
	Client *http.Client // reaches it; any client does but for a pipe server
}

// NewServer starts a model server on a port of this machine. A nil script
// repeats what was said.
func NewServer(t testing.TB, script func(Request) Reply) *Server {
	s := &Server{Handler: &Handler{Script: script}}
	ts := httptest.NewServer(s.Handler)
	t.Cleanup(ts.Close)
	s.URL, s.Client = ts.URL+"/v1", ts.Client()
	return s
}

// NewPipeServer starts a model server that only its own Client can reach,
// over pipes in memory: it works inside a [testing/synctest] bubble.
func NewPipeServer(t testing.TB, script func(Request) Reply) *Server {
	s := &Server{Handler: &Handler{Script: script}}
	s.URL, s.Client = "http://llmtest/v1", Pipe(t, s.Handler)
	return s
}

// Pipe serves h over pipes in memory until the test ends, and returns a client
// whose every request goes there.
func Pipe(t testing.TB, h http.Handler) *http.Client {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	tr := &http.Transport{DialContext: l.dial, DisableCompression: true}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
		<-done
	})
	return &http.Client{Transport: tr}
}

// A pipeListener accepts the far ends of its own dials.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return newSlack(near), nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "llmtest" }
