package llm_test

import (
	"strings"
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

// A question that is shown in parts has the data as one more, behind them.
func TestContextGoesBehindAQuestionsParts(t *testing.T) {
	picture := llm.Part{Kind: llm.ImagePart, Text: "(a picture)", Data: []byte{1}}
	asked := []llm.Message{{Role: llm.User, Content: "what is it?", Parts: []llm.Part{{Kind: llm.TextPart, Text: "what is it?"}, picture}}}
	got := llm.WithContext(asked, "42")
	parts := got[0].Parts
	if len(parts) != 3 || parts[1].Kind != llm.ImagePart || !strings.HasSuffix(got[0].Content, parts[2].Text) || !strings.Contains(parts[2].Text, "42") {
		t.Errorf("the parts are %+v", parts)
	}
	if len(asked[0].Parts) != 2 {
		t.Error("what was asked has changed")
	}
}
