// Package plain makes texts from elsewhere fit for a terminal: what a server,
// a model or a tool says is shown, and never obeyed. It is pure.
package plain

import "strings"

// Text is a text from elsewhere as a terminal may be given it: without
// control characters, which could move the cursor or change colours.
func Text(v string) string {
	return strings.Map(func(r rune) rune {
		if IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, v)
}

// Line is a text from elsewhere in one line.
func Line(v string) string { return strings.Join(strings.Fields(Text(v)), " ") }

// Cut shortens a text to n characters.
func Cut(v string, n int) string {
	if r := []rune(v); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return v
}

// IsControl is true of C0, C1 and of the marks that turn the direction of
// writing, with which a text can show as another.
func IsControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
