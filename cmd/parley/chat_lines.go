package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
	"parley/llm"
)

// line deals with a line of input; ok is false at its end.
func (t *talk) line(ctx context.Context, line string, ok bool) error {
	if !ok {
		t.over = true
		t.screen.leavePrompt()
		return nil
	}
	t.screen.entered()
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return nil
	case strings.HasPrefix(line, "/") && t.interactive:
		return t.slash(ctx, line)
	case t.deciding():
		t.decide(ctx, line)
		return nil
	}
	t.say(ctx, line)
	return nil
}

// say sends a question.
func (t *talk) say(ctx context.Context, text string) {
	if !t.fits(text) {
		return
	}
	t.asked = &question{clientID: chat.NewID("k")}
	t.send(ctx, client.Order{Type: "send", C: t.conv, Msg: &client.Said{ClientID: t.asked.clientID, Content: strings.ToValidUTF8(text, "\uFFFD")}})
}

// fits reports whether the server takes a question.
func (t *talk) fits(text string) bool {
	if t.maxMessage <= 0 || len(text) <= t.maxMessage {
		return true
	}
	t.screen.fail("The question has %d bytes; the server takes %d.", len(text), t.maxMessage)
	t.failed = true
	return false
}

// anew asks the last question once more: in other words, if there are any.
func (t *talk) anew(ctx context.Context, words string) {
	last := ""
	for _, m := range t.state.Messages {
		if m.Role == llm.User {
			last = m.ID
		}
	}
	if last == "" {
		t.screen.fail("There is no question yet.")
		return
	}
	t.asked = &question{clientID: chat.NewID("k")}
	o := client.Order{Type: "edit", C: t.conv, MessageID: last, ClientID: t.asked.clientID, Content: strings.ToValidUTF8(words, "\uFFFD")}
	if words == "" {
		o.Type = "regenerate"
		if t.state.Run != nil {
			t.asked.before = t.state.Run.ID
		}
	}
	t.send(ctx, o)
}

// slash carries out one of the client's own commands.
func (t *talk) slash(ctx context.Context, line string) error {
	name, arg, _ := strings.Cut(line, " ")
	switch name {
	case "/quit", "/exit":
		return errLeave
	case "/help":
		t.screen.note("%s", chatHelp)
	case "/new":
		t.turnTo(ctx, "")
	case "/list":
		t.list(ctx)
	case "/edit":
		if arg = strings.TrimSpace(arg); arg == "" {
			t.screen.fail("/edit needs the new words of your last question.")
		} else if t.fits(arg) {
			t.anew(ctx, arg)
		}
	case "/retry":
		t.anew(ctx, "")
	case "/open":
		if arg = strings.TrimSpace(arg); !chat.ValidID(arg) {
			t.screen.fail("/open needs the id of a conversation; /list shows them.")
			return nil
		}
		t.turnTo(ctx, arg)
	default:
		t.screen.fail("There is no command %s. %s", plain.Text(name), chatHelp)
	}
	return nil
}

// turnTo leaves the conversation for another, or for one that is yet to begin.
func (t *talk) turnTo(ctx context.Context, conv string) {
	if t.conv != "" && t.up {
		t.link.Write(ctx, client.Order{Type: "unsub", ID: t.nextID(), C: t.conv})
	}
	t.conv, t.subID, t.synced, t.state, t.at = conv, "", false, chat.State{}, chat.Position{}
	t.subscribe(ctx)
}

func (t *talk) list(ctx context.Context) {
	var page struct {
		Conversations []chat.Conversation `json:"conversations"`
	}
	if err := t.api.Get(ctx, "/v1/conversations", url.Values{"limit": {"20"}}, &page); err != nil {
		t.screen.fail("%v", err)
		return
	}
	if len(page.Conversations) == 0 {
		t.screen.note("There are no conversations yet.")
	}
	for _, c := range page.Conversations {
		fmt.Fprintf(t.screen.out, "%s  %s  %s\n", plain.Line(c.ID), c.Updated.Local().Format("2006-01-02 15:04"), plain.Cut(plain.Line(c.Title), 60))
	}
}
