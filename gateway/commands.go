package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"parley/gateway/chat"
	"parley/gateway/run"
	"parley/llm"
)

// execute carries out a command that needs no connection, and returns its
// answer.
func (s *Server) execute(ctx context.Context, p Principal, cmd command) reply {
	var r reply
	var err error
	switch cmd.Type {
	case "send":
		r, err = s.send(ctx, p, cmd)
	case "cancel":
		r, err = s.cancel(ctx, p, cmd)
	case "regenerate":
		r, err = s.regenerate(ctx, p, cmd)
	case "edit":
		r, err = s.edit(ctx, p, cmd)
	case "answer":
		r, err = s.answer(ctx, p, cmd)
	case "pin", "unpin":
		r, err = s.pin(ctx, p, cmd)
	case "history":
		r, err = s.history(ctx, p, cmd)
	case "ping":
		r.Type = framePong
	default:
		err = problem(http.StatusBadRequest, codeUnknown, "There is no command %.40q here.", cmd.Type).in("type")
	}
	if err != nil {
		r = reply{Type: frameErr, Problem: s.explain(err, "command "+cmd.Type)}
	} else if r.Type == "" {
		r.Type = frameOK
	}
	r.ID = cmd.ID
	return r
}

// owned returns a conversation, if it is the asker's.
func (s *Server) owned(ctx context.Context, p Principal, id string) (chat.Conversation, error) {
	if !chat.ValidID(id) {
		return chat.Conversation{}, notFound("conversation")
	}
	c, err := s.Store.Conversation(ctx, id)
	if err != nil {
		if problemOf(err) != nil {
			return c, notFound("conversation")
		}
		return c, err
	}
	if c.Owner != p.Owner && !p.Admin {
		return chat.Conversation{}, notFound("conversation")
	}
	return c, nil
}

func (s *Server) send(ctx context.Context, p Principal, cmd command) (reply, error) {
	if cmd.Msg == nil {
		return reply{}, problem(http.StatusBadRequest, codeBadRequest, "A send needs a msg with clientId and content.").in("msg")
	}
	m := *cmd.Msg
	if cmd.Agent != "" {
		m.Agent = cmd.Agent
	}
	q, err := s.say(ctx, p, cmd.C, m)
	if err != nil {
		return reply{}, err
	}
	return reply{C: q.Conversation, MessageID: q.Message.ID, Run: q.Run}, nil
}

// say takes what a person says into a conversation, or into a new one if conv
// is empty.
func (s *Server) say(ctx context.Context, p Principal, conv string, m said) (chat.Question, error) {
	if err := s.checkSaid(m); err != nil {
		return chat.Question{}, err
	}
	format, err := llm.ReadFormat(m.Format)
	if err != nil {
		return chat.Question{}, formatProblem(err)
	}
	if err := s.checkMemory(); err != nil {
		return chat.Question{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, acceptWithin)
	defer cancel()
	if err := s.checkAgent(ctx, m.Agent); err != nil {
		return chat.Question{}, err
	}
	owner := p.Owner
	if conv == "" {
		conv = newConversation(p.Owner, m.ClientID)
	} else {
		c, err := s.owned(ctx, p, conv)
		if err != nil {
			return chat.Question{}, err
		}
		owner = c.Owner
		if err := s.checkQueue(ctx, conv, m.ClientID); err != nil {
			return chat.Question{}, err
		}
	}
	if err := s.checkRate(ctx, p); err != nil {
		return chat.Question{}, err
	}
	if err := s.Runner.Affords(ctx, owner, conv, m.ClientID); err != nil {
		return chat.Question{}, err
	}
	now := time.Now()
	msg := llm.Message{
		ID: chat.NewID("m"), Role: llm.User, Content: m.Content,
		Metadata: &llm.Metadata{Parley: llm.Details{ClientID: m.ClientID, At: now.UnixMilli()}},
	}
	return s.Runner.Say(ctx, chat.Question{
		Conversation: conv, Owner: owner, Run: chat.NewID("r"), Message: msg, Accepted: now, Files: m.Files, Uploader: p.Owner, Agent: m.Agent, Format: format,
	})
}

func (s *Server) checkSaid(m said) error {
	switch {
	case !utf8.ValidString(m.Content):
		return problem(http.StatusBadRequest, codeBadRequest, "The message is not UTF-8.").in("msg.content")
	case len(m.Content) > s.Limits.Message:
		return problem(http.StatusRequestEntityTooLarge, codeTooLong, "The message has %d bytes; %d are allowed. Send a shorter one.", len(m.Content), s.Limits.Message).in("msg.content")
	case isBlank(m.Content) && len(m.Files) == 0:
		return problem(http.StatusBadRequest, codeBadRequest, "The message is empty.").in("msg.content")
	case m.ClientID == "" || len(m.ClientID) > 128:
		return problem(http.StatusBadRequest, codeBadRequest, "The message needs a clientId of at most 128 bytes, which makes sending it again harmless.").in("msg.clientId")
	}
	return s.checkFiles(m.Files)
}

func isBlank(s string) bool {
	for _, r := range s {
		if r != ' ' && r != '\n' && r != '\t' && r != '\r' {
			return false
		}
	}
	return true
}

// waiting returns how many questions of a conversation have no whole answer
// yet: none, if one of them came under this client id, and is only said again.
func (s *Server) waiting(ctx context.Context, conv, clientID string) (int, error) {
	qs, err := s.Store.Pending(ctx, conv)
	for _, q := range qs {
		if q.Message.Metadata != nil && q.Message.Metadata.Parley.ClientID == clientID {
			return 0, err
		}
	}
	return len(qs), err
}

// checkQueue refuses to let more wait than a person can keep in mind.
func (s *Server) checkQueue(ctx context.Context, conv, clientID string) error {
	n, err := s.waiting(ctx, conv, clientID)
	if err != nil {
		return err
	}
	if n >= s.Limits.Queued {
		return problem(http.StatusTooManyRequests, codeTooMany, "%d messages of this conversation wait for an answer already. Wait for one.", n).after(5 * time.Second)
	}
	return nil
}

// checkRate counts a message, of a person and of the address it comes from:
// whoever sends no cookie is a new guest each time. A system's people all come
// from its own address.
func (s *Server) checkRate(ctx context.Context, p Principal) error {
	if p.Admin {
		return nil
	}
	if err := s.allow(ctx, "messages", "say:"+p.Owner, s.Limits.MessagesPerMinute); err != nil || p.Key != "" {
		return err
	}
	return s.allow(ctx, "messages", "say-from:"+p.Addr, s.Limits.MessagesPerAddress)
}

// allow counts one of what a key does in a minute; what names it in the plural,
// for whoever is refused.
func (s *Server) allow(ctx context.Context, what, key string, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	ok, wait, err := s.Limiter.Allow(ctx, key, limit, time.Minute)
	if err != nil {
		s.log.Warn("limit", "error", err) // what cannot be counted is allowed
		return nil
	}
	if !ok {
		return problem(http.StatusTooManyRequests, codeLimited, "%d %s a minute are allowed. Wait a little.", limit, what).after(wait)
	}
	return nil
}

func (s *Server) cancel(ctx context.Context, p Principal, cmd command) (reply, error) {
	if _, err := s.owned(ctx, p, cmd.C); err != nil {
		return reply{}, err
	}
	rec, err := s.Store.RunRecord(ctx, cmd.Run)
	if err != nil && problemOf(err) == nil {
		return reply{}, err
	}
	if err != nil || rec.Conversation != cmd.C {
		return reply{}, notFound("run")
	}
	if rec.Status.Ended() {
		return reply{C: cmd.C, Run: cmd.Run}, nil
	}
	return reply{C: cmd.C, Run: cmd.Run}, s.Runner.Cancel(ctx, cmd.C, cmd.Run)
}

func (s *Server) regenerate(ctx context.Context, p Principal, cmd command) (reply, error) {
	c, err := s.owned(ctx, p, cmd.C)
	if err != nil {
		return reply{}, err
	}
	if cmd.ClientID == "" || len(cmd.ClientID) > 128 {
		return reply{}, problem(http.StatusBadRequest, codeBadRequest, "A regenerate needs a clientId of at most 128 bytes.").in("clientId")
	}
	if err := s.checkMemory(); err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, acceptWithin)
	defer cancel()
	if err := s.checkRate(ctx, p); err != nil {
		return reply{}, err
	}
	if err := s.Runner.Affords(ctx, c.Owner, cmd.C, cmd.ClientID); err != nil {
		return reply{}, err
	}
	switch n, err := s.waiting(ctx, cmd.C, cmd.ClientID); {
	case err != nil:
		return reply{}, err
	case n > 0: // a question that waits would come before the new answer, and stand in its place
		return reply{}, run.ErrBusy
	}
	q, err := s.Runner.Regenerate(ctx, c.Owner, cmd.C, cmd.MessageID, cmd.ClientID)
	if err != nil {
		return reply{}, err
	}
	return reply{C: cmd.C, MessageID: q.Message.ID, Run: q.Run}, nil
}

// edit puts a question in the place of an older one. Whether that can be, the
// store says in the step in which it takes it.
func (s *Server) edit(ctx context.Context, p Principal, cmd command) (reply, error) {
	c, err := s.owned(ctx, p, cmd.C)
	if err != nil {
		return reply{}, err
	}
	m := said{ClientID: cmd.ClientID, Content: cmd.Content}
	if cmd.Files != nil {
		m.Files = *cmd.Files
	}
	err = s.checkSaid(m)
	if p := problemOf(err); p != nil {
		return reply{}, p.in(strings.TrimPrefix(p.Field, "msg."))
	}
	if !chat.ValidID(cmd.MessageID) {
		return reply{}, notFound("message").in("messageId")
	}
	if err := s.checkMemory(); err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, acceptWithin)
	defer cancel()
	if err := s.checkRate(ctx, p); err != nil {
		return reply{}, err
	}
	if err := s.Runner.Affords(ctx, c.Owner, cmd.C, cmd.ClientID); err != nil {
		return reply{}, err
	}
	q := run.Edited(c.Owner, cmd.C, cmd.MessageID, cmd.ClientID, cmd.Content)
	if q.Uploader = p.Owner; cmd.Files != nil {
		q.Files, q.KeepFiles = *cmd.Files, false
	}
	q, err = s.Runner.Say(ctx, q)
	if errors.Is(err, chat.ErrNotFound) {
		return reply{}, notFound("message").in("messageId")
	}
	if err != nil {
		return reply{}, err
	}
	return reply{C: cmd.C, MessageID: q.Message.ID, Run: q.Run}, nil
}

func (s *Server) history(ctx context.Context, p Principal, cmd command) (reply, error) {
	if _, err := s.owned(ctx, p, cmd.C); err != nil {
		return reply{}, err
	}
	ms, next, err := s.Store.History(ctx, cmd.C, cmd.Before, pageSize(cmd.Limit))
	if errors.Is(err, chat.ErrNotFound) {
		return reply{}, notFound("message").in("before")
	}
	if err != nil {
		return reply{}, err
	}
	if ms = chat.Shown(ms); ms == nil {
		ms = []llm.Message{}
	}
	return reply{C: cmd.C, Messages: &ms, Next: next}, nil
}

func pageSize(limit int) int {
	if limit <= 0 || limit > 200 {
		return 50
	}
	return limit
}

// newConversation returns the id of the conversation that a client's message
// begins. It follows from who said it and the client's own id, so that
// sending it again, to whichever replica, begins no second one.
func newConversation(owner, clientID string) string {
	sum := sha256.Sum256([]byte(owner + "\x00" + clientID))
	return "c" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}
