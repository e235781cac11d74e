package provider

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// demoLive is as much of a pinned feed as the demo model reads.
type demoLive struct {
	Feed   string `json:"feed"`
	Note   string `json:"note"`
	Latest *struct {
		Value json.RawMessage `json:"value"`
		At    string          `json:"at"`
		Age   string          `json:"age"`
	} `json:"latest"`
}

// demoPinned answers a question that names a pinned feed with what the feed
// says, or returns nothing.
func demoPinned(talk demoTalk) string {
	asked := demoFeedWords(talk.asked())
	var parts []string
	for text := range strings.Lines(talk.live) {
		var l demoLive
		if json.Unmarshal([]byte(text), &l) != nil || !slices.ContainsFunc(demoFeedWords(l.Feed), func(w string) bool {
			return slices.Contains(asked, w)
		}) {
			continue
		}
		parts = append(parts, l.answer())
	}
	if len(parts) > 0 && !talk.noted {
		parts = append(parts, demoNote)
	}
	return strings.Join(parts, "\n\n")
}

// answer says what a feed says.
func (l demoLive) answer() string {
	note := ""
	if l.Note != "" {
		note = " ⚠️ " + strings.ToUpper(l.Note[:1]) + demoSafe(l.Note[1:]) + "."
	}
	if l.Latest == nil {
		return fmt.Sprintf("The pinned feed **%s** has no value.%s", demoSafe(l.Feed), note)
	}
	return fmt.Sprintf("The pinned feed **%s** says %s (%s, %s ago).%s", demoSafe(l.Feed), demoSafe(demoLine(string(l.Latest.Value), 300)), l.Latest.At, l.Latest.Age, note)
}

// demoFeedWords returns the words by which a feed is meant, longer than two
// letters.
func demoFeedWords(text string) (words []string) {
	for _, w := range strings.FieldsFunc(strings.ToLower(demoQuestion(text)), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) {
		if len(w) > 2 {
			words = append(words, w, strings.TrimSuffix(w, "s"))
		}
	}
	return words
}
