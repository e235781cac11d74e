package chat

import (
	"encoding/json"
	"fmt"

	"parley/llm"
)

type plainState State

// MarshalJSON writes s with its open messages as far as they are written.
func (s State) MarshalJSON() ([]byte, error) {
	c := plainState(s.Clone())
	if c.Messages == nil {
		c.Messages = []llm.Message{}
	}
	return json.Marshal(c)
}

// UnmarshalJSON reads a State so that it can be folded on.
func (s *State) UnmarshalJSON(b []byte) error {
	var p plainState
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("chat: snapshot: %w", err)
	}
	*s = State(p)
	s.reopen()
	return nil
}
