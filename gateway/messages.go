package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
	"parley/llm"
)

// answered answers POST /v1/conversations/{c}/messages.
type answered struct {
	Conversation string          `json:"conversation"`
	MessageID    string          `json:"messageId"`
	Run          string          `json:"run"`
	Status       chat.RunStatus  `json:"status"`
	Answer       *llm.Message    `json:"answer"`           // once the run has ended
	Output       json.RawMessage `json:"output,omitempty"` // the answer's JSON, if a format was asked for and it is valid
	Failure      *llm.Failure    `json:"failure,omitempty"`
	Ahead        *int            `json:"ahead,omitempty"` // while it waits: about so many come before it

	Interrupts []chat.Interrupt `json:"interrupts,omitempty"` // of a run that waits for people: what it asks
}

// newName stands for a conversation that is yet to be made.
const newName = "new"

// postMessage is the simple way for another system: say something, and get
// the finished answer if it comes within wait. The answer goes on when the
// request ends.
func (s *Server) postMessage(c echo.Context) error {
	var m said
	if err := decodeBody(c, 6*int64(s.Limits.Message)+llm.MaxFormat+4096, &m); err != nil { // as JSON a byte takes up to six
		return err
	}
	wait, err := s.waitParam(c, 0)
	if err != nil {
		return err
	}
	if m.ClientID == "" {
		m.ClientID = c.Request().Header.Get("Idempotency-Key")
	}
	if m.ClientID == "" {
		m.ClientID = chat.NewID("k") // whoever sends no key may say it twice
	}
	conv := c.Param("c")
	if conv == newName {
		conv = ""
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait+30*time.Second)
	defer cancel()
	q, err := s.say(ctx, who(c), conv, m)
	if p := problemOf(err); p != nil {
		p.Field = strings.TrimPrefix(p.Field, "msg.")
		return p
	}
	if err != nil {
		return err
	}
	a := answered{Conversation: q.Conversation, MessageID: q.Message.ID, Run: q.Run, Status: chat.RunAccepted}
	if wait > 0 {
		s.await(ctx, q, wait)
	}
	if err := s.fill(ctx, &a); err != nil {
		return err
	}
	status := http.StatusOK
	if !a.Status.Ended() {
		status = http.StatusAccepted
	}
	if !a.Status.Rests() {
		a.Ahead = s.ahead(a.Conversation)
	}
	return c.JSON(status, a)
}

// await returns when the run has ended or waits for people, or time is up. It only watches the
// log; what came of the run is in the store.
func (s *Server) await(ctx context.Context, q chat.Question, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for d, err := range s.patiently(ctx, q.Conversation, chat.Position{}) {
		if err != nil || s.endedIn(ctx, d, q.Run) {
			return
		}
	}
}

func (s *Server) endedIn(ctx context.Context, d chat.Delivery, run string) bool {
	if d.Reason == chat.ReasonDeleted {
		return true
	}
	if d.Snapshot != nil { // what was said in between may have ended in it
		rec, err := s.Store.RunRecord(ctx, run)
		return err == nil && rec.Status.Rests()
	}
	for _, e := range d.Entries {
		var entry struct {
			Run string
			Ev  struct{ Type chat.Type }
		}
		if json.Unmarshal(e.Raw, &entry) == nil && entry.Run == run && (entry.Ev.Type == chat.RunFinished || entry.Ev.Type == chat.RunError) {
			return true
		}
	}
	return false
}

// fill adds what the store knows of the run.
func (s *Server) fill(ctx context.Context, a *answered) error {
	rec, err := s.Store.RunRecord(ctx, a.Run)
	if err != nil {
		return err
	}
	a.Status, a.Failure = rec.Status, rec.Failure
	if rec.Status == chat.RunWaiting {
		a.Interrupts, err = s.interrupts(ctx, a.Run)
		return err
	}
	if !rec.Status.Ended() {
		return nil
	}
	ms, _, err := s.Store.History(ctx, a.Conversation, "", 100)
	if err != nil {
		return err
	}
	ms = chat.Shown(ms)
	for i := len(ms) - 1; i >= 0 && a.Answer == nil; i-- {
		if m := ms[i]; m.Role == llm.Assistant && m.Metadata != nil && m.Metadata.Parley.Run == a.Run {
			a.Answer, a.Output = &ms[i], outputOf(m)
		}
	}
	return nil
}
