package rag

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func reader(t testing.TB) *Service {
	s, err := New(nil, Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name               string
		up                 Upload
		title, media, text string
	}{
		{"plain text is named after its file", Upload{Name: "my notes.txt", Data: []byte("a\r\nb\rc\fd\x07")}, "my notes", plainText, "a\nb\nc\nd"},
		{"Markdown has a heading", Upload{Name: "x.md", Data: []byte("# Big *news*\n\nText")}, "Big *news*", markdown, "# Big *news*\n\nText"},
		{"the media type given counts", Upload{Name: "x.txt", MediaType: "text/markdown; charset=utf-8", Data: []byte("# T")}, "T", markdown, "# T"},
		{"a byte order mark", Upload{Name: "x", Data: []byte("\xEF\xBB\xBFhi")}, "x", plainText, "hi"},
		{"UTF-16", Upload{Name: "x", Data: []byte("\xFF\xFEh\x00\xE9\x00")}, "x", plainText, "hé"},
		{
			"HTML without what is no text",
			Upload{Name: "p.html", Data: []byte(`<!doctype html><title>The
				page</title><style>b{}</style><nav>menu</nav><h1>Head</h1><p>Some <b>bold</b> <a href="/x">link</a>,
				an_under_score.<script>evil()</script><p hidden>secret<p style="Display: none">secret
				<div aria-hidden=true>secret</div><img alt="a cat" src=x><ul><li>one<li>two</ul>
				<table><tr><th>k<th>v<tr><td>1<td>2</table>`)},
			"The page", markdown,
			"# Head\n\nSome bold link, an_under_score.\n\na cat\n\n- one\n- two\n\n| k | v |\n|---|---|\n| 1 | 2 |",
		},
		{"HTML is known by its looks", Upload{Name: "page", Data: []byte("<html><p>hello")}, "page", markdown, "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, _, err := reader(t).read(t.Context(), c.up)
			if err != nil {
				t.Fatal(err)
			}
			if doc.Title != c.title || doc.MediaType != c.media || doc.Text != c.text {
				t.Errorf("got %q, %s, text\n%q, want\n%q", doc.Title, doc.MediaType, doc.Text, c.text)
			}
			if doc.Runes != utf8.RuneCountInString(doc.Text) {
				t.Errorf("got %d runes", doc.Runes)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		up   Upload
		kind Kind
		says string
	}{
		{"no name", Upload{Data: []byte("x")}, BadName, "give it a file name"},
		{"a name with control characters", Upload{Name: "a\x00b", Data: []byte("x")}, BadName, "readable"},
		{"a long name", Upload{Name: strings.Repeat("é", 300), Data: []byte("x")}, BadName, "shorten it"},
		{"nothing", Upload{Name: "a.txt"}, NoText, "empty"},
		{"white space", Upload{Name: "a.txt", Data: []byte(" \n\t ")}, NoText, "no text"},
		{"a page without text", Upload{Name: "a.html", Data: []byte("<html><script>app()</script><div id=root></div>")}, NoText, "add its text"},
		{"too large", Upload{Name: "a.txt", Data: make([]byte, 1<<20+1)}, TooLarge, "split"},
		{"PDF", Upload{Name: "a.txt", MediaType: plainText, Data: []byte("%PDF-1.7 text")}, NotText, "PDFs are not read here; convert"},
		{"zip", Upload{Name: "a.docx", Data: []byte("PK\x03\x04 something")}, NotText, "application/zip; convert"},
		{"a zero byte", Upload{Name: "a.txt", Data: []byte(strings.Repeat("text ", 200) + "\x00")}, NotText, "zero byte at 1000"},
		{"Latin-1", Upload{Name: "a.txt", Data: []byte("caf\xe9 au lait")}, NotText, "byte 3); save it as UTF-8"},
		{"no PDF", Upload{Name: "a.pdf", MediaType: pdfFile, Data: []byte("text")}, NotText, "it is no PDF"},
		{"another media type", Upload{Name: "a.json", MediaType: "application/json", Data: []byte("{}")}, NotText, `"application/json" is not read; use text/plain`},
		{"deep HTML", Upload{Name: "a.html", Data: []byte(strings.Repeat("<div>", 2000) + "x")}, NotText, "cannot be read as HTML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := reader(t).read(t.Context(), c.up)
			var e *UploadError
			if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want kind %s that says %q", err, c.kind, c.says)
			}
		})
	}
}

func TestTooManyChunks(t *testing.T) {
	s := reader(t)
	s.o.MaxChunks = 10
	text := strings.Repeat("# a\nb\n", 11)
	_, err := s.pieces(Document{Name: "a.md", Text: text}, markdownSections(text))
	var e *UploadError
	if !errors.As(err, &e) || e.Kind != TooLarge {
		t.Errorf("got %v, want an upload error of kind %s", err, TooLarge)
	}
}

// FuzzRead feeds whatever there is to the parsers: they must end, and what
// they make of it must be fit for the store.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"# A\n\ntext", "<table><tr><td><table><b><i></b></table>x", "<svg><title>x</title><p>y", "<title>", "<!--", "<a><a><p><a>x",
		"<select><nav>x", "<pre>\n```\n</pre>", "<ol start=99999999999999><li>x", "<td colspan=1000000>x</td>", "---\n---\n", "&#0;&#xD800;x",
		"<template><p>x</template><frameset>", "<p>\u2028</p>\uFEFF", "<blockquote>" + strings.Repeat("<blockquote><li>", 100) + "x",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	s := reader(f)
	f.Fuzz(func(t *testing.T, data string, page bool) {
		up := Upload{Name: "x", MediaType: markdown, Data: []byte(data)}
		if page {
			up.MediaType = htmlText
		}
		doc, sections, err := s.read(t.Context(), up)
		if err != nil {
			var e *UploadError
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an upload error", err)
			}
			return
		}
		if !utf8.ValidString(doc.Text) || strings.Contains(doc.Text, "\x00") || doc.Title != clean(doc.Title) || doc.Title == "" {
			t.Fatalf("got title %q and text %q", doc.Title, doc.Text)
		}
		pieces, err := s.pieces(doc, sections)
		if err != nil || len(pieces) == 0 {
			t.Fatalf("got %d chunks, error %v of %q", len(pieces), err, doc.Text)
		}
	})
}

// TestHostileHTML converts pages that are made to take long or to grow.
func TestHostileHTML(t *testing.T) {
	for _, c := range []struct{ name, head, unit string }{
		{"open tags", "", "<b><i>x"},
		{"wide cells", "<table>", "<tr><td colspan=1000 rowspan=1000>x"},
		{"one wide row", "<table><tr>" + strings.Repeat("<td>", 10_000), "<tr><td>x"},
		{"list items", "<ul>", "<li>x"},
		{"attributes", "", "<p a=b "},
		{"quotes", "", "<blockquote>x</blockquote>"},
		{"entities", "", "&lt;&amp;"},
		{"spans", "", "<span>x</span>"},
		{"formatting", "", "<p><b><i><a>x"},
		{"formatting that opens again", many("<b a=%d>", 400), "<p>x"},
		{"the same behind foreign text", "<svg><style>" + many("<b a=%d>", 400), "<p>x"},
		{"attributes of the root", "", "<html a%d=x>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := c.head + many(c.unit, hostileBytes/len(c.unit))
			start := time.Now()
			_, text, err := fromHTML(t.Context(), "x", page)
			if took := time.Since(start); took > 5*time.Second || len(text) > 4*len(page) {
				t.Errorf("%d bytes became %d in %v, error %v", len(page), len(text), took, err)
			}
			t.Log(len(text), time.Since(start), err)
		})
	}
}

const hostileBytes = 1 << 18

// many repeats a text with a number in it, if it has a place for one.
func many(unit string, n int) string {
	if !strings.Contains(unit, "%d") {
		return strings.Repeat(unit, n)
	}
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, unit, i)
	}
	return b.String()
}
