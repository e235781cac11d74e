package provider

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// errTooLong says that a line or an event grew past the reader's limit.
var errTooLong = errors.New("an event is longer than allowed")

// A lineReader reads lines that end in LF, CRLF or CR, of any length up to a
// limit. It is not for concurrent use.
type lineReader struct {
	r      *bufio.Reader
	max    int    // bytes of a line and of an event's data
	line   []byte // of lines that do not fit the reader's buffer
	skipLF bool   // the last line ended in CR
	began  bool   // the byte order mark has been looked for
}

func (s *lineReader) buffered() int { return s.r.Buffered() }

// jsonLines reads a stream that has one JSON value a line, as Ollama sends.
type jsonLines struct{ lineReader }

func newJSONLines(r *bufio.Reader, limit int) *jsonLines {
	return &jsonLines{lineReader{r: r, max: limit}}
}

// next returns the next line that has something; at the end of the stream its
// error is io.EOF or whatever broke the stream. A line that the end cuts off
// is returned and marked.
func (j *jsonLines) next() (event, error) {
	for {
		line, err := j.readLine()
		if err != nil && err != io.EOF {
			return event{}, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return event{data: line, cut: err == io.EOF}, nil
		}
		if err == io.EOF {
			return event{}, err
		}
	}
}

// readLine returns a line without its end; with io.EOF what came after the
// last end, possibly nothing.
func (s *lineReader) readLine() ([]byte, error) {
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
func (s *lineReader) readPart() (part []byte, ended bool, err error) {
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
func (s *lineReader) fill() error {
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
	if s.r.Buffered() == s.r.Size() && s.r.Size() < fastBuffer {
		s.r = bufio.NewReaderSize(s.r, fastBuffer) // goes on with what the small one holds
		if b, err = s.r.Peek(1); err != nil {
			return err
		}
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

// emptyNext takes the next line if it is empty and has come already. The last
// line stays valid.
func (s *lineReader) emptyNext() bool {
	buf, _ := s.r.Peek(s.r.Buffered())
	n := 0
	if s.skipLF && len(buf) > 0 && buf[0] == '\n' {
		n = 1
	}
	if n == len(buf) || buf[n] != '\n' && buf[n] != '\r' {
		return false
	}
	s.skipLF = buf[n] == '\r'
	s.r.Discard(n + 1)
	return true
}

// dropMark skips a UTF-8 byte order mark at the very beginning.
func (s *lineReader) dropMark() {
	if mark, _ := s.r.Peek(3); string(mark) == "\xEF\xBB\xBF" {
		s.r.Discard(3)
	}
}
