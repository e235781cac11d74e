package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/llmtest"
)

func place(schema any) object {
	return object{"type": "json_schema", "json_schema": object{"name": "place", "strict": true, "schema": schema}}
}

var citySchema = object{"type": "object", "properties": object{"city": object{"type": "string"}}, "required": []string{"city"}, "additionalProperties": false}

type formattedAnswer struct {
	Conversation, Run string
	Status            string
	Answer            *llm.Message
	Output            json.RawMessage
	Failure           *llm.Failure
}

func TestAnAnswerInAFormat(t *testing.T) {
	inBubble(t, llmtest.Sequence(llmtest.Text(`{"town":1}`), llmtest.Text(`{"city": "Bern"}`), llmtest.Text(`{"city":"Thun"}`), llmtest.Text("no"), llmtest.Text("never")), func(w *world) {
		p := w.guest(w.gate())
		var a, failed formattedAnswer
		p.do("POST", "/v1/conversations/new/messages?wait=20s", object{"content": "where?", "response_format": place(citySchema)}).into(http.StatusOK, &a)
		if a.Status != "finished" || string(a.Output) != `{"city": "Bern"}` && string(a.Output) != `{"city":"Bern"}` || a.Answer.Content != `{"city": "Bern"}` {
			t.Errorf("got %+v, output %s", a, a.Output)
		}
		if f := a.Answer.Metadata.Parley.Format; f == nil || !f.Valid || f.Name != "place" {
			t.Errorf("the message says %+v", f)
		}
		var again frame
		p.do("POST", "/v1/conversations/"+a.Conversation+"/commands", object{"type": "regenerate", "messageId": a.Answer.ID, "clientId": "again"}).into(http.StatusOK, &again)
		w.rest()
		var rec chat.RunRecord
		p.get("/v1/runs/"+again.Run).into(http.StatusOK, &rec)
		if ms := p.history(a.Conversation); rec.Format == nil || ms[len(ms)-1].Metadata.Parley.Format == nil || ms[len(ms)-1].Content != `{"city":"Thun"}` {
			t.Errorf("given anew it is\n%s\nof %+v", text(ms), rec)
		}
		p.do("POST", "/v1/conversations/new/messages?wait=20s", object{"content": "where?", "response_format": place(citySchema)}).into(http.StatusOK, &failed)
		if failed.Status != "failed" || failed.Failure == nil || failed.Failure.Code != "format" || failed.Output != nil || failed.Answer.Content != "never" || failed.Answer.Metadata.Parley.Format.Valid {
			t.Errorf("got %+v", failed)
		}
	})
}

func TestAFormatThatIsWrong(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		p := w.guest(w.gate())
		for field, format := range map[string]any{
			"response_format.type":                                    object{"type": "xml"},
			"response_format.json_schema.schema":                      place(object{"$ref": "https://example.com/x.json"}),
			"response_format.json_schema.schema/properties/city/type": place(object{"properties": object{"city": object{"type": "sting"}}}),
		} {
			body := object{"content": "where?", "response_format": format}
			if got := p.do("POST", "/v1/conversations/new/messages", body).problem(http.StatusBadRequest, "bad_request", field); strings.TrimSpace(got.Detail) == "" {
				t.Errorf("%s: nothing is said", field)
			}
		}
		if w.model.Count() != 0 {
			t.Error("the model was asked")
		}
	})
}
