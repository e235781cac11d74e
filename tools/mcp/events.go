package mcp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const maxStream = 64 << 20 // bytes of one stream of events

// events is a stream of server-sent events that is read one whole event at a
// time, so that one that is too large can be replaced by a failure.
type events struct {
	body io.Closer
	in   *bufio.Reader
	out  bytes.Buffer
	most int // bytes of an event
	left int // bytes of the stream
	fail func(why string) []byte
	err  error // what follows out
}

func newEvents(body io.ReadCloser, most int, fail func(string) []byte) *events {
	return &events{body: body, in: bufio.NewReader(body), most: most, left: maxStream, fail: fail}
}

func (e *events) Close() error { return e.body.Close() }

func (e *events) Read(p []byte) (int, error) {
	for e.out.Len() == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.next()
	}
	return e.out.Read(p)
}

// next reads an event. Comments, which keep a connection alive, are left out.
func (e *events) next() {
	comment, begins := false, true
	for e.err == nil {
		b, err := e.in.ReadSlice('\n')
		whole := err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			e.err = err
		}
		if begins {
			comment = len(b) > 0 && b[0] == ':'
		}
		empty := begins && whole && len(bytes.TrimRight(b, "\r\n")) == 0
		begins = whole
		if e.left -= len(b); !comment {
			e.out.Write(b)
		}
		if e.out.Len() > e.most || e.left < 0 {
			e.overflow()
			return
		}
		if empty && e.out.Len() > 0 {
			return
		}
	}
}

func (e *events) overflow() {
	e.out.Reset()
	e.out.WriteString("data: ")
	e.out.Write(e.fail(tooLarge(e.most)))
	e.out.WriteString("\n\n")
	e.err = io.EOF
}
