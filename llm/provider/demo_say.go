package provider

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A demoSpan is a part of a text.
type demoSpan struct {
	text       string
	start, end int // byte offsets
}

func (s demoSpan) overlaps(o demoSpan) bool { return s.start < o.end && o.start < s.end }

// A demoMention is a part of a text that may be an argument.
type demoMention struct {
	demoSpan
	value any
	guess bool // a name by its place only: written small, or first in its sentence
}

// A demoSay is what a person said, taken apart.
type demoSay struct {
	text   string
	tokens []demoToken
	dates  []demoDate
	quotes []demoMention
	nums   []demoMention // values are float64
	clock  string        // time of day, "15:00"
	when   demoSpan      // where the clock stands
}

var (
	demoQuote       = regexp.MustCompile("\"([^\"\n]+)\"|“([^”\n]+)”|«([^»\n]+)»|`([^`\n]+)`|(?:^|[\\s(:])['‘]([^'’\n]+(?:['’]\\p{L}[^'’\n]*)*)['’](?:[\\s.,;:!?)]|$)")
	demoNumber      = regexp.MustCompile(`[-−]?\d+(?:,\d{3})*(?:\.\d+)?`)
	demoNumberWords = map[string]float64{
		"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
		"eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100, "dozen": 12,
	}
)

func demoRead(text string, now time.Time) *demoSay {
	text = demoCut(text)
	s := &demoSay{text: text, tokens: demoTokens(text), dates: demoDates(text, now)}
	s.when, s.clock, _ = demoTime(text)
	for _, m := range demoQuote.FindAllStringSubmatchIndex(text, -1) {
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 {
				words := text[m[i]:m[i+1]]
				s.quotes = append(s.quotes, demoMention{demoSpan: demoSpan{words, m[i], m[i+1]}, value: words})
			}
		}
	}
	s.numbers()
	return s
}

// isDate reports whether a span is part of a date or a time of day.
func (s *demoSay) isDate(span demoSpan) bool {
	return span.overlaps(s.when) || slices.ContainsFunc(s.dates, func(d demoDate) bool { return d.overlaps(span) })
}

func (s *demoSay) isQuoted(span demoSpan) bool {
	return slices.ContainsFunc(s.quotes, func(q demoMention) bool { return q.overlaps(span) })
}

func (s *demoSay) numbers() {
	for _, at := range demoNumber.FindAllStringIndex(s.text, -1) {
		span := demoSpan{s.text[at[0]:at[1]], at[0], at[1]}
		if at[0] > 0 && demoGlued(s.text[at[0]-1]) {
			if span.text[0] != '-' {
				continue
			}
			span = demoSpan{span.text[1:], span.start + 1, span.end} // a range, 10-20
		}
		n, err := strconv.ParseFloat(strings.NewReplacer(",", "", "−", "-").Replace(span.text), 64)
		if err == nil && !s.isDate(span) {
			s.nums = append(s.nums, demoMention{demoSpan: span, value: n})
		}
	}
	for _, t := range s.tokens {
		span := demoSpan{t.text, t.start, t.end}
		if n, ok := demoNumberWords[t.low]; ok && !s.isDate(span) {
			s.nums = append(s.nums, demoMention{demoSpan: span, value: n})
		}
	}
	slices.SortFunc(s.nums, func(a, b demoMention) int { return a.start - b.start })
}

// demoGlued reports whether a number after this byte is part of a longer
// name, as in A4 or A-42.
func demoGlued(b byte) bool {
	return b == '-' || b == '_' || b == '#' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80 && b != 0xa3 && b != 0xac
}

// at returns the index of the token that begins at or after an offset.
func (s *demoSay) at(offset int) int {
	i, _ := slices.BinarySearchFunc(s.tokens, offset, func(t demoToken, o int) int { return t.start - o })
	return i
}

// cue returns the word before a span, in lower case.
func (s *demoSay) cue(span demoSpan) string {
	for i := s.at(span.start) - 1; i >= 0; i-- {
		t := s.tokens[i]
		if t.isWord() && t.low != "the" && t.low != "a" && t.low != "an" {
			return t.low
		}
		if t.isWord() || strings.ContainsAny(t.text, "\"'“‘«`$€£¥#(") {
			continue
		}
		return ""
	}
	return ""
}

// linked reports whether two spans are neighbours in a list: "a, b and in c".
func (s *demoSay) linked(a, b demoSpan) bool {
	from, to := s.at(a.end), s.at(b.start)
	if from > to {
		return false
	}
	joined := false
	for i, t := range s.tokens[from:to] {
		switch {
		case t.low == "than", t.low == "with" && s.compares():
			joined = true
		case from+i+1 < to && s.tokens[from+i+1].low == "than": // warmer
		case strings.Contains(" , and or & vs versus then plus ", " "+t.low+" "):
			joined = true
		case s.isDate(demoSpan{t.text, t.start, t.end}):
		case !strings.Contains(` in at for to near the also with compared from "  ' " ” “ ’ ‘ `, " "+t.low+" "):
			return false
		}
	}
	return joined
}

// compares reports whether the text asks for a comparison.
func (s *demoSay) compares() bool {
	return slices.ContainsFunc(s.tokens, func(t demoToken) bool { return strings.HasPrefix(t.low, "compar") })
}

// demoVerbs begin what a person wants; none of them is a name.
var demoVerbs = demoStemSet(`translate convert schedule cancel remind book send track search find create add tell show give
	get look calculate compute check list set play order buy open close delete remove update rename call email write draft
	what how who where when which why is are will do does did can could should would please exchange plan summarize compare
	say explain describe refund reserve message notify multiply divide evaluate forecast weather and also then plus hello hi`)

// demoJoin are the small words inside a name: Rio de Janeiro.
const demoJoin = " of de la le da do dos du del van von den der al el am upon sur "

// names returns the capitalised names, in order.
func (s *demoSay) names() []demoMention {
	var out []demoMention
	for i := 0; i < len(s.tokens); i++ {
		if !s.begins(i) {
			continue
		}
		end := i
		for j := i + 1; j < len(s.tokens); j++ {
			if s.continues(j) {
				end = j
			} else if !strings.Contains(demoJoin, " "+s.tokens[j].low+" ") && s.tokens[j].text != "." {
				break
			}
		}
		out = append(out, s.mention(i, end, s.first(i)))
		i = end
	}
	return out
}

// mention returns the words of tokens i to j as an argument.
func (s *demoSay) mention(i, j int, guess bool) demoMention {
	span := demoSpan{s.text[s.tokens[i].start:s.tokens[j].end], s.tokens[i].start, s.tokens[j].end}
	span.text = strings.TrimSuffix(strings.TrimSuffix(span.text, "'s"), "’s")
	return demoMention{span, span.text, guess}
}

// first reports whether token i begins a sentence.
func (s *demoSay) first(i int) bool {
	return i == 0 || strings.Contains(".!?:\"“'", s.tokens[i-1].text)
}

func (s *demoSay) begins(i int) bool {
	t := s.tokens[i]
	span := demoSpan{t.text, t.start, t.end}
	if !t.isWord() || !t.isCapital() || demoStop[t.low] || s.isDate(span) || s.isQuoted(span) {
		return false
	}
	return !s.first(i) || !demoIsCommon(t) && !demoVerbs[t.stem]
}

// continues reports whether token j goes on with a name: capitalised, with
// nothing but a space, or the dot of an abbreviation, before it.
func (s *demoSay) continues(j int) bool {
	t, before := s.tokens[j], s.tokens[j-1]
	if before.text == "." && (j < 2 || len(s.tokens[j-2].text) > 2 || !s.tokens[j-2].isCapital()) {
		return false
	}
	span := demoSpan{t.text, t.start, t.end}
	return t.isWord() && t.isCapital() && !s.isDate(span) && t.low != "i" && t.low != "and"
}
