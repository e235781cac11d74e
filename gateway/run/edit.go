package run

import (
	"context"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// Edited returns the question that [Runner.Edit] asks. It keeps the files of
// the message that it edits.
func Edited(owner, conv, message, clientID, content string) chat.Question {
	now := time.Now()
	m := llm.Message{
		ID: chat.NewID("m"), Role: llm.User, Content: content,
		Metadata: &llm.Metadata{Parley: llm.Details{ClientID: clientID, At: now.UnixMilli(), Edits: message}},
	}
	return chat.Question{Conversation: conv, Owner: owner, Run: chat.NewID("r"), Message: m, Edits: message, KeepFiles: true, Accepted: now}
}

// Edit has a question, one that is shown, asked in other words: a new message
// takes its place and the place of everything behind it, and is answered. The
// same client id again gets the first edit.
func (r *Runner) Edit(ctx context.Context, owner, conv, message, clientID, content string) (chat.Question, error) {
	return r.Say(ctx, Edited(owner, conv, message, clientID, content))
}
