package provider

import (
	"slices"
	"strings"
)

// A demoClass is the sort of thing that a parameter wants. Parameters are
// filled in the order of their classes: those that are recognised most surely
// first, those that take what is left last.
type demoClass int

const (
	demoEnumArg demoClass = iota
	demoDateArg
	demoTimeArg
	demoMailArg
	demoURLArg
	demoIDArg
	demoCurrencyArg
	demoLanguageArg
	demoSumArg
	demoNumberArg
	demoPlaceArg
	demoPersonArg
	demoPatternArg
	demoNameArg // any other string
	demoTextArg
	demoBoolArg
	demoObjectArg
	demoQueryArg // the sentence itself
)

// demoClasses tell the class of a string by a word of its name.
var demoClasses = []struct {
	class demoClass
	words map[string]bool
}{
	{demoQueryArg, demoStemSet("query q question search keyword keywords prompt")},
	{demoMailArg, demoStemSet("email mail")},
	{demoURLArg, demoStemSet("url uri link website")},
	{demoDateArg, demoStemSet("date day when deadline due")},
	{demoTimeArg, demoStemSet("time hour clock")},
	{demoCurrencyArg, demoStemSet("currency")},
	{demoLanguageArg, demoStemSet("language lang")},
	{demoSumArg, demoStemSet("expression formula equation arithmetic")},
	{demoIDArg, demoStemSet("id number code sku reference ticker symbol identifier isbn")},
	{demoPlaceArg, demoStemSet("place city location town country region address origin destination where state airport area")},
	{demoTextArg, demoStemSet("text message body content note title subject summary description task reminder comment topic")},
	{demoPersonArg, demoStemSet("person user recipient attendee assignee guest author contact customer participant")},
}

func (p *demoParam) class() demoClass {
	switch {
	case len(p.enum) > 0:
		return demoEnumArg
	case p.kind == "array" && p.items != nil:
		return p.items.class()
	case p.kind == "object", p.kind == "array":
		return demoObjectArg
	case p.kind == "boolean":
		return demoBoolArg
	case p.kind == "integer" && p.named(demoIDArg):
		return demoIDArg
	case p.kind == "integer" || p.kind == "number":
		return demoNumberArg
	}
	return p.stringClass()
}

func (p *demoParam) stringClass() demoClass {
	switch p.format {
	case "date", "date-time":
		return demoDateArg
	case "time":
		return demoTimeArg
	case "email":
		return demoMailArg
	case "uri", "url":
		return demoURLArg
	}
	for _, c := range demoClasses {
		if p.named(c.class) {
			return c.class
		}
	}
	switch {
	case strings.Contains(p.about, "currency") || strings.Contains(p.about, "iso 4217"):
		return demoCurrencyArg
	case p.pattern != nil:
		return demoPatternArg
	case strings.Contains(p.about, "yyyy-mm-dd"):
		return demoDateArg
	case p.describedAs(demoPlaceArg):
		return demoPlaceArg
	case p.describedAs(demoPersonArg):
		return demoPersonArg
	}
	return demoNameArg
}

// named reports whether the parameter's name has a word of the class.
func (p *demoParam) named(c demoClass) bool { return demoAnyOf(c, p.stems) }

func (p *demoParam) describedAs(c demoClass) bool { return demoAnyOf(c, demoStems(p.desc)) }

func demoAnyOf(c demoClass, stems []string) bool {
	for _, entry := range demoClasses {
		if entry.class == c {
			return slices.ContainsFunc(stems, func(s string) bool { return entry.words[s] })
		}
	}
	return false
}

// What parameters for where something comes from and where it goes are
// called, and the words before their values.
var (
	demoSourceName = demoStemSet("from source base origin start departure src begin since")
	demoTargetName = demoStemSet("to target destination dest end arrival until into")
)

const (
	demoSourceCues = " from between since "
	demoTargetCues = " to into in until till as "
	demoPlaceCues  = " in at near for around of to from "
	demoPersonCues = " with to for by from of "
)

// suits tells how well a value fits the parameter, by the word before it.
func (p *demoParam) suits(class demoClass, cue, cueStem string) float64 {
	cue = " " + cue + " "
	score := 0.0
	has := func(set map[string]bool) bool {
		return slices.ContainsFunc(p.stems, func(s string) bool { return set[s] })
	}
	isSource := strings.Contains(demoSourceCues, cue) || cue[1] >= '0' && cue[1] <= '9' // 30 meters
	isTarget := strings.Contains(demoTargetCues, cue) || cue == " many "                // how many feet
	switch {
	case has(demoSourceName):
		score += 3*float64(demoBool(isSource)) - 3*float64(demoBool(isTarget))
	case has(demoTargetName):
		score += 3*float64(demoBool(isTarget)) - 3*float64(demoBool(isSource))
	case class == demoPlaceArg && strings.Contains(demoPlaceCues, cue),
		class == demoPersonArg && strings.Contains(demoPersonCues, cue):
		score += 2
	}
	if slices.Contains(p.stems, cueStem) || cue == " called " || cue == " named " {
		score += 3
	}
	return score
}
