package tools

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
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

// FuzzShape runs any expression on any JSON: it is refused, or ends in time,
// and what it makes is of bearable size.
func FuzzShape(f *testing.F) {
	for _, seed := range [][2]string{
		{".a", `{"a":1}`},
		{"[range(1e12)]", "1"},
		{"def f: f; f", "1"},
		{`"\(.)\(.)"`, `"x"`},
		{". * 1e9", `"x"`},
		{"..|=.", "[[]]"},
		{"{(.a):1}", `{"a":"b"}`},
		{"reduce .[] as [$a,$b] (0; . + $a * $b)", "[[1,2],[3,4]]"},
		{`.[] | @base64 "x"`, "[1]"},
		{"limit(3; repeat(.))", "[]"},
		{"label $f | 1, break $f", "1"},
		{"try error catch .", "1"},
		{". as {a: $x} ?// [$x] | $x", "[1]"},
		{"-.a", `{"a":-1}`},
		{".[1:]?", `"abc"`},
		{"if . then [.] else {a:.} end", "null"},
		{`test("(a+)+$")`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaab"`},
		{"[splits(\"\")]", `"abc"`},
		{"tojson|fromjson", "[1e1000]"},
		{"@json \"x\\(.)\"", "1"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, expr, doc string) {
		v, err := decodeJSON([]byte(doc))
		if err != nil || len(doc) > 1<<16 {
			return
		}
		s, err := parseShape(expr)
		if err != nil || s == nil {
			return
		}
		began := time.Now()
		vs, err := s.run(t.Context(), v)
		if took := time.Since(began); took > 4*shapeTime {
			t.Errorf("%q took %v", expr, took)
		}
		nodes, size := 2*shapeNodes, 2*shapeBytes
		if err == nil && !fits(vs, &nodes, &size) {
			t.Errorf("%q makes too much", expr)
		}
	})
}

// FuzzShorten cuts any text: it is of the length asked for, and JSON if it was.
func FuzzShorten(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"a":[1,2,3,4,5,6,7,8,9]}`, "[" + strings.Repeat(`"é",`, 200) + "1]", strings.Repeat("[", 200) + strings.Repeat("]", 200), `{"a":1,"a":2}`, "\xff[1]", `["` + strings.Repeat(`\u0000`, 200) + `"]`} {
		f.Add(seed, 50)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 50 || limit > 10000 || len(s) > 1<<16 {
			return
		}
		got, cut := Shorten(s, limit, func() string { return "Less." })
		if cut != (Tokens(s) > limit) || !cut && got != s {
			t.Errorf("%q: cut %v", s, cut)
		}
		if n := Tokens(got); cut && n > limit+30 {
			t.Errorf("%d tokens of %d: %q", n, limit, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q is no text", got)
		}
	})
}

func BenchmarkShorten(b *testing.B) {
	for name, doc := range map[string]string{
		"numbers": "[" + strings.Repeat("1,", 2<<20-2) + "1]",
		"objects": `{"items":[` + strings.Repeat(`{"id":1,"name":"Ann","text":"some words of it"},`, 80_000) + `{}]}`,
		"members": "{" + strings.Repeat(`"some key":1,`, 300_000) + `"x":1}`,
		"lists":   "[" + strings.Repeat("["+strings.Repeat("1,", 99)+"1],", 20_000) + "1]",
		"text":    strings.Repeat("words ", 700_000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				Shorten(doc, DefaultMaxTokens, func() string { return "" })
			}
		})
	}
}
