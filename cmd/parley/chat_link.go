package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	readLimit    = 32 << 20 // bytes of a frame: a snapshot holds many messages
	subprotocol  = "parley.v1"
)

// A link is one connection to a server, from the dialling to its end. Its
// goroutine dials and reads; the owner of the link takes the frames and
// writes.
type link struct {
	frames chan frame // closed at the end
	err    error      // why it ended, once frames is closed

	conn   *websocket.Conn // set before the first frame
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// A lostError ends a link that is worth dialling again.
type lostError struct {
	wait time.Duration // as the server asked for, 0 if it did not
	err  error
}

func (e *lostError) Error() string { return e.err.Error() }

// dial returns a link at once; [frameOpen] comes when it stands.
func dial(ctx context.Context, t target, jar http.CookieJar) *link {
	ctx, cancel := context.WithCancel(ctx)
	l := &link{frames: make(chan frame), cancel: cancel}
	l.wg.Go(func() {
		defer close(l.frames)
		l.err = l.serve(ctx, t, jar)
	})
	return l
}

// close ends the link and waits for its goroutine.
func (l *link) close() {
	l.cancel()
	for range l.frames { // the reader may be handing one over
	}
	l.wg.Wait()
}

func (l *link) serve(ctx context.Context, t target, jar http.CookieJar) error {
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	header := http.Header{}
	t.authorize(header)
	conn, res, err := websocket.Dial(dctx, t.url.String()+"/v1/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Jar: jar}, HTTPHeader: header, Subprotocols: []string{subprotocol},
	})
	if err != nil {
		return dialError(t, res, err)
	}
	defer conn.CloseNow()
	if conn.Subprotocol() != subprotocol {
		return fmt.Errorf("the server at %s does not speak %s", t.url, subprotocol)
	}
	conn.SetReadLimit(readLimit)
	l.conn = conn
	return l.read(ctx)
}

func (l *link) read(ctx context.Context) error {
	f := frame{Type: frameOpen}
	for {
		select {
		case l.frames <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
		_, b, err := l.conn.Read(ctx)
		if err != nil {
			return closeError(err)
		}
		if f, err = decodeFrame(b); err != nil {
			return &lostError{err: errors.New("the server sent a frame that cannot be read")}
		}
	}
}

// write sends an order. What cannot be sent ends the link, so the error needs
// no other care.
func (l *link) write(ctx context.Context, o order) {
	b, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("chat: order: %v", err)) // nothing in an order can fail to encode
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if l.conn.Write(ctx, websocket.MessageText, b) != nil {
		l.cancel()
	}
}

// dialError tells what is worth another try from what is not.
func dialError(t target, res *http.Response, err error) error {
	if res == nil {
		return &lostError{err: t.hint(unwrapURL(err))}
	}
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the server refuses this person (%s); sign in with --token", res.Status)
	case http.StatusNotFound, http.StatusUpgradeRequired, http.StatusBadRequest:
		return fmt.Errorf("%s answered %s; is it a Parley server?", t.url, res.Status)
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	return &lostError{wait: min(time.Duration(max(seconds, 0))*time.Second, maxPause), err: fmt.Errorf("the server answered %s", res.Status)}
}

// statusSignIn is the close code of a server that wants another sign-in.
const statusSignIn websocket.StatusCode = 4401

func closeError(err error) error {
	e := websocket.CloseError{}
	errors.As(err, &e)
	switch e.Code {
	case websocket.StatusPolicyViolation, websocket.StatusMessageTooBig:
		return fmt.Errorf("the server has closed the connection: %s", oneLined(e.Reason))
	case statusSignIn:
		return errors.New("the sign-in has run out; sign in with --token")
	}
	return &lostError{err: err}
}
