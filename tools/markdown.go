package tools

import (
	"context"
	"strings"
	"time"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of what is converted; a page beyond them is read as plain text.
const (
	maxPageTags  = 50_000
	maxPageDepth = 256
	maxIndents   = 24   // lists and quotations in each other: every line of them costs each
	maxTableGaps = 1000 // that a table gets where its rows are not of one length
	pageTime     = 2 * time.Second
)

// markdown returns a web page as Markdown: headings, lists, tables and links,
// without scripts, navigation and images. A page that cannot be converted
// within bounds is given as plain text.
func markdown(ctx context.Context, page []byte) string {
	text, ok := convertPage(ctx, page)
	if !ok || strings.TrimSpace(text) == "" {
		return htmlText(page)
	}
	return text
}

// convertPage converts within bounds. Parser and converter are others' work
// fed with strangers' input: what they do not survive is not converted.
func convertPage(ctx context.Context, page []byte) (text string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	simple, ok := simplePage(page)
	if !ok {
		return "", false
	}
	root, err := html.Parse(strings.NewReader(simple))
	if err != nil {
		return "", false
	}
	FlattenTables(root)
	c := converter.NewConverter(
		converter.WithEscapeMode(converter.EscapeModeDisabled), // it is read, not rendered
		converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()))
	md, err := c.ConvertNode(root, converter.WithContext(ctx))
	if err != nil || ctx.Err() != nil {
		return "", false
	}
	return strings.TrimSpace(strings.ReplaceAll(string(md), "\u00a0", " ")), true
}

// simplePage returns the page's markup without what is no part of its text. Of
// the elements that the parser may have to repeat (HTML standard, 13.2.4.3)
// only links stay, which never hold another element: any page costs no more
// than its length.
func simplePage(page []byte) (string, bool) {
	s := pageSimplifier{z: html.NewTokenizer(strings.NewReader(string(page)))}
	for s.tags <= maxPageTags && s.depth <= maxPageDepth && s.indents <= maxIndents {
		kind := s.z.Next()
		if kind == html.ErrorToken {
			s.endLink()
			return s.out.String(), true
		}
		s.token(kind, s.z.Token())
	}
	return "", false
}

type pageSimplifier struct {
	z       *html.Tokenizer
	out     strings.Builder
	tags    int
	depth   int // of elements as they are written
	indents int // of those, lists and quotations
	link    bool
	skipped atom.Atom // the element that is left out, with all that is in it
	inside  int       // of elements of that name that are open in it
}

func (s *pageSimplifier) token(kind html.TokenType, t html.Token) {
	if kind == html.TextToken {
		if s.skipped == 0 {
			s.out.WriteString(html.EscapeString(t.Data))
		}
		return
	}
	if kind != html.StartTagToken && kind != html.EndTagToken && kind != html.SelfClosingTagToken {
		return
	}
	s.tags++
	if s.skipped != 0 {
		s.skip(kind, t.DataAtom)
		return
	}
	switch {
	case kind == html.StartTagToken && (isNoise(t.DataAtom) || isHiddenTag(t)):
		s.endLink()
		s.skipped, s.inside = t.DataAtom, 1
		if isVoid(t.DataAtom) || t.DataAtom == 0 {
			s.skipped = 0
		}
	case t.DataAtom == atom.A:
		s.endLink()
		s.beginLink(kind, t)
	case t.DataAtom == atom.Br:
		s.out.WriteString("<br>")
	case !inline(t.DataAtom) && !isNoise(t.DataAtom) && t.DataAtom != 0:
		s.endLink()
		s.element(kind, t.DataAtom)
	}
}

// element writes a tag without its attributes.
func (s *pageSimplifier) element(kind html.TokenType, a atom.Atom) {
	indents := a == atom.Ul || a == atom.Ol || a == atom.Blockquote
	if kind == html.EndTagToken {
		s.depth = max(s.depth-1, 0)
		if indents {
			s.indents = max(s.indents-1, 0)
		}
		s.out.WriteString("</" + a.String() + ">")
		return
	}
	if !isVoid(a) && a != atom.P && a != atom.Li && a != atom.Td && a != atom.Th && a != atom.Tr && a != atom.Dt && a != atom.Dd && a != atom.Option {
		s.depth++
	}
	if indents {
		s.indents++
	}
	s.out.WriteString("<" + a.String() + ">")
}

func (s *pageSimplifier) skip(kind html.TokenType, a atom.Atom) {
	switch {
	case a != s.skipped:
	case kind == html.StartTagToken:
		s.inside++
	case kind == html.EndTagToken:
		if s.inside--; s.inside == 0 {
			s.skipped = 0
		}
	}
}

// beginLink writes a link that leads somewhere.
func (s *pageSimplifier) beginLink(kind html.TokenType, t html.Token) {
	href := attrOf(t, "href")
	if kind != html.StartTagToken || href == "" || len(href) > 1000 || strings.HasPrefix(href, "#") || strings.Contains(strings.ToLower(href), "script:") || strings.HasPrefix(strings.ToLower(href), "data:") {
		return
	}
	s.link = true
	s.out.WriteString(`<a href="` + html.EscapeString(href) + `">`)
}

func (s *pageSimplifier) endLink() {
	if s.link {
		s.out.WriteString("</a>")
		s.link = false
	}
}

func attrOf(t html.Token, key string) string {
	for _, a := range t.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func isHiddenTag(t html.Token) bool {
	for _, a := range t.Attr {
		if a.Key == "hidden" || a.Key == "aria-hidden" && a.Val == "true" {
			return true
		}
	}
	style := strings.ReplaceAll(strings.ToLower(attrOf(t, "style")), " ", "")
	return strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

// isNoise knows the elements that are no part of a page's text.
func isNoise(a atom.Atom) bool {
	switch a {
	case atom.Head, atom.Nav, atom.Footer, atom.Aside, atom.Button, atom.Select, atom.Input, atom.Textarea, atom.Canvas, atom.Audio, atom.Video,
		atom.Embed, atom.Math, atom.Dialog, atom.Img, atom.Noembed, atom.Noframes, atom.Plaintext, atom.Xmp, atom.Frameset:
		return true
	}
	return unread(a)
}

func isVoid(a atom.Atom) bool {
	switch a {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Source, atom.Track, atom.Wbr:
		return true
	}
	return false
}

// FlattenTables makes a line of each row of those tables that would grow much
// if their rows were filled up to be of the same length, as converters to
// Markdown do: without bounds.
func FlattenTables(root *html.Node) {
	var sparse []*html.Node
	for n := range root.Descendants() {
		if n.DataAtom == atom.Table && gaps(n) > maxTableGaps {
			sparse = append(sparse, n)
		}
	}
	for _, table := range sparse {
		flatten(table)
	}
}

func flatten(table *html.Node) {
	for n := range table.Descendants() {
		switch n.DataAtom {
		case atom.Td, atom.Th:
			n.Data, n.DataAtom = "span", atom.Span
			n.AppendChild(&html.Node{Type: html.TextNode, Data: " "})
		case atom.Tr, atom.Tbody, atom.Thead, atom.Tfoot, atom.Caption:
			n.Data, n.DataAtom = "div", atom.Div
		}
	}
	table.Data, table.DataAtom = "div", atom.Div
}

func gaps(table *html.Node) int {
	rows, widest, cells := 0, 0, 0
	for n := range table.Descendants() {
		if n.DataAtom != atom.Tr {
			continue
		}
		width := 0
		for range n.ChildNodes() {
			width++
		}
		rows, widest, cells = rows+1, max(widest, width), cells+width
	}
	return rows*widest - 4*cells
}
