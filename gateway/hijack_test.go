package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

func TestFramesSentBeforeTheHandshakeIsAnsweredAreHeard(t *testing.T) {
	const n = 300 // more than the small buffer holds
	heard := make(chan int)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(smallHijacker{w}, r, nil)
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
