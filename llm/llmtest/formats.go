package llmtest

import (
	"encoding/json"

	"parley/llm"
	"parley/tools"
)

// Schemas of the cases: one that OpenAI takes as strict, one that it does not,
// and one whose top is no object.
const (
	strictCity = `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`
	looseCity  = `{"type":"object","properties":{"city":{"type":"string","minLength":1}}}`
	listCity   = `{"type":"array","items":{"type":"string"}}`
)

// Names of cases that not all dialects have.
const (
	heldTo      = "held to a format"
	heldLoosely = "held to a schema that is not strict"
	heldToAny   = "held to any JSON object, and told of it"
)

func place(schema string) *llm.Format { return llm.NewFormat("place", json.RawMessage(schema), true) }

// holding returns the fields by which a dialect holds an answer to a schema,
// "" for any object; those of a dialect that does not are empty.
func (d Dialect) holding(schema, strict string) map[string]string {
	named := `"type":"json_schema","json_schema":{"name":"place","strict":` + strict + `,"schema":` + schema + `}`
	flat := `"type":"json_schema","name":"place","strict":` + strict + `,"schema":` + schema
	alone := schema
	if schema == "" {
		named, flat, alone = `"type":"json_object"`, `"type":"json_object"`, `"json"`
	}
	switch d {
	case OpenAI:
		return map[string]string{"response_format": "{" + named + "}"}
	case Responses:
		return map[string]string{"text.format": "{" + flat + "}"}
	case Ollama:
		return map[string]string{"format": alone}
	case Gemini:
		return map[string]string{"generationConfig.responseMimeType": `"application/json"`, "generationConfig.responseJsonSchema": schema}
	}
	return d.formless()
}

// formless returns the fields that say of a format, empty.
func (d Dialect) formless() map[string]string {
	return map[Dialect]map[string]string{
		OpenAI: {"response_format": ""}, Responses: {"text": ""}, Ollama: {"format": ""},
		Anthropic: {"output_format": "", "output_config": ""},
		Gemini:    {"generationConfig.responseMimeType": "", "generationConfig.responseJsonSchema": ""},
	}[d]
}

// with returns fields and more.
func with(fields map[string]string, path, value string) map[string]string {
	fields[path] = value
	return fields
}

// formed returns what is sent of a format that the API holds an answer to, in
// a request that has nothing to call. Ollama's models are told as well.
func (d Dialect) formed(schema, strict string) Sending {
	if d == Anthropic {
		return d.told()
	}
	return Sending{Fields: d.holding(schema, strict), Held: true, Told: d == Ollama || schema == ""}
}

// told is what is sent of a format that the API does not hold an answer to.
func (d Dialect) told() Sending { return Sending{Fields: d.formless(), Told: true} }

// commonFormats are requests for an answer in a format.
func commonFormats(d Dialect) []Script {
	now := []tools.Spec{{Name: "now"}}
	fits := func(text string, ask llm.Request, sends Sending) Script {
		return Script{
			Ask: ask, Sends: sends, Want: Outcome{Text: text, Finish: llm.FinishStop},
			Serve: tell(d, func(v voice) []string { return []string{v.begin(), v.text(text), v.end("stop", someUsage)} }),
		}
	}
	const bern = `{"city":"Bern"}`
	strict, list := place(strictCity), place(listCity)
	all := []Script{
		named(heldTo, fits(bern, llm.Request{Format: strict}, d.formed(strictCity, "true"))),
		named(heldLoosely, fits(bern, llm.Request{Format: place(looseCity)}, d.formed(looseCity, "false"))),
		named(heldToAny, fits(bern, llm.Request{Format: place("")}, d.formed("", ""))),
		named("a format that is no object", fits(`["Bern"]`, llm.Request{Format: list}, d.formed(listCity, "true"))),
		named("a format beside tools", fits(bern, llm.Request{Format: strict, Tools: now}, d.told())),
		named("a format, and tools that must not be called", fits(bern, llm.Request{Format: strict, Tools: now, NoTools: true}, d.formed(strictCity, "true"))),
		{
			Name: "a format that the server refuses", Ask: llm.Request{Format: strict}, Sends: d.formed(strictCity, "true"),
			Serve: answerWith(400, "", d.errorJSON(400, "", "Invalid schema for response_format 'place'")), Want: Outcome{Err: llm.BadRequest, Status: 400, AnyCode: true},
		},
	}
	noObject, beside, last := &all[3], &all[4], &all[5]
	switch d {
	case OpenAI, Responses: // which hold an answer to objects only, tools or not
		noObject.Sends, beside.Sends = d.told(), d.formed(strictCity, "true")
		last.Sends.Fields = with(last.Sends.Fields, "tool_choice", `"none"`)
	case Anthropic:
		last.Sends.Fields = with(last.Sends.Fields, "tool_choice.type", `"none"`)
	default: // most models of Gemini refuse tools beside a format, Ollama's do not call then
		last.Sends.Fields = with(last.Sends.Fields, "tools", "")
	}
	return all
}

func named(name string, s Script) Script {
	s.Name = name
	return s
}

// commonFormed are answers to a request for JSON.
func commonFormed(d Dialect) []Script {
	answers := func(name string, want Outcome, parts func(v voice) []string) Script {
		ask := llm.Request{Format: place(strictCity)}
		return Script{Name: name, Ask: ask, Sends: d.formed(strictCity, "true"), Serve: tell(d, parts), Want: want}
	}
	spaced := "\n\t{ \"city\" : \"Z\\u00fcrich \\\"West\\\" 👩‍🔬\" }\n"
	bern := weather("c1", "Bern")
	call := answers("a call in place of JSON", made(bern), func(v voice) []string {
		return []string{v.begin(), v.call(bern, piecesOf(bern.Arguments)), v.end("tool_calls", someUsage)}
	})
	call.Ask.Tools = []tools.Spec{{Name: "weather"}}
	if d != OpenAI && d != Responses {
		call.Sends = d.told()
	}
	return []Script{
		call,
		answers("JSON in pieces, space and escapes as they come", Outcome{Text: spaced, Finish: llm.FinishStop}, func(v voice) []string {
			out := []string{v.begin()}
			for _, r := range spaced {
				out = append(out, v.text(string(r)))
			}
			return append(out, v.end("stop", someUsage))
		}),
		answers("thoughts before JSON", Outcome{Reasoning: `{"city":"Rome"}?`, Text: `{"city":"Bern"}`, Finish: llm.FinishStop}, func(v voice) []string {
			return []string{v.begin(), v.thought(`{"city":"Rome"}?`), v.text(`{"city":"Bern"}`), v.end("stop", someUsage)}
		}),
		answers("JSON of another form than was asked for", Outcome{Text: `{"town":"Bern"}`, Finish: llm.FinishStop, Unfit: llm.FinishStop}, func(v voice) []string {
			return []string{v.begin(), v.text(`{"town":"Bern"}`), v.end("stop", someUsage)}
		}),
		answers("JSON cut by the limit of length", Outcome{Text: `{"city":`, Finish: llm.FinishLength, Unfit: llm.FinishLength}, func(v voice) []string {
			return []string{v.begin(), v.text(`{"city":`), v.end("length", someUsage)}
		}),
		answers("JSON that looks whole, cut by the limit of length", Outcome{Text: `{"city":"Be"}`, Finish: llm.FinishLength, Unfit: llm.FinishLength}, func(v voice) []string {
			return []string{v.begin(), v.text(`{"city":"Be"}`), v.end("length", someUsage)}
		}),
		answers("a refusal in place of JSON", Outcome{Text: "I cannot.", Finish: llm.FinishRefused, Unfit: llm.FinishRefused}, func(v voice) []string {
			return []string{v.begin(), v.text("I cannot."), v.end("content_filter", someUsage)}
		}),
		answers("whole JSON, then the stream ends", Outcome{Text: `{"city":"Bern"}`, Err: llm.Truncated, MidStream: true}, func(v voice) []string {
			return []string{v.begin(), v.text(`{"city":"Bern"}`)}
		}),
	}
}
