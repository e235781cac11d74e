package rag

import (
	"bytes"
	"context"
	"iter"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	utf16 "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/unicode/norm"
)

// The media types that are read.
const (
	plainText = "text/plain"
	markdown  = "text/markdown"
	htmlText  = "text/html"
	pdfFile   = "application/pdf"
)

// read makes a document of an upload, everything but its ID and Edition, and
// says what its sections are.
func (s *Service) read(ctx context.Context, up Upload) (Document, iter.Seq[section], error) {
	if err := s.admit(up); err != nil {
		return Document{}, nil, err
	}
	kind, err := mediaType(up)
	if err != nil {
		return Document{}, nil, err
	}
	if kind == pdfFile {
		return s.readPDF(ctx, up)
	}
	doc, err := readText(ctx, up, kind)
	if err != nil {
		return Document{}, nil, err
	}
	if doc.MediaType == markdown {
		return doc, markdownSections(doc.Text), nil
	}
	return doc, plainSections(doc.Text), nil
}

func readText(ctx context.Context, up Upload, kind string) (Document, error) {
	text, err := decode(up)
	if err != nil {
		return Document{}, err
	}
	doc := Document{Name: up.Name, Source: clean(up.Source), MediaType: kind}
	if kind == htmlText {
		doc.MediaType = markdown
		if doc.Title, text, err = fromHTML(ctx, up.Name, text); err != nil {
			return Document{}, err
		}
	}
	doc.Text = clean(text)
	if strings.IndexFunc(doc.Text, isReadable) < 0 {
		return Document{}, refuse(up.Name, NoText, "there is no text in it; if it is a scan or an app page, add its text instead")
	}
	if doc.Title == "" && doc.MediaType == markdown {
		doc.Title = markdownTitle(doc.Text)
	}
	if doc.Title == "" {
		doc.Title = fileTitle(up.Name)
	}
	doc.Runes = utf8.RuneCountInString(doc.Text)
	return doc, nil
}

// fileTitle is the title of what has none but its file's name.
func fileTitle(name string) string { return shorten(strings.TrimSuffix(name, path.Ext(name))) }

func (s *Service) admit(up Upload) error {
	switch n := len(up.Data); {
	case strings.TrimSpace(up.Name) == "", up.Name != clean(up.Name):
		return refuse(up.Name, BadName, "the name must be readable text; give it a file name")
	case len(up.Name) > s.o.MaxName:
		return refuse(up.Name[:20]+"…", BadName, "the name is longer than %d bytes; shorten it", s.o.MaxName)
	case n == 0:
		return refuse(up.Name, NoText, "the file is empty; choose one with text in it")
	case n > s.o.MaxBytes:
		return refuse(up.Name, TooLarge, "%d bytes are more than the %d allowed; split the document", n, s.o.MaxBytes)
	}
	return nil
}

// mediaType returns one of those that are read. What the data is counts for
// more than what it is called.
func mediaType(up Upload) (string, error) {
	found, _, _ := mime.ParseMediaType(http.DetectContentType(up.Data))
	if found == pdfFile {
		return found, nil
	}
	if !strings.HasPrefix(found, "text/") && found != "application/octet-stream" { // which may be text with a stray control character
		return "", refuse(up.Name, NotText, "it is %s; convert it to text, Markdown, HTML or PDF and add that", found)
	}
	given, _, _ := mime.ParseMediaType(up.MediaType)
	switch given {
	case plainText, markdown, htmlText:
		return given, nil
	case "text/x-markdown":
		return markdown, nil
	case "application/xhtml+xml":
		return htmlText, nil
	case pdfFile:
		return "", refuse(up.Name, NotText, "it is no PDF; save it as one again, or give its own media type")
	case "", "application/octet-stream":
		return byName(up.Name, found), nil
	}
	return "", refuse(up.Name, NotText, "media type %q is not read; use %s, %s, %s or %s", given, plainText, markdown, htmlText, pdfFile)
}

func byName(name, found string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown", ".mdown":
		return markdown
	case ".html", ".htm", ".xhtml":
		return htmlText
	case ".txt", ".text":
		return plainText
	}
	if found == htmlText {
		return htmlText
	}
	return plainText
}

// decode returns the upload's text in UTF-8.
func decode(up Upload) (string, error) {
	data := bytes.TrimPrefix(up.Data, []byte("\xEF\xBB\xBF"))
	if bytes.HasPrefix(data, []byte("\xFF\xFE")) || bytes.HasPrefix(data, []byte("\xFE\xFF")) {
		u, err := utf16.UTF16(utf16.LittleEndian, utf16.UseBOM).NewDecoder().Bytes(data)
		if err != nil {
			return "", refuse(up.Name, NotText, "it is damaged UTF-16; save it as UTF-8")
		}
		data = u
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return "", refuse(up.Name, NotText, "it is binary (a zero byte at %d); convert it to text, Markdown, HTML or PDF and add that", i)
	}
	if !utf8.Valid(data) {
		return "", refuse(up.Name, NotText, "it is not valid UTF-8 (byte %d); save it as UTF-8", invalidAt(data))
	}
	return string(data), nil
}

func invalidAt(data []byte) int {
	pos := 0
	for pos < len(data) {
		r, n := utf8.DecodeRune(data[pos:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		pos += n
	}
	return pos
}

// clean ends lines with \n alone and drops what neither people nor Postgres
// can read: control characters and byte order marks.
func clean(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r', r == '\f', r == '\v', r == '\u2028', r == '\u2029':
			return '\n'
		case r == '\uFEFF', unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
}

func isReadable(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// slug turns a file's name into an id: letters, digits and single hyphens.
func slug(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.TrimSuffix(name, path.Ext(name))
	words := strings.FieldsFunc(strings.ToLower(norm.NFKC.String(name)), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
	out := strings.Join(words, "-")
	if len(out) > maxSlug {
		out = strings.TrimRight(strings.ToValidUTF8(out[:maxSlug], ""), "-")
	}
	if out == "" {
		return "document"
	}
	return out
}

const maxSlug = 48 // bytes
