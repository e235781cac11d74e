package llm_test

import (
	"testing"

	"parley/llm"
)

func TestDataGoesWithTheLastQuestion(t *testing.T) {
	msgs := []llm.Message{{Role: llm.User, Content: "one"}, {Role: llm.Assistant, Content: "1"}, {Role: llm.User, Content: "two"}, {Role: llm.Assistant, Content: "2"}}
	const data = "{\"a\":1}\n{\"b\":2}"
	with := llm.WithContext(msgs, data)
	if msgs[2].Content != "two" || with[0].Content != "one" || with[3].Content != "2" {
		t.Errorf("something else has changed: %+v, %+v", msgs, with)
	}
	if said, got := llm.CutContext(with[2].Content); said != "two" || got != data {
		t.Errorf("said %q, data %q", said, got)
	}
	if said, got := llm.CutContext("two"); said != "two" || got != "" {
		t.Errorf("without data: said %q, data %q", said, got)
	}
	if same := llm.WithContext(msgs, ""); same[2].Content != "two" {
		t.Errorf("no data: %q", same[2].Content)
	}
}
