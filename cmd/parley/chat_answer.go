package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

// An answer is what is printed of a run. It is a function of the
// conversation's state alone and, but for rollbacks, only grows with it, so
// that what is new is what stands behind what was printed.
type answer struct {
	state *chat.State
	run   string
	style style
	b     strings.Builder
}

// A style says what is printed besides the answer's words.
type style struct {
	colour bool // control sequences are understood
	quiet  bool // no tool calls, no sources
}

const (
	dim   = "\x1b[2m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	reset = "\x1b[0m"
)

func (s style) in(colour, v string) string {
	if !s.colour || v == "" {
		return v
	}
	return colour + v + reset
}

// answerText returns what a run has said and done, as far as it is.
func answerText(s *chat.State, run string, st style) string {
	a := &answer{state: s, run: run, style: st}
	for i := range s.Messages {
		if m := &s.Messages[i]; client.RunOf(m) == run {
			a.message(m)
		}
	}
	if _, ended := endOf(s, run); ended && !st.quiet {
		a.sources()
	}
	return a.b.String()
}

func (a *answer) message(m *llm.Message) {
	switch m.Role {
	case llm.Reasoning:
		a.reasoning(m)
	case llm.Assistant:
		if m.Content != "" {
			a.line()
			a.b.WriteString(plain.Text(m.Content))
		}
		if !a.style.quiet {
			a.calls(m.ToolCalls)
		}
	}
}

// reasoning prints what a model thinks, for people only.
func (a *answer) reasoning(m *llm.Message) {
	if !a.style.colour || a.style.quiet || m.Content == "" {
		return
	}
	a.line()
	a.b.WriteString(dim + plain.Text(m.Content))
	if !slices.Contains(a.state.Open, m.ID) {
		a.b.WriteString(reset + "\n")
	}
}

// calls prints one line a call, in the order of the calls. A line waits for
// the result of the one before it, whichever result comes first: what has
// been printed cannot be taken back.
func (a *answer) calls(calls []llm.ToolCall) {
	for _, c := range calls {
		a.line()
		a.b.WriteString("→ " + plain.Line(c.Function.Name))
		args, whole := compact(c.Function.Arguments)
		result := a.result(c.ID)
		if whole || result != nil {
			a.b.WriteString(" " + args)
		}
		if result == nil {
			return
		}
		a.b.WriteString("  … " + a.outcome(result) + "\n")
	}
}

// compact returns a call's arguments in one line, and whether they are whole.
func compact(arguments string) (string, bool) {
	const longest = 200
	var b bytes.Buffer
	if !isObject(arguments) || json.Compact(&b, []byte(arguments)) != nil {
		return plain.Cut(plain.Line(arguments), longest), false
	}
	return plain.Cut(plain.Line(b.String()), longest), true
}

func (a *answer) result(call string) *llm.Message {
	i := slices.IndexFunc(a.state.Messages, func(m llm.Message) bool { return m.ToolCallID == call })
	if i < 0 {
		return nil
	}
	return &a.state.Messages[i]
}

func (a *answer) outcome(m *llm.Message) string {
	var o tools.Outcome
	if m.Metadata != nil && m.Metadata.Parley.Outcome != nil {
		o = *m.Metadata.Parley.Outcome
	}
	if o.Failed {
		return a.style.in(red, outcomeText(o))
	}
	return a.style.in(green, outcomeText(o))
}

// line makes the next text begin a line.
func (a *answer) line() {
	if s := a.b.String(); s != "" && !strings.HasSuffix(s, "\n") {
		a.b.WriteByte('\n')
	}
}

// sources lists the passages that the answer cites, once each.
func (a *answer) sources() {
	text := a.b.String()
	seen := map[string]bool{}
	for _, m := range a.state.Messages {
		if m.Metadata == nil {
			continue
		}
		for _, src := range m.Metadata.Parley.Sources {
			if seen[src.Ref] || !strings.Contains(text, "["+src.Ref+"]") {
				continue
			}
			seen[src.Ref] = true
			a.line()
			a.b.WriteString(a.style.in(dim, "["+plain.Line(src.Ref)+"] "+sourceTitle(src)))
		}
	}
}

func sourceTitle(src tools.Source) string {
	title := plain.Line(src.Title)
	if n := len(src.Headings); n > 0 && src.Headings[n-1] != src.Title {
		title += " › " + plain.Line(src.Headings[n-1])
	}
	return title
}

// endOf returns how a run ended, if it has: it is noted on one of its
// messages.
func endOf(s *chat.State, run string) (llm.Details, bool) {
	for i := len(s.Messages) - 1; i >= 0; i-- {
		if m := &s.Messages[i]; client.RunOf(m) == run && m.Metadata.Parley.Status != "" {
			return m.Metadata.Parley, true
		}
	}
	return llm.Details{}, false
}
