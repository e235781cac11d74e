package inprocess

import (
	"net"
	"sync"
	"time"
)

// maxPending is how much a client may have written that the server has not
// read. Beyond it Write fails, and the client dials again.
const maxPending = 64 << 20

// A pump is a connection whose Write does not wait for the other side to
// read. The pipe below has no buffer: a pipeline of more than a few KiB and
// its replies would wait for each other for ever.
type pump struct {
	net.Conn

	mu      sync.Mutex
	pending []byte
	err     error
	kick    chan struct{} // 1 slot
	closed  chan struct{}
	once    sync.Once
}

// newPump takes over c. Its goroutine ends with Close.
func newPump(c net.Conn) *pump {
	p := &pump{Conn: c, kick: make(chan struct{}, 1), closed: make(chan struct{})}
	go p.run()
	return p
}

// Write implements [net.Conn].
func (p *pump) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	if len(p.pending)+len(b) > maxPending {
		return 0, net.ErrClosed
	}
	p.pending = append(p.pending, b...)
	select {
	case p.kick <- struct{}{}:
	default:
	}
	return len(b), nil
}

// Close implements [net.Conn].
func (p *pump) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.Conn.Close()
}

func (p *pump) run() {
	for {
		select {
		case <-p.kick:
		case <-p.closed:
			return
		}
		p.mu.Lock()
		b := p.pending
		p.pending = nil
		p.mu.Unlock()
		if _, err := p.Conn.Write(b); err != nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
		}
	}
}

// SetWriteDeadline and SetDeadline do not reach the pump's own writes: what
// was accepted is written however long the server takes.
func (p *pump) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements [net.Conn] for reads.
func (p *pump) SetDeadline(t time.Time) error { return p.Conn.SetReadDeadline(t) }
