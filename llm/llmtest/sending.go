package llmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"parley/llm"
)

// A Sending is what a request must have in it, in the words of its dialect.
type Sending struct {
	Fields map[string]string // JSON by the field's path, such as "text.format"; "" for none

	Held  bool   // the provider says that the API holds the answer to the format
	Told  bool   // the instructions tell of the format
	Begun string // what the last message, the model's own, says; empty: it is not the model's
}

// asked returns what is asked of which model: to go on with an answer is asked
// of a [llm.Chain], which joins what follows to its beginning.
func (s Script) asked(t *testing.T, m llm.Model) (llm.Model, llm.Request) {
	req := s.Ask
	if len(req.Messages) == 0 {
		req.Messages = []llm.Message{{Role: llm.User, Content: "hello"}}
	}
	if llm.Forms(m, req) != s.Sends.Held {
		t.Errorf("the provider says that the API holds the answer to its format: %v", !s.Sends.Held)
	}
	if req.Begun == nil {
		return m, req
	}
	req.Begun = &llm.Begun{Text: req.Begun.Text, By: m.Name()}
	if can := s.Sends.Begun != "" || req.Begun.Sent() == ""; llm.Continues(m, m.Name()) != can {
		t.Errorf("the provider says that the model goes on with answers: %v", !can)
	}
	if req.Begun.Sent() == "" {
		return m, req
	}
	return llm.NewChain(llm.ChainOptions{}, m), req
}

// check looks at a request.
func (s Script) check(t *testing.T, req Request) {
	var body object
	_ = json.Unmarshal(req.Body, &body) // was JSON when it was read
	fields := maps.Clone(req.Dialect.formless())
	if s.Ask.Format != nil {
		clear(fields)
	}
	maps.Copy(fields, s.Sends.Fields)
	for path, want := range fields {
		if got := field(body, path); got != canonical(want) {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if told := strings.Contains(req.system(), "one JSON value and nothing else"); told != s.Sends.Told {
		t.Errorf("the instructions tell of the format: %v\n%s", told, req.Body)
	}
	begun := ""
	if last := req.Last(); last.Role == "assistant" {
		begun = last.Content
	}
	if begun != s.Sends.Begun {
		t.Errorf("the answer is said to begin with %q, want %q", begun, s.Sends.Begun)
	}
}

func (r Request) system() string {
	if len(r.Messages) > 0 && r.Messages[0].Role == "system" {
		return r.Messages[0].Content
	}
	return ""
}

// field returns the JSON of what is nested in a body, "" if it is not there.
func field(v any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		o, _ := v.(object)
		if v = o[name]; v == nil {
			return ""
		}
	}
	return encode(v)
}

// canonical returns JSON as encode writes it.
func canonical(s string) string {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	return encode(v)
}

// unfit says why a whole answer has not the format that was asked for.
func (s Script) unfit(got seen) llm.Finish {
	if s.Ask.Format == nil || got.err != nil || len(got.Calls) > 0 {
		return ""
	}
	var e *llm.FormatError
	switch err := s.Ask.Format.Check(got.Text, got.Finish); {
	case !errors.As(err, &e):
		return ""
	case e.Finish == "":
		return llm.FinishStop
	}
	return e.Finish
}

// checkFormat refuses what the real APIs refuse of formats and of beginnings
// of answers.
func (r *Request) checkFormat() error {
	var body object
	_ = json.Unmarshal(r.Body, &body) // was JSON when it was read
	switch r.Dialect {
	case OpenAI:
		format, _ := body["response_format"].(object)
		schema, _ := format["json_schema"].(object)
		return r.checkOpenAI(format, schema)
	case Responses:
		text, _ := body["text"].(object)
		format, _ := text["format"].(object)
		return r.checkOpenAI(format, format)
	case Gemini:
		if field(body, "generationConfig.responseMimeType") == `"application/json"` && len(r.Tools) > 0 {
			return errors.New("function calling with a response mime type: 'application/json' is unsupported")
		}
	case Anthropic:
		if last := r.Last(); last.Role == "assistant" && strings.TrimRight(last.Content, " \t\r\n") != last.Content {
			return errors.New("messages: final assistant content cannot end with trailing whitespace")
		}
	}
	return nil
}

// checkOpenAI looks at a response_format, and at the schema in it
// (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas).
func (r *Request) checkOpenAI(format, named object) error {
	root, _ := named["schema"].(object)
	switch {
	case format["type"] == "json_object" && !strings.Contains(strings.ToLower(encode(r.Messages)), "json"):
		return errors.New("'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'")
	case format["type"] != "json_schema":
		return nil
	case root["type"] != "object":
		return fmt.Errorf("invalid schema for response_format '%v': schema must be a JSON Schema of 'type: \"object\"'", named["name"])
	case named["strict"] == true && root["additionalProperties"] != false:
		return fmt.Errorf("invalid schema for response_format '%v': 'additionalProperties' is required to be supplied and to be false", named["name"])
	}
	return nil
}
