package ragtest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"parley/tools/rag"
)

// Run tests tables through services that use them as replicas do. open
// returns empty tables.
func Run(t *testing.T, open func(t *testing.T) rag.Tables) {
	for _, c := range []struct {
		name string
		test func(*testing.T, rag.Tables)
	}{
		{"a document added here is found there at once", visible},
		{"adding a name again replaces the document", replaced},
		{"a deleted document is gone for everybody", deleted},
		{"documents of like names have ids of their own", named},
		{"a list goes on behind its cursor", listed},
		{"merging changes no answer", merged},
		{"replicas that write at the same time lose nothing", concurrent},
		{"collections know nothing of each other", apart},
		{"what was not committed is not seen and is swept", uncommitted},
		{"a change that comes too late is refused whole", conflicting},
		{"segments that were dropped are stale", stale},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Service returns a service on tables.
func Service(t *testing.T, tables rag.Tables, o rag.Options) *rag.Service {
	t.Helper()
	s, err := rag.New(tables, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *rag.Service, name, text string) rag.Document {
	t.Helper()
	doc, err := s.Add(t.Context(), rag.Upload{Name: name, Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func search(t *testing.T, s *rag.Service, query string) []rag.Passage {
	t.Helper()
	a, err := s.Search(t.Context(), rag.Query{Query: query, Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	return a.Passages
}

func refs(ps []rag.Passage) string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Ref)
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, s *rag.Service, query, want string) {
	t.Helper()
	if got := refs(search(t, s, query)); got != want {
		t.Errorf("search %q: got passages [%s], want [%s]", query, got, want)
	}
}

func visible(t *testing.T, tables rag.Tables) {
	here, there := Service(t, tables, rag.Options{}), Service(t, tables, rag.Options{})
	expect(t, there, "lighthouse", "")
	doc := add(t, here, "coast.md", "# The coast\n\nIntro.\n\n## Lights\n\nThe lighthouse is tall.\n")
	ps := search(t, there, "lighthouses")
	if len(ps) != 1 {
		t.Fatalf("got %d passages, want 1", len(ps))
	}
	p := ps[0]
	if p.Ref != "coast:2" || p.Document != "coast" || p.Title != "The coast" || p.Score <= 0 {
		t.Errorf("got %+v", p)
	}
	if diff := cmp.Diff([]string{"The coast", "Lights"}, p.Headings); diff != "" {
		t.Error(diff)
	}
	whole, err := there.Document(t.Context(), doc.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := string([]rune(whole.Text)[p.Start:p.End]); got != p.Text {
		t.Errorf("the document has %q where the passage says %q", got, p.Text)
	}
	if diff := cmp.Diff(doc, whole, cmpopts.IgnoreFields(rag.Document{}, "Text")); diff != "" {
		t.Errorf("the document is another than Add said: %s", diff)
	}
}

func replaced(t *testing.T, tables rag.Tables) {
	here, there := Service(t, tables, rag.Options{}), Service(t, tables, rag.Options{})
	first := add(t, here, "guide.txt", "about apples")
	expect(t, there, "apples", "guide:1")
	second := add(t, here, "guide.txt", "about pears")
	expect(t, there, "apples", "")
	expect(t, there, "pears", "guide:1")
	if first.ID != second.ID || first.Edition == second.Edition {
		t.Errorf("got editions %d of %s and %d of %s", first.Edition, first.ID, second.Edition, second.ID)
	}
	docs, err := there.Documents(t.Context(), "", 0)
	if err != nil || len(docs) != 1 {
		t.Errorf("got %d documents, error %v, want 1", len(docs), err)
	}
}

func deleted(t *testing.T, tables rag.Tables) {
	here, there := Service(t, tables, rag.Options{}), Service(t, tables, rag.Options{})
	add(t, here, "a.txt", "green apples")
	add(t, here, "b.txt", "red apples")
	expect(t, there, "apples", "a:1 b:1")
	if err := here.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	expect(t, there, "apples", "b:1")
	if _, err := there.Document(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("document: got %v, want one that wraps %v", err, fs.ErrNotExist)
	}
	if err := there.Delete(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delete again: got %v, want one that wraps %v", err, fs.ErrNotExist)
	}
	add(t, there, "a.txt", "apples again, apples")
	expect(t, here, "apples", "a:1 b:1")
}

func named(t *testing.T, tables rag.Tables) {
	s := Service(t, tables, rag.Options{})
	for _, c := range []struct{ name, id string }{
		{"guide.md", "guide"},
		{"Guide.txt", "guide-2"},
		{"docs/guide.html", "guide-3"},
		{"guide.md", "guide"},
		{"guides.txt", "guides"},
		{"Über uns: 100 %.txt", "über-uns-100"},
		{"案内.txt", "案内"},
		{"???", "document"},
	} {
		if doc := add(t, s, c.name, "some text"); doc.ID != c.id {
			t.Errorf("%q: got id %q, want %q", c.name, doc.ID, c.id)
		}
	}
}

func listed(t *testing.T, tables rag.Tables) {
	s := Service(t, tables, rag.Options{})
	for _, name := range []string{"c", "é", "a", "d", "f", "b", "e"} { // by bytes, in no language's order
		add(t, s, name, "text of "+name)
	}
	var got []string
	for after := ""; ; {
		docs, err := s.Documents(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			got, after = append(got, d.ID+"="+d.Text), d.ID
		}
		if len(docs) < 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"a=", "b=", "c=", "d=", "e=", "f=", "é="}, got); diff != "" {
		t.Error(diff)
	}
}

// merged compares an index that merges all the time with one that never does.
func merged(t *testing.T, tables rag.Tables) {
	r := rand.New(rand.NewPCG(1, 2))
	often := Service(t, tables, rag.Options{Collection: "often", MergeFactor: 2, ChunkSize: 60})
	never := Service(t, tables, rag.Options{Collection: "never", MergeFactor: 1000, ChunkSize: 60})
	for i := range 60 {
		name, text := fmt.Sprintf("doc%d.txt", r.IntN(25)), words(r, 5+r.IntN(60))
		for _, s := range []*rag.Service{often, never} {
			if i%7 == 6 {
				if err := s.Delete(t.Context(), strings.TrimSuffix(name, ".txt")); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				continue
			}
			add(t, s, name, text)
		}
		query := words(r, 3)
		if diff := cmp.Diff(search(t, never, query), search(t, often, query)); diff != "" {
			t.Fatalf("after change %d, search %q (-never +often merged): %s", i, query, diff)
		}
	}
	cat, err := tables.Catalogue(t.Context(), "often", -1)
	if err != nil || len(cat.Segments) > 15 {
		t.Errorf("got %d segments, error %v: nothing was merged", len(cat.Segments), err)
	}
}

func words(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		i := int(r.ExpFloat64() * 8)
		fmt.Fprintf(&b, "%c%d ", []rune("wéz")[i%3], i) // whose order differs between bytes and languages
	}
	return b.String()
}

func concurrent(t *testing.T, tables rag.Tables) {
	const replicas, each = 3, 8
	var wg sync.WaitGroup
	for n := range replicas {
		s := Service(t, tables, rag.Options{MergeFactor: 3})
		wg.Go(func() {
			for i := range each {
				up := rag.Upload{Name: fmt.Sprintf("r%d/note%d.txt", n, i), Data: []byte("a shared word")}
				if _, err := s.Add(t.Context(), up); err != nil {
					t.Errorf("replica %d: %v", n, err)
				}
				if _, err := s.Search(t.Context(), rag.Query{Query: "word"}); err != nil {
					t.Errorf("replica %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	s := Service(t, tables, rag.Options{})
	a, err := s.Search(t.Context(), rag.Query{Query: "word", Limit: 50})
	if err != nil || len(a.Passages) != replicas*each {
		t.Errorf("got %d passages, error %v, want %d", len(a.Passages), err, replicas*each)
	}
}

func apart(t *testing.T, tables rag.Tables) {
	one, two := Service(t, tables, rag.Options{Collection: "one"}), Service(t, tables, rag.Options{Collection: "two"})
	add(t, one, "x.txt", "apples and pears")
	expect(t, two, "apples", "")
	add(t, two, "x.txt", "plums")
	expect(t, two, "plums", "x:1")
	if err := two.Delete(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	expect(t, one, "apples", "x:1")
}

func uncommitted(t *testing.T, tables rag.Tables) {
	ctx, now := t.Context(), time.Now()
	s := Service(t, tables, rag.Options{})
	add(t, s, "a.txt", "apples")
	id, err := tables.Reserve(ctx, "documents", now)
	if err != nil {
		t.Fatal(err)
	}
	chunk := rag.Chunk{Key: rag.Key{Edition: id, Number: 1}}
	if err := tables.Write(ctx, id, []rag.Posting{{Segment: id, Term: "apples", DF: 1, Data: []byte{0, 1}}}, []rag.Chunk{chunk}); err != nil {
		t.Fatal(err)
	}
	if _, err := tables.Postings(ctx, []int64{id}, []string{"apples"}); !errors.Is(err, rag.ErrStale) {
		t.Errorf("postings: got %v, want %v", err, rag.ErrStale)
	}
	if cs, err := tables.Chunks(ctx, []rag.Key{chunk.Key}); len(cs) != 0 || err != nil {
		t.Errorf("got chunks %v, error %v, want none", cs, err)
	}
	if n, err := tables.Sweep(ctx, now.Add(-time.Minute), 100); n != 0 || err != nil {
		t.Errorf("swept %d rows of a segment that is still written, error %v", n, err)
	}
	if n := sweepAll(t, tables, now.Add(time.Minute)); n == 0 {
		t.Error("swept nothing")
	}
	if ps, err := tables.Scan(ctx, id, "", 10); len(ps) != 0 || err != nil {
		t.Errorf("got rows %v after the sweep, error %v", ps, err)
	}
	if err := tables.Commit(ctx, rag.Change{Collection: "documents", Add: id}); !errors.Is(err, rag.ErrConflict) {
		t.Errorf("commit after the sweep: got %v, want %v", err, rag.ErrConflict)
	}
	expect(t, s, "apples", "a:1")
}

func sweepAll(t *testing.T, tables rag.Tables, before time.Time) (rows int) {
	t.Helper()
	for {
		n, err := tables.Sweep(t.Context(), before, 1)
		if err != nil {
			t.Fatal(err)
		}
		if rows += n; n == 0 {
			return rows
		}
	}
}

func conflicting(t *testing.T, tables rag.Tables) {
	s := Service(t, tables, rag.Options{})
	doc := add(t, s, "a.txt", "apples")
	late := doc
	late.Edition += 1000
	for name, ch := range map[string]rag.Change{
		"name is taken":         {Document: &late},
		"removed already":       {Remove: doc.Edition + 77, Drop: []int64{doc.Edition}},
		"dropped already":       {Remove: doc.Edition, Drop: []int64{doc.Edition + 77}},
		"added already":         {Remove: doc.Edition, Add: doc.Edition},
		"segment was never":     {Remove: doc.Edition, Add: doc.Edition + 77},
		"of another collection": {Collection: "other", Remove: doc.Edition},
	} {
		if ch.Collection == "" {
			ch.Collection = "documents"
		}
		if err := tables.Commit(t.Context(), ch); !errors.Is(err, rag.ErrConflict) {
			t.Errorf("%s: got %v, want %v", name, err, rag.ErrConflict)
		}
	}
	expect(t, s, "apples", "a:1")
}

func stale(t *testing.T, tables rag.Tables) {
	ctx := t.Context()
	s := Service(t, tables, rag.Options{})
	doc := add(t, s, "a.txt", "apples")
	if err := tables.Commit(ctx, rag.Change{Collection: "documents", Remove: doc.Edition, Drop: []int64{doc.Edition}, Forget: []int64{doc.Edition}}); err != nil {
		t.Fatal(err)
	}
	if _, err := tables.Postings(ctx, []int64{doc.Edition}, []string{"appl"}); !errors.Is(err, rag.ErrStale) {
		t.Errorf("got %v, want %v", err, rag.ErrStale)
	}
	if n := sweepAll(t, tables, time.Time{}); n == 0 {
		t.Error("swept nothing")
	}
	expect(t, s, "apples", "")
}
