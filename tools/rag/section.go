package rag

import (
	"iter"
	"strings"
)

// A section is the text from one heading to the next.
type section struct {
	span
	headings []string // from the outermost to the section's own
}

// plainSections takes a text without headings as one section.
func plainSections(text string) iter.Seq[section] {
	return func(yield func(section) bool) {
		yield(section{span: span{0, len(text)}})
	}
}

// markdownSections cuts Markdown at its headings. A heading that has nothing
// below it but the next heading stays with that one.
func markdownSections(text string) iter.Seq[section] {
	return func(yield func(section) bool) {
		var path []heading
		start, behind := 0, frontMatter(text) // the section's start, and the end of the last heading
		for h := range headings(text) {
			if strings.TrimSpace(text[behind:h.start]) != "" {
				if !yield(section{span{start, h.start}, titles(path)}) {
					return
				}
				start = h.start
			}
			for len(path) > 0 && path[len(path)-1].level >= h.level {
				path = path[:len(path)-1]
			}
			path = append(path, h)
			behind = h.end
		}
		yield(section{span{start, len(text)}, titles(path)})
	}
}

func titles(path []heading) []string {
	var out []string
	for _, h := range path {
		if h.text != "" {
			out = append(out, h.text)
		}
	}
	return out
}
