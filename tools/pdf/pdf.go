// Package pdf takes the words out of PDF files.
package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ledongthuc/pdf"
	"golang.org/x/text/unicode/norm"
)

// Why there are no words.
var (
	ErrEncrypted = errors.New("pdf: it is encrypted")
	ErrNoText    = errors.New("pdf: it has no text, as a scan has none")
	ErrBroken    = errors.New("pdf: it is damaged")
	ErrTooLarge  = errors.New("pdf: it is too large")
	ErrTooLong   = errors.New("pdf: reading it takes too long")
)

// Limits bound one extraction. Zero values are the defaults.
type Limits struct {
	Bytes int // of the file: 32 MiB
	Pages int // that are read: 500
	Text  int // bytes of words, behind which the rest is cut: 1 MiB
	Steps int // drawing operators and glyphs of all pages: 5,000,000

	Memory int           // bytes of the process that a [Shop] has it read in, on Linux: 1 GiB
	Time   time.Duration // of that process: 15 s
}

// Words are what a PDF says.
type Words struct {
	Text  string `json:"text"`
	Pages []int  `json:"pages"`         // where in Text each page that was read begins, with its line "[page 3]"
	Cut   bool   `json:"cut,omitempty"` // there is more, as the last line says
}

func (l Limits) withDefaults() Limits {
	for p, def := range map[*int]int{&l.Bytes: 32 << 20, &l.Pages: 500, &l.Text: 1 << 20, &l.Steps: 5_000_000, &l.Memory: 1 << 30} {
		if *p <= 0 {
			*p = def
		}
	}
	if l.Time <= 0 {
		l.Time = 15 * time.Second
	}
	return l
}

// Text returns the words of a PDF in reading order of its content, each page
// behind a line "[page 3]". What is beyond the limits is left out, and the
// last line says so. It ends with ctx's error soon after ctx does.
//
// Call it in a process of its own: a hostile file can exhaust the stack or the
// memory, from which Go does not recover.
func Text(ctx context.Context, data []byte, l Limits) (Words, error) {
	l = l.withDefaults()
	if len(data) > l.Bytes {
		return Words{}, ErrTooLarge
	}
	w := &walker{ctx: ctx, left: l.Steps, most: l.Text}
	r, err := open(data)
	if err != nil {
		return Words{}, err
	}
	pages, words := pagesOf(r), false
	var starts []int
	for n := 1; n <= min(pages, l.Pages) && !w.full(); n++ {
		starts = append(starts, w.out.Len())
		fmt.Fprintf(&w.out, "[page %d]\n", n)
		before := w.out.Len()
		w.page(r, n)
		words = words || strings.TrimSpace(w.out.String()[before:]) != ""
		w.out.WriteString("\n")
	}
	if ctx.Err() != nil {
		return Words{}, ctx.Err()
	}
	if !words {
		return Words{}, ErrNoText
	}
	all, cut := tidy(w.out.String(), starts, l.Text)
	if all.Cut = cut || w.full() || pages > l.Pages; all.Cut {
		all.Text += fmt.Sprintf("\n[cut: there is more in its %d pages]\n", pages)
	}
	return all, nil
}

// tidy writes each page with the usual forms of its letters, of which some
// are longer: cut tells that it became more than most bytes.
func tidy(text string, starts []int, most int) (w Words, cut bool) {
	var b strings.Builder
	for i, start := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		page := norm.NFKC.String(strings.ToValidUTF8(text[start:end], ""))
		room := most - b.Len()
		if cut = len(page) > room; cut {
			page = strings.ToValidUTF8(page[:room], "")
		}
		w.Pages = append(w.Pages, b.Len())
		b.WriteString(page)
		if cut {
			break
		}
	}
	w.Text = b.String()
	return w, cut
}

func open(data []byte) (r *pdf.Reader, err error) {
	defer func() {
		if recover() != nil {
			err = ErrBroken
		}
	}()
	r, err = pdf.NewReader(bytes.NewReader(data), int64(len(data)))
	switch {
	case errors.Is(err, pdf.ErrInvalidPassword) || err != nil && strings.Contains(err.Error(), "encrypt"):
		return nil, ErrEncrypted
	case err != nil:
		return nil, ErrBroken
	case hasShortKey(r):
		return nil, ErrEncrypted
	}
	return r, nil
}

// hasShortKey reports whether a file is encrypted with a key so short that the
// keys of its objects are cut (PDF 32000-1 7.6.2), which the library does not.
func hasShortKey(r *pdf.Reader) bool {
	how := r.Trailer().Key("Encrypt")
	return !how.IsNull() && (how.Key("V").Int64() == 1 || how.Key("Length").Int64() < 88)
}

func pagesOf(r *pdf.Reader) (n int) {
	defer func() { _ = recover() }()
	return r.NumPage()
}
