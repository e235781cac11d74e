package client

import "parley/llm"

// RunOf returns the id of the run that wrote a message, empty for a
// question.
func RunOf(m *llm.Message) string {
	if m.Metadata == nil || m.Role == llm.User {
		return ""
	}
	return m.Metadata.Parley.Run
}
