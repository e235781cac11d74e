// Package openapi is the way from an OpenAPI document, version 2.0, 3.0, 3.1
// or 3.2 and in JSON or YAML, to tools: document in, a report and the tools'
// declarations out. It fetches nothing and stores nothing.
//
// Documents come from strangers and many break their own rules, so a document
// is read for what it says and never refused for what it should not: what
// cannot be used is left out, and the report says so. Whatever a document
// holds, reading it ends within the limits of [Options].
package openapi

import (
	"cmp"
	"context"
	"fmt"

	"parley/tools"
)

// Options are the limits of an import and what its owner chooses. The zero
// value is the default.
type Options struct {
	From      string            // the document's address; empty means that it has none
	Base      string            // address to call instead of the document's; see [Report.Base]
	Variables map[string]string // values of the servers' variables
	Prefix    string            // of the tools' names

	MaxBytes      int // of the document; zero means 16 MiB
	MaxOperations int // that are read; zero means 10,000
	MaxSchema     int // bytes of a tool's parameters; zero means 16 KiB

	Progress func(built, of int) // is told how many operations have become tools; nil means nobody is
}

func (o Options) withDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, 16<<20)
	o.MaxOperations = cmp.Or(o.MaxOperations, 10_000)
	o.MaxSchema = cmp.Or(o.MaxSchema, 16<<10)
	return o
}

// A Report is what a document comes to.
type Report struct {
	Title   string `json:"title,omitempty"`
	Version string `json:"version,omitempty"` // of the described API
	OpenAPI string `json:"openapi"`           // the version that the document says it is written in
	From    string `json:"from"`              // the document's address, or its title and host: what [tools.Import] has

	// Base is where most operations are called; empty if the document does
	// not say and none was given. A base without a path is put before the
	// path of the document's server, one with a path (a lone slash is one)
	// stands in its place.
	Base    string   `json:"base,omitempty"`
	Servers []string `json:"servers,omitempty"` // all that the document names

	Auth       []Auth      `json:"auth,omitempty"`
	Warnings   []string    `json:"warnings,omitempty"`
	Operations []Operation `json:"operations"` // by path and method
}

// An Operation is one of a document's operations, and the tool made of it.
type Operation struct {
	Operation  string   `json:"operation"`    // method and path, as in "GET /pets/{petId}"
	ID         string   `json:"id,omitempty"` // its operationId
	Name       string   `json:"name"`         // of the tool
	Tags       []string `json:"tags,omitempty"`
	Summary    string   `json:"summary,omitempty"`
	Deprecated bool     `json:"deprecated,omitempty"`

	Skipped   string   `json:"-"`              // why no tool could be made of it
	NeedsBase bool     `json:"-"`              // the tool's URL is only a path: a base must be given
	Auth      []string `json:"auth,omitempty"` // alternatives, each the names of schemes joined by "and"
	Warnings  []string `json:"warnings,omitempty"`

	Tool tools.Endpoint `json:"-"` // valid unless Skipped or NeedsBase
}

// Import reads a document. Its error is a [*tools.FieldError] whose field is
// "document", "base" or "variables", or ctx's.
func Import(ctx context.Context, doc []byte, o Options) (*Report, error) {
	o = o.withDefaults()
	if len(doc) > o.MaxBytes {
		return nil, fault("document", "it is larger than the %d bytes that are allowed", o.MaxBytes)
	}
	root, warnings, err := parse(ctx, doc)
	if err != nil {
		return nil, err
	}
	d, err := newDocument(ctx, root, o)
	if err != nil {
		return nil, err
	}
	d.warnings.add(warnings...)
	return d.report()
}

func fault(field, format string, args ...any) error {
	return &tools.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}
