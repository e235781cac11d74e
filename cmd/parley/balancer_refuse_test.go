//go:build integration && unix

package main

import (
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

// A replica that takes no more sockets is asked for everything else: nginx
// does not take what it refuses for a sign that it is away.
func TestRefusedSocketsTakeNothingElseAway(t *testing.T) {
	t.Parallel()
	s := procServe(t, "PARLEY_MAX_CONNECTIONS=1", "PARLEY_TRUSTED_PROXIES=127.0.0.1")
	b := procNginx(t, "75s", []*procServer{s, s, s})
	dial := func() (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), b.url+"/v1/ws", &websocket.DialOptions{Subprotocols: []string{"parley.v1"}})
	}
	c, _, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	person := procGuest(t, b.url)
	for range 10 {
		if c, resp, err := dial(); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("one socket more: %v, %v, %v", c, resp, err)
		}
		if err := b.ask(person, "Hello?"); err != nil {
			t.Errorf("while sockets are refused: %v", err)
		}
	}
}
