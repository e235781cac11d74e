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

	"parley/tools/toolstest"
)

// A Network joins HTTP servers and clients inside one process. All methods
// may be called concurrently.
type Network struct {
	mu    sync.Mutex
	hosts map[string]*toolstest.Listener
}

// NewNetwork returns a network without hosts.
func NewNetwork() *Network { return &Network{hosts: map[string]*toolstest.Listener{}} }

// Serve has h answer at host until stop is called, which cuts every
// connection.
func (n *Network) Serve(host string, h http.Handler) (stop func()) {
	l := toolstest.NewListener()
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
		_ = l.Close()
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
	return l.Dial(ctx, "", addr)
}

// Client returns an HTTP client of the network, which can carry WebSockets.
func (n *Network) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
}
