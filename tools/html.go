package tools

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText returns the readable text of a page, a line a block. It works on
// tokens, so that a page of any depth costs no more than its length.
func htmlText(page []byte) string {
	var b strings.Builder
	z := html.NewTokenizer(bytes.NewReader(page))
	skipping := atom.Atom(0)
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return lines(b.String())
		case html.TextToken:
			if skipping == 0 {
				b.Write(z.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			switch {
			case skipping != 0:
				if kind == html.EndTagToken && tag == skipping {
					skipping = 0
				}
			case kind == html.StartTagToken && unread(tag):
				skipping = tag
			case !inline(tag):
				b.WriteString("\n")
			}
		}
	}
}

func unread(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Template, atom.Noscript, atom.Svg, atom.Iframe, atom.Object:
		return true
	}
	return false
}

func inline(tag atom.Atom) bool {
	switch tag {
	case atom.A, atom.B, atom.I, atom.Em, atom.Strong, atom.Code, atom.Span, atom.Small, atom.Sub, atom.Sup, atom.U, atom.Abbr, atom.Mark, atom.Q, atom.Time, atom.Font:
		return true
	}
	return false
}

// lines unescapes entities, and squeezes space and empty lines.
func lines(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.Join(strings.Fields(html.UnescapeString(line)), " "); line != "" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}
