package chat

import (
	"slices"

	"parley/llm"
)

func (s *State) applyTool(e Entry) {
	switch e.Ev.Type {
	case ToolCallStart:
		s.callStart(e)
	case ToolCallArgs:
		if c := s.call(e.Ev.ToolCallID); c != nil {
			c.Function.Arguments += e.Ev.Delta
		}
	case ToolCallResult:
		s.callResult(e)
	case AskAnswered:
		s.answered(e.Ev.ToolCallID, e.Ev.Answered)
	}
}

func (s *State) callStart(e Entry) {
	if s.call(e.Ev.ToolCallID) != nil {
		return
	}
	id := e.Ev.ParentMessageID
	if id == "" {
		id = e.Ev.ToolCallID
	}
	m := s.find(id)
	if m == nil {
		m = s.add(llm.Message{ID: id, Role: llm.Assistant}, e.Run, e.TS)
	}
	c := llm.NewToolCall(e.Ev.ToolCallID, e.Ev.ToolCallName, "")
	c.Metadata = cloneMetadata(e.Ev.Metadata)
	m.ToolCalls = append(m.ToolCalls, c)
}

// answered notes on a call what was answered when it asked, once. Calls are
// shared with clones of s: what changes is a copy.
func (s *State) answered(call string, a *llm.Answered) {
	if a == nil {
		return
	}
	s.Interrupts = slices.DeleteFunc(slices.Clone(s.Interrupts), func(i Interrupt) bool { return i.ID == a.Interrupt })
	if len(s.Interrupts) == 0 {
		s.Interrupts = nil
	}
	c := s.call(call)
	if c == nil || s.Knows(call, a.Interrupt) {
		return
	}
	c.Metadata = cloneMetadata(c.Metadata)
	d := details(&c.Metadata)
	d.Answers = append(slices.Clip(d.Answers), *a)
}

// Knows reports whether the answer to an interrupt of a call is in s.
func (s *State) Knows(call, interrupt string) bool {
	c := s.call(call)
	return c != nil && c.Metadata != nil &&
		slices.ContainsFunc(c.Metadata.Parley.Answers, func(a llm.Answered) bool { return a.Interrupt == interrupt })
}

// callResult puts a result behind the message that made the call, in the
// order of that message's calls, whichever came first.
func (s *State) callResult(e Entry) {
	ev := &e.Ev
	if slices.ContainsFunc(s.Messages, func(m llm.Message) bool { return m.ToolCallID == ev.ToolCallID }) {
		return
	}
	at := len(s.Messages)
	if parent, order := s.caller(ev.ToolCallID); parent >= 0 {
		at = parent + 1
		for at < len(s.Messages) && slices.Contains(order, s.Messages[at].ToolCallID) {
			at++
		}
	}
	m := llm.Message{ID: ev.MessageID, Role: llm.ToolRole, ToolCallID: ev.ToolCallID, Content: ev.Content, Metadata: cloneMetadata(ev.Metadata)}
	d := details(&m.Metadata)
	d.Run, d.At = e.Run, e.TS
	if d.Outcome != nil && d.Outcome.Failed {
		m.Error = d.Outcome.Reason
	}
	s.Messages = slices.Insert(s.Messages, at, m)
}

// caller returns the place of the message that made a call, and the calls
// that it made before that one.
func (s *State) caller(call string) (int, []string) {
	for i := len(s.Messages) - 1; i >= 0; i-- {
		var before []string
		for _, c := range s.Messages[i].ToolCalls {
			if c.ID == call {
				return i, before
			}
			before = append(before, c.ID)
		}
	}
	return -1, nil
}

func (s *State) call(id string) *llm.ToolCall {
	for i := len(s.Messages) - 1; i >= 0; i-- {
		for j := range s.Messages[i].ToolCalls {
			if s.Messages[i].ToolCalls[j].ID == id {
				return &s.Messages[i].ToolCalls[j]
			}
		}
	}
	return nil
}
