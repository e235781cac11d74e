package openapi

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNotes is how many warnings of one operation or document are told.
const maxNotes = 20

// notes are warnings, each said once.
type notes struct {
	list []string
	more int
}

func (n *notes) add(texts ...string) {
	for _, t := range texts {
		switch {
		case slices.Contains(n.list, t):
		case len(n.list) >= maxNotes:
			n.more++
		default:
			n.list = append(n.list, t)
		}
	}
}

func (n *notes) addf(format string, args ...any) { n.add(fmt.Sprintf(format, args...)) }

func (n *notes) all() []string {
	if n.more > 0 {
		return append(slices.Clip(n.list), fmt.Sprintf("%d more", n.more))
	}
	return n.list
}

// line returns s in one line of at most n bytes.
func line(s string, n int) string {
	if len(s) > 4*n+64 { // what is cut off need not be cleaned
		s = cut(s, 4*n+64)
	}
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(s) <= n {
		return s
	}
	return cut(s, n) + "…"
}

// paragraph returns s without blanks around it, cut to at most n bytes.
func paragraph(s string, n int) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= n {
		return s
	}
	return strings.TrimSpace(cut(s, n)) + "…"
}

// cut returns at most the first n bytes of s, without half a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func numberText(v any) string {
	n, _ := v.(json.Number)
	return string(n)
}

var tags = regexp.MustCompile(`</?(p|br|ul|ol|li|a|b|i|em|strong|code|pre|div|span)( [^<>]*)?/?>`)

// withoutTags takes HTML's commonest tags out of a description: they cost and
// say nothing.
func withoutTags(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	return strings.TrimSpace(tags.ReplaceAllString(s, ""))
}

// scalarText writes a JSON value that is no object or list as text.
func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return string(v)
	case bool:
		return fmt.Sprint(v)
	}
	return ""
}
