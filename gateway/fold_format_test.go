package gateway_test

import (
	"parley/gateway/chat"
	"parley/llm"
)

// formatFolds are answers that were to have a format.
func formatFolds(fold func(string, *script) goldenFold) []goldenFold {
	format := func(valid bool) *llm.Metadata {
		return &llm.Metadata{Parley: llm.Details{Format: &llm.Formatted{Name: "place", Valid: valid}}}
	}
	begin := func() *script {
		ev := started("r1", "m1", "")
		ev.Metadata.Parley.Format = format(false).Parley.Format
		return newScript().put(said("m1", "where?"), ev)
	}
	ends := func(id string, valid bool) chat.Event {
		return chat.Event{Type: chat.TextEnd, MessageID: id, Metadata: format(valid)}
	}
	return []goldenFold{
		fold("while it is written", begin().put(written("m2", `{"city":`)...)),
		fold("it has it", begin().put(written("m2", `{"city":`, `"Bern"}`)...).put(ends("m2", true), finished("r1", "success"))),
		fold("it has it not", begin().put(written("m2", `{"town":`, `"Bern"}`)...).put(ends("m2", false), failed("r1", "format", "Not of the format."))),
		fold("stopped in the middle", begin().put(written("m2", `{"city":`)...).put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}, finished("r1", "cancelled"))),
		fold("failed with the message open", begin().put(written("m2", `{"city":`)...).put(failed("r1", "model_truncated", "Broke off."))),
		fold("failed without a word", begin().put(failed("r1", "model_unavailable", "No model."))),
		fold("stopped during a call", begin().put(written("m2", "Looking. ")...).put(call("k1", "m2", "look", "{}")...).
			put(chat.Event{Type: chat.TextEnd, MessageID: "m2"}, failedResult("m3", "k1", "stopped"), finished("r1", "cancelled"))),
	}
}
