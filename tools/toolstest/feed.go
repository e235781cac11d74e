package toolstest

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // the handshake's, RFC 6455
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// A Feed is a WebSocket server that does what its script says on every
// connection. All methods may be called concurrently.
type Feed struct {
	Script FeedScript
	Raw    RawScript // if set, it has the connection right behind the handshake, and Script is not used

	mu    sync.Mutex // guards all below
	shut  bool
	cut   []context.CancelFunc
	open  int
	most  int
	dials int
	heads []http.Header
	query []string
	said  []string
}

// A FeedScript says what a server does on one connection, until it returns.
type FeedScript func(ctx context.Context, c *websocket.Conn) error

// A RawScript writes whatever it wants.
type RawScript func(c net.Conn)

// ServeHTTP implements [http.Handler].
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.began(r) {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer f.ended()
	if f.Raw != nil {
		f.raw(w, r)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	f.mu.Lock()
	f.cut = append(f.cut, cancel)
	f.mu.Unlock()
	go func() { // what the client says, and its pings and close
		defer cancel()
		for {
			_, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.said = append(f.said, string(b))
			f.mu.Unlock()
		}
	}()
	_ = f.Script(ctx, c)
}

// Refuse ends all connections of a Script and lets none be made, or lets them
// again.
func (f *Feed) Refuse(shut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut = shut
	for _, cut := range f.cut {
		cut()
	}
	f.cut = nil
}

func (f *Feed) began(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		return false
	}
	f.dials, f.open = f.dials+1, f.open+1
	f.most = max(f.most, f.open)
	f.heads, f.query = append(f.heads, r.Header.Clone()), append(f.query, r.URL.RawQuery)
	return true
}

func (f *Feed) ended() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
}

// Open returns how many connections there are, Most how many there were at
// once, and Dials how many there were at all.
func (f *Feed) Open() int { f.mu.Lock(); defer f.mu.Unlock(); return f.open }

// Most is described at Open.
func (f *Feed) Most() int { f.mu.Lock(); defer f.mu.Unlock(); return f.most }

// Dials is described at Open.
func (f *Feed) Dials() int { f.mu.Lock(); defer f.mu.Unlock(); return f.dials }

// Said returns the messages of clients, Headers and Queries those of their
// handshakes.
func (f *Feed) Said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.said...)
}

// Headers is described at Said.
func (f *Feed) Headers() []http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]http.Header(nil), f.heads...)
}

// Queries is described at Said.
func (f *Feed) Queries() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.query...)
}

// raw answers the handshake by hand.
func (f *Feed) raw(w http.ResponseWriter, r *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	f.Raw(c)
}

// Ticks sends what say returns for 1, 2, 3 …, one every so often.
func Ticks(every time.Duration, say func(n int) string) FeedScript {
	return func(ctx context.Context, c *websocket.Conn) error {
		t := time.NewTicker(every)
		defer t.Stop()
		for n := 1; ; n++ {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-t.C:
			}
			if err := c.Write(ctx, websocket.MessageText, []byte(say(n))); err != nil {
				return err
			}
		}
	}
}

// Says sends messages at once and then nothing more.
func Says(msgs ...string) FeedScript {
	return func(ctx context.Context, c *websocket.Conn) error {
		for _, m := range msgs {
			if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return nil
	}
}

// Closes sends messages and closes with a code and a reason.
func Closes(code websocket.StatusCode, reason string, msgs ...string) FeedScript {
	return func(ctx context.Context, c *websocket.Conn) error {
		for _, m := range msgs {
			if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
				return err
			}
		}
		return c.Close(code, reason)
	}
}

// HalfOpen sends one message and then neither reads nor writes, as a server
// does whose machine is gone.
func HalfOpen(msg string) RawScript {
	return func(c net.Conn) {
		_, _ = c.Write(frame(0x81, msg))
		for { // what comes is taken, as a kernel does, and not answered
			if _, err := c.Read(make([]byte, 1024)); err != nil {
				return
			}
		}
	}
}

// Floods sends one frame again and again, as fast as it is taken.
func Floods(first byte, payload string) RawScript {
	many := []byte(strings.Repeat(string(frame(first, payload)), 1+4096/(2+len(payload))))
	return func(c net.Conn) {
		go func() {
			for {
				if _, err := c.Read(make([]byte, 4096)); err != nil {
					return
				}
			}
		}()
		for {
			if _, err := c.Write(many); err != nil {
				return
			}
		}
	}
}

// Fragments begins a message and goes on with empty frames for ever, slowly.
func Fragments(every time.Duration) RawScript {
	return func(c net.Conn) {
		out := bufio.NewWriter(c)
		_, _ = out.Write(frame(0x01, "begun"))
		for {
			_, _ = out.Write(frame(0x00, ""))
			if out.Flush() != nil {
				return
			}
			time.Sleep(every)
		}
	}
}

// Huge announces a frame of 2^40 bytes.
func Huge() RawScript {
	return func(c net.Conn) {
		_, _ = c.Write([]byte{0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0})
		block := make([]byte, 32<<10)
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}
}

// frame is a short frame of a server's.
func frame(first byte, payload string) []byte {
	return append([]byte{first, byte(len(payload))}, payload...)
}
