package provider

import (
	"regexp"

	"parley/llm"
)

var _ llm.Continuer = (*Remote)(nil)

// A continuer is a protocol that has a way to go on with an answer, for some
// models.
type continuer interface{ continues(w *wire) bool }

// Continues implements [llm.Continuer]: for this model, if its protocol has a
// way to go on with an answer, and it is known, or was said in [Options], that
// the model does.
func (r *Remote) Continues(model string) bool {
	c, ok := r.proto.(continuer)
	return ok && model == r.model && c.continues(&r.wire)
}

var _ llm.Echoer = (*Remote)(nil)

// Echoes implements [llm.Echoer]: Mistral does.
func (r *Remote) Echoes() bool {
	o, ok := r.proto.(*openai)
	return ok && o.mistral
}

// prefilled matches models that go on with what the last message, their own,
// begins with. Later ones refuse such a request.
// https://docs.anthropic.com/en/docs/build-with-claude/prompt-engineering/prefill-claudes-response
var prefilled = regexp.MustCompile(`^claude-(3\b|(opus|sonnet|haiku)-4(-[015])?(-\d{8})?$)`)

// continues is false of models that think first: they must be given their
// thoughts.
func (anthropic) continues(w *wire) bool {
	return w.opts.Reasoning.budget() == 0 && (w.opts.Continues || prefilled.MatchString(w.model))
}

// continues is false if nothing was said: whether a model goes on, or begins a
// new answer behind the old one, lies in its template.
func (ollama) continues(w *wire) bool { return w.opts.Continues }

// continues is true of Mistral, and of vLLM and its like if it is said.
func (o *openai) continues(w *wire) bool { return o.mistral || w.opts.Continues }

// begun puts what an answer begins with behind the messages.
func begun(req llm.Request) llm.Request {
	if text := req.Begun.Sent(); text != "" {
		ms := req.Messages
		req.Messages = append(ms[:len(ms):len(ms)], llm.Message{Role: llm.Assistant, Content: text})
	}
	return req
}

// goOn says that the last message is to be gone on with: to Mistral by a field
// of the message (https://docs.mistral.ai/capabilities/completion/usage), to
// vLLM and its like by two of the request
// (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html).
func (o *openai) goOn(b map[string]any, ms []openaiMessage) {
	if o.mistral {
		ms[len(ms)-1].Prefix = true
		return
	}
	b["continue_final_message"], b["add_generation_prompt"] = true, false
}
