package rag

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/arabic"
	"github.com/blevesearch/snowballstem/danish"
	"github.com/blevesearch/snowballstem/dutch"
	"github.com/blevesearch/snowballstem/english"
	"github.com/blevesearch/snowballstem/finnish"
	"github.com/blevesearch/snowballstem/french"
	"github.com/blevesearch/snowballstem/german"
	"github.com/blevesearch/snowballstem/hungarian"
	"github.com/blevesearch/snowballstem/irish"
	"github.com/blevesearch/snowballstem/italian"
	"github.com/blevesearch/snowballstem/norwegian"
	"github.com/blevesearch/snowballstem/portuguese"
	"github.com/blevesearch/snowballstem/romanian"
	"github.com/blevesearch/snowballstem/russian"
	"github.com/blevesearch/snowballstem/spanish"
	"github.com/blevesearch/snowballstem/swedish"
	"github.com/blevesearch/snowballstem/tamil"
	"github.com/blevesearch/snowballstem/turkish"
	"golang.org/x/text/unicode/norm"
)

const (
	maxTermBytes = 64      // longer words are no words
	maxStems     = 100_000 // kept by one analyser
)

//go:embed stopwords.txt
var stopwordList string

type stemmer func(*snowballstem.Env) bool

// A language knows the stems and the stop words of the scripts it is asked
// for. It does not change.
type language struct {
	latin  string
	stem   map[string]stemmer
	stop   map[string]map[string]bool
	casing unicode.SpecialCase // nil but for Turkish, whose I has no dot
}

// newLanguage returns the language whose words in Latin script are those of
// name. Words in other scripts tell their language by themselves.
func newLanguage(name string) (*language, error) {
	l := &language{latin: name, stem: stemmers(), stop: parseStopwords(stopwordList)}
	if l.stem[name] == nil {
		return nil, fmt.Errorf("rag: there is no language %q; choose one of %s",
			name, strings.Join(slices.Sorted(maps.Keys(l.stem)), ", "))
	}
	if name == "turkish" {
		l.casing = unicode.TurkishCase
	}
	return l, nil
}

func stemmers() map[string]stemmer {
	return map[string]stemmer{
		"arabic": arabic.Stem, "danish": danish.Stem, "dutch": dutch.Stem, "english": english.Stem,
		"finnish": finnish.Stem, "french": french.Stem, "german": german.Stem, "hungarian": hungarian.Stem,
		"irish": irish.Stem, "italian": italian.Stem, "norwegian": norwegian.Stem, "portuguese": portuguese.Stem,
		"romanian": romanian.Stem, "russian": russian.Stem, "spanish": spanish.Stem, "swedish": swedish.Stem,
		"tamil": tamil.Stem, "turkish": turkish.Stem,
		"none": func(*snowballstem.Env) bool { return false },
	}
}

// parseStopwords reads lines of a language's name and its words.
func parseStopwords(list string) map[string]map[string]bool {
	stop := make(map[string]map[string]bool)
	for line := range strings.Lines(list) {
		name, words, _ := strings.Cut(line, ":")
		if stop[name] == nil {
			stop[name] = make(map[string]bool)
		}
		for _, w := range strings.Fields(words) {
			stop[name][w] = true
		}
	}
	return stop
}

// of tells a word's language from its script: one stemmer can serve text and
// query only if both know it without context.
func (l *language) of(word string) string {
	r, _ := utf8.DecodeRuneInString(word)
	switch {
	case r < utf8.RuneSelf, unicode.Is(unicode.Latin, r):
		return l.latin
	case unicode.Is(unicode.Cyrillic, r):
		return "russian"
	case unicode.Is(unicode.Arabic, r):
		return "arabic"
	case unicode.Is(unicode.Tamil, r):
		return "tamil"
	case unicode.Is(unicode.Devanagari, r):
		return "hindi"
	}
	return "none"
}

func (l *language) isStop(word string) bool { return l.stop[l.of(word)][word] }

func (l *language) lower(r rune) rune {
	switch {
	case r < utf8.RuneSelf && l.casing == nil:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case r == 'ς': // sigma at a word's end
		return 'σ'
	case l.casing != nil:
		return l.casing.ToLower(r)
	}
	return unicode.ToLower(r)
}

// An analyser turns text into terms. It must not be used concurrently.
type analyser struct {
	*language
	stems map[string]string // of words met
}

func (l *language) analyser() *analyser {
	return &analyser{language: l, stems: make(map[string]string)}
}

// terms calls yield for every term of a text, in order.
func (a *analyser) terms(text string, yield func(term string)) {
	a.words(text, func(word string, gram bool) {
		if !gram {
			word = a.stemmed(word)
		}
		yield(word)
	})
}

// query returns the distinct terms of a query, at most n, in their order.
// Stop words are left out, unless there is nothing else.
func (a *analyser) query(text string, n int) []string {
	var terms, stops []string
	add := func(list []string, term string) []string {
		if len(list) >= n || slices.Contains(list, term) {
			return list
		}
		return append(list, term)
	}
	a.words(text, func(word string, gram bool) {
		switch {
		case gram:
			terms = add(terms, word)
		case a.isStop(word):
			stops = add(stops, a.stemmed(word))
		default:
			terms = add(terms, a.stemmed(word))
		}
	})
	if len(terms) == 0 {
		return stops
	}
	return terms
}

func (a *analyser) stemmed(word string) string {
	if s, ok := a.stems[word]; ok {
		return s
	}
	stem := a.stem[a.of(word)]
	s := word
	if stem != nil {
		env := snowballstem.NewEnv(word)
		stem(env)
		s = strings.Clone(env.Current())
	}
	if s == "" || len(s) > maxTermBytes {
		s = word
	}
	if len(a.stems) < maxStems {
		a.stems[strings.Clone(word)] = s
	}
	return s
}

// words calls yield for every word, lower-cased and in compatibility form,
// and for every pair of neighbours in scripts that are written without
// spaces (gram).
func (a *analyser) words(text string, yield func(word string, gram bool)) {
	var run strings.Builder // letters since the last separator, of one class
	var was class
	flush := func() {
		if run.Len() > 0 {
			emit(run.String(), was, yield)
			run.Reset()
		}
	}
	for _, r := range norm.NFKC.String(text) {
		r = a.lower(r)
		c := classOf(r)
		if c != was {
			flush()
			was = c
		}
		if c != between {
			run.WriteRune(r)
		}
	}
	flush()
}

func emit(run string, c class, yield func(word string, gram bool)) {
	if c == inWord {
		if len(run) <= maxTermBytes {
			yield(run, false)
		}
		return
	}
	_, first := utf8.DecodeRuneInString(run)
	if first == len(run) {
		yield(run, true)
		return
	}
	for start, next := 0, first; next < len(run); {
		_, n := utf8.DecodeRuneInString(run[next:])
		yield(run[start:next+n], true)
		start, next = next, next+n
	}
}

// A class is what a rune is to the cutting of words.
type class int

const (
	between class = iota
	inWord
	inGram
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' {
			return inWord
		}
		return between
	case r >= 0x0E00 && (r == 'ー' || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)):
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return inGram
		}
		return between
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
		return inWord
	}
	return between
}
