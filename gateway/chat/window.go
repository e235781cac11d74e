package chat

import "parley/llm"

// A window is what a generation's first entry repeats of a conversation: the
// latest messages, whole. It must reach back beyond anything that a rollback
// of Redis can have changed, and stay small.
const (
	windowMessages = 24
	windowBytes    = 64 << 10
)

// window returns a copy of s with the latest messages only: as many as fit,
// and in any case the latest run with its question.
func (s *State) window() State {
	c := s.Clone()
	from, size := len(c.Messages), 0
	for from > 0 && len(c.Messages)-from < windowMessages {
		size += messageSize(c.Messages[from-1])
		if size > windowBytes && !c.latest(c.Messages[from-1]) {
			break
		}
		from--
	}
	for from > 0 && c.latest(c.Messages[from-1]) {
		from--
	}
	c.Messages = c.Messages[from:]
	return c
}

// latest reports whether m belongs to the latest run.
func (s *State) latest(m llm.Message) bool {
	return s.Run != nil && (m.ID == s.Run.Question || runOf(m) == s.Run.ID)
}

func messageSize(m llm.Message) int {
	n := len(m.Content) + 200
	for _, c := range m.ToolCalls {
		n += len(c.Function.Arguments) + 100
	}
	if m.Metadata != nil {
		if p := m.Metadata.Parley.Provider; p != nil {
			n += len(p.Blocks)
		}
		if sum := m.Metadata.Parley.Summary; sum != nil {
			n += len(sum.Text)
		}
		for _, src := range m.Metadata.Parley.Sources {
			n += len(src.Text) + 100
		}
	}
	return n
}
