package llmtest

import (
	"io"
	"net/http"

	"parley/llm"
	"parley/tools"
)

// saidAnew is the case of dialects that cannot go on with an answer.
const saidAnew = "an answer that was begun and cannot be gone on with"

// goesOnCases returns the names of the cases of those that can.
func goesOnCases() (names []string) {
	for _, s := range goingOn(OpenAI) {
		names = append(names, s.Name)
	}
	return names
}

// goingOnBy returns the fields by which a dialect is told that the last message
// is to be gone on with, apart from that message itself.
func (d Dialect) goingOnBy() map[string]string {
	if d == OpenAI { // vLLM and its like
		return map[string]string{"continue_final_message": "true", "add_generation_prompt": "false"}
	}
	return nil
}

// commonBegun are answers that have begun before.
func commonBegun(d Dialect) []Script {
	anew := Outcome{Text: "Hello there", Finish: llm.FinishStop, Anew: true}
	return append(goingOn(d), Script{
		Name: saidAnew, Ask: llm.Request{Begun: &llm.Begun{Text: "Hello "}}, Want: anew,
		Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.text("Hello there"), v.end("stop", someUsage)} }),
	})
}

// goingOn are answers whose model goes on behind "Half an answer that \n": it
// is sent that without the space at its end.
func goingOn(d Dialect) []Script {
	const begun, sent = "Half an answer that \n", "Half an answer that"
	goes := func(name string, want Outcome, parts func(v voice) []string) Script {
		ask := llm.Request{Begun: &llm.Begun{Text: begun}}
		return Script{Name: name, Ask: ask, Sends: Sending{Fields: d.goingOnBy(), Begun: sent}, Serve: tell(d, parts), Want: want}
	}
	says := func(name string, want string, pieces ...string) Script {
		return goes(name, Outcome{Text: want, Finish: llm.FinishStop}, func(v voice) []string {
			out := []string{v.begin()}
			for _, p := range pieces {
				out = append(out, v.text(p))
			}
			return append(out, v.end("stop", someUsage))
		})
	}
	const whole = begun + "goes on."
	bern := weather("c1", "Bern")
	spaceless := says("goes on with a space that is not there yet", sent+" goes on.", " goes", " on.")
	spaceless.Ask.Begun = &llm.Begun{Text: sent}
	blank := says("goes on with nothing: only space was said", " \nHello there", "Hello there")
	blank.Ask.Begun, blank.Sends = &llm.Begun{Text: " \n"}, Sending{Fields: without(d.goingOnBy())}
	behind := says("goes on behind a tool's result", whole, "goes on.")
	behind.Ask.Tools = []tools.Spec{{Name: "weather"}}
	behind.Ask.Messages = []llm.Message{
		{Role: llm.User, Content: "hello"},
		{Role: llm.Assistant, ToolCalls: []llm.ToolCall{llm.NewToolCall("c1", "weather", bern.Arguments)}},
		{Role: llm.ToolRole, ToolCallID: "c1", Content: "rain"},
	}
	return []Script{
		says("goes on with an answer", whole, "goes", " on."),
		spaceless, blank, behind,
		says("goes on with the space that was there", whole, " ", "\n", "goes on."),
		says("goes on with all that was there", whole, "Half an an", "swer that", " \ngoes on."),
		says("goes on with a part of what was there", begun+"Half an answer", "Half an ", "answer"),
		says("goes on with nothing more", begun),
		goes("goes on with a call", Outcome{Text: whole, Calls: []Call{bern}, Finish: llm.FinishTools}, func(v voice) []string {
			return []string{v.begin(), v.text("goes on."), v.call(bern, piecesOf(bern.Arguments)), v.end("tool_calls", someUsage)}
		}),
		goes("goes on, cut by the limit of length", Outcome{Text: begun + "goes", Finish: llm.FinishLength}, func(v voice) []string {
			return []string{v.begin(), v.text("goes"), v.end("length", someUsage)}
		}),
		goes("goes on, then the stream ends", Outcome{Text: begun + "goes", Err: llm.Truncated, MidStream: true}, func(v voice) []string {
			return []string{v.begin(), v.text("goes")}
		}),
		refusing(d, sent),
	}
}

// refusing is a model that goes on with nothing, whatever is said of it.
func refusing(d Dialect, sent string) Script {
	anew := tell(d, func(v voice) []string { return []string{v.begin(), v.text("Hello there"), v.end("stop", someUsage)} })
	no := answerWith(400, "", d.errorJSON(400, "invalid_request_error", "This model does not support assistant message prefill."))
	return Script{
		Name: "the server refuses to go on", Ask: llm.Request{Begun: &llm.Begun{Text: sent}},
		Sends: Sending{Fields: d.goingOnBy(), Begun: sent}, Want: Outcome{Text: "Hello there", Finish: llm.FinishStop, Anew: true},
		Serve: func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if req, _ := parseRequest(d, body); req.Last().Role == "assistant" {
				no(w, r)
				return
			}
			anew(w, r)
		},
	}
}

// without returns the same fields, empty.
func without(fields map[string]string) map[string]string {
	out := map[string]string{}
	for f := range fields {
		out[f] = ""
	}
	return out
}
