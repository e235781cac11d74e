package pdf

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "child" {
		os.Exit(Serve(context.Background(), os.Args[2], os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// claims is a file whose table claims to have n entries.
func claims(n int) []byte {
	s := "%PDF-1.5\n"
	obj := fmt.Sprintf("1 0 obj\n<</Type/XRef/Size %d/W[1 1 1]/Length 0/Root 1 0 R>>\nstream\n\nendstream\nendobj\n", n)
	return []byte(s + obj + fmt.Sprintf("startxref\n%d\n%%%%EOF\n", len(s)))
}

// bomb is a file whose one page is a few kilobytes that become n bytes.
func bomb(t testing.TB, n int, piece string) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	for range n / len(piece) {
		_, _ = io.WriteString(w, piece)
	}
	_ = w.Close()
	objs := []string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>", "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<<>>>>",
		fmt.Sprintf("<</Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", z.Len(), z.String()),
	}
	s, table := "%PDF-1.4\n", "xref\n0 5\n0000000000 65535 f \n"
	for i, o := range objs {
		table += fmt.Sprintf("%010d 00000 n \n", len(s))
		s += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	return []byte(s + table + fmt.Sprintf("trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(s)))
}

func given(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }

func shop(o Options) *Shop {
	o.Command = []string{os.Args[0], "child"}
	return New(o)
}

func TestAHostileFileEndsItsProcessAlone(t *testing.T) {
	whole := report(t)
	words := shop(Options{})
	if w, err := words.Text(t.Context(), "", given(whole)); err != nil || w.Cut || !strings.Contains(w.Text, "swordfish") {
		t.Errorf("%+v, %v", w, err)
	}
	for name, c := range map[string]struct {
		data []byte
		l    Limits
		want error
	}{
		"a table of two thousand million": {claims(2_000_000_000), Limits{}, ErrBroken},
		"nested without end":              {bomb(t, 4<<20, strings.Repeat("[", 1<<20)), Limits{}, ErrNoText},
		"one string without end":          {bomb(t, 200<<20, "("+strings.Repeat("x", 1<<20)), Limits{Memory: 256 << 20}, ErrBroken},
		"operands without end":            {bomb(t, 64<<20, strings.Repeat("1 ", 1<<20)), Limits{Time: 200 * time.Millisecond}, ErrTooLong},
		"operators without end":           {bomb(t, 64<<20, strings.Repeat("q ", 1<<20)), Limits{Steps: 10_000}, ErrNoText},
		"no PDF":                          {[]byte("%PDF-1.7 x"), Limits{}, ErrBroken},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			if w, err := shop(Options{Limits: c.l}).Text(t.Context(), "", given(c.data)); !errors.Is(err, c.want) {
				t.Errorf("%+v, %v, want %v", w, err, c.want)
			}
			t.Log(time.Since(began))
		})
	}
}

func TestTheLimitsReachTheChild(t *testing.T) {
	for name, l := range map[string]Limits{"pages": {Pages: 1}, "words": {Text: 60}, "steps": {Steps: 150}} {
		if w, err := shop(Options{Limits: l}).Text(t.Context(), "", given(report(t))); err != nil || !w.Cut || strings.Contains(w.Text, "swordfish") {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
}

func TestAFileIsReadOnceAndKept(t *testing.T) {
	s, reads := shop(Options{Kept: 1}), 0
	read := func() ([]byte, error) { reads++; return report(t), nil }
	for _, id := range []string{"a", "a", "b", "a"} {
		if w, err := s.Text(t.Context(), id, read); err != nil || !strings.Contains(w.Text, "swordfish") {
			t.Errorf("%s: %+v, %v", id, w, err)
		}
	}
	if reads != 3 {
		t.Errorf("read %d times, not once for each that was not kept", reads)
	}
}
