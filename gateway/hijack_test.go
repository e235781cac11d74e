package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestFramesSentBeforeTheHandshakeIsAnsweredAreHeard(t *testing.T) {
	const n = 300 // more than the small buffer holds
	heard := make(chan int)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(&hijacker{ResponseWriter: w}, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		for i := range n {
			if _, b, err := ws.Read(t.Context()); err != nil || string(b) != "hello" {
				heard <- i
				return
			}
		}
		heard <- n
	}))
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	said := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	for range n {
		said += "\x81\x85\x00\x00\x00\x00hello" // a text frame with a mask of zeros
	}
	if _, err := fmt.Fprint(c, said); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	if got := <-heard; got != n {
		t.Errorf("%d of %d frames were heard", got, n)
	}
}

// Whatever its length, a frame that goes onto the wire as it is arrives whole,
// also between control frames, and none comes behind the close.
func TestFramesOfEveryLengthArrive(t *testing.T) {
	lengths := []int{0, 1, 100, 123, 124, 65_533, 65_534, 200_000} // and two quotes
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := &hijacker{ResponseWriter: w}
		ws, err := websocket.Accept(h, r, nil)
		if err != nil {
			return
		}
		for _, n := range lengths {
			_ = h.wire.writeFrame(encode(strings.Repeat("x", n)))
		}
		_ = ws.Close(websocket.StatusServiceRestart, "")
		if err := h.wire.writeFrame(encode("late")); err == nil {
			t.Error("a frame was written behind the close")
		}
	}))
	defer srv.Close()
	ws, _, err := websocket.Dial(t.Context(), srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	for _, n := range lengths {
		if kind, b, err := ws.Read(t.Context()); err != nil || kind != websocket.MessageText || len(b) != n+2 {
			t.Fatalf("of %d bytes came %v, %d bytes, %v", n+2, kind, len(b), err)
		}
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("at the end came %v", err)
	}
}
