package gateway_test

import (
	"net/http"
	"testing"

	"parley/gateway/chat"
	"parley/llm/llmtest"
)

// A question in the middle is edited over HTTP while two tabs look on, one of
// which has seen nothing of it yet.
func TestEditOverHTTP(t *testing.T) {
	inBubble(t, always(llmtest.Text("fine")), func(w *world) {
		a := w.guest(w.gate()).open()
		b := a.at(w.gate()).open()
		var asked []frame
		c := ""
		for _, text := range []string{"one", "two", "three"} {
			q := a.say(c, "k-"+text, text)
			if c == "" {
				c = q.C
				a.sub(c, "")
			}
			a.answered(c, q.Run)
			asked = append(asked, q)
		}
		commands := "/v1/conversations/" + c + "/commands"
		edit := object{"type": "edit", "messageId": asked[1].MessageID, "content": "2"}
		b.do("POST", commands, edit).problem(http.StatusBadRequest, "bad_request", "clientId")
		edit["clientId"] = "e1"
		var first, again frame
		b.do("POST", commands, edit).into(http.StatusOK, &first)
		a.do("POST", commands, edit).into(http.StatusOK, &again) // at another replica
		if first.Run == "" || again.Run != first.Run || again.MessageID != first.MessageID {
			t.Errorf("edited by %+v and by %+v", first, again)
		}
		b.sub(c, "")
		for _, tb := range []*tab{a, b} {
			s := tb.answered(c, first.Run)
			if got, want := text(s.Messages), text(a.history(c)); got != want || len(s.Messages) != 4 || s.Messages[2].ID != first.MessageID {
				t.Errorf("a tab shows\n%s\nthe store has\n%s", got, want)
			}
		}
		var rec chat.RunRecord
		a.do("GET", "/v1/runs/"+first.Run, nil).into(http.StatusOK, &rec)
		if rec.Edits != asked[1].MessageID || rec.Question != first.MessageID {
			t.Errorf("the run is %+v", rec)
		}
		edit["clientId"], edit["messageId"] = "e2", asked[2].MessageID
		b.do("POST", commands, edit).problem(http.StatusConflict, "conflict", "messageId")
	})
}
