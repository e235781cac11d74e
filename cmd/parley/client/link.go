package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/cmd/parley/plain"
)

// What a client of the WebSocket goes by.
const (
	Subprotocol  = "parley.v1"
	ReadLimit    = 32 << 20 // bytes of a frame: a snapshot holds many messages
	DialTimeout  = 10 * time.Second
	WriteTimeout = 10 * time.Second

	FirstPause = 300 * time.Millisecond // before dialling again, doubled each time
	MaxPause   = 15 * time.Second

	// How long a server may be silent: two of its heartbeats and a little.
	// They come every 5 s while an answer is written, every 15 s otherwise.
	SilenceActive = 12 * time.Second
	SilenceIdle   = 32 * time.Second
)

// A Link is one connection to a server, from the dialling to its end. Its
// goroutine dials and reads; the owner of the link takes the frames and
// writes. Write may be called once the first frame has come; Abort at any
// time, by anybody.
type Link struct {
	Frames <-chan Frame // closed at the end
	Err    error        // why it ended, once Frames is closed

	conn   *websocket.Conn // set before the first frame
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// A LostError ends a link that is worth dialling again; any other error ends
// one that is not.
type LostError struct {
	Wait time.Duration // before that, as the server asked for; 0 if it did not
	err  error
}

// Error is why the link ended.
func (e *LostError) Error() string { return e.err.Error() }

// Dial returns a link at once; [FrameOpen] comes when it stands.
func Dial(ctx context.Context, t Target, jar http.CookieJar) *Link {
	ctx, cancel := context.WithCancel(ctx)
	frames := make(chan Frame)
	l := &Link{Frames: frames, cancel: cancel}
	l.wg.Go(func() {
		defer close(frames)
		l.Err = l.serve(ctx, t, jar, frames)
	})
	return l
}

// Abort ends the link; its frames are closed soon.
func (l *Link) Abort() { l.cancel() }

// Close ends the link and waits for its goroutine. Nobody else may take from
// Frames then.
func (l *Link) Close() {
	l.cancel()
	for range l.Frames { // the reader may be handing one over
	}
	l.wg.Wait()
}

func (l *Link) serve(ctx context.Context, t Target, jar http.CookieJar, frames chan<- Frame) error {
	dctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	header := http.Header{}
	t.Authorize(header)
	conn, res, err := websocket.Dial(dctx, t.URL.String()+"/v1/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Jar: jar}, HTTPHeader: header, Subprotocols: []string{Subprotocol},
	})
	if err != nil {
		return dialError(t, res, err)
	}
	defer conn.CloseNow()
	if conn.Subprotocol() != Subprotocol {
		return fmt.Errorf("the server at %s does not speak %s", t.URL, Subprotocol)
	}
	conn.SetReadLimit(ReadLimit)
	l.conn = conn
	return l.read(ctx, frames)
}

func (l *Link) read(ctx context.Context, frames chan<- Frame) error {
	f := Frame{Type: FrameOpen}
	for {
		select {
		case frames <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
		_, b, err := l.conn.Read(ctx)
		if err != nil {
			return closeError(err)
		}
		if f, err = DecodeFrame(b); err != nil {
			return &LostError{err: errors.New("the server sent a frame that cannot be read")}
		}
	}
}

// Write sends an order. What cannot be sent ends the link, so the error needs
// no other care.
func (l *Link) Write(ctx context.Context, o Order) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if l.conn.Write(ctx, websocket.MessageText, o.Encode()) != nil {
		l.cancel()
	}
}

// dialError tells what is worth another try from what is not.
func dialError(t Target, res *http.Response, err error) error {
	if res == nil {
		return &LostError{err: t.Hint(UnwrapURL(err))}
	}
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the server refuses this person (%s); sign in with --token", res.Status)
	case http.StatusNotFound, http.StatusUpgradeRequired, http.StatusBadRequest:
		return fmt.Errorf("%s answered %s; is it a Parley server?", t.URL, res.Status)
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	return &LostError{Wait: min(time.Duration(max(seconds, 0))*time.Second, MaxPause), err: fmt.Errorf("the server answered %s", res.Status)}
}

// statusSignIn is the close code of a server that wants another sign-in.
const statusSignIn websocket.StatusCode = 4401

func closeError(err error) error {
	e := websocket.CloseError{}
	errors.As(err, &e)
	switch e.Code {
	case websocket.StatusPolicyViolation, websocket.StatusMessageTooBig:
		return fmt.Errorf("the server has closed the connection: %s", plain.Line(e.Reason))
	case statusSignIn:
		return errors.New("the sign-in has run out; sign in with --token")
	}
	return &LostError{err: err}
}
