package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Content-Security-Policy of the page: nothing but Parley's own files and
// sockets, nothing inline, and no HTML from strings except through the two
// named policies (https://www.w3.org/TR/trusted-types/).
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
	"connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types dompurify parley"

const (
	prefix    = "/_/" // of the addresses of files; their hash follows
	indexFile = "index.html"
	immutable = "public, max-age=31536000, immutable"
)

// A Site serves the page: itself at /, /c/{conversation} and /console/…, its files below
// /_/{hash}/, where hash stands for all of them together, so that they may be
// kept for ever. A hash of another build gets the current file, not to be
// kept: in a rolling deploy a new page may ask an old replica.
//
// All methods may be called concurrently.
type Site struct {
	hash  string
	files map[string]*file // by name; the index has its addresses rewritten
}

// New returns the site of the embedded files.
func New() (*Site, error) {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return newSite(sub)
}

func newSite(fsys fs.FS) (*Site, error) {
	bodies, err := readAll(fsys)
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	index, ok := bodies[indexFile]
	if !ok {
		return nil, fmt.Errorf("web: dist has no %s: run make web", indexFile)
	}
	s := &Site{hash: hashOf(bodies), files: map[string]*file{}}
	bodies[indexFile] = bytes.ReplaceAll(index, []byte(`"./`), []byte(`"`+prefix+s.hash+`/`))
	for name, body := range bodies {
		if s.files[name], err = newFile(name, body); err != nil {
			return nil, fmt.Errorf("web: %s: %w", name, err)
		}
	}
	return s, nil
}

// ServeHTTP answers GET and HEAD.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD.", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case r.URL.Path == "/" || isConversation(r.URL.Path) || isConsole(r.URL.Path):
		s.serveIndex(w, r)
	case strings.HasPrefix(r.URL.Path, prefix):
		s.serveFile(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Site) serveIndex(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	s.files[indexFile].serve(w, r)
}

func (s *Site) serveFile(w http.ResponseWriter, r *http.Request) {
	hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/")
	f := s.files[name]
	if f == nil || name == indexFile {
		http.NotFound(w, r)
		return
	}
	keep := immutable
	if hash != s.hash {
		keep = "no-store"
	}
	w.Header().Set("Cache-Control", keep)
	f.serve(w, r)
}

// isConversation reports whether p is the address of a conversation, which
// the page itself resolves.
func isConversation(p string) bool {
	id, ok := strings.CutPrefix(p, "/c/")
	return ok && id != "" && !strings.Contains(id, "/")
}

// isConsole reports whether p is an address within the console.
func isConsole(p string) bool { return p == "/console" || strings.HasPrefix(p, "/console/") }

// readAll returns what is to be served, by name. Files whose names begin with
// a dot are about the build.
func readAll(fsys fs.FS) (map[string][]byte, error) {
	bodies := map[string][]byte{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		bodies[name], err = fs.ReadFile(fsys, name)
		return err
	})
	return bodies, err
}

// serve writes f in the encoding that the client takes, or 304.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	body, etag := f.body, f.etag
	if f.zipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			body, etag = f.zipped, f.etag+"-gz"
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:12]
}
