package tools

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// oneLine returns s without line breaks and control characters, cut to at
// most n bytes.
func oneLine(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(s) <= n {
		return s
	}
	return cutText(s, n) + "…"
}

// cutText returns at most the first n bytes of s, without half a character at
// the end.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// lastBytes returns at most the last n bytes of s, without half a character
// at the beginning.
func lastBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[len(s)-n]) {
		n--
	}
	return s[len(s)-n:]
}
