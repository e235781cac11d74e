package rag

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// BM25's parameters, measured best on four test collections.
const (
	bm25K1 = 1.2 // how soon a term's repetition stops to count
	bm25B  = .75 // how much long chunks are held back
)

// A catalogue is the index of a collection at one version. It does not change.
type catalogue struct {
	version  int64
	segments []*live
	chunks   int     // alive
	length   float64 // mean, in terms
}

// A live segment knows which of its chunks have been deleted since.
type live struct {
	*segment
	dead  []bool // by ordinal; nil if none is
	alive int
	gone  []int64 // dead editions
}

// Search returns the passages that fit a query best. A query without words
// that any document has gets an answer without passages.
func (s *Service) Search(ctx context.Context, q Query) (Answer, error) {
	limit := min(cmp.Or(max(q.Limit, 0), s.o.Passages), s.o.MaxPassages)
	answer := Answer{Passages: []Passage{}}
	terms := s.lang.analyser().query(q.Query, s.o.MaxTerms)
	if len(terms) == 0 {
		return answer, ctx.Err()
	}
	var err error
	for range attempts {
		var hits []Passage
		if hits, err = s.search(ctx, terms, limit); err == nil {
			answer.Passages = append(answer.Passages, hits...)
			return answer, nil
		}
		if !errors.Is(err, ErrStale) {
			break
		}
	}
	return Answer{}, fmt.Errorf("rag: search: %w", err)
}

func (s *Service) search(ctx context.Context, terms []string, limit int) ([]Passage, error) {
	cat, err := s.catalogue(ctx)
	if err != nil || cat.chunks == 0 {
		return nil, err
	}
	found, err := s.postings(ctx, cat, terms)
	if err != nil {
		return nil, err
	}
	return s.passages(ctx, cat.best(terms, found, limit))
}

// catalogue returns the index as it is now: one small read if it is the same
// as at the last search.
func (s *Service) catalogue(ctx context.Context) (*catalogue, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	now, err := s.tables.Catalogue(ctx, s.o.Collection, last.version)
	if err != nil || now.Version == last.version {
		return last, err
	}
	cat, err := s.open(ctx, now, last)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.version < cat.version {
		s.last = cat
	}
	return cat, nil
}

// open loads the segments that the last catalogue does not have.
func (s *Service) open(ctx context.Context, now Catalogue, last *catalogue) (*catalogue, error) {
	known := make(map[int64]*segment)
	for _, g := range last.segments {
		known[g.id] = g.segment
	}
	unknown := slices.DeleteFunc(slices.Clone(now.Segments), func(id int64) bool { return known[id] != nil })
	if len(unknown) > 0 {
		rows, err := s.tables.Postings(ctx, unknown, []string{contents})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if known[row.Segment], err = decodeSegment(row.Segment, row.Data); err != nil {
				return nil, err
			}
		}
	}
	return newCatalogue(now, known)
}

func newCatalogue(now Catalogue, known map[int64]*segment) (*catalogue, error) {
	dead := make(map[int64]bool, len(now.Dead))
	for _, e := range now.Dead {
		dead[e] = true
	}
	cat := &catalogue{version: now.Version}
	total := 0
	for _, id := range now.Segments {
		if known[id] == nil {
			return nil, errDamaged
		}
		g := enliven(known[id], dead)
		cat.segments = append(cat.segments, g)
		cat.chunks += g.alive
		for ordinal, n := range g.lengths {
			if g.dead == nil || !g.dead[ordinal] {
				total += int(n)
			}
		}
	}
	cat.length = max(1, float64(total)/float64(max(1, cat.chunks)))
	return cat, nil
}

func enliven(g *segment, dead map[int64]bool) *live {
	l := &live{segment: g, alive: len(g.lengths)}
	for i, r := range g.runs {
		if !dead[r.edition] {
			continue
		}
		if l.dead == nil {
			l.dead = make([]bool, len(g.lengths))
		}
		for k := range r.count {
			l.dead[g.firsts[i]+k] = true
		}
		l.alive -= r.count
		l.gone = append(l.gone, r.edition)
	}
	return l
}

// postings returns each segment's postings of the terms, in the same order.
// Only what the cache does not have is read, in one go.
func (s *Service) postings(ctx context.Context, cat *catalogue, terms []string) ([][]posting, error) {
	found := make([][]posting, len(cat.segments))
	var segments []int64
	var missing []string
	for i, g := range cat.segments {
		found[i] = make([]posting, len(terms))
		for j, term := range terms {
			p, ok := s.cache.get(g.id, term)
			if found[i][j] = p; ok {
				continue
			}
			if len(segments) == 0 || segments[len(segments)-1] != g.id {
				segments = append(segments, g.id)
			}
			if !slices.Contains(missing, term) {
				missing = append(missing, term)
			}
		}
	}
	if len(segments) == 0 {
		return found, nil
	}
	rows, err := s.tables.Postings(ctx, segments, missing)
	if err != nil {
		return nil, err
	}
	return found, s.keep(cat, terms, found, segments, missing, rows)
}

// keep decodes rows into found and into the cache, which also learns which
// terms a segment does not have.
func (s *Service) keep(cat *catalogue, terms []string, found [][]posting, segments []int64, missing []string, rows []Posting) error {
	read := make(map[cacheKey]Posting, len(rows))
	for _, row := range rows {
		read[cacheKey{row.Segment, row.Term}] = row
	}
	for i, g := range cat.segments {
		if _, ok := slices.BinarySearch(segments, g.id); !ok {
			continue
		}
		for _, term := range missing {
			row := read[cacheKey{g.id, term}]
			p, err := decodePosting(row.DF, row.Data, len(g.lengths))
			if err != nil {
				return err
			}
			found[i][slices.Index(terms, term)] = p
			s.cache.put(g.id, term, p)
		}
	}
	return nil
}

// A hit is a chunk and its score.
type hit struct {
	Key
	score float64
}

// compare puts the better hit first. The order of equals does not depend on
// how chunks are spread over segments.
func (h hit) compare(o hit) int {
	return cmp.Or(cmp.Compare(o.score, h.score), cmp.Compare(h.Edition, o.Edition), cmp.Compare(h.Number, o.Number))
}

// best scores every chunk that has one of the terms.
func (c *catalogue) best(terms []string, found [][]posting, limit int) []hit {
	weights := make([]float64, len(terms))
	for j := range terms {
		df := 0
		for i, g := range c.segments {
			df += g.count(found[i][j])
		}
		weights[j] = math.Log(1 + (float64(c.chunks-df)+.5)/(float64(df)+.5))
	}
	best := top{limit: limit}
	for i, g := range c.segments {
		g.score(found[i], weights, c.length, &best)
	}
	best.cut()
	return best.hits
}

// top keeps the best hits.
type top struct {
	limit int
	hits  []hit
	least float64 // a hit below this is not among the best
}

func (t *top) add(h hit) {
	t.hits = append(t.hits, h)
	if len(t.hits) >= 8*t.limit+64 {
		t.cut()
	}
}

func (t *top) cut() {
	slices.SortFunc(t.hits, hit.compare)
	if len(t.hits) > t.limit {
		t.hits = t.hits[:t.limit]
		t.least = t.hits[t.limit-1].score
	}
}

// count returns in how many chunks alive a term stands.
func (g *live) count(p posting) int {
	if g.dead == nil {
		return len(p.ordinals)
	}
	n := 0
	for _, ordinal := range p.ordinals {
		if !g.dead[ordinal] {
			n++
		}
	}
	return n
}

// score adds the segment's chunks to the best. The terms are added up in the
// order of the query in every segment, so equal chunks score equally to the
// last bit.
func (g *live) score(found []posting, weights []float64, mean float64, best *top) {
	scores := make([]float64, len(g.lengths))
	for j, p := range found {
		for k, ordinal := range p.ordinals {
			tf := float64(p.tfs[k])
			norm := bm25K1 * (1 - bm25B + bm25B*float64(g.lengths[ordinal])/mean)
			scores[ordinal] += weights[j] * tf * (bm25K1 + 1) / (tf + norm)
		}
	}
	for ordinal, score := range scores {
		if score > 0 && score >= best.least && (g.dead == nil || !g.dead[ordinal]) {
			best.add(hit{g.key(ordinal), score})
		}
	}
}

// passages reads the chunks of hits. One that is gone was deleted or replaced
// since the catalogue was read.
func (s *Service) passages(ctx context.Context, hits []hit) ([]Passage, error) {
	if len(hits) == 0 {
		return nil, nil
	}
	keys := make([]Key, len(hits))
	for i, h := range hits {
		keys[i] = h.Key
	}
	rows, err := s.tables.Chunks(ctx, keys)
	if err != nil {
		return nil, err
	}
	byKey := make(map[Key]Chunk, len(rows))
	for _, c := range rows {
		byKey[c.Key] = c
	}
	out := make([]Passage, len(hits))
	for i, h := range hits {
		c, ok := byKey[h.Key]
		if !ok {
			return nil, ErrStale
		}
		c.Source.Ref = fmt.Sprintf("%s:%d", c.Source.Document, h.Number)
		out[i] = Passage{Source: c.Source, Score: h.score}
	}
	return out, nil
}
