package gateway_test

import (
	"encoding/json"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

func interrupt(id, call string) chat.Interrupt {
	return chat.Interrupt{
		ID: id, Reason: tools.AskApproval, Message: "May pay be called?", ToolCallID: call,
		Schema: json.RawMessage(`{"type":"object"}`), Expires: time.UnixMilli(1795433642264).UTC(),
		Metadata: &chat.InterruptMetadata{Parley: chat.InterruptDetails{Tool: "pay", Method: "POST", Host: "shop.example"}},
	}
}

func suspended(run string, is ...chat.Interrupt) chat.Event {
	return chat.Event{
		Type: chat.RunFinished, ThreadID: "c1", RunID: run, Outcome: &chat.Outcome{Type: chat.Interrupted, Interrupts: is},
		Metadata: &llm.Metadata{Parley: llm.Details{Model: "m", TookMs: 7}},
	}
}

func decided(id, call string, status tools.AnswerStatus, payload string) chat.Event {
	a := &llm.Answered{Interrupt: id, Status: status, At: 1795347252264}
	if payload != "" {
		a.Payload, a.By = json.RawMessage(payload), "owner"
	}
	return chat.Event{Type: chat.AskAnswered, RunID: "r1", ToolCallID: call, Answered: a}
}

func interruptFolds(fold func(string, *script) goldenFold) []goldenFold {
	paying := func() *script {
		return newScript().put(said("m1", "pay"), started("r1", "m1", "")).put(written("m2", "Paying. ")...).put(call("k1", "m2", "pay", `{"sum":1}`)...).
			put(call("k2", "m2", "pay", `{"sum":2}`)...).put(chat.Event{Type: chat.TextEnd, MessageID: "m2"})
	}
	waits := func() *script { return paying().put(suspended("r1", interrupt("i1", "k1"), interrupt("i2", "k2"))) }
	return []goldenFold{
		fold("a run waits", waits()),
		fold("one of two answered", waits().generation("claim").put(decided("i2", "k2", tools.AnswerResolved, `{"approved":false,"reason":"no"}`))),
		fold("it goes on behind a handover", paying().put(chat.Event{Type: chat.RunHandedOver, RunID: "r1"}, suspended("r1", interrupt("i1", "k1")), decided("i1", "k1", tools.AnswerResolved, `{"approved":true}`), started("r1", "m1", ""))),
		fold("it goes on", waits().generation("claim").put(decided("i1", "k1", tools.AnswerResolved, `{"approved":true,"editedArgs":{"sum":3}}`), decided("i2", "k2", tools.AnswerExpired, ""), started("r1", "m1", "")).
			put(result("m3", "k1", "paid"), failedResult("m4", "k2", "nobody decided")).put(whole("m5", "Done.")...).put(finished("r1", "success"))),
		fold("answered twice", waits().put(decided("i1", "k1", tools.AnswerResolved, `{"approved":true}`), decided("i1", "k1", tools.AnswerResolved, `{"approved":true}`))),
		fold("it asks again", waits().put(decided("i1", "k1", tools.AnswerResolved, `{"approved":true}`), decided("i2", "k2", tools.AnswerResolved, `{"approved":true}`), started("r1", "m1", ""), result("m3", "k2", "paid")).
			put(suspended("r1", interrupt("i3", "k1")))),
		fold("the person went on", waits().generation("claim").put(decided("i1", "k1", tools.AnswerCancelled, ""), decided("i2", "k2", tools.AnswerCancelled, ""), started("r1", "m1", ""), failedResult("m3", "k1", "went on"), failedResult("m4", "k2", "went on"), finished("r1", "cancelled")).
			inRun("r2", 1).put(said("m6", "never mind"), started("r2", "m6", "")).put(written("m7", "All ")...)),
		fold("an answer of what is not asked", paying().put(decided("i9", "k9", tools.AnswerResolved, `{}`))),
		fold("taken over while it goes on", waits().put(decided("i1", "k1", tools.AnswerResolved, `{"approved":true}`), started("r1", "m1", "")).generation("claim").
			inRun("r1", 2).put(chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2}, result("m3", "k1", "paid"))),
		fold("a message that was open", newScript().put(said("m1", "pay"), started("r1", "m1", "")).put(written("m2", "Paying")...).put(suspended("r1", interrupt("i1", "k1")))),
	}
}
