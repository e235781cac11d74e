package provider

import (
	_ "embed"
	"math"
	"regexp"
	"strings"
	"unicode"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
)

// demoCommon lists common English words, roughly the most frequent first.
//
//go:embed demo_common.txt
var demoCommon string

// What a word is worth in a comparison: its rarity, which is the logarithm of
// its rank among English words, estimated for those that the list lacks.
const (
	demoRareWord  = 8.5
	demoBlandPart = .3
	demoEveryday  = 200 // ranks below this are no topic of their own
)

var (
	demoRanks = demoRankStems(demoCommon)

	// demoBland are words that say what any tool does.
	demoBland = demoStemSet(`find get calculate compute retrieve return give use provide number value name
		data want need tell help list type show please information result current specific given new make
		check look set can tool service api call request input output string search question query let know`)

	// demoStop are words that tie others together.
	demoStop = demoStemSet(`the of and to a an in is it its you that he was for on are with as i his they be
		at one have this from or had by but not what what's all were we when your can there which she do how
		how's if will would up other about out then them these so some her him has me my is i'm i'd let's does
		did am been who who's where where's why should could may might shall much many any please than into our us more
		also just there's it's that's was being there their no yes`)

	demoWord    = regexp.MustCompile(`[\p{L}\p{M}\p{N}]+(?:['’\-][\p{L}\p{M}\p{N}]+)*|[^\s\p{L}\p{M}\p{N}]`)
	demoHump    = regexp.MustCompile(`(\p{Ll})(\p{Lu})`)
	demoApostro = strings.NewReplacer("’", "'")
)

// A demoToken is a word or a punctuation mark of a text.
type demoToken struct {
	text, low, stem string
	start, end      int // byte offsets
}

func (t demoToken) isWord() bool {
	r := []rune(t.text)[0]
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

func (t demoToken) isCapital() bool { return unicode.IsUpper([]rune(t.text)[0]) }

// demoMaxText is as much of a text as is looked at, in bytes.
const demoMaxText = 16 << 10

func demoTokens(text string) []demoToken {
	var out []demoToken
	for _, at := range demoWord.FindAllStringIndex(text, -1) {
		word := text[at[0]:at[1]]
		low := demoApostro.Replace(strings.ToLower(word))
		out = append(out, demoToken{word, low, demoStem(low), at[0], at[1]})
	}
	return out
}

// demoCut shortens a text to what is looked at.
func demoCut(text string) string {
	text = strings.ToValidUTF8(text, "�")
	if len(text) > demoMaxText {
		text = strings.ToValidUTF8(text[:demoMaxText], "")
	}
	return text
}

// demoStem returns the stem of a lower-case English word; others it leaves
// nearly as they are.
func demoStem(word string) string {
	if len(word) < 3 || len(word) > 64 {
		return word
	}
	env := snowballstem.NewEnv(word)
	english.Stem(env)
	return env.Current()
}

// demoStems returns the stems of the words in a text or an identifier.
func demoStems(text string) []string {
	text = strings.ReplaceAll(demoHump.ReplaceAllString(text, "$1 $2"), "_", " ")
	var out []string
	for _, t := range demoTokens(demoCut(text)) {
		if !t.isWord() {
			continue
		}
		for part := range strings.SplitSeq(t.low, "-") {
			out = append(out, demoStem(part))
		}
	}
	return out
}

func demoStemSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w], set[demoStem(w)] = true, true
	}
	return set
}

func demoRankStems(words string) map[string]int {
	ranks := map[string]int{}
	for i, w := range strings.Fields(words) {
		if _, had := ranks[demoStem(w)]; !had {
			ranks[demoStem(w)] = i
		}
	}
	return ranks
}

// demoRarity returns what a stem is worth.
func demoRarity(stem string) float64 {
	worth := demoRareWord
	if rank, ok := demoRanks[stem]; ok && (rank < demoEveryday || demoConceptOf[stem] == "") {
		worth = math.Log(float64(rank) + 10)
	}
	if demoBland[stem] || demoStop[stem] {
		worth *= demoBlandPart
	}
	return worth
}

// demoIsCommon reports whether a token is an ordinary English word, which a
// name would not be.
func demoIsCommon(t demoToken) bool {
	_, ranked := demoRanks[t.stem]
	return ranked || demoStop[t.low] || demoBland[t.stem]
}
