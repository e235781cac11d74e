package rag

import (
	"context"
	"time"

	"parley/tools"
)

// Tables keep documents and their index; the store implements them. All
// methods may be called concurrently, by several processes.
//
// Each method must be atomic by itself, and what it wrote must be seen by
// every later call of any process.
type Tables interface {
	Library
	Reader
	Writer
}

// A Library keeps the documents.
type Library interface {
	// List returns up to limit documents whose id is greater than after,
	// by id in byte order, without their texts.
	List(ctx context.Context, collection, after string, limit int) ([]Document, error)

	// Find returns, without their texts, the document of that name and those
	// whose id is slug or begins with slug and "-".
	Find(ctx context.Context, collection, name, slug string) ([]Document, error)

	// Document returns a document with its text. It must wrap
	// fs.ErrNotExist if there is none.
	Document(ctx context.Context, collection, id string) (Document, error)
}

// A Reader reads the index.
type Reader interface {
	// Catalogue returns the state of a collection. If its version is known,
	// nothing but Version needs to be set. A collection that does not exist
	// has version 0.
	Catalogue(ctx context.Context, collection string, known int64) (Catalogue, error)

	// Postings returns those of the terms that the segments have. It must
	// return ErrStale if one of the segments is not, or no longer, in the
	// catalogue. Neither slice is ever empty.
	Postings(ctx context.Context, segments []int64, terms []string) ([]Posting, error)

	// Scan returns up to limit postings of one segment whose term is greater
	// than after, by term in byte order.
	Scan(ctx context.Context, segment int64, after string, limit int) ([]Posting, error)

	// Chunks returns the chunks that belong to a document, in any order, with
	// Source.Document and Source.Title set from it. Those that are gone are
	// left out.
	Chunks(ctx context.Context, keys []Key) ([]Chunk, error)
}

// A Writer changes the index in three steps: Reserve a segment, Write its
// rows in batches that nobody sees, Commit. What was never committed is swept.
type Writer interface {
	// Reserve returns the id of a new segment, greater than 0 and never used
	// before or after. now is the time of reservation.
	Reserve(ctx context.Context, collection string, now time.Time) (int64, error)

	// Write adds rows to a reserved segment. Chunks belong to the edition
	// that has the segment's number.
	Write(ctx context.Context, segment int64, postings []Posting, chunks []Chunk) error

	// Commit makes a change visible, all of it or nothing, and raises the
	// version. It must return ErrConflict if the change does not fit the
	// state any more: Remove or a segment of Drop is gone, the new document's
	// id or name is taken, or the segment to Add is not reserved.
	Commit(ctx context.Context, change Change) error

	// Sweep deletes up to limit rows of segments that were dropped, or
	// reserved before the time given and never committed, and returns how
	// many it deleted: 0 if nothing is left.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)
}

// A Catalogue is the state of a collection's index at one version.
type Catalogue struct {
	Version  int64
	Segments []int64 // in ascending order
	Dead     []int64 // editions that some segment still holds though their document is gone
}

// A Posting is the row of a term in a segment: where it stands and how often.
// The row of the empty term holds the segment's contents instead.
type Posting struct {
	Segment int64
	Term    string // valid UTF-8 without NUL, at most 64 bytes
	DF      int    // chunks that hold the term
	Data    []byte
}

// A Key names a chunk: the edition of a document, and the chunk's number in
// it, from 1.
type Key struct {
	Edition int64
	Number  int
}

// A Chunk is a passage as it is kept. Source.Ref is not stored; Document and
// Title are those of the document.
type Chunk struct {
	Key
	Source tools.Source
}

// A Change is what [Writer.Commit] makes visible. Zero fields change nothing.
type Change struct {
	Collection string
	Remove     int64     // edition whose document and chunks go; it is dead from now on
	Document   *Document // new, its Edition is its chunks'
	Add        int64     // segment
	Drop       []int64   // segments
	Forget     []int64   // editions that were dead and that no segment holds any more
}
