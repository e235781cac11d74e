package toolstest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/tools"
)

// Base is the address of every [Service].
const Base = "http://93.184.216.34"

// A Service is a REST service whose every request is kept, reached through
// pipes, so that a testing/synctest bubble can hold it. All methods may be
// called concurrently.
type Service struct {
	t      testing.TB
	answer func(n int, w http.ResponseWriter, r *http.Request)
	conns  chan net.Conn
	done   chan struct{}

	serving sync.WaitGroup

	mu       sync.Mutex
	requests []*http.Request
	refuse   int
	dials    int
}

// NewService starts a service that has answer make its answers; n counts the
// requests from 1.
func NewService(t testing.TB, answer func(n int, w http.ResponseWriter, r *http.Request)) *Service {
	s := &Service{t: t, answer: answer, conns: make(chan net.Conn), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	srv := &http.Server{Handler: http.HandlerFunc(s.serve), BaseContext: func(net.Listener) context.Context { return ctx }}
	s.serving.Go(func() { _ = srv.Serve(s) })
	t.Cleanup(func() {
		close(s.done)
		stop()
		_ = srv.Close()
		s.serving.Wait()
	})
	return s
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.serving.Add(1)
	defer s.serving.Done()
	s.requests = append(s.requests, r)
	n := len(s.requests)
	s.mu.Unlock()
	s.answer(n, w, r)
}

// Client returns a client that reaches the service and nothing else, with the
// limits of o.
func (s *Service) Client(o tools.ClientOptions) *tools.Client {
	o.Dial = s.dial
	c := tools.NewClient(o)
	s.t.Cleanup(c.CloseIdle)
	return c
}

// Refuse has the service take none of the next n connections.
func (s *Service) Refuse(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = n
}

// Requests returns what the service was asked so far.
func (s *Service) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Dials returns how often somebody tried to connect.
func (s *Service) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

func (s *Service) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	s.dials++
	refused := s.refuse > 0
	if refused {
		s.refuse--
	}
	s.mu.Unlock()
	if refused {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	client, server := net.Pipe()
	select {
	case s.conns <- server:
		return client, nil
	case <-s.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr implement [net.Listener].
func (s *Service) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *Service) Close() error { return nil }

func (s *Service) Addr() net.Addr { return &net.TCPAddr{} }

// Say answers with a status and a text. Headers are name and value in turn.
func Say(w http.ResponseWriter, status int, text string, headers ...string) {
	for i := 0; i+1 < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// BreakOff answers with half a text, less than it announces.
func BreakOff(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "half a te")
	panic(http.ErrAbortHandler)
}

// A Cache keeps bytes in memory for several clients. All methods may be called
// concurrently.
type Cache struct {
	mu      sync.Mutex
	values  map[string]cachedValue
	away    bool
	lookups int
	locked  time.Time
}

type cachedValue struct {
	b    []byte
	ends time.Time
}

var (
	_ tools.Cache  = (*Cache)(nil)
	_ tools.Locker = (*Cache)(nil)
)

var errAway = errors.New("toolstest: the cache is away")

// Away makes every method fail from now on, or no more.
func (c *Cache) Away(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// Dump returns all that is kept, as one text.
func (c *Cache) Dump() (all string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, v := range c.values {
		all += key + "=" + strconv.Quote(string(v.b)) + "\n"
	}
	return all
}

// Lookups returns how often the cache was looked into.
func (c *Cache) Lookups() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lookups
}

// Get implements [tools.Cache].
func (c *Cache) Get(_ context.Context, keys ...string) ([][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookups++
	if c.away {
		return nil, errAway
	}
	out := make([][]byte, len(keys))
	for i, key := range keys {
		if v := c.values[key]; time.Now().Before(v.ends) {
			out[i] = slices.Clone(v.b)
		}
	}
	return out, nil
}

// Set implements [tools.Cache].
func (c *Cache) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return errAway
	}
	if c.values == nil {
		c.values = map[string]cachedValue{}
	}
	c.values[key] = cachedValue{slices.Clone(value), time.Now().Add(ttl)}
	return nil
}

// Delete implements [tools.Cache].
func (c *Cache) Delete(_ context.Context, key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, key)
	return nil
}

// LockAll has somebody who died hold every lock for d.
func (c *Cache) LockAll(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locked = time.Now().Add(d)
}

// TryLock implements [tools.Locker].
func (c *Cache) TryLock(_ context.Context, name string, ttl time.Duration) (unlock func(), ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name = "lock " + name
	if c.away {
		return nil, false, errAway
	}
	if now := time.Now(); now.Before(c.values[name].ends) || now.Before(c.locked) {
		return nil, false, nil
	}
	if c.values == nil {
		c.values = map[string]cachedValue{}
	}
	c.values[name] = cachedValue{ends: time.Now().Add(ttl)}
	return func() { _ = c.Delete(context.Background(), name) }, true, nil
}
