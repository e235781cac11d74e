package run

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// titleRunes is how long a title is at most.
const titleRunes = 48

// opening are words that begin a question and say nothing of its subject.
var opening = regexp.MustCompile(`(?i)^(please\s+|hey\s+|hi[,!]?\s+|hello[,!]?\s+|(can|could|would|will) you\s+|tell me\s+(about\s+)?|show me\s+|give me\s+|explain\s+|what(?:'s| is| are| was| were)\s+|who(?:'s| is)\s+|where(?:'s| is| are)\s+|how (?:do|can|should) (?:i|we|you)\s+|i (?:want|need|would like) (?:to|you to)?\s*|(?:the|a|an)\s+)`)

// Title makes a short title out of a conversation's first question: its first
// sentence without the words that only make it a question.
func Title(question string) string {
	s := strings.Join(strings.Fields(firstSentence(question)), " ")
	for {
		t := opening.ReplaceAllString(s, "")
		if t == s || utf8.RuneCountInString(t) < 4 {
			break
		}
		s = t
	}
	s = cut(strings.TrimRight(s, " ?!.,:;"), titleRunes)
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

func firstSentence(s string) string {
	s = strings.TrimSpace(s)
	for i, r := range s {
		if r == '\n' || r == '?' || (r == '.' || r == '!') && (i+1 == len(s) || s[i+1] == ' ') {
			return s[:i]
		}
	}
	return s
}

// cut shortens s to n runes, between words where it can.
func cut(s string, n int) string {
	rs := []rune(s)
	if len(rs) <= n {
		return s
	}
	s = string(rs[:n])
	if i := strings.LastIndexByte(s, ' '); i > n/2 {
		s = s[:i]
	}
	return s + "…"
}
