// Package rag is retrieval: documents are taken in as text, cut into chunks,
// indexed by their words and found again as passages that an answer can cite.
//
// The index is BM25 over immutable segments that live in [Tables], so every
// replica finds a document as soon as it is added, and a replica's memory
// holds only copies that cannot go stale. Adding, replacing and deleting a
// document are atomic: a search sees all of it or nothing. There are no
// vectors: passages are found by the words they share with the query.
//
// What is not promised: postings of a deleted document (words without their
// order) stay in the tables until their segment is merged; its text and its
// passages are gone at once.
package rag

import (
	"errors"
	"fmt"
	"time"

	"parley/tools"
)

// An Upload is a document to be taken in.
type Upload struct {
	Name      string // of the file, e.g. "guide.md"; adding the same name again replaces the document
	MediaType string // text/plain, text/markdown, text/html or application/pdf; "": told from name and data
	Source    string // where it comes from, e.g. its URL; may be empty
	Data      []byte // a PDF, or text in UTF-8, or in UTF-16 with a byte order mark
}

// A Document is a text that can be searched.
type Document struct {
	ID        string    `json:"id"` // stays when the document is replaced; the part of a ref before the colon
	Name      string    `json:"name"`
	Title     string    `json:"title"`
	MediaType string    `json:"mediaType"` // of Text: text/markdown if HTML was added, text/plain if a PDF was
	Source    string    `json:"source,omitempty"`
	Edition   int64     `json:"edition"` // a new number each time the document is replaced
	Runes     int       `json:"runes"`   // length of Text in Unicode code points
	Chunks    int       `json:"chunks"`
	AddedAt   time.Time `json:"addedAt"` // in UTC, to the millisecond

	// Text is what passages are offsets into. Lists leave it out.
	Text string `json:"text,omitempty"`
}

// A Query is the body of POST /v1/retrieval.
type Query struct {
	Query string `json:"query"`
	Limit int    `json:"limit,omitempty"` // 0: the default of [Options]; more than its maximum is cut to that
}

// An Answer is what POST /v1/retrieval answers with: the best passage first,
// none if no word of the query is known.
type Answer struct {
	Passages []Passage `json:"passages"` // never null
}

// A Passage is a chunk of a document that fits a query. Its offsets point
// into [Document.Text].
type Passage struct {
	tools.Source
	Score float64 `json:"score"` // above 0; comparable within one answer only
}

// A Kind says in which way an [Upload] cannot be taken in.
type Kind string

// The kinds of an [UploadError].
const (
	BadName  Kind = "bad_name"  // the name is missing or too long
	TooLarge Kind = "too_large" // more bytes, pages or chunks than are allowed
	TooSlow  Kind = "too_slow"  // reading it takes longer than is allowed
	NotText  Kind = "not_text"  // binary, or in an encoding that is not read
	NoText   Kind = "no_text"   // nothing to read in it
	Locked   Kind = "encrypted" // nothing to read without a password
	Damaged  Kind = "damaged"   // it cannot be made out
)

// An UploadError is an upload's own fault; its message says what to do.
type UploadError struct {
	Name   string
	Kind   Kind
	Reason string
}

func (e *UploadError) Error() string { return fmt.Sprintf("rag: %q: %s", e.Name, e.Reason) }

func refuse(name string, kind Kind, format string, args ...any) error {
	return &UploadError{Name: name, Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// What [Tables] answer when somebody else was first. Neither leaves this
// package but after several attempts.
var (
	ErrConflict = errors.New("rag: the documents changed meanwhile; try again")
	ErrStale    = errors.New("rag: the index changed meanwhile; try again")
)
