package llmtest

import (
	"bytes"
	"net"
	"sync"
)

// maxSlack is what a connection holds of what its near end has not read yet.
const maxSlack = 64 << 10

// A slack is the near end of a pipe, with a buffer for what the far end
// writes, as the kernel has one: a model goes on talking while nobody reads.
type slack struct {
	net.Conn

	mu      sync.Mutex // guards all below
	changed sync.Cond
	buf     bytes.Buffer
	err     error // behind what is in buf
}

// newSlack takes over c. Its goroutine ends when either end is closed.
func newSlack(c net.Conn) *slack {
	s := &slack{Conn: c}
	s.changed.L = &s.mu
	go s.fill()
	return s
}

func (s *slack) fill() {
	b := make([]byte, 4<<10)
	for {
		n, err := s.Conn.Read(b)
		s.mu.Lock()
		for s.buf.Len() > maxSlack && s.err == nil {
			s.changed.Wait()
		}
		s.buf.Write(b[:n])
		if s.err == nil {
			s.err = err
		}
		ended := s.err != nil
		s.changed.Broadcast()
		s.mu.Unlock()
		if ended {
			return
		}
	}
}

// Read returns all that has come, as far as b takes it.
func (s *slack) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.buf.Len() == 0 && s.err == nil {
		s.changed.Wait()
	}
	if s.buf.Len() == 0 {
		return 0, s.err
	}
	defer s.changed.Broadcast()
	return s.buf.Read(b)
}

// Close ends both ends. What was not read is lost.
func (s *slack) Close() error {
	s.mu.Lock()
	s.buf.Reset()
	s.err = net.ErrClosed
	s.changed.Broadcast()
	s.mu.Unlock()
	return s.Conn.Close()
}
