package rag

import (
	"iter"
	"regexp"
	"strings"
)

const maxHeading = 200 // runes of a heading or title that are kept

var (
	atxLine    = regexp.MustCompile(`^ {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$`)
	underline  = regexp.MustCompile(`^ {0,3}(?:=+|-{3,})[ \t]*$`)
	fenceLine  = regexp.MustCompile("^ {0,3}(```+|~~~+)(.*)$")
	noHeading  = regexp.MustCompile(`^(?: {4}|\t| {0,3}(?:[-+*>|#]|\d+[.)] ))`) // an underline does not make it one
	inlineLink = regexp.MustCompile(`!?\[([^\[\]]*)\]\([^()]*\)`)
)

// A heading of a Markdown text, its span that of its line or lines.
type heading struct {
	span
	level int // from 1
	text  string
}

// headings finds the headings of a Markdown text that stand at its top level
// (CommonMark 4.2 and 4.3; of 4.3 only those of one line).
func headings(text string) iter.Seq[heading] {
	return func(yield func(heading) bool) {
		s := headingScanner{before: span{-1, -1}}
		for pos := frontMatter(text); pos < len(text); {
			end := pos + line(text[pos:])
			h, ok := s.next(text, span{pos, end})
			if ok && !yield(h) {
				return
			}
			pos = end
		}
	}
}

// A headingScanner takes a text line by line.
type headingScanner struct {
	fence     string // that opened the code block we are in
	before    span   // line that an underline would make a heading, start -1 for none
	paragraph bool   // the line before was text
}

func (s *headingScanner) next(text string, at span) (heading, bool) {
	l := strings.TrimRight(text[at.start:at.end], "\n")
	first := strings.TrimLeft(l, " ")
	before, paragraph := s.before, s.paragraph
	s.before, s.paragraph = span{-1, -1}, false
	switch {
	case s.inFence(l, first), first == "":
		return heading{}, false
	case first[0] == '#':
		if m := atxLine.FindStringSubmatch(l); m != nil {
			return heading{at, len(m[1]), plainHeading(m[2])}, true
		}
	case (first[0] == '=' || first[0] == '-') && before.start >= 0 && underline.MatchString(l):
		level := 1
		if first[0] == '-' {
			level = 2
		}
		return heading{span{before.start, at.end}, level, plainHeading(text[before.start:before.end])}, true
	}
	s.paragraph = true
	if !paragraph && !noHeading.MatchString(l) {
		s.before = at
	}
	return heading{}, false
}

// inFence tells whether a line opens, closes or is inside a block of code.
func (s *headingScanner) inFence(l, first string) bool {
	if first == "" || first[0] != '`' && first[0] != '~' {
		return s.fence != ""
	}
	m := fenceLine.FindStringSubmatch(l)
	switch {
	case m == nil:
		return s.fence != ""
	case s.fence == "":
		if m[1][0] == '`' && strings.Contains(m[2], "`") {
			return false // code within a line
		}
		s.fence = m[1]
	case strings.HasPrefix(m[1], s.fence) && strings.TrimSpace(m[2]) == "":
		s.fence = ""
	}
	return true
}

// frontMatter returns where the YAML block at a document's head ends, 0 if
// there is none.
func frontMatter(text string) int {
	const mark = "\n---\n"
	if !strings.HasPrefix(text, mark[1:]) {
		return 0
	}
	end := strings.Index(text, mark)
	if end < 0 {
		return 0
	}
	return end + len(mark)
}

// markdownTitle returns the title that a Markdown text gives itself: in its
// YAML block, or else by its first heading.
func markdownTitle(text string) string {
	for l := range strings.Lines(text[:frontMatter(text)]) {
		if v, ok := strings.CutPrefix(l, "title:"); ok {
			return shorten(strings.Trim(strings.TrimSpace(v), `"'`))
		}
	}
	for h := range headings(text) {
		if h.text != "" {
			return h.text
		}
	}
	return ""
}

// plainHeading strips a heading of its markup.
func plainHeading(s string) string {
	if len(s) > 8*maxHeading {
		s = strings.ToValidUTF8(s[:8*maxHeading], "")
	}
	s = inlineLink.ReplaceAllString(s, "$1")
	return shorten(strings.NewReplacer("**", "", "__", "", "`", "", `\`, "").Replace(s))
}

// shorten puts a title on one line and cuts it to maxHeading runes.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxHeading {
		return strings.TrimSpace(string(r[:maxHeading-1])) + "…"
	}
	return s
}
