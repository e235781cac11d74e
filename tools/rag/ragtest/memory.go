// Package ragtest is what [rag.Tables] must do, as a suite, and tables that
// do it in memory.
package ragtest

import (
	"cmp"
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/tools/rag"
)

// Memory is tables in memory. All methods may be called concurrently.
type Memory struct {
	mu       sync.Mutex
	last     int64 // id of a segment
	segments map[int64]*segment
	versions map[string]int64
	docs     []rag.Document
	of       map[int64]string // collection of an edition
	dead     map[int64]string // collection of a dead edition
	chunks   map[rag.Key]rag.Chunk
}

type segment struct {
	collection string
	state      state
	reserved   time.Time
	postings   map[string]rag.Posting
}

type state int

const (
	reserved state = iota
	committed
	dropped
)

var _ rag.Tables = (*Memory)(nil)

// NewMemory returns empty tables.
func NewMemory() *Memory {
	return &Memory{
		segments: make(map[int64]*segment), versions: make(map[string]int64), of: make(map[int64]string),
		dead: make(map[int64]string), chunks: make(map[rag.Key]rag.Chunk),
	}
}

// List implements [rag.Library].
func (m *Memory) List(_ context.Context, collection, after string, limit int) ([]rag.Document, error) {
	docs := m.where(collection, func(d rag.Document) bool { return d.ID > after })
	return docs[:min(limit, len(docs))], nil
}

// Find implements [rag.Library].
func (m *Memory) Find(_ context.Context, collection, name, slug string) ([]rag.Document, error) {
	return m.where(collection, func(d rag.Document) bool {
		return d.Name == name || d.ID == slug || strings.HasPrefix(d.ID, slug+"-")
	}), nil
}

func (m *Memory) where(collection string, ok func(rag.Document) bool) []rag.Document {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []rag.Document
	for _, d := range m.docs {
		if m.of[d.Edition] == collection && ok(d) {
			d.Text = ""
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b rag.Document) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Document implements [rag.Library].
func (m *Memory) Document(_ context.Context, collection, id string) (rag.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.docs {
		if m.of[d.Edition] == collection && d.ID == id {
			return d, nil
		}
	}
	return rag.Document{}, fs.ErrNotExist
}

// Catalogue implements [rag.Reader].
func (m *Memory) Catalogue(_ context.Context, collection string, _ int64) (rag.Catalogue, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cat := rag.Catalogue{Version: m.versions[collection]}
	for id, g := range m.segments {
		if g.collection == collection && g.state == committed {
			cat.Segments = append(cat.Segments, id)
		}
	}
	for e, c := range m.dead {
		if c == collection {
			cat.Dead = append(cat.Dead, e)
		}
	}
	slices.Sort(cat.Segments)
	return cat, nil
}

// Postings implements [rag.Reader].
func (m *Memory) Postings(_ context.Context, segments []int64, terms []string) ([]rag.Posting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []rag.Posting
	for _, id := range segments {
		if !m.is(id, committed) {
			return nil, rag.ErrStale
		}
		for _, t := range terms {
			if p, ok := m.segments[id].postings[t]; ok {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

func (m *Memory) is(id int64, s state) bool {
	return m.segments[id] != nil && m.segments[id].state == s
}

// Scan implements [rag.Reader].
func (m *Memory) Scan(_ context.Context, id int64, after string, limit int) ([]rag.Posting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []rag.Posting
	if g := m.segments[id]; g != nil {
		for _, t := range slices.Sorted(maps.Keys(g.postings)) {
			if t > after && len(out) < limit {
				out = append(out, g.postings[t])
			}
		}
	}
	return out, nil
}

// Chunks implements [rag.Reader].
func (m *Memory) Chunks(_ context.Context, keys []rag.Key) ([]rag.Chunk, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []rag.Chunk
	for _, k := range keys {
		c, ok := m.chunks[k]
		i := slices.IndexFunc(m.docs, func(d rag.Document) bool { return d.Edition == k.Edition })
		if ok && i >= 0 {
			c.Source.Document, c.Source.Title = m.docs[i].ID, m.docs[i].Title
			out = append(out, c)
		}
	}
	return out, nil
}

// Reserve implements [rag.Writer].
func (m *Memory) Reserve(_ context.Context, collection string, now time.Time) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	m.segments[m.last] = &segment{collection: collection, reserved: now, postings: make(map[string]rag.Posting)}
	return m.last, nil
}

// Write implements [rag.Writer].
func (m *Memory) Write(_ context.Context, id int64, postings []rag.Posting, chunks []rag.Chunk) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range postings {
		m.segments[id].postings[p.Term] = p
	}
	for _, c := range chunks {
		m.chunks[c.Key] = c
	}
	return nil
}

// Commit implements [rag.Writer].
func (m *Memory) Commit(_ context.Context, ch rag.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fits(ch) {
		return rag.ErrConflict
	}
	if ch.Remove != 0 {
		m.docs = slices.DeleteFunc(m.docs, func(d rag.Document) bool { return d.Edition == ch.Remove })
		maps.DeleteFunc(m.chunks, func(k rag.Key, _ rag.Chunk) bool { return k.Edition == ch.Remove })
		m.dead[ch.Remove] = ch.Collection
	}
	if ch.Document != nil {
		m.docs = append(m.docs, *ch.Document)
		m.of[ch.Document.Edition] = ch.Collection
	}
	if ch.Add != 0 {
		m.segments[ch.Add].state = committed
	}
	for _, id := range ch.Drop {
		m.segments[id].state = dropped
	}
	for _, e := range ch.Forget {
		delete(m.dead, e)
	}
	m.versions[ch.Collection]++
	return nil
}

func (m *Memory) fits(ch rag.Change) bool {
	removed := ch.Remove == 0
	for _, d := range m.docs {
		if d.Edition == ch.Remove && m.of[d.Edition] == ch.Collection {
			removed = true
		} else if ch.Document != nil && m.of[d.Edition] == ch.Collection && (d.ID == ch.Document.ID || d.Name == ch.Document.Name) {
			return false
		}
	}
	gone := func(id int64) bool { return !m.is(id, committed) }
	return removed && !slices.ContainsFunc(ch.Drop, gone) && (ch.Add == 0 || m.is(ch.Add, reserved))
}

// Sweep implements [rag.Writer]. It may delete more than limit.
func (m *Memory) Sweep(_ context.Context, before time.Time, _ int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for id, g := range m.segments {
		lost := g.state == reserved && g.reserved.Before(before)
		if lost || g.state == dropped {
			n += 1 + len(g.postings)
			delete(m.segments, id)
		}
		if lost {
			maps.DeleteFunc(m.chunks, func(k rag.Key, _ rag.Chunk) bool { return k.Edition == id })
		}
	}
	return n, nil
}
