package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"parley/gateway/chat"
	"parley/gateway/run"
	"parley/gateway/store"
	"parley/tools"
)

// An interruptAnswer is what a person decides about one interrupt, as AG-UI
// 1.0's resume has it.
type interruptAnswer struct {
	InterruptID string             `json:"interruptId"`
	Status      tools.AnswerStatus `json:"status"`            // resolved or cancelled
	Payload     json.RawMessage    `json:"payload,omitempty"` // of one that is resolved
}

// answersMost is how many interrupts one command answers at most.
const answersMost = 64

// answer takes decisions about what a run waits for, all of them or none.
func (s *Server) answer(ctx context.Context, p Principal, cmd command) (reply, error) {
	c, err := s.owned(ctx, p, cmd.C)
	if err != nil {
		return reply{}, err
	}
	ds, err := decisions(cmd.Answers)
	if err != nil {
		return reply{}, err
	}
	for i := range ds {
		if ds[i].By = "owner"; p.Owner != c.Owner {
			ds[i].By = "admin"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, acceptWithin)
	defer cancel()
	asks, err := s.Runner.Answer(ctx, cmd.C, ds)
	if err != nil {
		return reply{}, err
	}
	return reply{C: cmd.C, Run: asks[0].Run}, nil
}

// decisions reads answers as far as that is possible without their
// interrupts.
func decisions(as []interruptAnswer) ([]chat.Decision, error) {
	if len(as) == 0 || len(as) > answersMost {
		return nil, problem(http.StatusBadRequest, codeBadRequest, "An answer needs a list answers of 1 to %d members, each with interruptId, status and payload.", answersMost).in("answers")
	}
	ds := make([]chat.Decision, len(as))
	seen := map[string]bool{}
	for i, a := range as {
		switch {
		case !chat.ValidID(a.InterruptID):
			return nil, notFound("interrupt").in(answerField(i, "interruptId"))
		case seen[a.InterruptID]:
			return nil, problem(http.StatusBadRequest, codeBadRequest, "This interrupt is answered twice.").in(answerField(i, "interruptId"))
		case a.Status != tools.AnswerResolved && a.Status != tools.AnswerCancelled:
			return nil, problem(http.StatusBadRequest, codeBadRequest, "A status is resolved or cancelled. A refusal is resolved, with approved false.").in(answerField(i, "status"))
		}
		seen[a.InterruptID] = true
		ds[i] = chat.Decision{Interrupt: a.InterruptID, Status: a.Status, Payload: a.Payload}
	}
	return ds, nil
}

func answerField(i int, name string) string { return fmt.Sprintf("answers[%d].%s", i, name) }

// payloadProblem says which answer is wrong, and where in it.
func payloadProblem(e *run.PayloadError) *Problem {
	var field *tools.FieldError
	switch {
	case errors.As(e.Err, &field):
		at := answerField(e.Index, "payload") + strings.ReplaceAll(e.Path, "/", ".")
		return problem(http.StatusUnprocessableEntity, codeBadRequest, "The payload is not what was asked for: %s", field.Reason).in(at)
	case errors.Is(e.Err, chat.ErrNotFound):
		return notFound("interrupt").in(answerField(e.Index, "interruptId"))
	}
	return problemOf(e.Err)
}

// decisionProblem says what stood in the way of an answer.
func decisionProblem(e *store.DecisionError) *Problem {
	at := answerField(e.Index, "interruptId")
	switch {
	case errors.Is(e.Err, chat.ErrNotFound):
		return notFound("interrupt").in(at)
	case errors.Is(e.Err, chat.ErrExpired):
		return problem(http.StatusConflict, codeExpired, "The time for answering this was over on %s. Ask again.", e.Ask.Expires.Format(time.RFC3339)).in(at)
	case errors.Is(e.Err, chat.ErrAnswered):
		return problem(http.StatusConflict, codeAnswered, "This was answered before: %s.", verdict(e.Ask)).in(at)
	}
	return problemOf(e.Err)
}

// verdict says what was decided.
func verdict(a chat.Ask) string {
	var p struct{ Approved *bool }
	_ = json.Unmarshal(a.Payload, &p)
	when := a.Answered.Format(time.RFC3339)
	switch {
	case a.Status == tools.AnswerExpired:
		return "nobody decided in time, which was over on " + when
	case a.Status == tools.AnswerCancelled:
		return "on " + when + " without a decision"
	case p.Approved == nil:
		return "on " + when
	case *p.Approved:
		return "approved on " + when
	}
	return "refused on " + when
}

// interrupts returns what a run asks people.
func (s *Server) interrupts(ctx context.Context, run string) (open []chat.Interrupt, err error) {
	asks, err := s.Store.Asks(ctx, run)
	for _, a := range asks {
		if a.Open() {
			open = append(open, a.Interrupt)
		}
	}
	return open, err
}
