package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"log/slog"

	"parley/gateway/store"
	"parley/tools/pdf"
	"parley/tools/rag"
)

// own are Parley's own documents, the first to retrieve from: copies of the
// project's README and ARCHITECTURE, which a test compares with them.
//
//go:embed own/*.md
var own embed.FS

// A PDF that is searched may say more than one that a model is shown.
const (
	documentWords = 8 << 20    // bytes
	documentSteps = 40_000_000 // drawing operators and glyphs
)

func documentsOf(s settings) rag.Options {
	return rag.Options{MaxBytes: s.MaxDocument, PDFs: pdfs(pdf.Limits{
		Bytes: s.MaxDocument, Pages: s.DocumentPages, Text: documentWords, Steps: documentSteps, Time: s.DocumentTime,
	})}
}

// addOwnDocuments adds Parley's documents once for each version of them, so
// that an operator who deletes one is not given it again.
func addOwnDocuments(ctx context.Context, db *store.DB, documents *rag.Service, log *slog.Logger) error {
	entries, err := own.ReadDir("own")
	if err != nil {
		return fmt.Errorf("own documents: %w", err)
	}
	for _, e := range entries {
		b, err := own.ReadFile("own/" + e.Name())
		if err != nil {
			return fmt.Errorf("own documents: %w", err)
		}
		if err := addOnce(ctx, db, documents, e.Name(), b); err != nil && ctx.Err() == nil {
			log.Warn("own documents", "name", e.Name(), "error", err) // it answers without them
		}
	}
	return nil
}

func addOnce(ctx context.Context, db *store.DB, documents *rag.Service, name string, b []byte) error {
	sum := sha256.Sum256(b)
	mine := []byte(rand.Text())
	first, err := db.Secret(ctx, "own-document:"+name+":"+hex.EncodeToString(sum[:8]), mine)
	if err != nil || !bytes.Equal(first, mine) {
		return err
	}
	_, err = documents.Add(ctx, rag.Upload{Name: name, MediaType: "text/markdown", Source: name, Data: b})
	return err
}
