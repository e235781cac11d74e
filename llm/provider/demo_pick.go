package provider

import (
	"math"
	"regexp"
	"strings"
	"time"

	"parley/tools"
)

// What a word is worth by where a tool has it, and how much a tool must be
// worth to be called.
const (
	demoNameWord   = 1.6
	demoDescWord   = 1.0
	demoEnumWord   = .6
	demoLaterWord  = .5 // of the description's later sentences
	demoParamWord  = .4
	demoDetailWord = .25 // of a parameter's description
	demoSameThing  = .75 // of a word of the same concept
	demoBase       = 30
	demoOwnMost    = 50 // so that a long description costs no more than a good one
	demoThreshold  = 1.5

	// A tool whose arguments all stand in the text needs fewer words in
	// common: each such argument is worth this much, up to a bound, provided
	// that the words alone come near enough.
	demoArgument     = .4
	demoMostArgument = 1.0
	demoNear         = .6
)

var (
	demoSentenceEnd = regexp.MustCompile(`[.!?](?:\s|$)|\n`)

	// demoTells matches what tells something and asks for nothing.
	demoTells = regexp.MustCompile(`(?i)^(?:i|we) (?:had|have had|was|were|am|are|feel|felt|like|liked|love|loved|went|think|saw)\b[^?]*$`)
)

func demoTools(specs []tools.Spec) []*demoTool {
	out := make([]*demoTool, len(specs))
	for i, s := range specs {
		out[i] = demoReadTool(s)
	}
	return out
}

func demoReadTool(s tools.Spec) *demoTool {
	t := &demoTool{spec: s, params: demoParams(s.Parameters), weights: map[string]float64{}, concepts: map[string]float64{}}
	first, later := demoSplitFirst(s.Description)
	t.add(s.Name, demoNameWord)
	t.add(first, demoDescWord)
	t.add(later, demoLaterWord)
	for _, p := range t.params {
		t.addParam(p)
	}
	for stem, w := range t.weights {
		if concept := demoConceptOf[stem]; concept != "" {
			t.concepts[concept] = max(t.concepts[concept], w)
		}
		if w >= demoDescWord {
			t.own += w * demoRarity(stem)
		}
	}
	t.own = min(t.own, demoOwnMost)
	return t
}

// demoSplitFirst cuts a text after its first sentence.
func demoSplitFirst(text string) (first, later string) {
	for _, at := range demoSentenceEnd.FindAllStringIndex(text, 20) {
		first = text[:at[0]]
		if !strings.HasSuffix(first, "e.g") && !strings.HasSuffix(first, "i.e") && !strings.HasSuffix(first, "approx") {
			return first, text[at[1]:]
		}
	}
	return text, ""
}

func (t *demoTool) add(text string, weight float64) {
	for _, stem := range demoStems(text) {
		t.weights[stem] = max(t.weights[stem], weight)
	}
}

func (t *demoTool) addParam(p *demoParam) {
	t.add(p.name, demoParamWord)
	t.add(p.desc, demoDetailWord)
	for _, v := range p.enum {
		if text, ok := v.(string); ok {
			t.add(text, demoEnumWord)
		}
	}
}

// A demoPicker scores tools against texts. Words that most of the tools share
// tell little about any of them.
type demoPicker struct {
	tools []*demoTool
	now   time.Time
	has   map[string]int // how many tools have a stem in name or description
}

func demoPickerOf(ts []*demoTool, now time.Time) demoPicker {
	p := demoPicker{ts, now, map[string]int{}}
	for _, t := range ts {
		for stem, w := range t.weights {
			if w >= demoLaterWord {
				p.has[stem]++
			}
		}
	}
	return p
}

// best returns the tool that suits a text best, nil if none does, and how
// well.
func (p demoPicker) best(text string) (*demoTool, float64) {
	var best *demoTool
	top := demoThreshold
	words := demoQuestionStems(text)
	say := demoRead(text, p.now)
	tells := demoTells.MatchString(text)
	for _, t := range p.tools {
		s := p.score(t, words)
		if s >= demoNear && !tells {
			s += t.evidence(say)
		}
		if s >= top && (best == nil || s > top) {
			best, top = t, s
		}
	}
	return best, top
}

// evidence is what the arguments that a text has are worth, if it has all
// that the tool requires and at least one of them is recognised surely.
func (t *demoTool) evidence(say *demoSay) float64 {
	f := demoFillParams(t.params, say, false)
	found := 0
	for _, p := range t.params {
		switch c := p.class(); {
		case len(f.got[p]) > 0 && c != demoQueryArg && c != demoTextArg && c != demoBoolArg:
			found++
		case len(f.got[p]) == 0 && p.required && p.fixed == nil:
			return 0
		}
	}
	return min(demoArgument*float64(found), demoMostArgument)
}

// score is the worth of the words that question and tool share, over the
// length of the tool's own description.
func (p demoPicker) score(t *demoTool, words []string) float64 {
	sum := 0.0
	seen := map[string]bool{}
	for _, stem := range words {
		concept := demoConceptOf[stem]
		worth := t.weights[stem] * demoRarity(stem) * p.telling(stem)
		if w := t.concepts[concept]; concept != "" && !seen[concept] {
			worth = max(worth, w*demoSameThing*demoRareWord)
		}
		if worth > 0 {
			seen[concept] = concept != ""
		}
		sum += worth
	}
	return sum / math.Sqrt(demoBase+t.own)
}

// telling is 1 for a word of one tool, less for words of many.
func (p demoPicker) telling(stem string) float64 {
	n, has := float64(len(p.tools)), float64(p.has[stem])
	if n < 3 || has <= 1 {
		return 1
	}
	return math.Log(1+n/has) / math.Log(1+n)
}

// demoMoney counts the currencies that a text names by a word or sign.
func demoMoney(text string) int {
	n := 0
	for _, t := range demoTokens(demoCut(text)) {
		n += demoBool(demoCurrency(t) != "")
	}
	return n
}

// demoQuestionStems returns each stem of a question once, and what its signs
// say: a sum to do, a currency.
func demoQuestionStems(text string) []string {
	var out []string
	seen := map[string]bool{}
	add := func(stem string) {
		if !seen[stem] && !demoStop[stem] {
			seen[stem] = true
			out = append(out, stem)
		}
	}
	for _, stem := range demoStems(text) {
		add(stem)
	}
	if demoSum.MatchString(text) {
		add(demoStem("arithmetic"))
	}
	switch n := demoMoney(text); {
	case n > 1:
		add("convert")
		add("exchang")
	case n == 1:
		add("currenc")
	}
	return out
}
