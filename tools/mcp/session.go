package mcp

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// stateless is the first version of the protocol in which a server keeps
// nothing from one request to the next.
const stateless = "2026-07-28"

// A session is a connection with a server, as the SDK has it. One of an old
// protocol is used by one call at a time, so that what the server asks
// meanwhile belongs to that call.
type session struct {
	sdk    *sdk.ClientSession
	legacy bool
	ended  chan struct{}
	silent chan struct{}         // the server will send no more notices
	asker  atomic.Pointer[asker] // of the call under way; of an old protocol only

	// began and deaf are the run's: since when there is a stream of notices,
	// and whether it ended at once, so that one is not asked for all the time.
	began time.Time
	deaf  bool
}

// connect opens a session; one that listens has the server tell when its
// tools have changed.
func (l *link) connect(ctx context.Context, listen bool) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.ConnectTimeout)
	defer cancel()
	s := &session{ended: make(chan struct{}), silent: make(chan struct{}, 1), began: time.Now()}
	options := &sdk.ClientOptions{
		Capabilities: &sdk.ClientCapabilities{Elicitation: &sdk.ElicitationCapabilities{
			Form: &sdk.FormElicitationCapabilities{}, URL: &sdk.URLElicitationCapabilities{},
		}},
		ElicitationHandler: s.elicit,
		MultiRoundTrip:     &sdk.MultiRoundTripOptions{Disabled: true},
	}
	if listen {
		options.ToolListChangedHandler = func(context.Context, *sdk.ToolListChangedRequest) { poke(l.changed) }
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "parley", Title: "Parley", Version: l.o.Version}, options)
	var err error
	if s.sdk, err = client.Connect(ctx, l.dial(func() { poke(s.silent) }), nil); err != nil {
		return nil, err
	}
	s.legacy = s.sdk.InitializeResult().ProtocolVersion < stateless
	l.wg.Go(func() {
		defer close(s.ended)
		_ = s.sdk.Wait()
	})
	return s, nil
}

func (s *session) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// elicit answers what a server of an old protocol asks in the middle of a
// call.
func (s *session) elicit(_ context.Context, req *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
	if a := s.asker.Load(); a != nil {
		return a.answer(req.Params), nil
	}
	return &sdk.ElicitResult{Action: "decline"}, nil
}

// A seat is a session of an old protocol together with the turn to use it.
// Over HTTP each conversation has one of its own, since such a server may
// keep what it is told there.
type seat struct {
	turn    chan struct{} // capacity 1: full while somebody has it
	session *session      // nil before the first turn; owned by who has the turn
	users   int           // that have the turn or wait for it; guarded by the link's mu
	used    time.Time     // guarded by the link's mu
}

func newSeat(s *session) *seat { return &seat{turn: make(chan struct{}, 1), session: s} }

var errBusy = errors.New("too many conversations use it at once")

// borrow returns a session for a call of somebody, and what gives it back.
func (l *link) borrow(ctx context.Context, who string) (*session, func(), error) {
	l.mu.Lock()
	shared := l.shared
	l.mu.Unlock()
	if shared == nil || !shared.session.alive() {
		poke(l.wake)
		return nil, nil, &awayError{l.state().Error}
	}
	if !shared.session.legacy {
		return shared.session, func() {}, nil
	}
	st := l.sit(who, shared)
	if st == nil {
		return nil, nil, errBusy
	}
	select {
	case st.turn <- struct{}{}:
	case <-ctx.Done():
		l.leave(st)
		return nil, nil, ctx.Err()
	}
	give := func() { <-st.turn; l.leave(st) }
	if st.session == nil || !st.session.alive() {
		s, err := l.connect(ctx, false)
		if err != nil {
			give()
			return nil, nil, &awayError{l.reason(err)}
		}
		st.session = s
	}
	return st.session, give, nil
}

// An awayError says that nothing was sent because there is no connection.
type awayError struct{ why string }

func (e *awayError) Error() string {
	if e.why == "" {
		return "it is being connected"
	}
	return "it is away: " + e.why
}

// sit returns somebody's seat, nil if all are taken. A process has one for
// all.
func (l *link) sit(who string, shared *seat) *seat {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.seats[who]
	if l.stdio {
		st = shared
	}
	if st == nil {
		if len(l.seats) >= l.o.MaxSessions && !l.unseat(time.Now()) {
			return nil
		}
		st = newSeat(nil)
		l.seats[who] = st
	}
	st.users++
	return st
}

func (l *link) leave(st *seat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st.users--
	st.used = time.Now()
}

// unseat closes a session that nobody uses and that was last used before a
// time, the one not used for longest. Requires l.mu.
func (l *link) unseat(before time.Time) bool {
	var oldest string
	for who, st := range l.seats {
		if st.users == 0 && st.used.Before(before) && (oldest == "" || st.used.Before(l.seats[oldest].used)) {
			oldest = who
		}
	}
	if oldest == "" {
		return false
	}
	s := l.seats[oldest].session
	delete(l.seats, oldest)
	if s != nil {
		l.wg.Go(func() { _ = s.sdk.Close() })
	}
	return true
}

// sweep closes sessions that were not used for long.
func (l *link) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.unseat(time.Now().Add(-l.o.SessionIdle)) {
	}
}

// poke makes whoever waits look, if they do not already have to.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
