package rag

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"parley/tools/pdf"
)

// PDFs takes the words out of PDFs: see [pdf.Shop].
type PDFs interface {
	Text(ctx context.Context, id string, read func() ([]byte, error)) (pdf.Words, error)
}

// readPDF makes a document of a PDF's words, with a section for each page.
func (s *Service) readPDF(ctx context.Context, up Upload) (Document, iter.Seq[section], error) {
	if s.o.PDFs == nil {
		return Document{}, nil, refuse(up.Name, NotText, "PDFs are not read here; convert it to text, Markdown or HTML and add that")
	}
	w, err := s.o.PDFs.Text(ctx, "", func() ([]byte, error) { return up.Data, nil })
	if err != nil {
		return Document{}, nil, noWords(up.Name, err)
	}
	if w.Cut {
		return Document{}, nil, refuse(up.Name, TooLarge, "there is more in it than its first %d pages with %d bytes of words, which is all that is read of a PDF; split the document", len(w.Pages), len(w.Text))
	}
	text, pages := pageSections(w)
	if len(pages) == 0 {
		return Document{}, nil, noWords(up.Name, pdf.ErrNoText)
	}
	doc := Document{Name: up.Name, Title: fileTitle(up.Name), Source: clean(up.Source), MediaType: plainText, Text: text, Runes: utf8.RuneCountInString(text)}
	return doc, slices.Values(pages), nil
}

// pageSections returns the clean text of a PDF, and its pages that have
// something to read, each without the line that names it.
func pageSections(w pdf.Words) (text string, pages []section) {
	var b strings.Builder
	for i, start := range w.Pages {
		end := len(w.Text)
		if i+1 < len(w.Pages) {
			end = w.Pages[i+1]
		}
		page := clean(w.Text[start:end])
		at := b.Len() + line(page)
		b.WriteString(page)
		if strings.IndexFunc(page[line(page):], isReadable) >= 0 {
			pages = append(pages, section{span{at, b.Len()}, []string{fmt.Sprintf("page %d", i+1)}})
		}
	}
	return b.String(), pages
}

// noWords says why there is nothing to read in a PDF, and what to do.
func noWords(name string, err error) error {
	switch {
	case errors.Is(err, pdf.ErrEncrypted):
		return refuse(name, Locked, "the PDF is encrypted; save it without a password")
	case errors.Is(err, pdf.ErrNoText):
		return refuse(name, NoText, "the PDF has no text, as a scan has none; have its letters recognised (OCR) and add that")
	case errors.Is(err, pdf.ErrTooLarge):
		return refuse(name, TooLarge, "it is larger than PDFs are read; split the document")
	case errors.Is(err, pdf.ErrTooLong):
		return refuse(name, TooSlow, "reading the PDF takes too long; split the document, or print it to a new PDF")
	case errors.Is(err, pdf.ErrBroken):
		return refuse(name, Damaged, "the PDF is damaged; print it to a new one, or add its text")
	}
	return fmt.Errorf("rag: read %q: %w", name, err)
}
