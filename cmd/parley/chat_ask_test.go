package main

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

func TestDecisionsInALine(t *testing.T) {
	for _, c := range []struct {
		reason     tools.AskReason
		line, want string // as JSON, "" for none
	}{
		{tools.AskApproval, "y", `{"interruptId":"i1","status":"resolved","payload":{"approved":true}}`},
		{tools.AskApproval, "Yes", `{"interruptId":"i1","status":"resolved","payload":{"approved":true}}`},
		{tools.AskApproval, "a", `{"interruptId":"i1","status":"resolved","payload":{"always":true,"approved":true}}`},
		{tools.AskApproval, "n", `{"interruptId":"i1","status":"resolved","payload":{"approved":false}}`},
		{tools.AskApproval, "n it is too dear", `{"interruptId":"i1","status":"resolved","payload":{"approved":false,"reason":"it is too dear"}}`},
		{tools.AskApproval, `e {"sum":3}`, `{"interruptId":"i1","status":"resolved","payload":{"approved":true,"editedArgs":{"sum":3}}}`},
		{tools.AskApproval, `e {"sum":`, ""},
		{tools.AskApproval, `e`, ""},
		{tools.AskApproval, "now what", ""},
		{tools.AskInput, `{"card":"1"}`, `{"interruptId":"i1","status":"resolved","payload":{"card":"1"}}`},
		{tools.AskInput, "n", `{"interruptId":"i1","status":"cancelled"}`},
		{tools.AskInput, "y", ""},
		{tools.AskConnect, "y", `{"interruptId":"i1","status":"resolved"}`},
		{tools.AskConnect, "no", `{"interruptId":"i1","status":"cancelled"}`},
	} {
		d, ok := decided(chat.Interrupt{ID: "i1", Reason: c.reason}, c.line)
		got := ""
		if ok {
			b, _ := json.Marshal(d)
			got = string(b)
		}
		if got != c.want {
			t.Errorf("%s %q: %s, want %s", c.reason, c.line, got, c.want)
		}
	}
}

// asksOnce has a run wait, and go on when the client has answered.
func asksOnce(s *fakeServer, run string) {
	s.put(run, chat.Event{Type: chat.TextStart, MessageID: "a1"})
	s.callTool(run, "a1", "k1", "pay", `{"sum":5}`)
	s.put(run, chat.Event{Type: chat.TextEnd, MessageID: "a1"})
	s.put(run, chat.Event{Type: chat.RunFinished, RunID: run, Outcome: &chat.Outcome{Type: chat.Interrupted, Interrupts: []chat.Interrupt{{
		ID: "i1", Reason: tools.AskApproval, ToolCallID: "k1",
		Metadata: &chat.InterruptMetadata{Parley: chat.InterruptDetails{Tool: "pay", Method: "POST", Host: "shop.example"}},
	}}}})
}

func TestChatAsksThePerson(t *testing.T) {
	s, tm := newFake(t, func(s *fakeServer, run string) {
		asksOnce(s, run)
		s.await(func() bool { return len(s.decisions) > 0 })
		s.put(run, chat.Event{Type: chat.AskAnswered, ToolCallID: "k1", Answered: &llm.Answered{Interrupt: "i1", Status: tools.AnswerResolved}})
		s.put(run, chat.Event{Type: chat.RunStarted, RunID: run})
		s.toolAnswers(run, "k1", tools.Outcome{Status: 200})
		s.say(run, "a2", "Paid.")
		s.finish(run)
	}), newTerminal(t)
	a := &app{
		stdin: strings.NewReader("Pay\nwhat?\nn too dear\n/quit\n"), stdout: tm.out, stderr: tm.errOut, env: tm.env,
		signals: tm.signals, terminal: func(any) bool { return true },
	}
	if code := a.run(t.Context(), []string{"chat", "--server", s.url}); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if asked := "Allow pay (POST shop.example) with {\"sum\":5}?"; strings.Count(tm.errOut.String(), asked) != 2 {
		t.Errorf("%q is not said twice in %q", asked, tm.errOut.String())
	}
	if got, _ := json.Marshal(s.decisions); string(got) != `[{"interruptId":"i1","status":"resolved","payload":{"approved":false,"reason":"too dear"}}]` {
		t.Errorf("it answered %s", got)
	}
	if !strings.Contains(tm.out.String(), "Paid.") {
		t.Errorf("it printed %q", tm.out.String())
	}
}

func TestChatOnceDoesNotWaitForADecision(t *testing.T) {
	s, tm := newFake(t, asksOnce), newTerminal(t)
	if code := tm.chat(t, s, "", "--once", "Pay."); code != exitFailed {
		t.Errorf("it ended with %d", code)
	}
	if said := tm.errOut.String(); !strings.Contains(said, "waits for a decision") || !strings.Contains(said, "--conversation c1") {
		t.Errorf("it said %q", said)
	}
}
