package provider

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A demoPassage is a passage that a search returned.
type demoPassage struct{ ref, head, text string }

// A demoSentence is a sentence of a passage.
type demoSentence struct {
	text, ref string
	stems     map[string]bool // with those of its heading
	score     float64
	at        int
}

var (
	demoRefLine    = regexp.MustCompile(`(?m)^\[([^\[\]\s:]+:[^\[\]\s]+)\][ \t]*(.*)$`)
	demoRefs       = regexp.MustCompile(`\s*\[[^\[\]\s:]+:[^\[\]\s]+\]`)
	demoFence      = regexp.MustCompile("(?s)```.*?(?:```|$)")
	demoMarks      = regexp.MustCompile(`(?m)^\s*(?:#{1,6}\s.*$|[-*+]\s+|\d+[.)]\s+|>\s?|\|.*$)`)
	demoImage      = regexp.MustCompile(`!\[[^\]]*\]\([^)]*\)`)
	demoLink       = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	demoSentenceOf = regexp.MustCompile(`(?s)\S.*?(?:[.!?。！？]["”’)]*(?:\s+|$)|\n\s*\n|$)`)
)

// passages returns what a search result lists as "[ref] title › heading" with
// the text below, or else the sources that came with it.
func (r demoResult) passages() []demoPassage {
	var out []demoPassage
	content := demoCut(r.msg.Content)
	heads := demoRefLine.FindAllStringSubmatchIndex(content, -1)
	for i, m := range heads {
		end := len(content)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		out = append(out, demoPassage{content[m[2]:m[3]], content[m[4]:m[5]], content[m[1]:end]})
	}
	if meta := r.msg.Metadata; len(out) == 0 && meta != nil {
		for _, s := range meta.Parley.Sources {
			out = append(out, demoPassage{s.Ref, strings.Join(append([]string{s.Title}, s.Headings...), " › "), s.Text})
		}
	}
	return out
}

const (
	demoMostCited  = 4
	demoLeastMatch = .3 // of the question's weight that the best sentence must share
	demoLeastOther = .3 // of the best sentence's match that the others must have
	demoSamePlace  = 3  // added for the passage of the best sentence
)

// demoCite answers from the sentences that match the question best, each
// followed by its source.
func demoCite(asked string, passages []demoPassage) string {
	best := demoBestSentences(asked, passages)
	if len(best) == 0 {
		return fmt.Sprintf("I searched the documents and got %s, but nothing in them answers this.", demoCount(len(passages), "passage"))
	}
	slices.SortFunc(best, func(a, b demoSentence) int { return a.at - b.at })
	var lines []string
	for _, s := range best {
		lines = append(lines, fmt.Sprintf("%s [%s]", s.text, s.ref))
	}
	return "The documents say:\n\n" + strings.Join(lines, " ")
}

func demoCount(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func demoBestSentences(asked string, passages []demoPassage) []demoSentence {
	all := demoSentences(passages)
	words := demoQuestionStems(asked)
	in := map[string]int{}
	for _, s := range all {
		for _, w := range words {
			in[w] += demoBool(s.stems[w])
		}
	}
	total := 0.0
	for _, w := range words {
		total += demoRarity(w)
	}
	for i := range all {
		all[i].score = all[i].match(words, in, len(all))
	}
	byScore := func(a, b demoSentence) int { return cmp.Compare(b.score, a.score) }
	slices.SortStableFunc(all, byScore)
	if len(all) == 0 || all[0].score <= 0 || all[0].score < demoLeastMatch*total {
		return nil
	}
	for i, s := range all {
		if s.score > 0 && s.ref == all[0].ref {
			all[i].score += demoSamePlace
		}
	}
	slices.SortStableFunc(all, byScore)
	n := 1
	for n < min(len(all), demoMostCited) && all[n].score >= demoLeastOther*all[0].score {
		n++
	}
	return all[:n]
}

// match is the rarity of the words shared, less for words that most sentences
// have.
func (s demoSentence) match(words []string, in map[string]int, n int) float64 {
	sum := 0.0
	for _, w := range words {
		if s.stems[w] {
			sum += demoRarity(w) * (1 - .5*float64(in[w])/float64(n))
		}
	}
	return sum
}

// demoSentences splits passages into sentences, each text once.
func demoSentences(passages []demoPassage) []demoSentence {
	var out []demoSentence
	seen := map[string]bool{}
	for _, p := range passages {
		head := demoStems(p.head)
		for _, text := range demoSentenceOf.FindAllString(demoProse(p.text), 200) {
			text = strings.Join(strings.Fields(text), " ")
			stems := demoStems(text)
			key := strings.Join(stems, " ")
			if len(stems) < 4 || len(text) > 600 || seen[key] {
				continue
			}
			seen[key] = true
			s := demoSentence{text: text, ref: p.ref, stems: map[string]bool{}, at: len(out)}
			for _, w := range append(stems, head...) {
				s.stems[w] = true
			}
			out = append(out, s)
		}
	}
	return out
}

// demoProse drops what is no sentence: code, tables, headings, pictures and
// other documents' references.
func demoProse(text string) string {
	text = demoFence.ReplaceAllString(text, "\n\n")
	text = demoImage.ReplaceAllString(text, "")
	text = demoLink.ReplaceAllString(text, "$1")
	text = demoRefs.ReplaceAllString(text, "")
	return demoMarks.ReplaceAllString(text, "\n")
}
