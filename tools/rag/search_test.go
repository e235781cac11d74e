package rag_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"parley/tools/rag"
	"parley/tools/rag/ragtest"
)

// TestBM25 compares with a search that reads every chunk.
func TestBM25(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := ragtest.Service(t, ragtest.NewMemory(), rag.Options{Language: "none", ChunkSize: 80, MergeFactor: 3, CacheBytes: 10_000})
	var bags []bag
	for i := range 120 {
		id := fmt.Sprintf("d%03d", i)
		text := zipf(r, 1+r.IntN(12))
		add(t, s, id, text)
		bags = append(bags, newBag(id+":1", id+" "+id+" "+text))
	}
	for i := 0; i < 120; i += 5 { // the dead must count nowhere
		if err := s.Delete(t.Context(), fmt.Sprintf("d%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	bags = slices.DeleteFunc(bags, func(b bag) bool { return b.ref[3] == '0' || b.ref[3] == '5' })
	for range 100 {
		query := zipf(r, 1+r.IntN(4))
		want := reference(bags, query, 10)
		answer, err := s.Search(t.Context(), rag.Query{Query: query, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range answer.Passages {
			got = append(got, fmt.Sprintf("%s %.9f", p.Ref, p.Score))
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("search %q (-reference +got): %s", query, diff)
		}
	}
}

func zipf(r *rand.Rand, n int) string {
	z := rand.NewZipf(r, 1.2, 3, 400)
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("w%d", z.Uint64())
	}
	return strings.Join(words, " ")
}

type bag struct {
	ref    string
	tf     map[string]int
	length int
}

func newBag(ref, text string) bag {
	b := bag{ref: ref, tf: make(map[string]int)}
	for _, w := range strings.Fields(text) {
		b.tf[w]++
		b.length++
	}
	return b
}

func reference(bags []bag, query string, limit int) []string {
	total := 0
	for _, b := range bags {
		total += b.length
	}
	scores := make(map[string]float64)
	terms := strings.Fields(query)
	for _, b := range bags {
		for i, term := range terms {
			if b.tf[term] == 0 || slices.Contains(terms[:i], term) {
				continue
			}
			df := 0
			for _, o := range bags {
				df += min(1, o.tf[term])
			}
			n, tf := float64(len(bags)), float64(b.tf[term])
			idf := math.Log(1 + (n-float64(df)+.5)/(float64(df)+.5))
			scores[b.ref] += idf * tf * 2.2 / (tf + 1.2*(.25+.75*float64(b.length)/(float64(total)/n)))
		}
	}
	bags = slices.Clone(bags)
	slices.SortStableFunc(bags, func(a, b bag) int { return cmp.Compare(scores[b.ref], scores[a.ref]) })
	var out []string
	for _, b := range bags {
		if scores[b.ref] > 0 && len(out) < limit {
			out = append(out, fmt.Sprintf("%s %.9f", b.ref, scores[b.ref]))
		}
	}
	return out
}

func add(t testing.TB, s *rag.Service, name, text string) {
	t.Helper()
	if _, err := s.Add(t.Context(), rag.Upload{Name: name, MediaType: "text/plain", Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
}

func TestSearchNeverFailsForItsWords(t *testing.T) {
	s := ragtest.Service(t, ragtest.NewMemory(), rag.Options{})
	add(t, s, "hamlet.txt", "To be, or not to be")
	for query, want := range map[string]int{
		"":                          0,
		"the":                       0,
		"to be":                     1,
		"\x00\xff?":                 0,
		"unheard":                   0,
		strings.Repeat("be ", 9999): 1,
	} {
		for _, limit := range []int{-1, 0, 1, 1 << 40} {
			a, err := s.Search(t.Context(), rag.Query{Query: query, Limit: limit})
			if err != nil || len(a.Passages) != want || a.Passages == nil {
				t.Errorf("%.20q, limit %d: got %v, error %v, want %d passages", query, limit, a.Passages, err, want)
			}
		}
	}
}

func TestTitleAndHeadingsCountTwice(t *testing.T) {
	s := ragtest.Service(t, ragtest.NewMemory(), rag.Options{})
	for name, text := range map[string]string{
		"a.md": "# Other\n\nThe zebra and the zoo are here.",
		"b.md": "# Zebra\n\nThis animal and the zoo are here.",
	} {
		add := rag.Upload{Name: name, Data: []byte(text)}
		if _, err := s.Add(t.Context(), add); err != nil {
			t.Fatal(err)
		}
	}
	a, err := s.Search(t.Context(), rag.Query{Query: "zebra"})
	if err != nil || len(a.Passages) != 2 || a.Passages[0].Ref != "b:1" {
		t.Errorf("got %v, error %v, want b before a", a.Passages, err)
	}
}
