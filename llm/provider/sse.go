package provider

import (
	"bufio"
	"bytes"
	"io"
)

// An sseReader reads server-sent events as the HTML standard has them
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): lines may
// end in LF, CRLF or CR, comments are skipped in any number, several data
// lines make one event. Other than in the standard, an event that the end of
// the stream cuts off is returned too and marked, since some servers leave
// out the last empty line. It is not for concurrent use.
type sseReader struct {
	lineReader
	data   []byte
	name   string
	filled bool // data has begun
}

func newSSEReader(r *bufio.Reader, limit int) *sseReader {
	return &sseReader{lineReader: lineReader{r: r, max: limit}}
}

// next returns the next event that has data; at the end of the stream its
// error is io.EOF or whatever broke the stream.
func (s *sseReader) next() (event, error) {
	s.data, s.name, s.filled = s.data[:0], "", false
	for {
		line, err := s.readLine()
		if err != nil && err != io.EOF {
			return event{}, err
		}
		if err == nil && len(line) == 0 {
			if s.filled && len(s.data) > 0 {
				return event{name: s.name, data: s.data}, nil
			}
			s.data, s.name, s.filled = s.data[:0], "", false
			continue
		}
		name, value := splitField(line)
		if string(name) == "data" && len(value) > 0 && !s.filled && s.emptyNext() {
			return event{name: s.name, data: value}, nil // the usual case: no copy
		}
		if ferr := s.field(name, value); ferr != nil {
			return event{}, ferr
		}
		if err == io.EOF {
			return s.last()
		}
	}
}

// last returns what is left at the end of the stream.
func (s *sseReader) last() (event, error) {
	if len(s.data) == 0 {
		return event{}, io.EOF
	}
	return event{name: s.name, data: s.data, cut: true}, nil
}

func splitField(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte(":"))
	return name, bytes.TrimPrefix(value, []byte(" "))
}

// field takes in one line. Names but data and event mean nothing here.
func (s *sseReader) field(name, value []byte) error {
	switch string(name) {
	case "event":
		s.name = eventName(value)
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

// eventName returns a name as a string, without a new one for those that come
// with every piece of an answer.
func eventName(b []byte) string {
	switch string(b) {
	case "content_block_delta":
		return "content_block_delta"
	case "response.output_text.delta":
		return "response.output_text.delta"
	case "response.function_call_arguments.delta":
		return "response.function_call_arguments.delta"
	}
	return string(b)
}
