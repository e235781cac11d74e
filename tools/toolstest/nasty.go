// Package toolstest is what tools are tested against: servers that speak the
// real protocols, well and badly. They are plain handlers, for httptest and
// for a process of their own alike.
package toolstest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Nasty is a service that does everything wrong that a service can do, a path
// for each:
//
//	/echo           answers with the request as JSON, an [Echo]
//	/status/{code}  that status, with {"message": …} as JSON
//	/timeout        never answers; ends with the request
//	/drip           a byte every 20 ms, for ever
//	/500            a stack trace as text
//	/html           a page, with status 200
//	/html-error     a page, with status 502
//	/huge           100 MB of JSON
//	/huge-text      100 MB of text in which every character has three bytes
//	/invalid-json   text that says it is JSON
//	/truncated      less than Content-Length says
//	/binary         an image
//	/empty          status 204
//	/latin1         text in ISO 8859-1
//	/metadata       a redirect to http://169.254.169.254/
//	/elsewhere      a redirect to another origin
//	/loop           a redirect to itself
//	/moved          one redirect to /echo, within the origin
//	/file           a redirect to file:///etc/passwd
//	/headers        1 MB of headers
//	/bomb           100 MB of the digit 0 as gzip, not asked for
//	/gzip           {"ok":true} as gzip, not asked for
//	/not-gzip       text that says it is gzip
//	/hangup         closes the connection without an answer
//	/reflect        an error that repeats every header it was sent
func Nasty() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, f http.HandlerFunc) { mux.HandleFunc(path, f) }
	text := func(status int, media, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	handle("/", echo)
	handle("/status/{code}", status)
	handle("/timeout", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	handle("/drip", drip)
	handle("/500", text(500, "text/plain", "Traceback (most recent call last):\n  File \"app.py\", line 1\nKeyError: 'x'"))
	handle("/html", text(200, "text/html; charset=utf-8", page))
	handle("/html-error", text(502, "text/html", page))
	handle("/huge", huge("application/json", `["`, "a", `"]`))
	handle("/huge-text", huge("text/plain; charset=utf-8", "", "€", ""))
	handle("/invalid-json", text(200, "application/json", `{"temperature": 12, oops`))
	handle("/truncated", truncated)
	handle("/binary", text(200, "image/png", "\x89PNG\r\n\x1a\n\x00\x00\x00"))
	handle("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handle("/latin1", text(200, "text/plain; charset=iso-8859-1", "caf\xe9"))
	handle("/metadata", redirect("http://169.254.169.254/latest/meta-data/"))
	handle("/elsewhere", redirect("https://example.com/"))
	handle("/loop", redirect("/loop"))
	handle("/moved", redirect("/echo"))
	handle("/file", redirect("file:///etc/passwd"))
	handle("/headers", manyHeaders)
	handle("/bomb", zipped(io.LimitReader(zeros{}, 100<<20)))
	handle("/gzip", zipped(strings.NewReader(`{"ok":true}`)))
	handle("/not-gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "not gzip at all")
	})
	handle("/hangup", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	handle("/reflect", reflect)
	return mux
}

const page = `<!doctype html><html><head><title>Sorry</title><script>var secret = 1 < 2;</script><style>p{}</style></head>
<body><h1>Bad&nbsp;gateway</h1><p>The <b>upstream</b> server &amp; its cache<br>did not answer.</p></body></html>`

// An Echo is a request as the server saw it.
type Echo struct {
	Method  string              `json:"method"`
	URI     string              `json:"uri"` // as on the wire
	Path    string              `json:"path"`
	Query   map[string][]string `json:"query"`
	Headers map[string]string   `json:"headers"`
	Body    string              `json:"body,omitempty"`
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	e := Echo{Method: r.Method, URI: r.RequestURI, Path: r.URL.Path, Query: r.URL.Query(), Body: string(body), Headers: map[string]string{}}
	for name := range r.Header {
		e.Headers[name] = r.Header.Get(name)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(e)
}

func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		code = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "7")
	}
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"message":"this is status %d"}`, code)
}

func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(w, "x"); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func huge(media, before, unit, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, before)
		block := bytes.Repeat([]byte(unit), 30_000/len(unit))
		for n := 0; n < 100<<20; n += len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, after)
	}
}

func truncated(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"half":`)
}

func manyHeaders(w http.ResponseWriter, _ *http.Request) {
	for i := range 1000 {
		w.Header().Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat("x", 1000))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func zipped(content io.Reader) http.HandlerFunc {
	packed := sync.OnceValue(func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.Copy(z, content)
		_ = z.Close()
		return b.Bytes()
	})
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed())
	}
}

// reflect repeats what it was sent in every way that a careless server does.
func reflect(w http.ResponseWriter, r *http.Request) {
	var said []string
	for name, values := range r.Header {
		said = append(said, name+": "+values[0])
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Has("ok") {
		_ = json.NewEncoder(w).Encode(map[string]any{"headers": said, "query": r.URL.RawQuery})
		return
	}
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": "bad credentials " + r.URL.RawQuery + " " + strings.Join(said, "; ")})
}
