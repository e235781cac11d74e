package rag

import (
	"context"
	"slices"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"parley/tools"
)

// fromHTML returns the title of a page and its text as Markdown, without
// what is no part of the text or hidden from readers. Parser and converter
// are others' work fed with strangers' input: a panic is the upload's fault.
func fromHTML(ctx context.Context, name, page string) (title, text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refuse(name, NotText, "it cannot be read as HTML; save the page as text or Markdown")
		}
	}()
	if page, err = simplify(name, page); err != nil {
		return "", "", err
	}
	root, err := html.Parse(strings.NewReader(page)) // refuses more than 512 levels
	if err != nil {
		return "", "", refuse(name, NotText, "it cannot be read as HTML: %v", err)
	}
	title = shorten(pageTitle(root))
	prune(root)
	md, err := htmlConverter().ConvertNode(root, converter.WithContext(ctx))
	if err != nil {
		return "", "", refuse(name, NotText, "it cannot be read as HTML: %v", err)
	}
	return title, string(md), ctx.Err()
}

func htmlConverter() *converter.Converter {
	return converter.NewConverter(
		converter.WithEscapeMode(converter.EscapeModeDisabled), // the text is read, not rendered
		converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()))
}

func pageTitle(n *html.Node) string {
	for c := range n.Descendants() {
		if c.DataAtom == atom.Title && c.Namespace == "" && c.FirstChild != nil {
			return c.FirstChild.Data
		}
	}
	return ""
}

// prune removes what is not text, takes images for what they show, and
// tables that are mostly gaps for lines.
func prune(root *html.Node) {
	tools.FlattenTables(root)
	var drop []*html.Node
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch {
		case isNoise(n) || isHidden(n):
			drop = append(drop, n)
		case n.DataAtom == atom.Img:
			n.Type, n.Data, n.DataAtom = html.TextNode, attr(n, "alt"), 0
		}
	}
	for _, n := range drop {
		n.Parent.RemoveChild(n)
	}
}

func isNoise(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Nav, atom.Head, atom.Noscript, atom.Template, atom.Iframe, atom.Object,
		atom.Embed, atom.Svg, atom.Canvas, atom.Audio, atom.Video, atom.Button, atom.Select, atom.Input, atom.Textarea:
		return true
	}
	return false
}

func isHidden(n *html.Node) bool {
	hidden := slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "hidden" })
	style := strings.ReplaceAll(strings.ToLower(attr(n, "style")), " ", "")
	return hidden || attr(n, "aria-hidden") == "true" ||
		strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
