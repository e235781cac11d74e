package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/gateway/store"
	"parley/tools/rag"
)

// corpus makes texts whose words are as frequent as those of a language.
type corpus struct{ zipf *rand.Zipf }

func newCorpus() corpus {
	return corpus{rand.NewZipf(rand.New(rand.NewPCG(7, 8)), 1.1, 2, 60_000)}
}

func (c corpus) words(n int) string {
	var b strings.Builder
	for i := range n {
		w := c.zipf.Uint64()
		fmt.Fprintf(&b, "%c%c%xen", 'b'+w%19, 'a'+w/19%5*4, w)
		if i%12 == 11 {
			b.WriteString(".")
		}
		b.WriteByte(" \n"[min(1, i%80/79)])
	}
	return b.String()
}

func benchStore(b *testing.B) *rag.Service {
	db, err := store.Open(b.Context(), b.TempDir()+"/parley.db", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	s, err := rag.New(db.Documents(), rag.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func addText(b *testing.B, s *rag.Service, name, text string) int {
	doc, err := s.Add(b.Context(), rag.Upload{Name: name, Data: []byte(text)})
	if err != nil {
		b.Fatal(err)
	}
	return doc.Chunks
}

// BenchmarkSearch asks for five words of a collection of 10,000 chunks, as a
// user does: other words each time.
func BenchmarkSearch(b *testing.B) {
	s, c := benchStore(b), newCorpus()
	for i, n := 0, 0; n < 10_000; i++ {
		n += addText(b, s, fmt.Sprintf("doc%d.txt", i), c.words(3000))
	}
	var took []time.Duration
	cpu := cpuTime()
	for b.Loop() {
		query := c.words(5)
		start := time.Now()
		if _, err := s.Search(b.Context(), rag.Query{Query: query, Limit: 20}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	cpu = cpuTime() - cpu
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(cpu.Microseconds())/float64(len(took)), "cpu-µs/op")
}

// BenchmarkAdd takes in documents, merging included.
func BenchmarkAdd(b *testing.B) {
	b.Run("20KB", func(b *testing.B) { benchAdd(b, 3000) })
	b.Run("2MB", func(b *testing.B) { benchAdd(b, 300_000) })
}

func benchAdd(b *testing.B, words int) {
	s, c := benchStore(b), newCorpus()
	text := make([]string, 10)
	for i := range text {
		text[i] = c.words(words)
	}
	b.SetBytes(int64(len(text[0])))
	cpu, n := cpuTime(), 0
	for b.Loop() {
		addText(b, s, fmt.Sprintf("doc%d.txt", n), text[n%len(text)])
		n++
	}
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(n), "cpu-µs/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
