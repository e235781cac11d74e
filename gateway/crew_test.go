package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// tcpServer is a Server whose connections are real ones, with what the kernel
// buffers of them. Nothing but replies is sent.
func tcpServer(t *testing.T) (s *Server, dial func() (*conn, *websocket.Conn)) {
	t.Helper()
	s = &Server{log: slog.New(slog.DiscardHandler)}
	s.Limits = Limits{}.withDefaults()
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.conns = newConnSet(10, 10)
	s.crew = newCrew(s.wg.Go)
	s.imports = newImportDesk(nil, s.Limits, s.log)
	conns := make(chan *conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := &hijacker{ResponseWriter: w}
		ws, err := websocket.Accept(h, r, nil)
		if err != nil {
			return
		}
		c := newConn(s, ws, h.wire, Principal{Owner: "ann"})
		s.conns.add(c)
		s.wg.Go(c.read)
		conns <- c
	}))
	t.Cleanup(func() { s.end(); srv.Close() })
	return s, func() (*conn, *websocket.Conn) {
		ws, _, err := websocket.Dial(t.Context(), srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		ws.SetReadLimit(-1)
		return <-conns, ws
	}
}

// Clients that do not read hold up nobody, and get everything whole and in its
// order once they do, with the answers to their pings between.
func TestNobodyWaitsForWhoDoesNotRead(t *testing.T) {
	_, dial := tcpServer(t)
	const frames, size = 400, 32 << 10 // more than the kernel keeps
	body := strings.Repeat("x", size)
	send := func(c *conn) {
		for i := range frames {
			c.send(encode(fmt.Sprint(i, " ", body)))
		}
	}
	read := func(ws *websocket.Conn) {
		for i := range frames {
			_, b, err := ws.Read(t.Context())
			if err != nil || len(b) < size || !strings.HasPrefix(string(b), fmt.Sprintf(`"%d x`, i)) {
				t.Errorf("frame %d: %d bytes that begin with %.10q, %v", i, len(b), b, err)
				return
			}
		}
	}
	slow, fast := map[*conn]*websocket.Conn{}, map[*conn]*websocket.Conn{}
	for range 4 { // more than there are workers on most machines that run this
		c, ws := dial()
		slow[c] = ws
		send(c)
	}
	for range 4 {
		c, ws := dial()
		fast[c] = ws
		send(c)
	}
	for _, ws := range fast {
		read(ws)
	}
	var all sync.WaitGroup
	for _, ws := range slow {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		all.Go(func() { _ = ws.Ping(ctx) }) // heard while frames are on their way
		all.Go(func() { read(ws); cancel() })
	}
	all.Wait()
}

// Nothing is left behind when everybody has been written to.
func TestCrewEnds(t *testing.T) {
	s, dial := tcpServer(t)
	var workers sync.WaitGroup
	s.crew = newCrew(workers.Go)
	c, ws := dial()
	for i := range 1000 {
		c.send(encode(i))
		if _, b, err := ws.Read(t.Context()); err != nil || string(b) != fmt.Sprint(i) {
			t.Fatalf("frame %d: %s, %v", i, b, err)
		}
	}
	workers.Wait()
	if s.crew.workers != 0 || s.crew.taken != len(s.crew.queue) || c.writing {
		t.Errorf("%d workers, %d of %d connections written to, writing %v", s.crew.workers, s.crew.taken, len(s.crew.queue), c.writing)
	}
}
