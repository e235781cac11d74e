package tools

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// result returns what the last answer, or the endpoint's Result, comes to.
func (x *exchange) result(a *answer, vs values) Result {
	if x.plan.result != nil {
		v, ok := fillTree(x.plan.result, vs)
		if !ok {
			return fail("the service's answers lack what was asked for", "Other arguments may help.")
		}
		return Result{Content: cmp.Or(textOfResult(v), "(no content)")}
	}
	if x.plan.sources != nil && !a.empty() {
		return x.passages(a)
	}
	if x.plan.sel != nil && !a.empty() {
		doc, ok := a.json()
		if !ok {
			return *x.noJSON(a)
		}
		if a.body, ok = x.plan.sel.find(doc); !ok {
			return fail("the answer has nothing at "+"/"+strings.Join(x.plan.sel, "/"), "The service answers otherwise than the tool's owner declared.")
		}
		if text, ok := jsonString(a.body); ok {
			return Result{Content: cmp.Or(text, "(no content)")}
		}
	}
	if x.plan.shape != nil && !a.empty() {
		return x.shaped(a)
	}
	text, readable := a.render(x.ctx)
	if !readable {
		if kept, ok := x.keep(a); ok {
			return kept
		}
		return Result{Content: text, Failed: x.spec.Effect == Safe, Outcome: Outcome{Reason: unreadable(x.spec.Effect, a)}}
	}
	text = x.redactor.text(text, a.cut)
	if a.cut {
		text += cutNote(x.limit)
	}
	return Result{Content: text}
}

// fit returns res with a content of bearable length. Secrets go first: of one
// that was cut in its middle the rest would not be known.
func (x *exchange) fit(res Result) Result {
	res = x.redactor.result(res)
	if len(res.Sources) > 0 { // passages are cited as they are
		return res
	}
	var cut bool
	res.Content, cut = x.shortened(res.Content, x.tokens)
	x.out.Cut = x.out.Cut || cut
	return res
}

// unreadable is the reason why an answer that was asked for its content
// failed; a request that was made for its effect did not.
func unreadable(e Effect, a *answer) string {
	if e != Safe {
		return ""
	}
	return "the answer is " + oneLine(cmp.Or(a.media, "binary data"), 100) + ", which is no text"
}

func textOfResult(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(compactJSON(v))
}

// passages returns the answer's sources, written so that a model can cite
// them.
func (x *exchange) passages(a *answer) Result {
	doc, ok := a.json()
	if !ok {
		return *x.noJSON(a)
	}
	var sources []Source
	raw, ok := x.plan.sources.find(doc)
	if !ok || json.Unmarshal(raw, &sources) != nil {
		return fail("the answer has no list of passages at /"+strings.Join(x.plan.sources, "/"), "The service answers otherwise than the tool's owner declared.")
	}
	var b strings.Builder
	for i := range sources {
		s := &sources[i]
		s.Ref = cmp.Or(oneLine(s.Ref, 200), strconv.Itoa(i+1))
		heads := append([]string{cmp.Or(s.Title, s.Document)}, s.Headings...)
		fmt.Fprintf(&b, "[%s] %s\n%s\n\n", s.Ref, oneLine(strings.Join(heads, " › "), 500), strings.TrimSpace(s.Text))
	}
	return Result{Content: cmp.Or(strings.TrimSpace(b.String()), "(no passages were found)"), Sources: sources}
}

func (x *exchange) noJSON(a *answer) *Result {
	reason := "the service's answer is not valid JSON"
	if a.cut {
		reason = fmt.Sprintf("the service's answer is larger than %d bytes and was not read", x.limit)
	}
	if !a.cut && a.isText() && !a.isHTML() {
		// Where a stream broke, the end says why.
		reason += ", it ends with: " + oneLine(lastBytes(x.redactor.text(string(a.body), true), 200), 200)
	}
	res := fail(reason, "Calling again later, or asking for less, may help.")
	return &res
}
