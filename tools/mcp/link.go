package mcp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// A State is how a replica stands with a server.
type State struct {
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since"`              // that it is connected or away
	Protocol  string    `json:"protocol,omitempty"` // the version spoken
	Software  string    `json:"software,omitempty"` // what the server says it is
	Tools     int       `json:"tools"`              // that it has listed, whether they may be used or not
	Listed    time.Time `json:"listed,omitzero"`
	LeftOut   []string  `json:"leftOut,omitempty"` // tools that cannot be used, and why; at most 20
	Error     string    `json:"error,omitempty"`   // why it is away, or what last went wrong
}

// A link is a replica's connection with one server, and the list of its
// tools. Its run is its owner; all other methods may be called concurrently.
type link struct {
	o        *Options
	name     string
	host     string // for people; empty for a process
	stdio    bool
	key      string                            // what it depends on: a server with another needs another link
	dial     func(silent func()) sdk.Transport // silent is called when there are no more notices
	redactor *strings.Replacer
	log      *slog.Logger

	changed chan struct{} // the server says that its tools have
	wake    chan struct{} // somebody wants it connected
	tried   chan struct{} // closed when the first attempt is over
	first   sync.Once

	life context.Context // ends the link's work
	end  context.CancelFunc
	net  context.Context // ends its requests: later, since sessions are closed by request
	cut  context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	st     State
	listed []listed
	shared *seat
	seats  map[string]*seat // by whom; over HTTP and an old protocol only
	gone   bool
	calls  int
	last   sync.Once
	idle   chan struct{} // closed when gone and no call is under way
}

func newLink(ctx context.Context, o *Options, name, key string, secrets []string) *link {
	l := &link{
		o: o, name: name, key: key, redactor: redactor(secrets), log: o.Log.With("mcp", name),
		changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		tried: make(chan struct{}), idle: make(chan struct{}), seats: map[string]*seat{},
		st: State{Since: time.Now()},
	}
	l.life, l.end = context.WithCancel(ctx)
	l.net, l.cut = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// httpLink returns a link to a registered server.
func httpLink(ctx context.Context, o *Options, s Server) *link {
	l := newLink(ctx, o, s.Name, s.connection(), secretsOf(s.Headers))
	if u, err := url.Parse(s.URL); err == nil {
		l.host = u.Host
	}
	l.dial = func(silent func()) sdk.Transport {
		client := *o.HTTP
		client.Timeout = 0 // each request has its own
		client.Transport = &wire{
			base: o.HTTP.Transport, origin: origin(s.URL), headers: s.Headers, agent: o.UserAgent, life: l.net,
			most: o.MaxBytes, wait: o.ConnectTimeout, silent: silent,
		}
		return &sdk.StreamableClientTransport{
			Endpoint: s.URL, HTTPClient: &client, MaxRetries: -1, DisableStandaloneSSE: true, MaxEventSize: o.MaxBytes + 4096,
		}
	}
	return l
}

// run keeps the link connected until its life ends or it is retired.
func (l *link) run() {
	defer l.close()
	l.wg.Go(l.sweepUp)
	for pause := l.o.Backoff; ; pause = min(2*pause, l.o.MaxBackoff) {
		began := time.Now()
		err := l.live()
		if l.life.Err() != nil || l.isGone() {
			return
		}
		l.lost(err)
		if time.Since(began) > l.o.MaxBackoff {
			pause = l.o.Backoff
		}
		if !l.rest(pause/2 + rand.N(pause)) {
			return
		}
	}
}

// rest waits before another attempt; somebody who wants the server shortens
// it, though not to nothing.
func (l *link) rest(pause time.Duration) bool {
	least := time.NewTimer(min(pause, l.o.Backoff))
	defer least.Stop()
	select {
	case <-least.C:
	case <-l.life.Done():
		return false
	}
	most := time.NewTimer(pause)
	defer most.Stop()
	select {
	case <-most.C:
	case <-l.wake:
	case <-l.life.Done():
		return false
	}
	return true
}

// live connects and keeps the list of tools fresh until the connection fails.
func (l *link) live() error {
	s, err := l.connect(l.life, true)
	if err != nil {
		return err
	}
	defer func() {
		l.share(nil)
		l.wg.Go(func() { _ = s.sdk.Close() })
	}()
	for {
		fresh, err := l.list(s)
		if err != nil {
			return err
		}
		l.share(s)
		if next, err := l.wait(s, fresh); err != nil {
			return err
		} else if next != nil {
			old := s
			s = next
			l.wg.Go(func() { _ = old.sdk.Close() })
		}
	}
}

// errEnded says that a session was ended from the other side.
var errEnded = errors.New("the connection was closed by the server")

// wait returns when the tools should be listed again, at the soonest after a
// moment. Where a stream of notices has ended it returns a new session.
func (l *link) wait(s *session, fresh time.Duration) (next *session, err error) {
	moment, stale := time.NewTimer(l.o.Settle), time.NewTimer(fresh)
	defer moment.Stop()
	defer stale.Stop()
	select {
	case <-moment.C:
	case <-s.ended:
		return nil, errEnded
	case <-l.life.Done():
		return nil, l.life.Err()
	}
	for {
		select {
		case <-stale.C:
			if s.deaf {
				return l.connect(l.life, true)
			}
			return nil, nil
		case <-l.changed:
			return nil, nil
		case <-s.silent:
			if time.Since(s.began) > l.o.MinRefresh {
				return l.connect(l.life, true)
			}
			s.deaf = true
		case <-s.ended:
			return nil, errEnded
		case <-l.life.Done():
			return nil, l.life.Err()
		}
	}
}

// share makes a session the one that calls use; nil for none.
func (l *link) share(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s == nil {
		l.shared = nil
		return
	}
	if l.shared == nil || l.shared.session != s {
		l.shared = newSeat(s)
	}
	if !l.st.Connected {
		l.st.Since = time.Now()
		l.log.Info("mcp server connected", "protocol", s.sdk.InitializeResult().ProtocolVersion, "tools", l.st.Tools)
	}
	l.st.Connected, l.st.Error = true, ""
	l.st.Protocol = s.sdk.InitializeResult().ProtocolVersion
	if info := s.sdk.InitializeResult().ServerInfo; info != nil {
		l.st.Software = line(info.Name+" "+info.Version, 100)
	}
	l.first.Do(func() { close(l.tried) })
}

// lost notes why the server is away.
func (l *link) lost(err error) {
	why := l.reason(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.st.Connected || l.st.Error != why {
		l.log.Warn("mcp server is away", "error", why)
	}
	if l.st.Connected {
		l.st.Since = time.Now()
	}
	l.st.Connected, l.st.Error = false, why
	l.first.Do(func() { close(l.tried) })
}

func (l *link) state() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.st
}

func (l *link) sweepUp() {
	t := time.NewTicker(l.o.SessionIdle / 4)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.sweep()
		case <-l.life.Done():
			return
		}
	}
}

// enter counts a call in; false if the link is to end.
func (l *link) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	l.calls++
	return true
}

func (l *link) exit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls--
	l.settle()
}

// retire ends the link once the calls that are under way have ended.
func (l *link) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	l.settle()
}

// settle ends the link if it is to end and no call is under way. Requires
// l.mu.
func (l *link) settle() {
	if l.gone && l.calls == 0 {
		l.end()
		l.last.Do(func() { close(l.idle) })
	}
}

func (l *link) isGone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// close stops the calls that are under way, ends all sessions and waits for
// whatever the link has begun.
func (l *link) close() {
	l.end()
	l.retire()
	<-l.idle
	defer l.cut()
	defer time.AfterFunc(goodbye, l.cut).Stop()
	l.mu.Lock()
	for _, st := range l.seats {
		if s := st.session; s != nil {
			l.wg.Go(func() { _ = s.sdk.Close() })
		}
	}
	clear(l.seats)
	l.mu.Unlock()
	l.wg.Wait()
}

// goodbye is how long servers are given to take note that sessions end.
const goodbye = 2 * time.Second
