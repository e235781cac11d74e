package tools

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DefaultMaxTokens is what a result has at most, unless the endpoint or the
// operator says otherwise.
const DefaultMaxTokens = 8000

// MaxMaxTokens is the most that an endpoint may ask for.
const MaxMaxTokens = 200_000

// shortened is [Shorten] with advice in terms of the tool's own parameters.
func (x *exchange) shortened(content string, limit int) (string, bool) {
	return Shorten(content, limit, func() string { return less(maps.Keys(x.plan.params.props)) })
}

// Shorten returns content with at most about limit tokens, and whether it was
// longer. Of JSON the longest lists and texts are cut, and it stays JSON; of
// anything else the end is. A note behind it says so, and, in the words of
// less, how to get less.
func Shorten(content string, limit int, less func() string) (string, bool) {
	if len(content) <= limit || Tokens(content) <= limit { // a token has a byte at least
		return content, false
	}
	note := "\n\n(This was too long and is not whole. " + less() + ")"
	limit = max(limit-Tokens(note)-12, limit/2) // 12 for how much is missing
	if tree, ok := parseTreeOf(content, limit); ok {
		if s, ok := tree.within(limit); ok {
			return s + note, true
		}
	}
	head := cutTokens(content, limit)
	if i := strings.LastIndexByte(head, '\n'); i > len(head)*3/4 {
		head = head[:i]
	}
	return fmt.Sprintf("%s\n… %d more bytes of %d%s", head, len(content)-len(head), len(content), note), true
}

// narrowing are parameters by which less can be asked for, or other parts.
var narrowing = []string{
	"limit", "page", "per_page", "perpage", "pagesize", "page_size", "size", "count", "top", "first", "max", "maxresults", "max_results",
	"offset", "start", "skip", "cursor", "after", "next", "fields", "select", "filter", "q", "query",
}

// less says how to get less, in terms of the tool's own parameters.
func less(params iter.Seq[string]) string {
	var names []string
	for name := range params {
		if slices.Contains(narrowing, strings.TrimLeft(strings.ToLower(name), "$")) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "The tool has no parameter for pages: more exact arguments may give less."
	}
	slices.Sort(names)
	return "Ask for less, or for another part, with " + strings.Join(names, ", ") + "."
}

// A tree is a JSON value as it is written: its members in their order, of its
// lists only as many items as can matter.
type tree struct {
	raw   string   // of what is neither list nor object
	open  byte     // '[' or '{', 0 for a plain value
	keys  []string // of an object's items
	items []*tree
	total int // items, with those that were passed over
}

// parseTreeOf reads content if it is one JSON list or object. Items behind the
// first most are only counted.
func parseTreeOf(content string, most int) (*tree, bool) {
	content = strings.TrimSpace(content)
	if content == "" || content[0] != '[' && content[0] != '{' || !json.Valid([]byte(content)) {
		return nil, false
	}
	r := treeReader{s: content, most: most}
	return r.value(), true
}

// A treeReader reads valid JSON.
type treeReader struct {
	s    string
	i    int
	most int
}

// next passes over space, commas and colons, and returns what comes.
func (r *treeReader) next() byte {
	for strings.IndexByte(" \t\r\n,:", r.s[r.i]) >= 0 {
		r.i++
	}
	return r.s[r.i]
}

func (r *treeReader) value() *tree {
	open := r.next()
	if open != '[' && open != '{' {
		return &tree{raw: r.plain()}
	}
	t := &tree{open: open}
	for r.i++; r.next() != open+2; t.total++ {
		key := ""
		if open == '{' {
			key = r.plain()
		}
		if t.total >= r.most {
			r.skip()
			continue
		}
		t.keys = append(t.keys, key)
		t.items = append(t.items, r.value())
	}
	r.i++
	return t
}

// plain returns a string with its quotes, a number or a word.
func (r *treeReader) plain() string {
	r.next()
	from := r.i
	if r.s[r.i] != '"' {
		for r.i < len(r.s) && strings.IndexByte(" \t\r\n,]}", r.s[r.i]) < 0 {
			r.i++
		}
		return r.s[from:r.i]
	}
	for r.i++; r.s[r.i] != '"'; r.i++ {
		if r.s[r.i] == '\\' {
			r.i++
		}
	}
	r.i++
	return r.s[from:r.i]
}

// skip passes over a value.
func (r *treeReader) skip() {
	for depth := 0; ; {
		switch r.next() {
		case '[', '{':
			depth++
			r.i++
		case ']', '}':
			depth--
			r.i++
		default:
			r.plain()
		}
		if depth == 0 {
			return
		}
	}
}

// Sizes to which long texts are cut, one after the other, and how many items
// of a list are worth more than the rest of a text.
var textSizes = []int{1 << 30, 2000, 500, 150, 60}

const fewItems = 5

// within returns the tree as JSON of at most about limit tokens. The longest
// lists are cut first, to their first items; if few would be left of them,
// long texts are too.
func (t *tree) within(limit int) (string, bool) {
	longest := t.longest()
	for i, size := range textSizes {
		least := min(fewItems, longest)
		if i == len(textSizes)-1 {
			least = 1
		}
		if s, ok := t.write(limit, least, size); ok {
			return t.most(limit, least, longest, size, s), true
		}
	}
	return "", false
}

// most returns the text with the most items that fits; with lo, as s, it does.
func (t *tree) most(limit, lo, hi, size int, s string) string {
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if longer, ok := t.write(limit, mid, size); ok {
			lo, s = mid, longer
		} else {
			hi = mid - 1
		}
	}
	return s
}

func (t *tree) longest() int {
	n := len(t.items)
	for _, item := range t.items {
		n = max(n, item.longest())
	}
	return n
}

// write returns the tree with at most items of each list, objects with many
// members among them, and size characters of each text, if that has at most
// limit tokens.
func (t *tree) write(limit, items, size int) (string, bool) {
	w := treeWriter{left: limit, items: items, size: size}
	w.value(t)
	return w.b.String(), w.left >= 0
}

type treeWriter struct {
	b           bytes.Buffer
	left        int // quarters of tokens are lost at each piece: it is an estimate
	items, size int
}

func (w *treeWriter) put(s string) {
	w.left -= Tokens(s)
	if w.left >= 0 {
		w.b.WriteString(s)
	}
}

// manyMembers is how many an object has at least that is cut like a list: one
// with fewer has different things in it.
const manyMembers = 40

func (w *treeWriter) value(t *tree) {
	if w.left < 0 {
		return
	}
	if t.open == 0 {
		w.plain(t)
		return
	}
	n := len(t.items)
	if t.total > w.items && (t.open == '[' || t.total >= manyMembers) {
		n = min(n, w.items)
	}
	w.b.WriteByte(t.open)
	for i := 0; i < n && w.left >= 0; i++ {
		if i > 0 {
			w.b.WriteByte(',')
		}
		if t.open == '{' {
			w.put(t.keys[i] + ":")
		}
		w.value(t.items[i])
	}
	w.rest(t, n)
	w.left-- // brackets and commas
	w.b.WriteByte(t.open + 2)
}

// rest says how many items are missing behind the first n.
func (w *treeWriter) rest(t *tree, n int) {
	if n == t.total {
		return
	}
	if n > 0 {
		w.b.WriteByte(',')
	}
	note := fmt.Sprintf(`"… %d more of %d"`, t.total-n, t.total)
	if t.open == '{' {
		note = `"…":` + strings.Replace(note, "… ", "", 1)
	}
	w.put(note)
}

func (w *treeWriter) plain(t *tree) {
	var text string
	if len(t.raw) <= w.size || json.Unmarshal([]byte(t.raw), &text) != nil {
		w.put(t.raw)
		return
	}
	runes := 0
	for i := range text {
		if runes++; runes > w.size {
			rest := utf8.RuneCountInString(text[i:])
			w.put(string(compactJSON(text[:i] + "… (" + strconv.Itoa(rest) + " more characters)")))
			return
		}
	}
	w.put(t.raw)
}
