package bench

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/cmd/parley/client"
)

// socketTo connects to a server that does serve with each connection.
func socketTo(t *testing.T, serve func(ctx context.Context, ws *websocket.Conn)) *socket {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{client.Subprotocol}})
		if err != nil || r.Header.Get("Authorization") != "Bearer a-token" {
			t.Errorf("a connection that is none of ours: %v", err)
			return
		}
		defer ws.CloseNow()
		serve(r.Context(), ws)
	}))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	w, err := dial(t.Context(), client.Target{URL: u, Token: "a-token"}, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func TestSocketHearsWhatIsSent(t *testing.T) {
	sent := []string{"", "a", strings.Repeat("b", 125), strings.Repeat("c", 126), strings.Repeat("d", 65535), strings.Repeat("e", 200_000), "f"}
	w := socketTo(t, func(ctx context.Context, ws *websocket.Conn) {
		for _, m := range sent {
			if err := ws.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
				t.Error(err)
			}
		}
		out, err := ws.Writer(ctx, websocket.MessageText)
		for i := range 100 { // a message in many frames
			if err == nil {
				_, err = out.Write(bytes.Repeat([]byte{'a' + byte(i%26)}, 1000))
			}
		}
		if err != nil || out.Close() != nil {
			t.Error(err)
		}
		_ = ws.Close(websocket.StatusServiceRestart, "restart")
	})
	for i, want := range sent {
		if got, err := w.next(); err != nil || string(got) != want {
			t.Fatalf("message %d: %d bytes, %v; want %d bytes", i, len(got), err, len(want))
		}
	}
	if got, err := w.next(); err != nil || len(got) != 100_000 || got[99_999] != 'a'+99%26 {
		t.Fatalf("a message in many frames: %d bytes, %v", len(got), err)
	}
	e := (*closedError)(nil)
	if _, err := w.next(); !errors.As(err, &e) || e.code != 1012 || e.reason != "restart" {
		t.Errorf("at the end: %v", err)
	}
}

func TestSocketIsHeardAndAnswersPings(t *testing.T) {
	said := []string{"x", strings.Repeat("y", 126), strings.Repeat("z", 70_000)}
	w := socketTo(t, func(ctx context.Context, ws *websocket.Conn) {
		ws.SetReadLimit(1 << 20)
		for i, want := range said {
			if _, got, err := ws.Read(ctx); err != nil || string(got) != want {
				t.Errorf("message %d: %d bytes, %v; want %d bytes", i, len(got), err, len(want))
			}
		}
		ctx = ws.CloseRead(ctx)
		if err := ws.Ping(ctx); err != nil { // returns when it is answered
			t.Errorf("ping: %v", err)
		}
		_ = ws.Write(ctx, websocket.MessageText, []byte("done"))
	})
	for _, m := range said {
		if err := w.write(opText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.next(); err != nil || string(got) != "done" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDialTellsWhyItWasTurnedAway(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		after  time.Duration
		says   string
	}{
		"a replica that drains": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "2")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"title":"Service Unavailable","status":503,"detail":"This replica is shutting down.","code":"unavailable"}`))
		}, 2 * time.Second, "This replica is shutting down."},
		"a balancer without replicas": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<h1>502</h1>", http.StatusBadGateway)
		}, 0, "502 Bad Gateway"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tt.answer)
			defer srv.Close()
			u, _ := url.Parse(srv.URL)
			_, err := dial(t.Context(), client.Target{URL: u}, 64)
			e := (*turnedAway)(nil)
			if !errors.As(err, &e) || e.after != tt.after || !strings.Contains(err.Error(), tt.says) || hopeless(e) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	u, _ := url.Parse("http://" + ln.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dial(ctx, client.Target{URL: u}, 64); err == nil {
		t.Error("connected to a server that says nothing")
	}
}

// FuzzLeanSocket hears whatever a server may send.
func FuzzLeanSocket(f *testing.F) {
	for _, seed := range []string{
		"\x81\x01a", "\x01\x01a\x00\x01b\x80\x01c", "\x89\x00\x81\x00", "\x88\x04\x03\xf4ab", "\x81\x7e\x00\x03abc",
		"\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x01a", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "\x81\x81aaaab", "\x88\x00", "\x8a\x02hi\x81\x01a",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		client, server := net.Pipe()
		go func() { // hears the pongs
			b := make([]byte, 512)
			for {
				if _, err := server.Read(b); err != nil {
					return
				}
			}
		}()
		go func() {
			_, _ = server.Write(sent)
			_ = server.Close()
		}()
		w := newSocket(client, 8, nil)
		defer w.close()
		heard := 0
		for {
			b, err := w.next()
			if err != nil {
				break
			}
			if heard += len(b); heard > len(sent) {
				t.Fatalf("%d bytes heard of %d", heard, len(sent))
			}
		}
	})
}
