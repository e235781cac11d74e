package rag

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A span is text[start:end], in bytes.
type span struct{ start, end int }

// A piece is a chunk of a text, in bytes and in runes.
type piece struct {
	span
	runes    span
	headings []string
}

// cut splits a text into chunks of at most size runes that do not overlap
// and leave out nothing but white space. A chunk begins at a heading, or else
// at the coarsest boundary that lets it be long: a blank line, a line, a
// sentence, a space. It stops once there are more than most.
func cut(text string, sections iter.Seq[section], size, most int) []piece {
	var out []piece
	var at, runes int // the same place, in bytes and runes
	to := func(pos int) int {
		runes += utf8.RuneCountInString(text[at:pos])
		at = pos
		return runes
	}
	for sec := range sections {
		c := cutter{text: text, size: size}
		c.split(sec.span, 0)
		for _, s := range c.out {
			if s = trim(text, s); s.start < s.end {
				out = append(out, piece{s, span{to(s.start), to(s.end)}, sec.headings})
			}
		}
		if len(out) > most {
			break
		}
	}
	return out
}

func trim(text string, s span) span {
	t := strings.TrimRightFunc(text[s.start:s.end], unicode.IsSpace)
	s.end = s.start + len(t)
	s.start = s.end - len(strings.TrimLeftFunc(t, unicode.IsSpace))
	return s
}

// A cutter splits one section.
type cutter struct {
	text string
	size int
	out  []span
}

// split appends the chunks of s, gathering neighbours that fit together.
func (c *cutter) split(s span, level int) {
	if level == len(boundaries) {
		c.chop(s)
		return
	}
	first := len(c.out)
	cur, n := span{s.start, s.start}, 0
	flush := func() {
		if cur.start < cur.end {
			c.out = append(c.out, cur)
		}
	}
	for pos := s.start; pos < s.end; {
		next := pos + boundaries[level](c.text[pos:s.end])
		m := c.runes(span{pos, next})
		switch {
		case n+m <= c.size:
			cur, n = span{cur.start, next}, n+m
		case m <= c.size:
			flush()
			cur, n = span{pos, next}, m
		default:
			flush()
			c.split(span{pos, next}, level+1)
			cur, n = c.reopen(first, next)
		}
		pos = next
	}
	flush()
}

// reopen takes back the last chunk, which may have room for what follows.
func (c *cutter) reopen(first, end int) (span, int) {
	last := len(c.out) - 1
	if last < first {
		return span{end, end}, 0
	}
	s := c.out[last]
	c.out = c.out[:last]
	return s, c.runes(s)
}

// chop cuts where there is no boundary, though not before a combining mark.
func (c *cutter) chop(s span) {
	start, n, safe := s.start, 0, s.start
	for pos, r := range c.text[s.start:s.end] {
		pos += s.start
		if !unicode.IsMark(r) {
			safe = pos
		}
		if n == c.size {
			if safe == start {
				safe = pos
			}
			c.out = append(c.out, span{start, safe})
			start, n = safe, c.runes(span{safe, pos})
		}
		n++
	}
	c.out = append(c.out, span{start, s.end})
}

func (c *cutter) runes(s span) int { return utf8.RuneCountInString(c.text[s.start:s.end]) }

// boundaries find, from the coarsest to the finest, where the next piece of a
// text ends: behind the separator, or at the text's end. The text is never
// empty, nor is the piece.
var boundaries = [...]func(text string) int{blankLine, line, sentence, space}

func blankLine(text string) int {
	for pos := 0; ; {
		i := strings.IndexByte(text[pos:], '\n')
		if i < 0 {
			return len(text)
		}
		pos += i + 1
		rest := strings.TrimLeft(text[pos:], " \t")
		if strings.HasPrefix(rest, "\n") {
			return len(text) - len(rest) + 1
		}
		pos = len(text) - len(rest)
	}
}

func line(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

func sentence(text string) int {
	ended := false // a full stop was seen, perhaps quotes behind it
	for pos, r := range text {
		switch {
		case strings.ContainsRune("。！？।॥؟۔", r):
			return pos + utf8.RuneLen(r)
		case ended && unicode.IsSpace(r):
			return pos + utf8.RuneLen(r)
		case strings.ContainsRune(".!?…", r):
			ended = true
		default:
			ended = ended && strings.ContainsRune(`"'”’»)]`, r)
		}
	}
	return len(text)
}

func space(text string) int {
	for pos, r := range text {
		if unicode.IsSpace(r) {
			return pos + utf8.RuneLen(r)
		}
	}
	return len(text)
}
