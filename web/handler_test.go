package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const script = "console.log('one replica after another, and another after that one')\n"

func testSite(t *testing.T, app string) *Site {
	t.Helper()
	s, err := newSite(fstest.MapFS{
		"index.html": {Data: []byte(`<script src="./boot.js"></script><script type="module" src="./app.js"></script>`)},
		"app.js":     {Data: []byte(strings.Repeat(app, 20))},
		"f.woff2":    {Data: []byte("font")},
		".srchash":   {Data: []byte("abc")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(s http.Handler, path string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPageNamesItsFilesByHash(t *testing.T) {
	s := testSite(t, script)
	for _, path := range []string{"/", "/c/c0123", "/console", "/console/tools/get_order"} {
		r := get(s, path)
		page := body(t, r)
		m := regexp.MustCompile(`src="(/_/[0-9a-f]{12}/app\.js)"`).FindStringSubmatch(page)
		if m == nil || strings.Contains(page, `"./`) {
			t.Fatalf("%s: no addresses with a hash in %s", path, page)
		}
		f := get(s, m[1])
		if got := body(t, f); got != strings.Repeat(script, 20) {
			t.Errorf("%s: %s is %q", path, m[1], got)
		}
		if got := f.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s may be kept: %q", m[1], got)
		}
		if got := r.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s may be kept: %q", path, got)
		}
	}
}

func TestHashFollowsTheFiles(t *testing.T) {
	if a, b := testSite(t, script), testSite(t, script+" "); a.hash == b.hash {
		t.Errorf("two builds are both %s", a.hash)
	}
}

func TestUnknownHashGetsTheCurrentFileNotToBeKept(t *testing.T) {
	r := get(testSite(t, script), "/_/0123456789ab/app.js")
	if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, Cache-Control %q", r.Status, r.Header.Get("Cache-Control"))
	}
}

func TestPageHeaders(t *testing.T) {
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
			"connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
			"require-trusted-types-for 'script'; trusted-types dompurify parley",
		"Content-Type":               "text/html; charset=utf-8",
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
	}
	got := map[string]string{}
	r := get(testSite(t, script), "/")
	for k := range want {
		got[k] = r.Header.Get(k)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCompression(t *testing.T) {
	s := testSite(t, script)
	path := "/_/" + s.hash + "/app.js"
	for _, c := range []struct {
		accept string
		zipped bool
	}{
		{"gzip", true},
		{"br, gzip;q=0.5", true},
		{"*", true},
		{"", false},
		{"br", false},
		{"gzip;q=0, *", false},
	} {
		r := get(s, path, "Accept-Encoding", c.accept)
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != c.zipped {
			t.Errorf("Accept-Encoding %q: compressed %v, want %v", c.accept, got, c.zipped)
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary", c.accept)
		}
	}
	r := get(s, path, "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != strings.Repeat(script, 20) {
		t.Errorf("unzipped: %v, %q", err, b)
	}
	if got := get(s, "/_/"+s.hash+"/f.woff2", "Accept-Encoding", "gzip").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("a font, which is compressed already, comes as %s", got)
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	s := testSite(t, script)
	path := "/_/" + s.hash + "/app.js"
	for _, accept := range []string{"gzip", ""} {
		tag := get(s, path, "Accept-Encoding", accept).Header.Get("ETag")
		again := get(s, path, "Accept-Encoding", accept, "If-None-Match", `W/"other", `+tag)
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%q with ETag %s: %s", accept, tag, again.Status)
		}
	}
	if zipped, plain := get(s, path, "Accept-Encoding", "gzip").Header.Get("ETag"), get(s, path).Header.Get("ETag"); zipped == plain {
		t.Errorf("both encodings have ETag %s", plain)
	}
}

func TestWhatIsNotServed(t *testing.T) {
	s := testSite(t, script)
	for _, path := range []string{"/nowhere", "/c/", "/c/a/b", "/_/", "/_/" + s.hash + "/", "/_/" + s.hash + "/.srchash", "/_/" + s.hash + "/index.html", "/_/" + s.hash + "/../app.js", "/app.js"} {
		if r := get(s, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /: %d", w.Code)
	}
}

func TestEmbeddedPage(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	page := body(t, get(s, "/"))
	addresses := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(addresses) < 3 {
		t.Fatalf("the page has too few files: %s", page)
	}
	for _, a := range addresses {
		if r := get(s, a[1]); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", a[1], r.Status)
		}
	}
	if strings.Contains(page, "<style") || regexp.MustCompile(`<script(?:\s[^>]*)?>[^<]`).MatchString(page) {
		t.Errorf("something is inline, which the policy forbids: %s", page)
	}
}

func TestFirstLoadIsSmall(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	const budget = 64 << 10
	if n := len(s.files["app.js"].zipped) + len(s.files["app.css"].zipped); n > budget {
		t.Errorf("app.js and app.css are %d bytes compressed, more than %d", n, budget)
	}
}
