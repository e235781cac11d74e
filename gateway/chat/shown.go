package chat

import (
	"bytes"
	"encoding/json"

	"parley/llm"
)

// What a message carries for its model's provider alone is in the log and in
// the store, and is shown to nobody: it can be large, and only the provider
// can read it.

// Shown returns messages as people may see them. It changes none of ms.
func Shown(ms []llm.Message) []llm.Message {
	for i := range ms {
		if ms[i].Metadata != nil && ms[i].Metadata.Parley.Provider != nil {
			out := append([]llm.Message(nil), ms...)
			for j := range out[i:] {
				out[i+j].Metadata = shownMetadata(out[i+j].Metadata)
			}
			return out
		}
	}
	return ms
}

func shownMetadata(m *llm.Metadata) *llm.Metadata {
	if m == nil || m.Parley.Provider == nil {
		return m
	}
	c := *m
	c.Parley.Provider = nil
	return &c
}

// shownEntry is Shown for an entry's JSON, which is hardly ever changed.
func shownEntry(raw []byte) []byte {
	if !bytes.Contains(raw, []byte(`"provider":{"name":`)) {
		return raw
	}
	e, err := DecodeEntry(raw)
	if err != nil {
		return raw
	}
	e.Ev.Metadata = shownMetadata(e.Ev.Metadata)
	b, err := json.Marshal(e)
	if err != nil {
		return raw
	}
	return b
}
