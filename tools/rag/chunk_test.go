package rag

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		name, text string
		size       int
		want       []string
	}{
		{"short text is one chunk", "One. Two.", 20, []string{"One. Two."}},
		{"paragraphs first", "aa aa\nbb bb\n\ncc cc\ndd dd", 14, []string{"aa aa\nbb bb", "cc cc\ndd dd"}},
		{"then lines", "aa aa. aa\nbb bb. bb", 12, []string{"aa aa. aa", "bb bb. bb"}},
		{"then sentences", "Aa aa aa. Bb bb! Cc", 12, []string{"Aa aa aa.", "Bb bb! Cc"}},
		{"then words", "aaaa bbbb cccc", 10, []string{"aaaa bbbb", "cccc"}},
		{"then anywhere", "aaaaaaaaaaaa", 5, []string{"aaaaa", "aaaaa", "aa"}},
		{"not before a combining mark", "aaaae\u0301bbb", 5, []string{"aaaa", "e\u0301bbb"}},
		{"sentences without spaces", "天地玄黄。宇宙洪荒。日月", 6, []string{"天地玄黄。", "宇宙洪荒。", "日月"}},
		{"a quote stays with its sentence", `He said "go." Then left`, 16, []string{`He said "go."`, "Then left"}},
		{"what follows fills the rest of a long paragraph", "aaaa bbbb cc\n\ndd", 10, []string{"aaaa bbbb", "cc\n\ndd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range cut(c.text, plainSections(c.text), c.size, 100) {
				got = append(got, c.text[p.start:p.end])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCutMarkdown(t *testing.T) {
	const text = "Before.\n\n# Guide\n\n## Install *it*\n\nRun `make`.\n\n```sh\n# no heading\n```\n\nUse\n===\n\nText [a](b).\n\n## Deep ##\nx\n\n#no heading\n"
	type chunk struct {
		Headings []string
		Text     string
	}
	want := []chunk{
		{nil, "Before."},
		{[]string{"Guide", "Install *it*"}, "# Guide\n\n## Install *it*\n\nRun `make`.\n\n```sh\n# no heading\n```"},
		{[]string{"Use"}, "Use\n===\n\nText [a](b)."},
		{[]string{"Use", "Deep"}, "## Deep ##\nx\n\n#no heading"},
	}
	var got []chunk
	for _, p := range cut(text, markdownSections(text), 1000, 100) {
		got = append(got, chunk{p.headings, text[p.start:p.end]})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMarkdownTitle(t *testing.T) {
	for text, want := range map[string]string{
		"text\n\n## First **bold**\n# Second": "First bold",
		"---\ntitle: \"From YAML\"\n---\n# H": "From YAML",
		"---\nx: y\n---\nSet\n---\n":          "Set",
		"- item\n---\n":                       "",
		"#\n# [Link](x) \\_ #":                "Link _",
		"~~~\n# code\n~~~~\n# Title":          "Title",
		"# " + strings.Repeat("é", 300):       strings.Repeat("é", maxHeading-1) + "…",
	} {
		if got := markdownTitle(text); got != want {
			t.Errorf("%.40q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzCut holds chunks to their promise: in order, apart, within their size,
// true to their offsets, and nothing but white space left out.
func FuzzCut(f *testing.F) {
	f.Add("# A\n\ntext\n\n## B\nmore. And more!\n", uint8(10))
	f.Add("aaaa\u0301\u0301\u0301\u0301bb", uint8(1))
	f.Add("---\nt: x\n---\nTitle\n===\n```\n# x", uint8(7))
	f.Add("天地玄黄。宇宙\n \t\n洪荒", uint8(3))
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		text = clean(strings.ToValidUTF8(text, "?")) // as read leaves it
		size := int(n)%50 + 1
		runes := []rune(text)
		at := 0
		for i, p := range cut(text, markdownSections(text), size, len(text)+1) {
			chunk := text[p.start:p.end]
			if !utf8.ValidString(chunk) || utf8.RuneCountInString(chunk) > size {
				t.Fatalf("chunk %d is %q, more than %d runes or cut within one", i, chunk, size)
			}
			if string(runes[p.runes.start:p.runes.end]) != chunk {
				t.Fatalf("chunk %d is not at its offsets %v", i, p.runes)
			}
			if p.start < at || strings.TrimSpace(chunk) == "" || strings.TrimSpace(text[at:p.start]) != "" {
				t.Fatalf("chunk %d at %d overlaps, is blank or leaves out %q", i, p.start, text[min(at, p.start):p.start])
			}
			for _, h := range p.headings {
				if h == "" || strings.ContainsFunc(h, unicode.IsControl) || utf8.RuneCountInString(h) > maxHeading {
					t.Fatalf("chunk %d is under %q", i, h)
				}
			}
			at = p.end
		}
		if strings.TrimSpace(text[at:]) != "" {
			t.Fatalf("left out %q at the end", text[at:])
		}
	})
}
