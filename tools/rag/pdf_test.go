package rag

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/tools/pdf"
)

// here reads PDFs in the process of the test, within its limits.
type here struct{ limits pdf.Limits }

func (h here) Text(ctx context.Context, _ string, read func() ([]byte, error)) (pdf.Words, error) {
	b, err := read()
	if err != nil {
		return pdf.Words{}, err
	}
	return pdf.Text(ctx, b, h.limits)
}

func printed(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../pdf/testdata/report.pdf")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pdfReader(t testing.TB, p PDFs) *Service {
	t.Helper()
	s, err := New(nil, Options{PDFs: p, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPassageOfAPDFKnowsItsPage(t *testing.T) {
	s := pdfReader(t, here{})
	for name, up := range map[string]Upload{
		"by its media type":               {Name: "The report.pdf", MediaType: "application/pdf", Data: printed(t)},
		"by what it is, whatever is said": {Name: "The report.pdf", MediaType: "text/plain", Data: printed(t)},
	} {
		t.Run(name, func(t *testing.T) {
			doc, sections, err := s.read(t.Context(), up)
			if err != nil {
				t.Fatal(err)
			}
			if doc.Title != "The report" || doc.MediaType != plainText {
				t.Errorf("%q, %s", doc.Title, doc.MediaType)
			}
			pieces, err := s.pieces(doc, sections)
			if err != nil {
				t.Fatal(err)
			}
			runes := []rune(doc.Text)
			for _, p := range pieces {
				text := doc.Text[p.start:p.end]
				if text != string(runes[p.runes.start:p.runes.end]) || strings.Contains(text, "[page") {
					t.Errorf("%q", text)
				}
				if second := strings.Contains(text, "swordfish"); second != slices.Equal(p.headings, []string{"page 2"}) {
					t.Errorf("%v has %q", p.headings, text)
				}
			}
		})
	}
}

// A line of a page that looks like the head of another is none.
func TestWhatAPDFSaysOfPagesIsNoPage(t *testing.T) {
	first, second := "[page 1]\none\n[page 9]\ntwo\x07\n", "[page 2]\n\n"
	text, pages := pageSections(pdf.Words{Text: first + second + "[page 3]\nthree", Pages: []int{0, len(first), len(first + second)}})
	var got []string
	for _, p := range pages {
		got = append(got, p.headings[0]+": "+text[p.start:p.end])
	}
	if want := []string{"page 1: one\n[page 9]\ntwo\n", "page 3: three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A stuck reads no PDF in time.
type stuck struct{ error }

func (s stuck) Text(context.Context, string, func() ([]byte, error)) (pdf.Words, error) {
	return pdf.Words{}, s.error
}

func TestPDFsThatAreRefused(t *testing.T) {
	whole := printed(t)
	for _, c := range []struct {
		name string
		pdfs PDFs
		data []byte
		kind Kind
		says string
	}{
		{"scanned", here{}, bytes.ReplaceAll(whole, []byte("/Contents"), []byte("/Kontents")), NoText, "OCR"},
		{"half of it", here{}, whole[:len(whole)/2], Damaged, "print it to a new one"},
		{"too many pages", here{pdf.Limits{Pages: 1}}, whole, TooLarge, "its first 1 pages"},
		{"too many words", here{pdf.Limits{Text: 60}}, whole, TooLarge, "split the document"},
		{"larger than PDFs may be", here{pdf.Limits{Bytes: 100}}, whole, TooLarge, "split the document"},
		{"encrypted", stuck{pdf.ErrEncrypted}, whole, Locked, "without a password"},
		{"too slow", stuck{pdf.ErrTooLong}, whole, TooSlow, "takes too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := pdfReader(t, c.pdfs).read(t.Context(), Upload{Name: "a.pdf", Data: c.data})
			var e *UploadError
			if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want kind %s that says %q", err, c.kind, c.says)
			}
		})
	}
}

// Somebody who goes away is not at fault.
func TestAReaderThatEndsIsNoFaultOfThePDF(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	_, _, err := pdfReader(t, here{}).read(ctx, Upload{Name: "a.pdf", Data: printed(t)})
	var e *UploadError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}
