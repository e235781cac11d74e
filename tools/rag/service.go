package rag

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"parley/tools"
)

// Options are the settings of a [Service].
type Options struct {
	Collection string // whose documents are meant, "": "documents"
	Language   string // of words in Latin script, as Snowball calls it, or "none"; "": "english". A change needs all documents added again.
	ChunkSize  int    // most characters of a passage, 0: 1,000

	MaxBytes    int // of an upload, 0: 16 MiB
	MaxName     int // bytes of an upload's name, 0: 200
	MaxChunks   int // of a document, 0: 50,000
	MaxTerms    int // distinct terms of a query that count, 0: 64
	Passages    int // of an answer if the query has no limit, 0: 5
	MaxPassages int // of an answer, 0: 50
	MaxPage     int // documents of a list, 0: 200

	CacheBytes     int // of decoded postings kept in memory, 0: 32 MiB
	MergeFactor    int // segments of like size that are merged into one, 0: 8
	MaxMergeChunks int // a segment larger than this is merged no more, 0: 32,768

	PDFs PDFs             // nil: PDFs are refused
	Now  func() time.Time // nil: time.Now
}

func (o *Options) fill() {
	o.Collection = cmp.Or(o.Collection, "documents")
	o.Language = cmp.Or(o.Language, "english")
	o.ChunkSize = cmp.Or(o.ChunkSize, 1000)
	o.MaxBytes = cmp.Or(o.MaxBytes, 16<<20)
	o.MaxName = cmp.Or(o.MaxName, 200)
	o.MaxChunks = cmp.Or(o.MaxChunks, 50_000)
	o.MaxTerms = cmp.Or(o.MaxTerms, 64)
	o.Passages = cmp.Or(o.Passages, 5)
	o.MaxPassages = cmp.Or(o.MaxPassages, 50)
	o.MaxPage = cmp.Or(o.MaxPage, 200)
	o.CacheBytes = cmp.Or(o.CacheBytes, 32<<20)
	o.MergeFactor = max(2, cmp.Or(o.MergeFactor, 8))
	o.MaxMergeChunks = cmp.Or(o.MaxMergeChunks, 32_768)
	if o.Now == nil {
		o.Now = time.Now
	}
}

// attempts of a change or search that others were in the way of.
const attempts = 10

// A Service is one collection of documents. All methods may be called
// concurrently, and on any number of replicas that share the tables.
type Service struct {
	tables Tables
	o      Options
	lang   *language
	cache  *cache

	writing chan struct{} // holds a token while a change is under way here

	mu   sync.Mutex
	last *catalogue // as last read
}

// New returns the service of the collection that o names. It fails if o's
// language is unknown.
func New(t Tables, o Options) (*Service, error) {
	o.fill()
	lang, err := newLanguage(o.Language)
	if err != nil {
		return nil, err
	}
	return &Service{
		tables: t, o: o, lang: lang, cache: newCache(o.CacheBytes),
		writing: make(chan struct{}, 1), last: &catalogue{},
	}, nil
}

// Documents returns up to limit documents without their texts, by id,
// beginning behind the id after ("" for the first). A limit of 0, or one that
// is too large, is the largest allowed.
func (s *Service) Documents(ctx context.Context, after string, limit int) ([]Document, error) {
	if limit <= 0 || limit > s.o.MaxPage {
		limit = s.o.MaxPage
	}
	docs, err := s.tables.List(ctx, s.o.Collection, clean(strings.ToValidUTF8(after, "")), limit)
	if err != nil {
		return nil, fmt.Errorf("rag: documents after %q: %w", after, err)
	}
	return docs, nil
}

// Document returns a document with its text. It wraps [fs.ErrNotExist] if
// there is none.
func (s *Service) Document(ctx context.Context, id string) (Document, error) {
	doc, err := Document{}, fs.ErrNotExist
	if possible(id) {
		doc, err = s.tables.Document(ctx, s.o.Collection, id)
	}
	if err != nil {
		return Document{}, fmt.Errorf("rag: document %q: %w", id, err)
	}
	return doc, nil
}

// possible tells whether an id can be one of ours. Postgres takes neither NUL
// nor invalid UTF-8, not even to look for it.
func possible(id string) bool { return utf8.ValidString(id) && clean(id) == id }

// Delete removes a document. It wraps [fs.ErrNotExist] if there is none.
func (s *Service) Delete(ctx context.Context, id string) error {
	if !possible(id) {
		return fmt.Errorf("rag: delete %q: %w", id, fs.ErrNotExist)
	}
	err := s.change(ctx, func() error {
		docs, err := s.tables.Find(ctx, s.o.Collection, "", id)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(docs, func(d Document) bool { return d.ID == id })
		if i < 0 {
			return fs.ErrNotExist
		}
		return s.tables.Commit(ctx, Change{Collection: s.o.Collection, Remove: docs[i].Edition})
	})
	if err != nil {
		return fmt.Errorf("rag: delete %q: %w", id, err)
	}
	return nil
}

// Add takes a document in, or replaces the one of the same name, and returns
// it without its text. What is wrong with the upload is an [UploadError].
func (s *Service) Add(ctx context.Context, up Upload) (Document, error) {
	doc, sections, err := s.read(ctx, up)
	if err != nil {
		return Document{}, err
	}
	pieces, err := s.pieces(doc, sections)
	if err != nil {
		return Document{}, err
	}
	doc.Chunks, doc.AddedAt = len(pieces), s.o.Now().UTC().Truncate(time.Millisecond)
	index := s.index(doc, pieces)
	err = s.change(ctx, func() error { return s.insert(ctx, &doc, pieces, index) })
	if err != nil {
		return Document{}, fmt.Errorf("rag: add %q: %w", up.Name, err)
	}
	doc.Text = ""
	return doc, nil
}

// change makes a change of the collection, one at a time on this replica, and
// again if another replica was first. The index is tidied before and not
// afterwards, so that whatever fails is a failure of a change not yet made.
func (s *Service) change(ctx context.Context, do func() error) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.tidy(ctx); err != nil {
		return err
	}
	var err error
	for range attempts {
		if err = do(); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return err
}

func (s *Service) pieces(doc Document, sections iter.Seq[section]) ([]piece, error) {
	pieces := cut(doc.Text, sections, s.o.ChunkSize, s.o.MaxChunks)
	if len(pieces) > s.o.MaxChunks {
		return nil, refuse(doc.Name, TooLarge, "it has more than the %d passages allowed; split the document", s.o.MaxChunks)
	}
	return pieces, nil
}

// index builds the segment of one document. Its title and the headings above
// a chunk count twice.
func (s *Service) index(doc Document, pieces []piece) *builder {
	a, b := s.lang.analyser(), newBuilder()
	for _, p := range pieces {
		tfs := make(map[string]int)
		a.terms(doc.Text[p.start:p.end], func(t string) { tfs[t]++ })
		for _, above := range over(doc.Title, p.headings) {
			a.terms(above, func(t string) { tfs[t] += 2 })
		}
		b.add(tfs)
	}
	return b
}

// over returns a title and the headings below it, the title once.
func over(title string, headings []string) []string {
	if len(headings) > 0 && headings[0] == title {
		return headings
	}
	return append([]string{title}, headings...)
}

// insert writes a document and its index and makes both visible.
func (s *Service) insert(ctx context.Context, doc *Document, pieces []piece, index *builder) error {
	var err error
	if index.id == 0 { // not an attempt that was made again
		if err = s.write(ctx, doc, pieces, index); err != nil {
			return err
		}
	}
	base := slug(doc.Name)
	docs, err := s.tables.Find(ctx, s.o.Collection, doc.Name, base)
	if err != nil {
		return err
	}
	var old int64
	doc.ID, old = place(doc.Name, base, docs)
	return s.tables.Commit(ctx, Change{Collection: s.o.Collection, Remove: old, Document: doc, Add: index.id})
}

// place returns the id for a document, and the edition that it replaces.
func place(name, base string, docs []Document) (id string, old int64) {
	taken := make(map[string]bool)
	for _, d := range docs {
		if d.Name == name {
			return d.ID, d.Edition
		}
		taken[d.ID] = true
	}
	id = base
	for n := 2; taken[id]; n++ {
		id = fmt.Sprintf("%s-%d", base, n)
	}
	return id, 0
}

// write stores the rows of a new segment, where nobody sees them yet.
func (s *Service) write(ctx context.Context, doc *Document, pieces []piece, index *builder) error {
	id, err := s.tables.Reserve(ctx, s.o.Collection, s.o.Now())
	if err != nil {
		return err
	}
	index.id, doc.Edition = id, id
	index.runs = []run{{id, len(pieces)}}
	for i, batch := range slices.Collect(slices.Chunk(pieces, batchChunks)) {
		if err := s.tables.Write(ctx, id, nil, chunks(doc, batch, i*batchChunks)); err != nil {
			return err
		}
	}
	return s.writePostings(ctx, id, index.postings())
}

// Rows written at once: few enough that a store with one writer keeps others
// waiting for some ten milliseconds only.
const (
	batchChunks   = 250
	batchPostings = 2000
)

func (s *Service) writePostings(ctx context.Context, id int64, ps []Posting) error {
	for batch := range slices.Chunk(ps, batchPostings) {
		if err := s.tables.Write(ctx, id, batch, nil); err != nil {
			return err
		}
	}
	return nil
}

func chunks(doc *Document, pieces []piece, before int) []Chunk {
	out := make([]Chunk, len(pieces))
	for i, p := range pieces {
		out[i] = Chunk{
			Key: Key{doc.Edition, before + i + 1},
			Source: tools.Source{
				Headings: p.headings, Text: doc.Text[p.start:p.end],
				Start: p.runes.start, End: p.runes.end,
			},
		}
	}
	return out
}
