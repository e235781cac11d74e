package provider

import (
	"cmp"
	"encoding/json"

	"parley/llm"
)

// maxState bounds what is kept of an answer for its provider, in bytes. It
// goes through the log and the store with the message.
const maxState = 256 << 10

// A block is one part of an answer in its place: some of its text, its next
// call, or something that only its provider understands. Raw goes back
// verbatim, beside a text or a call as what belongs to it.
type block struct {
	Text int             `json:"t,omitempty"` // bytes of the message's content
	Call bool            `json:"c,omitempty"`
	Raw  json.RawMessage `json:"r,omitempty"`
}

// A trail notes the order of an answer's parts and what its provider wants
// back.
type trail struct {
	blocks []block
	opaque bool // some block is more than text and calls
}

func (t *trail) text(n int) {
	if last := len(t.blocks) - 1; last >= 0 && t.blocks[last].Text > 0 && t.blocks[last].Raw == nil {
		t.blocks[last].Text += n
		return
	}
	if n > 0 {
		t.blocks = append(t.blocks, block{Text: n})
	}
}

func (t *trail) add(b block) {
	t.opaque = t.opaque || len(b.Raw) > 0
	t.blocks = append(t.blocks, b)
}

// state returns what is kept, nil if there is nothing that the message itself
// does not have, or too much.
func (t *trail) state(w *wire) *llm.ProviderState {
	if !t.opaque {
		return nil
	}
	b, err := json.Marshal(t.blocks)
	if err != nil || len(b) > maxState {
		return nil
	}
	return &llm.ProviderState{Provider: w.provider, Model: w.model, Blocks: b}
}

// A part is one part of an earlier answer, as it goes back.
type part struct {
	text string
	call *llm.ToolCall
	raw  json.RawMessage // as it came, beside a text or a call or by itself
}

// partsOf returns the parts of an answer in their order: with what this
// provider and model said that only they understand, without it for others.
func (w *wire) partsOf(m llm.Message) []part {
	if ps := w.kept(m); ps != nil {
		return ps
	}
	var ps []part
	if m.Content != "" {
		ps = append(ps, part{text: m.Content})
	}
	for i := range m.ToolCalls {
		ps = append(ps, part{call: &m.ToolCalls[i]})
	}
	return ps
}

// kept returns nil if there is nothing or it does not fit the message.
func (w *wire) kept(m llm.Message) []part {
	if m.Metadata == nil || m.Metadata.Parley.Provider == nil {
		return nil
	}
	st := m.Metadata.Parley.Provider
	var blocks []block
	if st.Provider != w.provider || st.Model != w.model || json.Unmarshal(st.Blocks, &blocks) != nil {
		return nil
	}
	var ps []part
	text, calls := m.Content, m.ToolCalls
	for _, b := range blocks {
		p := part{raw: b.Raw}
		if b.Text < 0 || b.Text > len(text) || b.Call && len(calls) == 0 {
			return nil
		}
		p.text, text = text[:b.Text], text[b.Text:]
		if b.Call {
			p.call, calls = &calls[0], calls[1:]
		}
		ps = append(ps, p)
	}
	if text != "" || len(calls) > 0 {
		return nil
	}
	return ps
}

// objectOf returns a call's arguments as a JSON object: what a model wrote
// that is none comes back to it in one, so that it sees what it did.
func objectOf(f llm.Function) json.RawMessage {
	args := cmp.Or(f.Arguments, "{}")
	if llm.IsObject(args) {
		return json.RawMessage(args)
	}
	b, _ := json.Marshal(map[string]string{"unreadable": short(args)})
	return b
}

// history returns the messages that a provider is sent: from the first
// question on, with what the system role says joined to the instructions.
func history(req llm.Request) (system string, ms []llm.Message) {
	system = req.System
	for _, m := range req.Messages {
		switch {
		case m.Role == llm.Reasoning:
		case m.Role == llm.System:
			system = join(system, m.Content)
		case len(ms) == 0 && m.Role != llm.User: // its question lies before what is shown
		default:
			ms = append(ms, m)
		}
	}
	return system, ms
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "\n\n" + b
}
