package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// demoAnswer writes an answer from the results that tools gave, and nothing
// else; ask is what is still to be asked.
func demoAnswer(talk demoTalk, ask string) string {
	var parts []string
	for _, group := range demoGroups(talk.results) {
		parts = append(parts, group.answer(talk.asked())...)
	}
	if ask != "" {
		parts = append(parts, ask)
	}
	if !talk.noted {
		parts = append(parts, demoNote)
	}
	return strings.Join(parts, "\n\n")
}

// A demoGroup is the results of one tool.
type demoGroup struct {
	name string
	good []demoResult
	bad  []demoResult
}

func demoGroups(results []demoResult) []*demoGroup {
	var out []*demoGroup
	for _, r := range results {
		name := r.call.Function.Name
		i := slices.IndexFunc(out, func(g *demoGroup) bool { return g.name == name })
		if i < 0 {
			out = append(out, &demoGroup{name: name})
			i = len(out) - 1
		}
		if r.failed() {
			out[i].bad = append(out[i].bad, r)
		} else {
			out[i].good = append(out[i].good, r)
		}
	}
	return out
}

// failed reports whether the call failed, by the message's own word.
func (r demoResult) failed() bool {
	if r.msg.Error != "" {
		return true
	}
	if meta := r.msg.Metadata; meta != nil && meta.Parley.Outcome != nil {
		return meta.Parley.Outcome.Failed
	}
	return strings.HasPrefix(r.msg.Content, "Error: ")
}

// reason says why a call failed.
func (r demoResult) reason() string {
	text := r.msg.Error
	if meta := r.msg.Metadata; text == "" && meta != nil && meta.Parley.Outcome != nil {
		text = meta.Parley.Outcome.Reason
	}
	if text == "" {
		text = r.msg.Content
	}
	text = strings.TrimRight(strings.TrimPrefix(demoLine(text, 300), "Error: "), ".")
	if text == "" {
		return "no reason was given"
	}
	return text
}

// args returns the scalar arguments of the call.
func (r demoResult) args() *demoObject {
	v, _ := demoParseJSON(r.call.Function.Arguments)
	o, _ := v.(*demoObject)
	if o == nil {
		return &demoObject{}
	}
	return o
}

// answer returns the paragraphs about one tool.
func (g *demoGroup) answer(asked string) []string {
	var out []string
	for _, r := range g.bad {
		out = append(out, g.failure(r))
	}
	var passages []demoPassage
	var values []demoValue
	for _, r := range g.good {
		found := r.passages()
		passages = append(passages, found...)
		if v, ok := demoParseJSON(r.msg.Content); len(found) == 0 && ok {
			values = append(values, demoValue{r.args(), v})
		} else if len(found) == 0 {
			out = append(out, demoPlain(r))
		}
	}
	if len(passages) > 0 {
		out = append(out, demoCite(asked, passages))
	}
	if len(values) > 0 {
		out = append(out, demoShow(asked, values))
	}
	return out
}

// failure says in a line what failed and why.
func (g *demoGroup) failure(r demoResult) string {
	of := ""
	if args := demoScalars(r.args()); len(args) > 0 {
		var all []string
		for _, f := range args[:min(len(args), 4)] {
			all = append(all, f.value)
		}
		of = " for " + strings.Join(all, ", ")
	}
	name := g.name
	if name == "" {
		name = "a tool"
	}
	return fmt.Sprintf("⚠️ **`%s` failed%s:** %s. I have no data from it and make none up.", name, demoSafe(of), demoSafe(r.reason()))
}

const demoMaxPlain = 1500 // runes of a text result that are shown

// demoPlain shows a result that is text.
func demoPlain(r demoResult) string {
	text := strings.TrimSpace(demoImage.ReplaceAllString(demoCut(r.msg.Content), ""))
	if text == "" {
		return fmt.Sprintf("`%s` returned nothing.", r.call.Function.Name)
	}
	if runes := []rune(text); len(runes) > demoMaxPlain {
		text = string(runes[:demoMaxPlain]) + "…"
	}
	return fmt.Sprintf("`%s` says:\n\n> %s", r.call.Function.Name, strings.ReplaceAll(text, "\n", "\n> "))
}

// demoLine returns a text as one line of at most n runes.
func demoLine(text string, n int) string {
	text = strings.Join(strings.Fields(demoCut(text)), " ")
	if r := []rune(text); len(r) > n {
		text = string(r[:n]) + "…"
	}
	return text
}

// demoSafe keeps a tool's words from being read as Markdown.
func demoSafe(text string) string {
	return strings.NewReplacer("|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", "[", "\\[", "]", "\\]", "\n", " ", "\r", " ").Replace(text)
}

// A demoObject is a JSON object that has kept the order of its keys.
type demoObject struct {
	keys   []string
	values map[string]any
}

// get returns the value of a key, nil if there is none.
func (o *demoObject) get(key string) any { return o.values[key] }

// demoParseJSON reads an object or an array; numbers stay as written.
func demoParseJSON(text string) (any, bool) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] != '{' && text[0] != '[' {
		return nil, false
	}
	return demoDecode([]byte(text), 0)
}

func demoDecode(raw []byte, depth int) (any, bool) {
	raw = []byte(strings.TrimSpace(string(raw)))
	switch {
	case len(raw) == 0 || depth > 8:
		return nil, false
	case raw[0] == '{':
		return demoDecodeObject(raw, depth)
	case raw[0] == '[':
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return nil, false
		}
		list := []any{}
		for _, item := range items {
			v, _ := demoDecode(item, depth+1)
			list = append(list, v)
		}
		return list, true
	case raw[0] == '"':
		var s string
		return demoOK(&s, json.Unmarshal(raw, &s))
	case string(raw) == "null":
		return nil, true
	case raw[0] == 't' || raw[0] == 'f':
		return string(raw) == "true", true
	}
	return json.Number(raw), true
}

func demoOK(s *string, err error) (any, bool) { return *s, err == nil }

func demoDecodeObject(raw []byte, depth int) (any, bool) {
	names, values := demoOrdered(raw)
	if names == nil && len(values) > 0 || !json.Valid(raw) {
		return nil, false
	}
	o := &demoObject{keys: names, values: map[string]any{}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		o.values[name], _ = demoDecode(values[name], depth+1)
	}
	return o, true
}
