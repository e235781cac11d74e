package mcp

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"", "data: x\n\n", ": alive\n\ndata: x\n\n", "data: a\r\ndata: b\r\n\r\nevent: e\ndata: c\n\n", "data: unfinished",
		"data: " + strings.Repeat("x", 200) + "\n\ndata: y\n\n", strings.Repeat(": c\n", 100) + "data: x\n\n", "\n\n\n", ":" + strings.Repeat("x", 9000) + "\ndata: z\n\n",
	} {
		f.Add(seed)
	}
	const most = 100
	f.Fuzz(func(t *testing.T, stream string) {
		read := func(r io.Reader) string {
			e := newEvents(io.NopCloser(r), most, func(why string) []byte { return []byte("FAILED " + why) })
			b, err := io.ReadAll(e)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		whole := read(strings.NewReader(stream))
		if slow := read(iotest.OneByteReader(strings.NewReader(stream))); slow != whole {
			t.Errorf("in one piece %q, byte by byte %q", whole, slow)
		}
		kept, failed := strings.CutSuffix(whole, "data: FAILED "+tooLarge(most)+"\n\n")
		if !strings.Contains(stream, ":") && !failed && whole != stream {
			t.Errorf("%q became %q", stream, whole)
		}
		for _, event := range strings.Split(strings.ReplaceAll(kept, "\r", ""), "\n\n") {
			if len(strings.Trim(event, "\n")) > most {
				t.Errorf("an event of %d bytes was let through", len(event))
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"a","url":"https://mcp.example/mcp","headers":{"X":"y"},"allow":["b"]}`))
	f.Add([]byte(`{"name":"a","url":"http://[::1]:80/"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		if again, err := merge(s, s); err != nil || again.connection() != s.connection() {
			t.Errorf("%+v cannot be stored again: %v", s, err)
		}
		if origin(s.URL) == "" {
			t.Errorf("%q has no origin", s.URL)
		}
	})
}
