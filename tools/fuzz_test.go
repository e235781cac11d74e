package tools

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a value is, the URL keeps its template's scheme, host, number of
// segments and query members.
func FuzzURLTemplate(f *testing.F) {
	const first = "https://api.example:8443/v1/{a}/x-{b}.json?q={c}&fixed=1"
	for _, v := range []string{"Oslo", "", ".", "..", "../..", "a/b", `a\b`, "%2e%2e", "%2F", "?x=1", "#f", "&q=2", "@evil.example", "//evil.example", "\r\nHost: x", "{a}", "\x00", "é", "\xff", ";", ":", "http://x"} {
		f.Add(first, v, v, v)
	}
	f.Add("http://h/{a}{b}", ".", ".", "")
	f.Add("http://h/%2e{a}", ".", "", "")
	f.Add("http://h?{a}={b}", "x&y", "z", "")
	f.Fuzz(func(t *testing.T, tmpl, a, b, c string) {
		q, err := compileRequest(&Request{URL: tmpl}, "")
		if err != nil {
			return
		}
		plain, err := q.target(values{"a": "1", "b": "1", "c": "1"}, nil)
		if err != nil {
			return // it uses other names
		}
		u, err := q.target(values{"a": a, "b": b, "c": c}, nil)
		if err != nil {
			return
		}
		wire, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q is no URL: %v", u, err)
		}
		if wire.Scheme != plain.Scheme || wire.Host != plain.Host || wire.User != nil || wire.Fragment != "" {
			t.Errorf("%q %q %q %q lead to %s", tmpl, a, b, c, wire)
		}
		if strings.Count(wire.EscapedPath(), "/") != strings.Count(plain.EscapedPath(), "/") {
			t.Errorf("%q %q %q %q have other segments: %s", tmpl, a, b, c, wire)
		}
		for segment := range strings.SplitSeq(wire.EscapedPath(), "/") {
			if dots(segment) {
				t.Errorf("%q %q %q %q make a segment of dots: %s", tmpl, a, b, c, wire)
			}
		}
		members := func(u *url.URL) (n int) {
			for _, vs := range u.Query() {
				n += len(vs)
			}
			return n
		}
		if members(wire) != members(plain) {
			t.Errorf("%q %q %q %q have other members: %s", tmpl, a, b, c, wire)
		}
	})
}

// Whatever values a style writes, the URL keeps its scheme, host and number of
// segments, and each argument its own members of the query.
func FuzzStyles(f *testing.F) {
	for _, v := range []string{"Oslo", "", ".", "..", "a/b", "%2e", "?x=1", "#f", "&q=2", "\r\n", ";a=b", ",", "\x00", "\xff", "="} {
		f.Add(v, v, uint8(0))
		f.Add("k", v, uint8(13))
	}
	f.Fuzz(func(t *testing.T, key, v string, n uint8) {
		style := Style{Style: stylesOf("path")[n%3], Explode: n&8 > 0}
		inQuery := Style{Style: stylesOf("query")[n%5], Explode: n&8 > 0, AllowReserved: n&16 > 0}
		q := &request{
			base: "https://api.example", path: []template{{{lit: "v1"}}, {{name: "p"}}, {{lit: "end"}}},
			styles: map[string]styled{"p": {"p", "p", style}}, styled: []styled{{"q", "q", inQuery}},
		}
		for _, arg := range []any{v, []any{v, "x"}, map[string]any{key: v}} {
			u, err := q.target(values{"p": arg, "q": arg}, nil)
			if err != nil {
				continue
			}
			wire, err := url.Parse(u.String())
			if err != nil {
				t.Fatalf("%q is no URL: %v", u, err)
			}
			segments := strings.Split(wire.EscapedPath(), "/")
			if wire.Host != "api.example" || len(segments) != 4 || dots(segments[2]) || wire.Fragment != "" {
				t.Errorf("%q %q lead to %s", key, v, wire)
			}
			members, err := url.ParseQuery(wire.RawQuery)
			if err != nil {
				t.Fatalf("%q %q make no query: %v", key, v, err)
			}
			_, isObject := arg.(map[string]any)
			for name := range members {
				if name != "q" && !strings.HasPrefix(name, "q[") && (!isObject || name != key) {
					t.Errorf("%q %q have another member %q: %s", key, v, name, wire)
				}
			}
		}
	})
}

// What decodes can be compiled, shown and decoded again.
func FuzzDecodeEndpoint(f *testing.F) {
	f.Add(weatherJSON)
	for _, seed := range []string{
		`{"name":"t","description":"d","url":"https://x/{a}","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}`,
		`{"name":"t","description":"d","method":"POST","url":"https://x/","body":{"a":["{a}"]},"parameters":{"type":"object","properties":{"a":{}}},"in":{"a":"body"}}`,
		`{"name":"t","description":"d","url":"https://x/","headers":{"A":"b"},"secretQuery":{"k":"v"},"parameters":{"type":"object","$ref":"#/$defs/a","$defs":{"a":{"$ref":"#"}}}}`,
		`{"name":"t","description":"d","steps":[{"id":"a","url":"https://x/","pick":{"x":null,"y":{"value":"{x}","as":"date","zone":"{x}"}}}],"result":["{x}"]}`,
		`{"name":"t","description":"d","url":"https://x/","body":null,"result":null,"steps":null,"parameters":null}`,
		`{"Parameters":{"type":"object","properties":null}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEndpoint(b)
		if err != nil {
			return
		}
		if _, err := e.Tool(NewClient(ClientOptions{})); err != nil {
			t.Fatalf("valid, yet no tool: %v", err)
		}
		stored, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if len(stored) <= MaxEndpoint {
			if _, err := DecodeEndpoint(stored); err != nil {
				t.Fatalf("not what was stored: %v\n%s", err, stored)
			}
		}
		if _, err := Merge(e, e.Public()); err != nil {
			t.Fatalf("cannot be put back as it is shown: %v", err)
		}
	})
}

func FuzzPointer(f *testing.F) {
	const doc = `{"a":[{"b":null},1,"x"],"":{"~/":2},"0":3}`
	for _, p := range []string{"", "/", "/a/0/b", "/a/-", "/a/01", "/a/+1", "//~0~1", "/0", "a", "/~2", "/~", "/a/99999999999999999999"} {
		f.Add(p, doc)
	}
	f.Fuzz(func(t *testing.T, s, doc string) {
		p, err := parsePointer(s)
		if err != nil || !json.Valid([]byte(doc)) {
			return
		}
		found, ok := p.find(json.RawMessage(doc))
		if ok && !json.Valid(found) {
			t.Errorf("%q found %q, which is no JSON", s, found)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{a}", "{{a}}", "x{a,}y", "{", "}", "{}", "{a{b}}", "}}{{", "{,}"} {
		f.Add(s, "value")
	}
	f.Fuzz(func(t *testing.T, s, v string) {
		tmpl, err := parseTemplate(s)
		if err != nil {
			return
		}
		vs := values{}
		for _, name := range tmpl.names() {
			vs[name] = v
		}
		got, err := tmpl.expand(vs, verbatim)
		if err != nil {
			t.Fatal(err)
		}
		if len(tmpl.names()) == 0 && got != strings.NewReplacer("{{", "{", "}}", "}").Replace(s) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func FuzzHTMLText(f *testing.F) {
	for _, s := range []string{"<p>a<script>b</p>", "<script>", "<<>>&amp;&#0;", "<svg><p>x</svg>y", "a<br/>b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, page string) {
		if got := htmlText([]byte(page)); utf8.ValidString(page) && !utf8.ValidString(got) {
			t.Errorf("%q became %q", page, got)
		}
	})
}
