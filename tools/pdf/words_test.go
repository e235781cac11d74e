package pdf

import (
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// testdata's pages were printed by Chromium, each from the HTML beside it.
func TestAPrintedPageHasItsWords(t *testing.T) {
	for _, name := range []string{"en", "de", "ru", "zh", "two", "table", "glyph"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/" + name + ".pdf")
			if err != nil {
				t.Fatal(err)
			}
			text, err := Text(t.Context(), data, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want, got := wordsOf(source(t, name)), map[string]int{}
			for _, w := range wordsOf(text.Text) {
				got[w]++
			}
			var lost []string
			for _, w := range want {
				if got[w]--; got[w] < 0 {
					lost = append(lost, w)
				}
			}
			recall := 1 - float64(len(lost))/float64(len(want))
			t.Logf("%d words, %.3f", len(want), recall)
			if recall < .97 {
				t.Errorf("of %d words it lost %q: %s", len(want), lost, text.Text)
			}
		})
	}
}

// source returns the words of a page's HTML.
func source(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".html")
	if err != nil {
		t.Fatal(err)
	}
	s := regexp.MustCompile(`(?s)<(style|script|title).*?</(style|script|title)>`).ReplaceAllString(string(b), "")
	s = regexp.MustCompile(`</?(b|i|sup|code|span)\b[^>]*>`).ReplaceAllString(s, "")
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(s, " "))
}

// wordsOf splits at whitespace, and around each Chinese letter, since such
// lines end anywhere.
func wordsOf(s string) []string {
	var b strings.Builder
	for _, r := range norm.NFKC.String(s) {
		if unicode.Is(unicode.Han, r) {
			fmt.Fprintf(&b, " %c ", r)
		} else {
			b.WriteRune(r)
		}
	}
	return strings.Fields(b.String())
}
