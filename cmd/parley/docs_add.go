package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/tools/rag"
)

// A file to be taken in, under a name of its own.
type upload struct {
	path, name string
	size       int64
}

// add sends files one after the other. One that is refused does not keep the
// others from being taken in.
func (d *docs) add(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return usagef("docs add needs files or folders")
	}
	files, err := findUploads(paths)
	if err != nil {
		return err
	}
	bar := d.bar(files)
	var failed []error
	passages := 0
	for _, f := range files {
		doc, err := d.send(ctx, f, bar)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", f.path, err))
			continue
		}
		passages += doc.Chunks
		if bar == nil {
			fmt.Fprintf(d.app.stdout, "%s  %s, %s\n", doc.ID, plain.Line(doc.Title), count(doc.Chunks, "passage"))
		}
	}
	if bar != nil {
		_ = bar.Finish()
		fmt.Fprintln(d.app.stderr)
	}
	return d.added(len(files)-len(failed), passages, failed)
}

func (d *docs) added(n, passages int, failed []error) error {
	for _, err := range failed {
		fmt.Fprintf(d.app.stderr, "parley: %v\n", err)
	}
	if n > 0 {
		fmt.Fprintf(d.app.stdout, "%s taken in, %s\n", count(n, "document"), count(passages, "passage"))
	}
	if len(failed) > 0 {
		return exitError(exitFailed)
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// bar shows how many bytes are sent, on a terminal and for more than a glance.
func (d *docs) bar(files []upload) *progressbar.ProgressBar {
	if !d.app.isTerminal(d.app.stderr) {
		return nil
	}
	var total int64
	for _, f := range files {
		total += f.size
	}
	return progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(d.app.stderr), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription(count(len(files), "document")), progressbar.OptionThrottle(65*time.Millisecond),
		progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true))
}

func (d *docs) send(ctx context.Context, f upload, bar *progressbar.ProgressBar) (rag.Document, error) {
	var doc rag.Document
	file, err := os.Open(f.path)
	if err != nil {
		return doc, reason(err)
	}
	defer file.Close()
	var body io.Reader = file
	if bar != nil {
		body = io.TeeReader(file, bar)
	}
	if f.size == 0 {
		body = http.NoBody
	}
	err = d.api.Do(ctx, client.Request{
		Method: http.MethodPost, Path: "/v1/documents", Query: url.Values{"name": {f.name}},
		Body: body, MediaType: mediaType(f.path), Size: f.size,
	}, &doc)
	return doc, err
}

// mediaTypes are the files that are taken of a folder.
func mediaTypes() map[string]string {
	return map[string]string{
		".md": "text/markdown", ".markdown": "text/markdown", ".mdx": "text/markdown",
		".html": "text/html", ".htm": "text/html", ".xhtml": "text/html",
		".txt": "text/plain", ".text": "text/plain", ".rst": "text/plain", ".adoc": "text/plain", ".org": "text/plain",
		".pdf": "application/pdf",
	}
}

// mediaType says what a file is by its name. What is not known is sent as
// plain text, and refused by the server if it is none.
func mediaType(path string) string {
	if t := mediaTypes()[strings.ToLower(filepath.Ext(path))]; t != "" {
		return t
	}
	return "text/plain"
}

// findUploads lists the files that paths mean: a file as it is, of a folder
// those of known types in it.
func findUploads(paths []string) ([]upload, error) {
	var files []upload
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, reason(err))
		}
		if !info.IsDir() {
			files = append(files, upload{p, filepath.Base(p), info.Size()})
			continue
		}
		found, err := walk(p)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: the folder has no text, Markdown, HTML or PDF file", p)
		}
		files = append(files, found...)
	}
	return files, distinct(files)
}

func walk(root string) (files []upload, err error) {
	err = filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", p, reason(err))
		}
		if p != root && strings.HasPrefix(e.Name(), ".") {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !e.Type().IsRegular() || mediaTypes()[strings.ToLower(filepath.Ext(p))] == "" {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		files = append(files, upload{p, filepath.ToSlash(name), info.Size()})
		return err
	})
	return files, err
}

// distinct refuses two files of one name, of which the second would silently
// replace the first.
func distinct(files []upload) error {
	seen := map[string]string{}
	for _, f := range files {
		if other, ok := seen[f.name]; ok {
			return fmt.Errorf("%s and %s would both be called %s; add a folder that holds both", other, f.path, f.name)
		}
		seen[f.name] = f.path
	}
	return nil
}
