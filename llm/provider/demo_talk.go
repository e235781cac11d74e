package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"parley/llm"
)

// A demoTalk is a conversation as the demo model sees it: what was asked, and
// what tools have said since.
type demoTalk struct {
	questions []string     // of the user, in order
	results   []demoResult // since the last question
	live      string       // data that came with the last question
	unseen    []string     // names of the last question's images, sounds and PDFs
	noted     bool         // the note at an answer's end was given before
	seal      []byte       // hash of the messages
}

// A demoResult is a tool's answer and the call that it answers.
type demoResult struct {
	call llm.ToolCall
	msg  llm.Message
}

func demoTalkOf(msgs []llm.Message) demoTalk {
	var t demoTalk
	calls := map[string]llm.ToolCall{}
	hash := sha256.New()
	for _, m := range msgs {
		io.WriteString(hash, fmt.Sprintf("%q%q%q%q", m.ID, m.Role, m.Content, m.ToolCallID))
		t.take(m, calls)
	}
	t.seal = hash.Sum(nil)
	return t
}

func (t *demoTalk) take(m llm.Message, calls map[string]llm.ToolCall) {
	switch m.Role {
	case llm.User:
		said, live := llm.CutContext(m.Content)
		words, unseen := demoUnseen(said)
		t.questions, t.results, t.live, t.unseen = append(t.questions, words), nil, live, unseen
	case llm.Assistant:
		t.noted = t.noted || demoHasNote(m.Content)
		for _, c := range m.ToolCalls {
			calls[c.ID] = c
		}
	case llm.ToolRole:
		t.results = append(t.results, demoResult{calls[m.ToolCallID], m})
	}
}

// asked returns the last question, or nothing.
func (t demoTalk) asked() string {
	if len(t.questions) == 0 {
		return ""
	}
	return t.questions[len(t.questions)-1]
}

// before returns the question before the last, or nothing.
func (t demoTalk) before() string {
	if len(t.questions) < 2 {
		return ""
	}
	return t.questions[len(t.questions)-2]
}

// number gives the calls their ids: hashes of the conversation so far, so
// that another replica which answers the same messages makes the same calls.
func (t demoTalk) number(calls []demoCall) []llm.ToolCall {
	out := make([]llm.ToolCall, len(calls))
	for i, c := range calls {
		sum := sha256.Sum256(fmt.Appendf(nil, "%x %d %s", t.seal, i, c.tool.spec.Name))
		out[i] = llm.NewToolCall("demo_"+hex.EncodeToString(sum[:12]), c.tool.spec.Name, c.JSON())
	}
	return out
}
