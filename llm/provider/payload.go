package provider

import (
	"bytes"
	"io"
	"sync"
)

// A payload is a request's body. net/http holds on to a request for as long
// as its response streams; a payload lets go of its bytes once they are sent.
type payload struct {
	mu   sync.Mutex
	data []byte
}

// open returns a reader of the whole body, as each attempt to send it needs.
func (p *payload) open() io.ReadCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &payloadReader{left: bytes.NewReader(p.data)}
}

// drop is called when no further attempt will be made. Readers that were
// opened go on.
func (p *payload) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = nil
}

// A payloadReader may be closed while it is read.
type payloadReader struct {
	mu   sync.Mutex
	left *bytes.Reader // nil once closed
}

func (r *payloadReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == nil {
		return 0, io.EOF
	}
	return r.left.Read(b)
}

// Close lets go of the bytes: the transport closes what it has sent.
func (r *payloadReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = nil
	return nil
}
