package provider

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
)

// A demoFiller reads the arguments of one tool out of a text.
type demoFiller struct {
	say   *demoSay
	loose bool // the text answers a question for just these arguments
	used  []demoSpan
	got   map[*demoParam][]demoMention // several mentions ask for several calls
}

func demoFillParams(params []*demoParam, say *demoSay, loose bool) *demoFiller {
	f := &demoFiller{say: say, loose: loose, got: map[*demoParam][]demoMention{}}
	f.fill(params)
	return f
}

func (f *demoFiller) fill(params []*demoParam) {
	order := slices.Clone(params)
	slices.SortStableFunc(order, func(a, b *demoParam) int { return int(a.class()) - int(b.class()) })
	for _, p := range order {
		if found := f.values(p); len(found) > 0 {
			f.got[p] = found
			for _, m := range found {
				f.used = append(f.used, m.demoSpan)
			}
		}
	}
}

func (f *demoFiller) values(p *demoParam) []demoMention {
	switch class := p.class(); class {
	case demoBoolArg:
		return f.truth(p)
	case demoObjectArg:
		return f.object(p)
	case demoQueryArg:
		return f.sentence(p)
	case demoTextArg:
		return f.words(p)
	default:
		return f.choose(p, class)
	}
}

// choose takes the mention that suits the parameter best, and those that
// stand in a list with it.
func (f *demoFiller) choose(p *demoParam, class demoClass) []demoMention {
	pool := f.free(p, f.say.find(p, class))
	best, top := -1, math.Inf(-1)
	for i, m := range pool {
		if s := f.suits(p, class, m); s > top {
			best, top = i, s
		}
	}
	switch {
	case f.loose && p.required && f.isWhole(class, pool, best):
		return f.whole(p)
	case best < 0 || top < 0 && !f.loose || !p.required && !f.sure(class, top):
		return nil
	case class == demoNumberArg && p.kind != "array":
		return f.own(p, pool[best:best+1])
	}
	return f.own(p, f.list(pool, best, class))
}

// isWhole reports whether an answer is nothing but the name that was asked
// for, however it is written.
func (f *demoFiller) isWhole(class demoClass, pool []demoMention, best int) bool {
	switch class {
	case demoPlaceArg, demoPersonArg, demoNameArg, demoPatternArg:
		return best < 0 || pool[best].guess && len(f.say.dates) == 0 && len(strings.Fields(f.say.text)) <= 4
	}
	return false
}

// sure reports whether a mention is good enough for a parameter that may be
// left out.
func (f *demoFiller) sure(class demoClass, score float64) bool {
	switch class {
	case demoEnumArg, demoDateArg, demoTimeArg, demoMailArg, demoURLArg, demoLanguageArg, demoSumArg:
		return score >= 0
	}
	return score > 0
}

// free leaves out what other parameters have taken and what this one may not
// be.
func (f *demoFiller) free(p *demoParam, all []demoMention) []demoMention {
	var out []demoMention
	for _, m := range f.fit(p, all...) {
		if !slices.ContainsFunc(f.used, m.overlaps) {
			out = append(out, m)
		}
	}
	return out
}

// fit leaves out what the parameter, or an item of it, may not be.
func (f *demoFiller) fit(p *demoParam, all ...demoMention) []demoMention {
	if p.kind == "array" && p.items != nil {
		p = p.items
	}
	var out []demoMention
	for _, m := range all {
		if v, ok := demoTyped(p, m.value); ok {
			m.value = v
			out = append(out, m)
		}
	}
	return out
}

func (f *demoFiller) suits(p *demoParam, class demoClass, m demoMention) float64 {
	cue := f.say.cue(m.demoSpan)
	score := p.suits(class, cue, demoStem(cue))
	if class == demoNumberArg {
		score += f.near(p, m)
	}
	if m.guess && score <= 0 && !p.required {
		score--
	} else if m.guess {
		score -= .5 * float64(demoBool(score > 0))
	}
	if class == demoPlaceArg && f.say.isQuoted(m.demoSpan) {
		score--
	}
	return score
}

var demoAmount = demoStemSet("amount price value sum cost money")

// near is up to 3 for a number beside the parameter's own words.
func (f *demoFiller) near(p *demoParam, m demoMention) float64 {
	at, best := f.say.at(m.start), 0.0
	for i := max(at-4, 0); i < min(at+5, len(f.say.tokens)); i++ {
		t := f.say.tokens[i]
		gap := math.Abs(float64(i - at))
		switch {
		case slices.Contains(p.stems, t.stem):
			best = max(best, 3-.5*gap)
		case gap == 1 && demoConceptOf[t.stem] == "currency" || gap == 1 && demoCurrency(t) != "":
			if slices.ContainsFunc(p.stems, func(s string) bool { return demoAmount[s] }) {
				best = max(best, 1)
			}
		}
		if (t.low == "top" || t.low == "first" || t.low == "most") && i == at-1 &&
			slices.ContainsFunc(p.stems, func(s string) bool { return s == "limit" || s == "count" || s == "k" || s == "max" }) {
			best = max(best, 2)
		}
	}
	return best
}

// list returns the mention at an index with its neighbours in a list. Dates
// need not be neighbours: each may belong to another place.
func (f *demoFiller) list(pool []demoMention, best int, class demoClass) []demoMention {
	if class == demoDateArg && !strings.Contains(demoSourceCues+demoTargetCues, " "+f.say.cue(pool[best].demoSpan)+" ") {
		return pool
	}
	chosen := pool[best]
	slices.SortStableFunc(pool, func(a, b demoMention) int { return a.start - b.start })
	at := slices.IndexFunc(pool, func(m demoMention) bool { return m.start == chosen.start && m.end == chosen.end })
	out := []demoMention{chosen}
	for i := at - 1; i >= 0 && f.say.linked(pool[i].demoSpan, out[0].demoSpan); i-- {
		out = slices.Insert(out, 0, pool[i])
	}
	for _, m := range pool[at+1:] {
		if f.say.linked(out[len(out)-1].demoSpan, m.demoSpan) {
			out = append(out, m)
		}
	}
	return out
}

// own makes one value of many for an array.
func (f *demoFiller) own(p *demoParam, found []demoMention) []demoMention {
	if p.kind != "array" || len(found) == 0 {
		return found
	}
	all := make([]any, len(found))
	for i, m := range found {
		all[i] = m.value
		f.used = append(f.used, m.demoSpan)
	}
	return []demoMention{{demoSpan: found[0].demoSpan, value: all}}
}

var demoLooseEdge = regexp.MustCompile(`(?i)^(?:(?:in|at|near|for|to|from|it is|it's|the|please|with)\s+)+|[\s.!?,;]+$`)

// whole takes the whole text as the value.
func (f *demoFiller) whole(p *demoParam) []demoMention {
	text := strings.TrimSpace(demoLooseEdge.ReplaceAllString(strings.TrimSpace(f.say.text), ""))
	return f.own(p, f.free(p, []demoMention{{demoSpan: demoSpan{text, 0, len(f.say.text)}, value: text}}))
}

// truth is true for a yes-or-no parameter whose words are in the text, false
// with a no before them.
func (f *demoFiller) truth(p *demoParam) []demoMention {
	for i, t := range f.say.tokens {
		if !slices.Contains(p.stems, t.stem) || demoStop[t.low] || demoBland[t.stem] {
			continue
		}
		value := true
		for _, before := range f.say.tokens[max(i-2, 0):i] {
			value = value && !strings.Contains(" no not without don't skip ", " "+before.low+" ")
		}
		return []demoMention{{value: value}}
	}
	if f.loose && len(f.say.tokens) > 0 && strings.Contains(" yes no ", " "+f.say.tokens[0].low+" ") {
		return []demoMention{{value: f.say.tokens[0].low == "yes"}}
	}
	return nil
}

// object fills what it can of an object, and has one only if nothing that it
// requires is missing.
func (f *demoFiller) object(p *demoParam) []demoMention {
	if p.kind != "object" || len(p.params) == 0 {
		return nil
	}
	f.fill(p.params)
	args := map[string]any{}
	found := false
	for _, sub := range p.params {
		got := f.got[sub]
		found = found || len(got) > 0
		switch {
		case len(got) > 0:
			args[sub.name] = got[0].value
		case sub.required && sub.fixed != nil:
			args[sub.name] = sub.fixed
		case sub.required:
			return nil
		}
	}
	if !found && !p.required {
		return nil
	}
	return []demoMention{{value: args}}
}

func (f *demoFiller) sentence(p *demoParam) []demoMention {
	text := strings.TrimSpace(f.say.text)
	if !p.required && len(f.got) > 0 || !strings.ContainsFunc(text, func(r rune) bool { return r > ' ' }) {
		return nil
	}
	return f.own(p, f.fit(p, demoMention{value: text}))
}

var (
	demoCalled = regexp.MustCompile(`(?i)\b(?:called|titled|named|saying|that says|about|subject)\s+(.+)$`)
	demoColon  = regexp.MustCompile(`:\s+(\S.*)$`)
	demoLead   = regexp.MustCompile(`(?i)^\W*(?:(?:please|can you|could you|would you|i want to|i'd like to)\s+)*` +
		`(?:(?:translate|schedule|create|add|make|set up|book|write|send|note down|note|save|post|put|remind|set|summari[sz]e|say|how do you say)\b\s*)?` +
		`(?:me\s+)?(?:(?:to|about|of|a|an|the|my|new|reminder|task|that)\s+)*`)
	demoTrail = regexp.MustCompile(`(?i)(?:[\s.,!?;:]|\b(?:to|into|in|at|on|for|with|from|as)\s*$)+$`)
)

// words takes what is quoted, else what follows a colon or "called", else
// what other parameters have left of the text.
func (f *demoFiller) words(p *demoParam) []demoMention {
	if free := f.free(p, f.say.quotes); len(free) > 0 {
		best := slices.MaxFunc(free, func(a, b demoMention) int {
			return cmp.Compare(f.suits(p, demoTextArg, a), f.suits(p, demoTextArg, b))
		})
		return f.own(p, []demoMention{best})
	}
	if !p.required {
		return nil
	}
	text := f.rest()
	if m := demoColon.FindStringSubmatch(f.say.text); m != nil {
		text = m[1]
	} else if m := demoCalled.FindStringSubmatch(text); m != nil {
		text = m[1]
	} else {
		text = demoLead.ReplaceAllString(text, "")
	}
	text = strings.TrimSpace(demoTrail.ReplaceAllString(text, ""))
	return f.own(p, f.fit(p, demoMention{value: text}))
}

// rest is the text without its dates and what has been taken, each with the
// preposition before it.
func (f *demoFiller) rest() string {
	gone := slices.Clone(f.used)
	for _, d := range f.say.dates {
		gone = append(gone, d.demoSpan)
	}
	gone = append(gone, f.say.when)
	slices.SortFunc(gone, func(a, b demoSpan) int { return a.start - b.start })
	var b strings.Builder
	at := 0
	for _, g := range gone {
		if g.end <= at || g.start < at {
			continue
		}
		b.WriteString(demoTrail.ReplaceAllString(f.say.text[at:g.start], "") + " ")
		at = g.end
	}
	b.WriteString(f.say.text[min(at, len(f.say.text)):])
	return strings.Join(strings.Fields(b.String()), " ")
}
