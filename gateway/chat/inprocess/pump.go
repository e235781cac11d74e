package inprocess

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// maxPending bounds what a connection holds in either direction: what one
// side has sent and the other has not read. Beyond it the sender waits.
const maxPending = 64 << 20

// A pump is a connection with a buffer in each direction. The pipe below has
// none: a pipeline of more than a few KiB and its replies would wait for each
// other for ever, and a subscriber that does not read for a moment would stop
// every command of every client.
type pump struct {
	net.Conn
	in, out *buffer
}

// newPump takes over c. Its goroutines end with Close.
func newPump(c net.Conn) *pump {
	p := &pump{Conn: c, in: newBuffer(), out: newBuffer()}
	go func() { p.in.end(copyAll(p.in, c)) }()
	go func() { p.out.end(copyAll(c, p.out)) }()
	return p
}

func copyAll(dst io.Writer, src io.Reader) error {
	b := make([]byte, 16<<10)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if _, err := dst.Write(b[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// Read implements [net.Conn].
func (p *pump) Read(b []byte) (int, error) { return p.in.Read(b) }

// Write implements [net.Conn]. It does not wait for the other side.
func (p *pump) Write(b []byte) (int, error) { return p.out.Write(b) }

// Close implements [net.Conn].
func (p *pump) Close() error {
	p.in.end(net.ErrClosed)
	p.out.end(net.ErrClosed)
	return p.Conn.Close()
}

// SetDeadline implements [net.Conn] for reads.
func (p *pump) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (p *pump) SetReadDeadline(t time.Time) error {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	p.in.deadline = t
	p.in.changed()
	return nil
}

// SetWriteDeadline implements [net.Conn]; a Write does not wait.
func (p *pump) SetWriteDeadline(time.Time) error { return nil }

// A buffer is one direction of a pump. All methods may be called
// concurrently.
type buffer struct {
	mu       sync.Mutex
	b        []byte
	err      error // nothing more comes
	deadline time.Time
	wake     chan struct{} // closed, and replaced, when anything changes
}

func newBuffer() *buffer { return &buffer{wake: make(chan struct{})} }

// changed requires f.mu.
func (f *buffer) changed() {
	close(f.wake)
	f.wake = make(chan struct{})
}

func (f *buffer) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
		f.changed()
	}
}

// Write implements [io.Writer].
func (f *buffer) Write(b []byte) (int, error) {
	for {
		f.mu.Lock()
		if f.err != nil {
			defer f.mu.Unlock()
			return 0, f.err
		}
		if len(f.b) < maxPending {
			f.b = append(f.b, b...)
			f.changed()
			f.mu.Unlock()
			return len(b), nil
		}
		wake := f.wake
		f.mu.Unlock()
		<-wake
	}
}

// Read implements [io.Reader].
func (f *buffer) Read(b []byte) (int, error) {
	for {
		f.mu.Lock()
		if len(f.b) > 0 {
			n := copy(b, f.b)
			if f.b = f.b[n:]; len(f.b) == 0 {
				f.b = nil
			}
			f.changed()
			f.mu.Unlock()
			return n, nil
		}
		err, wake, deadline := f.err, f.wake, f.deadline
		f.mu.Unlock()
		if err != nil {
			return 0, err
		}
		if err := waitUntil(wake, deadline); err != nil {
			return 0, err
		}
	}
}

func waitUntil(wake <-chan struct{}, deadline time.Time) error {
	if deadline.IsZero() {
		<-wake
		return nil
	}
	left := time.Until(deadline)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-wake:
		return nil
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
}
