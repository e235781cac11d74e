package provider

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// errTooLong says that a line or an event grew past the reader's limit.
var errTooLong = errors.New("an event is longer than allowed")

// An sseEvent is one event of a server-sent event stream. Its data is valid
// until the next one is read.
type sseEvent struct {
	name string // of the event: field, "" for the default
	data []byte
	cut  bool // the stream ended inside this event: data may be a part of it
}

// An sseReader reads server-sent events as the HTML standard has them
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): lines may
// end in LF, CRLF or CR, comments are skipped in any number, several data
// lines make one event. Other than in the standard, an event that the end of
// the stream cuts off is returned too and marked, since some servers leave
// out the last empty line. It is not for concurrent use.
type sseReader struct {
	r      *bufio.Reader
	max    int    // bytes of a line and of an event's data
	line   []byte // of lines that do not fit the reader's buffer
	data   []byte
	name   string
	filled bool // data has begun
	skipLF bool // the last line ended in CR
	began  bool // the byte order mark has been looked for
}

func newSSEReader(r *bufio.Reader, limit int) *sseReader { return &sseReader{r: r, max: limit} }

// next returns the next event that has data; at the end of the stream its
// error is io.EOF or whatever broke the stream.
func (s *sseReader) next() (sseEvent, error) {
	s.data, s.name, s.filled = s.data[:0], "", false
	for {
		line, err := s.readLine()
		if err != nil && err != io.EOF {
			return sseEvent{}, err
		}
		if err == nil && len(line) == 0 {
			if s.filled && len(s.data) > 0 {
				return sseEvent{name: s.name, data: s.data}, nil
			}
			s.data, s.name, s.filled = s.data[:0], "", false
			continue
		}
		if ferr := s.field(line); ferr != nil {
			return sseEvent{}, ferr
		}
		if err == io.EOF {
			return s.last()
		}
	}
}

// last returns what is left at the end of the stream.
func (s *sseReader) last() (sseEvent, error) {
	if len(s.data) == 0 {
		return sseEvent{}, io.EOF
	}
	return sseEvent{name: s.name, data: s.data, cut: true}, nil
}

// field takes in one line. Names but data and event mean nothing here.
func (s *sseReader) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(name) {
	case "event":
		s.name = string(value)
	case "data":
		if len(s.data)+len(value) >= s.max {
			return errTooLong
		}
		if s.filled {
			s.data = append(s.data, '\n')
		}
		s.data, s.filled = append(s.data, value...), true
	}
	return nil
}

// readLine returns a line without its end; with io.EOF what came after the
// last end, possibly nothing.
func (s *sseReader) readLine() ([]byte, error) {
	s.line = s.line[:0]
	for {
		part, ended, err := s.readPart()
		if err != nil && err != io.EOF {
			return nil, err
		}
		if len(s.line)+len(part) > s.max {
			return nil, errTooLong
		}
		if (ended || err != nil) && len(s.line) == 0 {
			return part, err // the usual case: no copy
		}
		s.line = append(s.line, part...)
		if ended || err != nil {
			return s.line, err
		}
	}
}

// readPart returns what the buffer holds of the current line, and whether the
// line ended there.
func (s *sseReader) readPart() (part []byte, ended bool, err error) {
	if err := s.fill(); err != nil {
		return nil, false, err
	}
	buf, _ := s.r.Peek(s.r.Buffered())
	end := bytes.IndexByte(buf, '\n')
	if end < 0 {
		end = len(buf)
	}
	if cr := bytes.IndexByte(buf[:end], '\r'); cr >= 0 {
		end, s.skipLF = cr, true
	}
	if end == len(buf) {
		s.r.Discard(end)
		return buf, false, nil
	}
	s.r.Discard(end + 1)
	return buf[:end], true, nil
}

// fill makes sure that the buffer holds a byte of the current line. A line
// feed that belongs to the carriage return before it is dropped only here, so
// that an event that ends in CR need not wait for what follows.
func (s *sseReader) fill() error {
	if !s.began {
		s.began = true
		if mark, _ := s.r.Peek(1); len(mark) == 1 && mark[0] == 0xEF {
			s.dropMark()
		}
	}
	b, err := s.r.Peek(1)
	if err != nil {
		return err
	}
	if s.skipLF {
		s.skipLF = false
		if b[0] == '\n' {
			s.r.Discard(1)
			_, err = s.r.Peek(1)
		}
	}
	return err
}

// dropMark skips a UTF-8 byte order mark at the very beginning.
func (s *sseReader) dropMark() {
	if mark, _ := s.r.Peek(3); string(mark) == "\xEF\xBB\xBF" {
		s.r.Discard(3)
	}
}
