package tools

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
)

// A finder finds tools by what people and models say. What it finds depends
// on nothing but the tools and the words, so that every replica finds the
// same. All methods may be called concurrently.
type finder struct {
	specs []Spec
	index func() *findIndex // built when it is first needed
}

func newFinder(specs []Spec) *finder {
	return &finder{specs, sync.OnceValue(func() *findIndex { return buildFindIndex(specs) })}
}

// knows reports whether the finder is of just these tools. Those that were not
// compiled anew share their texts, so this is quick.
func (f *finder) knows(specs []Spec) bool {
	return f != nil && slices.EqualFunc(f.specs, specs, func(a, b Spec) bool {
		return a.Name == b.Name && a.Description == b.Description && a.Method == b.Method && a.Path == b.Path &&
			slices.Equal(a.Tags, b.Tags) && string(a.Parameters) == string(b.Parameters)
	})
}

// Find returns the tools of the set that fit texts best, the best first and at
// most limit. The first text counts most, each further one half of the one
// before it. What has no word in common with any of them is not found.
func (s *Set) Find(limit int, texts ...string) []Spec {
	if s == nil || limit <= 0 {
		return nil
	}
	return s.finder.find(limit, texts)
}

// BM25's constants: how soon more of a word counts no more, and how much a
// long description counts against a tool.
const (
	findSaturation = 1.2
	findLength     = 0.5
)

// How much a word of a tool counts, by where it stands.
const (
	weighName   = 4.0
	weighTag    = 1.0
	weighFirst  = 2.0 // in the first sentence of the description
	weighText   = 0.7
	weighPath   = 1.0
	weighMethod = 1.5
	weighParam  = 0.4
)

// How much words count that do not stand in the question itself.
const (
	weighAlike = 0.5 // those that say the same
	weighKin   = 0.6 // those that begin the same
)

// kin is how many bytes the stems of words have in common that belong
// together, as contributed and contributor do.
const kin = 6

// A findIndex is an inverted index of tools. It does not change but for words,
// which mu guards.
type findIndex struct {
	postings map[string][]posting
	length   []float64           // of each tool's words, normalised to 1
	families map[string][]string // words by how they begin
	name     []float64           // what the words of each tool's name are worth
	lexicon  *lexicon

	mu    sync.Mutex
	words *words
}

type posting struct {
	tool   int32
	weight float32
	named  bool // the word is one of the tool's name
}

// buildFindIndex adds up everything in the order of specs and their words:
// sums of floats depend on it, and every replica is to have the same.
func buildFindIndex(specs []Spec) *findIndex {
	ix := &findIndex{
		postings: map[string][]posting{}, families: map[string][]string{},
		length: make([]float64, len(specs)), name: make([]float64, len(specs)), words: newWords(),
	}
	ix.lexicon = newLexicon(ix.words)
	bags, sum := make([]bag, len(specs)), 0.0
	for i, s := range specs {
		bags[i] = ix.bag(s)
		for _, word := range bags[i].order {
			ix.add(word, posting{int32(i), bags[i].weights[word], bags[i].named(word)})
			ix.length[i] += float64(bags[i].weights[word])
		}
		sum += ix.length[i]
	}
	for i, b := range bags {
		ix.length[i] /= max(sum/float64(len(specs)), 1)
		for _, word := range b.order[:b.inName] {
			ix.name[i] += ix.idf(word)
		}
	}
	ix.words = newWords() // the stems of all descriptions are not needed again
	return ix
}

func (ix *findIndex) add(word string, p posting) {
	if f, ok := family(word); ok && ix.postings[word] == nil {
		ix.families[f] = append(ix.families[f], word)
	}
	ix.postings[word] = append(ix.postings[word], p)
}

// A bag is the words of a tool and what each weighs.
type bag struct {
	order   []string // each once, those of the name first
	inName  int      // how many are in the name
	weights map[string]float32
}

func (b *bag) named(word string) bool { return slices.Contains(b.order[:b.inName], word) }

func (ix *findIndex) bag(s Spec) bag {
	b := bag{weights: map[string]float32{}}
	add := func(text string, weight float32) {
		ix.words.of(text, func(word string) {
			if ix.lexicon.empty[word] {
				return
			}
			if b.weights[word] == 0 {
				b.order = append(b.order, word)
			}
			b.weights[word] += weight
		})
	}
	add(s.Name, weighName)
	b.inName = len(b.order)
	first, rest, _ := strings.Cut(s.Description, ". ")
	add(cutText(first, 400), weighFirst)
	add(cutText(rest, 2000), weighText)
	add(s.Path, weighPath)
	add(methodWords(s.Method), weighMethod)
	for _, tag := range s.Tags {
		add(tag, weighTag)
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	_ = json.Unmarshal(s.Parameters, &schema)
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		add(name, weighParam)
	}
	return b
}

// methodWords are the words for what an HTTP method does.
func methodWords(method string) string {
	switch method {
	case "GET", "HEAD":
		return "get list show"
	case "POST":
		return "create"
	case "PUT", "PATCH":
		return "update"
	case "DELETE":
		return "delete remove"
	}
	return ""
}

const (
	maxAsked      = 4 << 10 // bytes that are read of a text
	maxAskedWords = 64
)

// find ranks the tools by texts.
func (f *finder) find(limit int, texts []string) []Spec {
	ix := f.index()
	scores := make([]float64, len(f.specs))
	best := make([]float64, len(f.specs))
	named := make([]float64, len(f.specs))
	for word, weight := range ix.asked(texts) {
		ix.score(word, weight, scores, best, named)
	}
	for i := range scores {
		if scores[i] > 0 {
			scores[i] *= 1 + min(1, named[i]/max(ix.name[i], 0.01))
		}
	}
	order := make([]int, 0, len(scores))
	for i, score := range scores {
		if score > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	found := make([]Spec, 0, min(limit, len(order)))
	for _, i := range order[:min(limit, len(order))] {
		found = append(found, f.specs[i])
	}
	return found
}

// asked yields the words of texts in their order, each once, with what it
// weighs.
func (ix *findIndex) asked(texts []string) func(yield func(string, float64) bool) {
	seen, order := map[string]float64{}, []string{}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if len(ix.words.stems) > 10_000 {
		ix.words = newWords()
	}
	weight := 1.0
	for _, text := range texts {
		take := func(word string) {
			if _, had := seen[word]; !had && !ix.lexicon.empty[word] && len(order) < maxAskedWords {
				seen[word] = weight
				order = append(order, word)
			}
		}
		ix.words.of(cutText(text, maxAsked), take)
		ix.words.joined(cutText(text, maxAsked), take)
		weight /= 2
	}
	return func(yield func(string, float64) bool) {
		for _, word := range order {
			if !yield(word, seen[word]) {
				return
			}
		}
	}
}

// idf is what a word is worth: the fewer tools have it, the more.
func (ix *findIndex) idf(word string) float64 {
	n, df := float64(len(ix.length)), float64(len(ix.postings[word]))
	return math.Log(1 + (n-df+0.5)/(df+0.5))
}

// score adds to scores what a word of a question is worth: for each tool the
// best of the word itself and those that say the same. best is scratch space,
// all zero before and after.
func (ix *findIndex) score(word string, weight float64, scores, best, named []float64) {
	var touched []int32
	consider := func(word string, weight float64) {
		idf := ix.idf(word)
		for _, p := range ix.postings[word] {
			tf := float64(p.weight)
			s := weight * idf * tf * (findSaturation + 1) / (tf + findSaturation*(1-findLength+findLength*ix.length[p.tool]))
			if best[p.tool] == 0 {
				touched = append(touched, p.tool)
			}
			best[p.tool] = max(best[p.tool], s)
			if p.named {
				named[p.tool] += idf
			}
		}
	}
	consider(word, weight)
	if f, ok := family(word); ok {
		for _, other := range ix.families[f] {
			if other != word {
				consider(other, weight*weighKin)
			}
		}
	}
	for _, other := range ix.lexicon.alike[word] {
		consider(other, weight*weighAlike)
	}
	for _, i := range touched {
		scores[i] += best[i]
		best[i] = 0
	}
}

// family returns what a stem shares with those of kindred words.
func family(word string) (string, bool) {
	if len(word) < kin {
		return "", false
	}
	return word[:kin], true
}
