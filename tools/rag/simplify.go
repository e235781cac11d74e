package rag

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxTags is how many tags of a page are read. A tag costs up to a kilobyte
// of memory until it is text.
const maxTags = 250_000

// simplify drops from a page what means nothing to a search before it is
// parsed: comments, scripts, all but a few attributes, and formatting with
// links. That leaves the parser nothing to grow on: it opens each formatting
// element that was not closed again in every paragraph that follows.
func simplify(name, page string) (string, error) {
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(page))
	raw := atom.Atom(0) // element whose text is no markup
	for tags := 0; ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out.String(), nil
		}
		t := z.Token()
		switch kind {
		case html.TextToken:
			if !isUnread(raw) {
				out.WriteString(html.EscapeString(t.Data))
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw = 0
			if kind == html.StartTagToken {
				raw = t.DataAtom
			}
			if tags++; tags > maxTags {
				return "", refuse(name, TooLarge, "it has more than the %d tags allowed; save the page as text or Markdown", maxTags)
			}
			if !isFormatting(t.DataAtom) && !isUnread(t.DataAtom) {
				t.Attr = slices.DeleteFunc(t.Attr, isUseless)
				out.WriteString(t.String())
			}
		}
	}
}

// isFormatting knows the formatting elements of the HTML standard (13.2.4.3).
func isFormatting(a atom.Atom) bool {
	switch a {
	case atom.A, atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.Nobr, atom.S, atom.Small,
		atom.Strike, atom.Strong, atom.Tt, atom.U:
		return true
	}
	return false
}

// isUnread knows the elements whose text is neither markup nor for readers.
func isUnread(a atom.Atom) bool {
	switch a {
	case atom.Iframe, atom.Noembed, atom.Noframes, atom.Noscript, atom.Script, atom.Style, atom.Textarea,
		atom.Plaintext, atom.Xmp:
		return true
	}
	return false
}

func isUseless(a html.Attribute) bool {
	switch a.Key {
	case "hidden", "aria-hidden", "style", "alt", "start":
		return false
	}
	return true
}
