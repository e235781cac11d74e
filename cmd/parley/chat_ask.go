package main

import (
	"context"
	"encoding/json"
	"strings"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
	"parley/tools"
)

// deciding reports whether the next line is a decision.
func (t *talk) deciding() bool { return t.ask != nil && t.ask.ID != t.told && t.synced }

// askNext asks the person what the awaited answer waits for, one thing after
// the other.
func (t *talk) askNext(s *chat.State, q *question) {
	if !s.Waits() || s.Run.ID != q.run || len(s.Interrupts) == 0 {
		if t.ask != nil {
			t.ask = nil // decided, here or elsewhere
			t.screen.leavePrompt()
		}
		return
	}
	i := s.Interrupts[0]
	if t.ask != nil && t.ask.ID == i.ID {
		return
	}
	if !t.interactive || t.over {
		t.screen.fail("The answer waits for a decision that nobody can make here: open the conversation in the page, or with parley chat --conversation %s.", t.conv)
		t.asked, t.failed, t.screen.printed = nil, true, ""
		return
	}
	t.ask = &i
	t.screen.note("%s", askText(s, i))
}

// askText says what is to be decided, and how.
func askText(s *chat.State, i chat.Interrupt) string {
	text := plain.Text(i.Message)
	d := chat.InterruptDetails{}
	if i.Metadata != nil {
		d = i.Metadata.Parley
	}
	switch i.Reason {
	case tools.AskApproval:
		text = "Allow " + plain.Line(d.Tool)
		if to := strings.TrimSpace(d.Method + " " + d.Host); to != "" {
			text += " (" + plain.Line(to) + ")"
		}
		return text + " with " + plain.Line(argumentsOf(s, i.ToolCallID)) + "?\n" + approvalHelp
	case tools.AskConnect:
		return text + "\nOpen " + plain.Line(d.URL) + ", then: y to go on, n to leave it."
	}
	return text + "\n" + plain.Line(string(i.Schema)) + "\nAnswer with a JSON object, or n to leave it."
}

const approvalHelp = "y yes · a yes, always here · e {…} yes, with these arguments · n no · n REASON"

func argumentsOf(s *chat.State, call string) string {
	for _, m := range s.Messages {
		for _, c := range m.ToolCalls {
			if c.ID == call {
				return c.Function.Arguments
			}
		}
	}
	return "{}"
}

// decide takes a line as the decision about what is asked.
func (t *talk) decide(ctx context.Context, line string) {
	d, ok := decided(*t.ask, line)
	if !ok {
		t.screen.note("%s", askText(&t.state, *t.ask))
		return
	}
	t.told = t.ask.ID
	t.send(ctx, client.Order{Type: "answer", C: t.conv, Answers: []client.Decision{d}})
}

// decided reads a decision; ok is false if a line is none.
func decided(i chat.Interrupt, line string) (d client.Decision, ok bool) {
	d = client.Decision{InterruptID: i.ID, Status: tools.AnswerResolved}
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	word = strings.ToLower(word)
	if i.Reason != tools.AskApproval {
		switch {
		case word == "n" || word == "no":
			d.Status = tools.AnswerCancelled
		case i.Reason == tools.AskConnect && (word == "y" || word == "yes"):
		case isObject(line):
			d.Payload = json.RawMessage(line)
		default:
			return d, false
		}
		return d, true
	}
	switch word {
	case "y", "yes":
		d.Payload = map[string]any{"approved": true}
	case "a", "always":
		d.Payload = map[string]any{"approved": true, "always": true}
	case "e", "edit":
		d.Payload = map[string]any{"approved": true, "editedArgs": json.RawMessage(rest)}
		return d, isObject(rest)
	case "n", "no":
		no := map[string]any{"approved": false}
		if rest != "" {
			no["reason"] = rest
		}
		d.Payload = no
	default:
		return d, false
	}
	return d, true
}
