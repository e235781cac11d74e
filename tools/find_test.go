package tools_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"parley/tools"
)

// imported returns the operations of testdata/find as the specs that their
// import makes.
func imported(t testing.TB) []tools.Spec {
	t.Helper()
	f, err := os.Open("testdata/find/operations.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var specs []tools.Spec
	for dec := json.NewDecoder(z); dec.More(); {
		var op struct {
			Name, About, At string
			Tags, Params    []string
		}
		if err := dec.Decode(&op); err != nil {
			t.Fatal(err)
		}
		properties := map[string]any{}
		for _, p := range op.Params {
			properties[p] = map[string]any{"type": "string"}
		}
		schema, _ := json.Marshal(map[string]any{"type": "object", "properties": properties})
		s := tools.Spec{Name: op.Name, Description: op.About, Tags: op.Tags, Parameters: schema}
		s.Method, s.Path, _ = strings.Cut(op.At, " ")
		specs = append(specs, s)
	}
	return specs
}

// setOf returns a set of tools that only describe themselves.
func setOf(specs []tools.Spec) *tools.Set { return tools.NewSet(describing(specs)...) }

func describing(specs []tools.Spec) (ts []tools.Tool) {
	for _, s := range specs {
		ts = append(ts, tools.Func(s, func(context.Context, struct{}) (tools.Result, error) { return tools.Result{}, nil }))
	}
	return ts
}

// A question is one of testdata/find: what a person asks, and what would
// answer it.
type question struct {
	text string
	want []string
}

func questions(t testing.TB, file string) (qs []question) {
	t.Helper()
	b, err := os.ReadFile("testdata/find/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if text, want, ok := strings.Cut(s.Text(), " | "); ok {
			qs = append(qs, question{text, strings.Fields(want)})
		}
	}
	return qs
}

// The right tool is among the 40 that are offered for at least 95 of 100
// questions that people ask, of 1,231 operations of real services; for 90 of
// those by which no weight was chosen.
func TestTheRightToolIsFound(t *testing.T) {
	set := setOf(imported(t))
	for file, percent := range map[string]int{"questions.txt": 95, "control.txt": 90} {
		t.Run(file, func(t *testing.T) {
			qs := questions(t, file)
			among := map[int]int{}
			for _, q := range qs {
				place := slices.IndexFunc(set.Find(40, q.text), func(s tools.Spec) bool { return slices.Contains(q.want, s.Name) })
				for _, n := range []int{1, 5, 10, 20, 40} {
					if place >= 0 && place < n {
						among[n]++
					}
				}
				if place < 0 {
					t.Logf("not found: %s", q.text)
				}
			}
			t.Logf("of %d questions over %d tools the right one is the best for %d, among 5 for %d, among 10 for %d, 20: %d, 40: %d",
				len(qs), len(set.Specs()), among[1], among[5], among[10], among[20], among[40])
			if len(qs) < 40 || among[40]*100 < percent*len(qs) {
				t.Errorf("the right tool is among 40 for %d of %d questions", among[40], len(qs))
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	ts := describing(imported(b)[:1000])
	b.Run("index", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tools.NewSet(ts...).Find(40, "Open an issue about the broken login page")
		}
	})
	b.Run("question", func(b *testing.B) {
		b.ReportAllocs()
		set := tools.NewSet(ts...)
		set.Find(1, "x")
		for b.Loop() {
			set.Find(40, "Open an issue about the broken login page", "Which containers are running on the server?")
		}
	})
}
