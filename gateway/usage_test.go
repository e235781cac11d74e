package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/llm/llmtest"
)

// costs answers each question for a thousand tokens.
func costs(llmtest.Request) llmtest.Reply {
	return llmtest.Reply{Pieces: []string{"hi"}, Usage: &llm.Usage{Input: 900, Output: 100}}
}

func TestEverybodySeesTheirOwnSpending(t *testing.T) {
	inBubble(t, costs, func(w *world) {
		w.c.Run.Budgets.Person = llm.Amount{Tokens: 10_000}
		g := w.gate()
		ann, bob := w.guest(g), w.guest(g)
		a := exchange(ann)
		exchange(ann)
		b := exchange(bob)
		var own struct {
			Today, Conversation struct{ Tokens int64 }
			Models              []chat.UsageRow
			Budgets             []struct {
				Scope       string
				Limit, Left llm.Amount
			}
		}
		ann.get("/v1/usage?conversation="+a.Conversation).into(http.StatusOK, &own)
		if own.Today.Tokens != 2000 || own.Conversation.Tokens != 1000 || len(own.Models) != 1 || own.Models[0].Runs != 2 {
			t.Errorf("%+v", own)
		}
		if len(own.Budgets) != 1 || own.Budgets[0].Scope != "person" || own.Budgets[0].Left.Tokens != 8000 {
			t.Errorf("%+v", own.Budgets)
		}
		ann.get("/v1/usage?conversation="+b.Conversation).problem(http.StatusNotFound, "not_found", "")
		ann.get("/v1/usage?days=0").problem(http.StatusBadRequest, "bad_request", "days")

		var all struct{ Usage []chat.UsageRow }
		w.admin(g).get("/v1/usage/report?by=person").into(http.StatusOK, &all)
		if len(all.Usage) != 2 || all.Usage[0].Tokens != 2000 || all.Usage[1].Tokens != 1000 {
			t.Errorf("%+v", all.Usage)
		}
		w.admin(g).get("/v1/usage/report?by=colour").problem(http.StatusBadRequest, "bad_request", "by")
		token, _ := w.key(g, "shop", "acme", "chat", "tools")
		w.speaks(g, token, "ann").get("/v1/usage/report").problem(http.StatusForbidden, "forbidden", "")
	})
}

// Whoever has spent their day is told when there is more, on every carrier,
// and what was taken before is still theirs.
func TestWhoHasSpentTheirDayIsRefused(t *testing.T) {
	inBubble(t, costs, func(w *world) {
		w.c.Run.Budgets.Person = llm.Amount{Tokens: 1000}
		g, h := w.gate(), w.gate()
		ann := w.guest(g)
		say := object{"content": "hello", "clientId": "k1"}
		var a posted
		ann.do("POST", "/v1/conversations/new/messages?wait=60s", say).into(http.StatusOK, &a)
		w.rest()
		more := ann.at(h).do("POST", "/v1/conversations/"+a.Conversation+"/messages", object{"content": "more"})
		p := more.problem(http.StatusTooManyRequests, "budget", "")
		if left := time.Duration(p.RetryMs) * time.Millisecond; left <= 23*time.Hour || left > 24*time.Hour || more.header.Get("Retry-After") == "" {
			t.Errorf("there is more in %v, Retry-After is %q", left, more.header.Get("Retry-After"))
		}
		command := "/v1/conversations/" + a.Conversation + "/commands"
		ann.do("POST", command, object{"type": "regenerate", "messageId": a.MessageID, "clientId": "k2"}).problem(http.StatusTooManyRequests, "budget", "")
		ann.do("POST", command, object{"type": "edit", "messageId": a.MessageID, "clientId": "k3", "content": "x"}).problem(http.StatusTooManyRequests, "budget", "")
		var again posted
		ann.do("POST", "/v1/conversations/new/messages", say).into(http.StatusOK, &again)
		if again.Run != a.Run || again.Status != "finished" {
			t.Errorf("said again: %+v, at first %+v", again, a)
		}
		if n := len(ann.history(a.Conversation)); n != 2 {
			t.Errorf("the conversation has %d messages", n)
		}
		w.guest(g).do("POST", "/v1/conversations/new/messages", object{"content": "I am somebody else"}).into(http.StatusAccepted, nil)
	})
}
