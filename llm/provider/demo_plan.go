package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	demoMaxCalls    = 8       // that one question makes
	demoMaxJoints   = 16      // at which a question is split
	demoMaxQuestion = 4 << 10 // bytes of a question that are looked at
)

// A demoMind decides what to do about a question.
type demoMind struct {
	tools []*demoTool
	now   time.Time
}

// A demoPlan is what is to be done: calls, or something to say.
type demoPlan struct {
	calls []demoCall
	why   string // the calls are made
	ask   string // for what is missing; there may be other calls nevertheless
	text  string // the answer, where none is to be looked up
}

// A demoCall is a call without its id.
type demoCall struct {
	tool *demoTool
	args demoArgs
}

// demoArgs are the arguments of a call.
type demoArgs map[string]any

// JSON returns the arguments as the text of a JSON object, in the order of
// the tool's parameters.
func (c demoCall) JSON() string {
	var fields []string
	for _, p := range c.tool.params {
		if v, ok := c.args[p.name]; ok {
			name, _ := json.Marshal(p.name)
			value, _ := json.Marshal(v) // of JSON's own types, so it cannot fail
			fields = append(fields, string(name)+":"+string(value))
		}
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// A demoIntent is a part of a question and the tool for it.
type demoIntent struct {
	text  string
	tool  *demoTool
	score float64
	loose bool   // the text answers a question of the model
	from  int    // where the text begins in the question
	rest  string // an earlier question that says what this one leaves out
}

// plan decides about the last question of a talk.
func (m demoMind) plan(talk demoTalk) demoPlan {
	asked := demoQuestion(talk.asked())
	if text := m.smallTalk(asked); text != "" {
		return demoPlan{text: text}
	}
	intents := m.intents(asked)
	if again, ok := m.followUp(asked, demoQuestion(talk.before()), intents); ok {
		intents = again
	}
	if len(intents) == 0 {
		intents = m.lookUp(asked)
	}
	var p demoPlan
	for _, in := range intents {
		m.add(&p, in, asked)
	}
	p.calls = p.calls[:min(len(p.calls), demoMaxCalls)]
	return p
}

// demoQuestion returns as much of a question as is looked at.
func demoQuestion(text string) string {
	text = strings.TrimSpace(demoCut(text))
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), demoMaxQuestion)], ""))
}

// add fills the arguments of one intent; what its own words leave out may
// stand elsewhere in the question.
func (m demoMind) add(p *demoPlan, in demoIntent, whole string) {
	f := demoFillParams(in.tool.params, demoRead(in.text, m.now), in.loose)
	for _, text := range []string{whole, in.rest} {
		if text != "" && text != in.text && (len(f.missing(in.tool)) > 0 || text == in.rest) {
			f.complete(in.tool, demoFillParams(in.tool.params, demoRead(text, m.now), false))
		}
	}
	if missing := f.missing(in.tool); len(missing) > 0 {
		p.ask = strings.TrimSpace(p.ask + "\n\n" + demoAsk(in.tool, missing))
		return
	}
	for _, args := range f.calls(in.tool) {
		c := demoCall{in.tool, args}
		if !slices.ContainsFunc(p.calls, func(o demoCall) bool { return o.tool == c.tool && o.JSON() == c.JSON() }) {
			p.calls = append(p.calls, c)
		}
	}
	p.why = strings.TrimSpace(p.why + "\n" + demoWhy(in))
}

func demoWhy(in demoIntent) string {
	if in.score == 0 {
		return fmt.Sprintf("No tool's words match, so I look it up with `%s`.", in.tool.spec.Name)
	}
	return fmt.Sprintf("“%s” matches the words of `%s` (%.1f; %.1f is enough).", in.text, in.tool.spec.Name, in.score, demoThreshold)
}

// missing returns the required parameters without a value.
func (f *demoFiller) missing(t *demoTool) []*demoParam {
	var out []*demoParam
	for _, p := range t.params {
		if p.required && len(f.got[p]) == 0 && p.fixed == nil {
			out = append(out, p)
		}
	}
	return out
}

// complete takes from other what f lacks.
func (f *demoFiller) complete(t *demoTool, other *demoFiller) {
	for _, p := range t.params {
		if len(f.got[p]) == 0 && len(other.got[p]) > 0 {
			f.got[p] = []demoMention{{value: other.got[p][0].value}}
		}
	}
}

// calls returns the arguments of each call: one for each value in a list, and
// with each the day that stands nearest behind it.
func (f *demoFiller) calls(t *demoTool) []demoArgs {
	rows := []demoArgs{{}}
	axis := f.axis(t)
	if axis != nil {
		rows = nil
		for range f.got[axis] {
			rows = append(rows, demoArgs{})
		}
	}
	for _, p := range t.params {
		switch got := f.got[p]; {
		case p == axis:
			for i := range rows {
				rows[i][p.name] = got[i].value
			}
		case len(got) > 0 && axis != nil:
			rows = f.spread(rows, p, f.got[axis])
		case len(got) > 0:
			rows = demoTimes(rows, p, got)
		case p.required:
			rows = demoTimes(rows, p, []demoMention{{value: p.fixed}})
		}
	}
	return rows[:min(len(rows), demoMaxCalls)]
}

// axis returns the parameter whose several values make several calls; dates
// follow another one.
func (f *demoFiller) axis(t *demoTool) *demoParam {
	for _, p := range t.params {
		if len(f.got[p]) > 1 && p.class() != demoDateArg {
			return p
		}
	}
	return nil
}

// spread gives each row the values of p between its own place and the next,
// or all of them if there are none.
func (f *demoFiller) spread(rows []demoArgs, p *demoParam, places []demoMention) []demoArgs {
	var out []demoArgs
	for i, row := range rows {
		from, to := places[i%len(places)].start, len(f.say.text)+1
		if i+1 < len(places) {
			to = places[i+1].start
		}
		got := slices.DeleteFunc(slices.Clone(f.got[p]), func(m demoMention) bool {
			return m.end == 0 || m.start < from || m.start >= to
		})
		if len(got) == 0 {
			got = f.got[p]
		}
		out = append(out, demoTimes([]demoArgs{row}, p, got)...)
	}
	return out
}

// demoTimes returns each row with each value.
func demoTimes(rows []demoArgs, p *demoParam, got []demoMention) []demoArgs {
	var out []demoArgs
	for _, row := range rows {
		for _, m := range got {
			next := maps.Clone(row)
			next[p.name] = m.value
			out = append(out, next)
		}
	}
	return out[:min(len(out), demoMaxCalls)]
}

// demoJoint is where a question may go on to another one.
var demoJoint = regexp.MustCompile(`(?i)[.!?;]+\s+|,?\s+(?:and then|and also|and|then|also|plus)\s+|,\s+|\n+`)

// intents splits a question where a part of it suits a tool of its own.
func (m demoMind) intents(text string) []demoIntent {
	picker := demoPickerOf(m.tools, m.now)
	var out []demoIntent
	start := 0
	for _, cut := range append(demoJoints(text), len(text)) {
		part := demoIntent{text: strings.Trim(text[start:cut], " \n,;"), from: start}
		part.tool, part.score = picker.best(part.text)
		switch last := len(out) - 1; {
		case part.tool == nil && last < 0:
			continue // goes with what follows
		case last >= 0 && (part.tool == nil || part.tool == out[last].tool && !m.standsAlone(part)):
			out[last].text = strings.Trim(text[out[last].from:cut], " \n,;")
		default:
			out = append(out, part)
		}
		start = cut
	}
	if len(out) == 0 {
		if tool, score := picker.best(text); tool != nil {
			out = []demoIntent{{text: text, tool: tool, score: score}}
		}
	}
	return out
}

// standsAlone reports whether a part of a question has all that its tool
// requires.
func (m demoMind) standsAlone(in demoIntent) bool {
	return len(demoFillParams(in.tool.params, demoRead(in.text, m.now), false).missing(in.tool)) == 0
}

// demoJoints returns where a new part of a question may begin: after a
// joint and before a word that begins a request.
func demoJoints(text string) []int {
	var out []int
	for _, at := range demoJoint.FindAllStringIndex(text, demoMaxJoints) {
		next := demoTokens(text[at[1]:min(at[1]+80, len(text))])
		quoted := strings.Count(text[:at[0]], `"`)%2 == 1
		if !quoted && len(next) > 1 && (demoVerbs[next[0].stem] || demoVerbs[next[0].low] || demoStop[next[0].low] && next[0].low != "in") {
			out = append(out, at[1])
		}
	}
	return out
}

var demoAndWhat = regexp.MustCompile(`(?i)^(?:and|what about|how about|or|then|now|also|same for)\b[\s,]*`)

// followUp reads a short text as going on with the question before: as the
// answer to what the model asked for, or "and in Oslo?".
func (m demoMind) followUp(asked, before string, own []demoIntent) ([]demoIntent, bool) {
	if before == "" || len(strings.Fields(asked)) > 8 {
		return nil, false
	}
	earlier := m.intents(before)
	if len(earlier) == 0 {
		return nil, false
	}
	last := earlier[len(earlier)-1]
	missing := demoFillParams(last.tool.params, demoRead(before, m.now), false).missing(last.tool)
	and := demoAndWhat.MatchString(asked)
	if (len(missing) == 0 && !and) || len(own) > 0 && own[0].tool != last.tool {
		return nil, false
	}
	text := demoAndWhat.ReplaceAllString(asked, "")
	next := demoIntent{text: text, tool: last.tool, score: last.score, loose: true, rest: before}
	return []demoIntent{next}, len(demoFillParams(last.tool.params, demoRead(text, m.now), true).got) > 0
}

var demoKnowledge = regexp.MustCompile(`(?i)^(?:what|how|why|who|when|where|which|does|do|is|are|can|explain|describe|summari[sz]e|tell me|say)\b|\?\s*$`)

// lookUp takes a question that no tool's words match to the tool that
// searches documents, if there is one.
func (m demoMind) lookUp(asked string) []demoIntent {
	if !demoKnowledge.MatchString(asked) || len(strings.Fields(asked)) < 3 {
		return nil
	}
	for _, t := range m.tools {
		if t.isSearch() {
			return []demoIntent{{text: asked, tool: t}}
		}
	}
	return nil
}

// isSearch reports whether a tool searches documents with the words of a
// question.
func (t *demoTool) isSearch() bool {
	query := false
	for _, p := range t.params {
		query = query || p.class() == demoQueryArg
		if p.required && p.class() != demoQueryArg && p.fixed == nil {
			return false
		}
	}
	return query && t.concepts["document"] >= demoLaterWord
}
