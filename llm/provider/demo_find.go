package provider

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	demoMail    = regexp.MustCompile(`[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+`)
	demoURL     = regexp.MustCompile(`https?://[^\s"'<>)]+[^\s"'<>).,!?]`)
	demoID      = regexp.MustCompile(`#?\b(?:[A-Za-z]{1,6}[\-_]?)?\d[\w\-]*\b`)
	demoISOCode = regexp.MustCompile(`\b[A-Z]{3}\b`) // of a currency
	demoUpper   = regexp.MustCompile(`\b[A-Z]{2,5}\b`)

	// demoSum is a sum that a question asks for, in signs or in words.
	demoSum     = regexp.MustCompile(`(?i)\d\s*[+*/^×÷]\s*\(?-?\d|\d\s+[-x]\s+\(?\d|\d\)?\s*(?:times|plus|minus|divided by|multiplied by)\s+\(?\d|\d\s*(?:%|percent) of\s+\d`)
	demoSumPart = regexp.MustCompile(`[\d(][\d\s.()+\-*/^]*[\d)]`)
	demoInSigns = regexp.MustCompile(`(?i)(\d\)?)\s*(times|multiplied by|x|×|plus|minus|divided by|over|÷)\s*(\(?\d)`)
	demoPartOf  = regexp.MustCompile(`(?i)(\d+(?:\.\d+)?)\s*(?:%|percent) of (\d+(?:\.\d+)?)`)
	demoSigns   = map[string]string{
		"times": "*", "multiplied by": "*", "x": "*", "×": "*", "plus": "+", "minus": "-", "divided by": "/", "over": "/", "÷": "/",
	}

	demoCurrencies = map[string]string{
		"euro": "EUR", "€": "EUR", "dollar": "USD", "$": "USD", "buck": "USD", "pound": "GBP", "£": "GBP", "sterling": "GBP",
		"yen": "JPY", "¥": "JPY", "franc": "CHF", "rupee": "INR", "yuan": "CNY", "zloty": "PLN", "krona": "SEK",
	}
	demoLanguages = map[string]string{
		"english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt", "dutch": "nl",
		"polish": "pl", "russian": "ru", "turkish": "tr", "arabic": "ar", "hindi": "hi", "chinese": "zh", "japanese": "ja",
		"korean": "ko", "greek": "el", "swedish": "sv", "norwegian": "no", "danish": "da", "finnish": "fi", "czech": "cs",
		"hungarian": "hu", "vietnamese": "vi", "thai": "th", "hebrew": "he", "ukrainian": "uk", "latin": "la",
	}
)

// find returns what in the text could be the parameter's value, in order.
func (s *demoSay) find(p *demoParam, class demoClass) []demoMention {
	switch class {
	case demoEnumArg:
		return s.choices(p)
	case demoDateArg:
		return s.days(p)
	case demoTimeArg:
		return s.times()
	case demoMailArg:
		return s.matches(demoMail)
	case demoURLArg:
		return s.matches(demoURL)
	case demoIDArg:
		return s.ids(p)
	case demoCurrencyArg:
		return s.currencies()
	case demoLanguageArg:
		return s.languages(p)
	case demoSumArg:
		return s.sums()
	case demoNumberArg:
		return s.numbersFor(p)
	case demoPlaceArg:
		return append(s.names(), s.smallNames()...)
	case demoPersonArg:
		return append(s.names(), s.matches(demoMail)...)
	case demoNameArg, demoPatternArg:
		return append(slices.Clone(s.quotes), s.names()...)
	}
	return nil
}

func (s *demoSay) matches(re *regexp.Regexp) []demoMention {
	var out []demoMention
	for _, at := range re.FindAllStringIndex(s.text, -1) {
		span := demoSpan{s.text[at[0]:at[1]], at[0], at[1]}
		out = append(out, demoMention{demoSpan: span, value: span.text})
	}
	return out
}

// choices finds the values of an enum: by their words, or by another name for
// a currency or language.
func (s *demoSay) choices(p *demoParam) []demoMention {
	var out []demoMention
	for _, value := range demoEnum(p) {
		words := demoStems(fmt.Sprint(value))
		for i := range s.tokens {
			if m, ok := s.choice(i, words, fmt.Sprint(value)); ok {
				m.value = value
				out = append(out, m)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b demoMention) int { return a.start - b.start })
	return out
}

func demoEnum(p *demoParam) []any {
	if len(p.enum) == 0 && p.items != nil {
		return p.items.enum
	}
	return p.enum
}

func (s *demoSay) choice(i int, words []string, value string) (demoMention, bool) {
	t := s.tokens[i]
	if code := demoCurrency(t); code != "" && strings.EqualFold(code, value) ||
		demoLanguages[t.low] != "" && strings.EqualFold(demoLanguages[t.low], value) {
		return s.mention(i, i, false), true
	}
	if len(words) == 0 || i+len(words) > len(s.tokens) || demoStop[t.low] && len(words) == 1 {
		return demoMention{}, false
	}
	for k, w := range words {
		if s.tokens[i+k].stem != w {
			return demoMention{}, false
		}
	}
	// A code as short as "no" or "it" is meant only if written large.
	if len(value) <= 2 && t.text != strings.ToUpper(t.text) {
		return demoMention{}, false
	}
	return s.mention(i, i+len(words)-1, false), true
}

func (s *demoSay) days(p *demoParam) []demoMention {
	var out []demoMention
	for _, d := range s.dates {
		out = append(out, demoMention{demoSpan: d.demoSpan, value: demoSayDate(p, d, s.clock)})
	}
	return out
}

func (s *demoSay) times() []demoMention {
	if s.clock == "" {
		return nil
	}
	return []demoMention{{demoSpan: s.when, value: s.clock}}
}

// demoCurrency returns the code of the currency that a word or sign names.
func demoCurrency(t demoToken) string { return demoCurrencies[strings.TrimSuffix(t.low, "s")] }

// ids finds what looks like the number of something: 1042, #1042, A-77.
func (s *demoSay) ids(p *demoParam) []demoMention {
	var out []demoMention
	for _, m := range s.matches(demoID) {
		if s.isDate(m.demoSpan) || p.kind == "integer" && strings.ContainsFunc(m.text, demoNoDigit) {
			continue
		}
		m.value = strings.TrimPrefix(m.text, "#")
		out = append(out, m)
	}
	if len(out) == 0 && p.kind != "integer" {
		return s.matches(demoUpper)
	}
	return out
}

func demoNoDigit(r rune) bool { return r != '#' && (r < '0' || r > '9') }

func (s *demoSay) currencies() []demoMention {
	out := s.matches(demoISOCode)
	for i, t := range s.tokens {
		if code := demoCurrency(t); code != "" {
			m := s.mention(i, i, false)
			m.value = code
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b demoMention) int { return a.start - b.start })
	return out
}

func (s *demoSay) languages(p *demoParam) []demoMention {
	var out []demoMention
	for i, t := range s.tokens {
		if code := demoLanguages[t.low]; code != "" {
			m := s.mention(i, i, false)
			if strings.Contains(p.about, "code") || strings.Contains(p.about, "iso") {
				m.value = code
			}
			out = append(out, m)
		}
	}
	return out
}

// sums finds a calculation and writes it in signs.
func (s *demoSay) sums() []demoMention {
	text := demoPartOf.ReplaceAllString(s.text, "$1 / 100 * $2")
	for range 8 { // neighbours share a digit, so one pass misses every other sign
		text = demoInSigns.ReplaceAllStringFunc(text, func(part string) string {
			m := demoInSigns.FindStringSubmatch(part)
			return m[1] + " " + demoSigns[strings.ToLower(m[2])] + " " + m[3]
		})
	}
	best := ""
	for _, part := range demoSumPart.FindAllString(text, -1) {
		if strings.ContainsAny(part, "+-*/^") && len(part) > len(best) {
			best = part
		}
	}
	if best == "" {
		return nil
	}
	return []demoMention{{demoSpan: demoSpan{best, 0, 0}, value: best}}
}

// numbersFor returns the numbers that the parameter's type allows.
func (s *demoSay) numbersFor(p *demoParam) []demoMention {
	kind := p.kind
	if p.items != nil {
		kind = p.items.kind
	}
	if kind != "integer" {
		return s.nums
	}
	return slices.DeleteFunc(slices.Clone(s.nums), func(m demoMention) bool {
		n := m.value.(float64)
		return n != math.Trunc(n) || math.Abs(n) > 1e15
	})
}

// demoNameStart are small words that begin a name.
const demoNameStart = " new san los las saint cape rio hong tel são sao buenos "

// smallNames finds names that a person did not capitalise: up to three
// uncommon words after in, at, near, for, to or from; or any uncommon word.
func (s *demoSay) smallNames() []demoMention {
	var out []demoMention
	for i := 0; i < len(s.tokens); i++ {
		end := i
		for end < len(s.tokens) && end < i+3 && s.isSmallName(end) {
			end++
		}
		if end > i {
			out = append(out, s.mention(i, end-1, true))
			i = end
		}
	}
	return out
}

func (s *demoSay) isSmallName(i int) bool {
	t := s.tokens[i]
	span := demoSpan{t.text, t.start, t.end}
	if !t.isWord() || t.isCapital() || s.isDate(span) || s.isQuoted(span) || strings.ContainsAny(t.text, "0123456789") {
		return false
	}
	if strings.Contains(demoNameStart, " "+t.low+" ") {
		return i+1 < len(s.tokens) && !demoStop[s.tokens[i+1].low]
	}
	return !demoIsCommon(t) && demoConceptOf[t.stem] == "" && !demoVerbs[t.stem] && demoLanguages[t.low] == "" && demoCurrency(t) == ""
}

// demoTyped returns a value as the parameter's type has it, if it can be one.
func demoTyped(p *demoParam, v any) (any, bool) {
	text, isText := v.(string)
	if !isText {
		return v, true
	}
	if p.kind == "integer" || p.kind == "number" {
		n, err := strconv.ParseInt(strings.TrimPrefix(text, "#"), 10, 64)
		return json.Number(strconv.FormatInt(n, 10)), err == nil
	}
	n := len([]rune(text))
	if p.pattern != nil && !p.pattern.MatchString(text) || n < p.minLength || p.maxLength > 0 && n > p.maxLength {
		return nil, false
	}
	return text, text != ""
}
