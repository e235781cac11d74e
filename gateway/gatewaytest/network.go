// Package gatewaytest holds a whole cluster inside one test: replicas, their
// Redis and their clients, joined by pipes instead of sockets, so that a
// testing/synctest bubble can hold them all and its clock can run them. A
// bubble simulates a kill by cutting what a replica is connected to.
package gatewaytest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// A Network joins HTTP servers and clients inside one process. All methods
// may be called concurrently.
type Network struct {
	mu    sync.Mutex
	hosts map[string]*listener
}

// NewNetwork returns a network without hosts.
func NewNetwork() *Network { return &Network{hosts: map[string]*listener{}} }

// Serve has h answer at host until stop is called, which cuts every
// connection.
func (n *Network) Serve(host string, h http.Handler) (stop func()) {
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	n.mu.Lock()
	n.hosts[host] = l
	n.mu.Unlock()
	srv := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	return func() {
		n.mu.Lock()
		if n.hosts[host] == l {
			delete(n.hosts, host)
		}
		n.mu.Unlock()
		l.cut()
		_ = srv.Close()
		wg.Wait()
	}
}

// Dial connects to a host of the network.
func (n *Network) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	n.mu.Lock()
	l := n.hosts[host]
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	return l.dial(ctx)
}

// Client returns an HTTP client of the network, which can carry WebSockets.
func (n *Network) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
}

type listener struct {
	conns chan net.Conn
	done  chan struct{}

	mu   sync.Mutex
	open []net.Conn
}

func (l *listener) dial(ctx context.Context) (net.Conn, error) {
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

// cut ends the listener and every connection that it made, also those that
// were hijacked.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return
	default:
	}
	close(l.done)
	for _, c := range l.open {
		_ = c.Close()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.cut(); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
