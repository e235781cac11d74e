package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"parley/tools"
)

// What one connection may take, whatever the server does.
const (
	handshakeWithin = 10 * time.Second
	messageWithin   = 10 * time.Second // from a message's first frame to its last
	writeWithin     = 5 * time.Second
	pingEvery       = 20 * time.Second
	pongWithin      = 10 * time.Second

	bytesPerSecond    = 2 << 20 // that are read; more has to wait at the server
	messagesPerSecond = 20_000  // that are read
	pingsPerSecond    = 20      // of the server's
	queueMost         = 4 << 20 // bytes of messages that wait to be processed
)

// Why a connection was ended here.
var (
	errSealed  = errors.New("a secret of the feed cannot be decrypted: give it again")
	errSilent  = errors.New("the server does not answer pings")
	errPings   = errors.New("the server sends too many pings")
	errSlow    = errors.New("the server began a message and did not end it in time")
	errTooLong = errors.New("the server sent a message that is longer than is allowed")
)

// session is one connection from its handshake to its end. It always returns
// an error.
func (w *Watch) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := w.dial(ctx, cancel)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(int64(w.limits.Message))
	if err := w.greet(ctx, conn); err != nil {
		return err
	}
	w.up()
	s := &session{Watch: w, conn: conn, queue: newQueue(w.limits.Rate), cancel: cancel}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return s.read(ctx) })
	parts.Go(func() error { return s.work(ctx) })
	parts.Go(func() error { return s.ping(ctx) })
	err = parts.Wait()
	if why := context.Cause(ctx); why != nil && !errors.Is(why, context.Canceled) {
		return why
	}
	return err
}

// A refusal is an answer to the handshake that is no WebSocket.
type refusal struct{ status int }

func (r refusal) Error() string {
	return fmt.Sprintf("the server answered the handshake with %d %s", r.status, http.StatusText(r.status))
}

func (w *Watch) dial(ctx context.Context, cancel context.CancelCauseFunc) (*websocket.Conn, error) {
	if w.feed.validSecrets() != nil {
		return nil, errSealed
	}
	target, err := w.feed.target()
	if err != nil {
		return nil, errors.New("the address is no URL")
	}
	header := http.Header{"User-Agent": {"Parley"}}
	for name, value := range w.feed.Headers {
		header.Set(name, value)
	}
	client := *w.http // which has a transport of its own, with a guard
	client.Transport = paced{ctx, w.http.Transport}
	pings := rate.NewLimiter(pingsPerSecond, 2*pingsPerSecond)
	shaking, done := context.WithTimeout(ctx, handshakeWithin)
	defer done()
	conn, resp, err := websocket.Dial(shaking, target, &websocket.DialOptions{
		HTTPClient: &client, HTTPHeader: header,
		OnPingReceived: func(context.Context, []byte) bool {
			if !pings.Allow() {
				cancel(errPings)
			}
			return true
		},
	})
	if err != nil && resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, refusal{resp.StatusCode}
	}
	return conn, err
}

// greet signs in and subscribes.
func (w *Watch) greet(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	var all [][]byte
	if w.feed.Login != "" {
		all = append(all, []byte(w.feed.Login))
	}
	for _, m := range w.feed.Subscribe {
		var text string
		if json.Unmarshal(m, &text) != nil {
			text = string(m)
		}
		all = append(all, []byte(text))
	}
	for _, m := range all {
		if err := conn.Write(ctx, websocket.MessageText, m); err != nil {
			return err
		}
	}
	return nil
}

// A session is a connection that is up.
type session struct {
	*Watch
	conn   *websocket.Conn
	queue  *queue
	heard  atomic.Int64 // messages that came
	cancel context.CancelCauseFunc
}

// read takes messages off the connection, however fast they come, and no
// faster than a bound: then the server has to wait.
func (s *session) read(ctx context.Context) error {
	pace := rate.NewLimiter(messagesPerSecond, messagesPerSecond)
	for {
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		_, r, err := s.conn.Reader(ctx)
		if err != nil {
			return err
		}
		slow := time.AfterFunc(messageWithin, func() { s.cancel(errSlow) })
		raw, err := io.ReadAll(r)
		slow.Stop()
		if err != nil {
			return err
		}
		s.heard.Add(1)
		s.count()
		if !utf8.Valid(raw) {
			s.drop(1, "a message is no UTF-8 text")
			continue
		}
		s.drop(s.queue.put(message{raw, time.Now()}), "")
	}
}

// work processes what has come, no more than a number of messages a second.
func (s *session) work(ctx context.Context) error {
	pace := rate.NewLimiter(rate.Limit(s.limits.Rate), s.limits.Rate)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.queue.wake:
		}
		for m, ok := s.queue.take(); ok; m, ok = s.queue.take() {
			s.process(ctx, m)
			if err := pace.Wait(ctx); err != nil {
				return err
			}
		}
	}
}

// ping notices a server that is gone without a word. One that answers no
// pings, but sends messages, is there.
func (s *session) ping(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		before := s.heard.Load()
		within, done := context.WithTimeout(ctx, pongWithin)
		err := s.conn.Ping(within)
		done()
		if err != nil && s.heard.Load() == before {
			return errSilent
		}
	}
}

// A message is what came at a time.
type message struct {
	raw []byte
	at  time.Time
}

// A queue holds the newest messages that wait to be processed. All methods may
// be called concurrently.
type queue struct {
	most int
	wake chan struct{} // 1 slot: there is something

	mu    sync.Mutex
	all   []message
	bytes int
}

func newQueue(most int) *queue { return &queue{most: most, wake: make(chan struct{}, 1)} }

// put adds a message and returns how many older ones had to go for it.
func (q *queue) put(m message) (gone int64) {
	q.mu.Lock()
	q.all, q.bytes = append(q.all, m), q.bytes+len(m.raw)
	for len(q.all) > q.most || q.bytes > queueMost && len(q.all) > 1 {
		q.bytes -= len(q.all[0].raw)
		q.all[0].raw, q.all = nil, q.all[1:]
		gone++
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return gone
}

func (q *queue) take() (message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == 0 {
		return message{}, false
	}
	m := q.all[0]
	q.all, q.bytes = q.all[1:], q.bytes-len(m.raw)
	return m, true
}

// reason says in a line why a connection ended, without a secret.
func (w *Watch) reason(err error) string {
	var closed websocket.CloseError
	var refused refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &closed):
		return line(w.feed.redacted(fmt.Sprintf("the server closed the connection: %d %s", closed.Code, closed.Reason)), 200)
	case errors.As(err, &refused):
		return refused.Error()
	case errors.Is(err, websocket.ErrMessageTooBig):
		return fmt.Sprintf("%s (%d bytes)", errTooLong, w.limits.Message)
	}
	for _, own := range []error{errSealed, errSilent, errPings, errSlow} {
		if errors.Is(err, own) {
			return own.Error()
		}
	}
	return tools.Reason(err)
}
