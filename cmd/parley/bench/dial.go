package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"parley/cmd/parley/client"
)

// A turnedAway is an answer to a dial that is no connection.
type turnedAway struct {
	client.Problem
	after time.Duration // to dial again, 0 if that was not said
}

func (e *turnedAway) Error() string { return e.Problem.Error() }

// dial opens a WebSocket whose buffer has a size of least.
func dial(ctx context.Context, t client.Target, least int) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, client.DialTimeout)
	defer cancel()
	conn, err := dialPlain(ctx, t)
	if err != nil {
		return nil, t.Hint(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	w, err := upgrade(conn, t, least)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, t.Hint(err)
	}
	return w, nil
}

// dialPlain opens what carries the WebSocket: TCP, or TLS over it.
func dialPlain(ctx context.Context, t client.Target) (net.Conn, error) {
	secure := t.URL.Scheme == "https"
	port := t.URL.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[secure]
	}
	addr := net.JoinHostPort(t.URL.Hostname(), port)
	if secure {
		d := tls.Dialer{Config: &tls.Config{NextProtos: []string{"http/1.1"}}}
		return d.DialContext(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// upgrade makes a WebSocket of a connection (RFC 6455, section 4.1).
func upgrade(conn net.Conn, t client.Target, least int) (*socket, error) {
	req, err := http.NewRequest(http.MethodGet, t.URL.String()+"/v1/ws", nil)
	if err != nil {
		return nil, err
	}
	t.Authorize(req.Header)
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	for name, v := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, "Sec-WebSocket-Protocol": client.Subprotocol,
	} {
		req.Header.Set(name, v)
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, 1<<10)
	res, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, refusedDial(t, res)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if res.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) || res.Header.Get("Sec-WebSocket-Protocol") != client.Subprotocol {
		return nil, fmt.Errorf("the server at %s does not speak %s", t.URL, client.Subprotocol)
	}
	rest, _ := r.Peek(r.Buffered())
	return newSocket(conn, least, rest), nil
}

func refusedDial(t client.Target, res *http.Response) error {
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 16<<10)) // what it says is a help, no more
	away := &turnedAway{}
	if p := (*client.Problem)(nil); errors.As(t.ReadProblem(res, b), &p) {
		away.Problem = *p
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	away.after = time.Duration(min(max(seconds, 0), 60)) * time.Second
	return away
}
