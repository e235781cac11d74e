package toolstest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Pipe returns a client whose every request goes to h, over pipes instead of
// sockets, so that a testing/synctest bubble can hold both. stop cuts every
// connection and returns when h is done with it.
func Pipe(h http.Handler) (client *http.Client, stop func()) {
	l := NewListener()
	var serving sync.WaitGroup
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1) // also those that the server has handed a connection to for good
		defer serving.Done()
		h.ServeHTTP(w, r)
	})}
	serving.Go(func() { _ = srv.Serve(l) })
	client = &http.Client{Transport: &http.Transport{DialContext: l.Dial, DisableKeepAlives: true}}
	return client, func() {
		_ = l.Close()
		_ = srv.Close()
		serving.Wait()
	}
}

// A Listener is one for this process alone. All methods may be called
// concurrently.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}

	mu   sync.Mutex // guards open
	open []net.Conn
}

// NewListener returns a listener to which nobody has connected.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Dial connects to the listener, whatever the address.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open = append(l.open, server)
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]; connections that were hijacked end too.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return nil
	default:
	}
	close(l.done)
	for _, c := range l.open {
		_ = c.Close()
	}
	return nil
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
