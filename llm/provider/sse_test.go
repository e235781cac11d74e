package provider

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readEvents returns the events of a stream as "name|data", and what ended it.
func readEvents(r io.Reader, limit int) (got []string, err error) {
	s := newSSEReader(bufio.NewReaderSize(r, 16), limit)
	for {
		ev, err := s.next()
		if err != nil {
			return got, err
		}
		e := ev.name + "|" + string(ev.data)
		if ev.cut {
			e += "|cut"
		}
		got = append(got, e)
	}
}

func TestSSE(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"one event":                     {"data: a\n\n", []string{"|a"}},
		"no space after the colon":      {"data:a\n\n", []string{"|a"}},
		"only one space is taken":       {"data:  a\n\n", []string{"| a"}},
		"several data lines":            {"data: a\ndata: b\n\n", []string{"|a\nb"}},
		"CRLF":                          {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"|a", "|b"}},
		"CR":                            {"data: a\r\rdata: b\r\r", []string{"|a", "|b"}},
		"comments and empty lines":      {"\n\n: hi\n:\n\ndata: a\n: in between\ndata: b\n\n", []string{"|a\nb"}},
		"event, id, retry":              {"event: error\nid: 3\nretry: 9\ndata: a\n\ndata: b\n\n", []string{"error|a", "|b"}},
		"a name without data is no one": {"event: x\n\ndata: a\n\n", []string{"|a"}},
		"data without colon is empty":   {"data\n\ndata: a\n\n", []string{"|a"}},
		"longer than the buffer":        {"data: " + strings.Repeat("x", 100) + "\n\n", []string{"|" + strings.Repeat("x", 100)}},
		"byte order mark":               {"\xEF\xBB\xBFdata: a\n\n", []string{"|a"}},
		"no empty line at the end":      {"data: a\n", []string{"|a|cut"}},
		"no line end at the end":        {"data: a\n\ndata: b", []string{"|a", "|b|cut"}},
		"nothing":                       {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
				if got, err := readEvents(r, 1000); !slices.Equal(got, c.want) || err != io.EOF {
					t.Errorf("events %q, %v; want %q, EOF", got, err, c.want)
				}
			}
		})
	}
}

func TestSSEEndsWhereTheLimitIs(t *testing.T) {
	for name, in := range map[string]string{
		"one line":      "data: " + strings.Repeat("x", 200) + "\n\n",
		"endless line":  strings.Repeat("x", 2000),
		"many lines":    strings.Repeat("data: 0123456789\n", 20) + "\n",
		"endless event": strings.Repeat("data: 0123456789\n", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readEvents(strings.NewReader(in), 100); !errors.Is(err, errTooLong) || len(got) > 0 {
				t.Errorf("events %q, %v; want none and %v", got, err, errTooLong)
			}
		})
	}
}

// An event that ends in CR is complete: waiting for a possible LF would hold
// the last piece of an answer back.
func TestSSEDoesNotWaitForWhatFollowsCR(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, "data: a\r\r")
	ev, err := newSSEReader(bufio.NewReader(r), 100).next()
	if err != nil || string(ev.data) != "a" {
		t.Errorf("event %q, %v", ev.data, err)
	}
}

// However a stream is cut into reads, the events are the same.
func FuzzSSE(f *testing.F) {
	for _, s := range []string{
		"data: a\n\n", "data: a\r\ndata:b\r\n\r\n", "event: x\rdata: y\r\r", "\xEF\xBB\xBF: c\ndata\n\n", "data: \r\n\n\rdata: z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		whole, err1 := readEvents(strings.NewReader(in), 64)
		bytewise, err2 := readEvents(iotest.OneByteReader(strings.NewReader(in)), 64)
		if !slices.Equal(whole, bytewise) || err1 != err2 {
			t.Errorf("%q, %v\nbyte by byte %q, %v", whole, err1, bytewise, err2)
		}
		for _, e := range whole {
			if len(e) > 64+64+10 {
				t.Errorf("an event of %d bytes passed the limit", len(e))
			}
		}
	})
}
