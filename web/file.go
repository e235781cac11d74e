package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A file is one file as it is served, compressed once.
type file struct {
	contentType string
	etag        string // without quotes
	body        []byte
	zipped      []byte // nil if compressing does not pay
}

func newFile(name string, body []byte) (*file, error) {
	f := &file{contentType: contentType(name), etag: shortHash(body), body: body}
	if !strings.Contains(f.contentType, "charset") {
		return f, nil
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if b.Len() < len(body) {
		f.zipped = b.Bytes()
	}
	return f, nil
}

// contentType does not ask package mime, whose answer depends on the
// computer. Types with a charset are text and worth compressing.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".svg":
		return "image/svg+xml; charset=utf-8"
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}

// acceptsGzip reads an Accept-Encoding header (RFC 9110, 12.5.3): gzip named
// there, or anything, and not with weight 0.
func acceptsGzip(header string) bool {
	any := false
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		_, q, weighted := strings.Cut(params, "=")
		weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		ok := !weighted || err == nil && weight > 0
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip":
			return ok
		case "*":
			any = ok
		}
	}
	return any
}

// hashOf names a set of files by 12 hex digits.
func hashOf(bodies map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		fmt.Fprintf(h, "%s\x00%d\x00", name, len(bodies[name]))
		h.Write(bodies[name])
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}
