package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
	"parley/gateway/run"
	"parley/llm"
)

// usageDays is how far back spending can be asked for, in days.
const usageDays = 366

// ownUsage is what a person may know of their spending.
type ownUsage struct {
	Day          string          `json:"day"` // today, in UTC
	Until        time.Time       `json:"until"`
	Today        chat.UsageRow   `json:"today"`
	Days         []chat.UsageRow `json:"days"`   // the latest first
	Models       []chat.UsageRow `json:"models"` // of those days
	Budgets      []budgetLeft    `json:"budgets"`
	Conversation *llm.Amount     `json:"conversation,omitempty"` // all of the one that was asked for
}

// budgetLeft is a budget of today, and what is left of it.
type budgetLeft struct {
	Scope run.Scope  `json:"scope"`
	Limit llm.Amount `json:"limit"` // 0 of a kind for any amount
	Left  llm.Amount `json:"left"`
}

// getUsage returns what somebody has spent.
func (s *Server) getUsage(c echo.Context) error {
	ctx, p, now := c.Request().Context(), who(c), time.Now()
	q, err := usageQuery(c, now, 30)
	if err != nil {
		return err
	}
	q.Person = p.Owner
	out := ownUsage{Day: chat.Day(now), Until: chat.NextDay(now), Budgets: []budgetLeft{}}
	if conv := c.QueryParam("conversation"); conv != "" {
		if _, err := s.owned(ctx, p, conv); err != nil {
			return err
		}
		sum, err := s.Store.ConversationSpent(ctx, conv)
		if err != nil {
			return err
		}
		out.Conversation = &sum
	}
	q.By = "day"
	if out.Days, err = s.usage(c, q); err != nil {
		return err
	}
	if len(out.Days) > 0 && out.Days[0].Day == out.Day {
		out.Today = out.Days[0]
	}
	q.By = "model"
	if out.Models, err = s.usage(c, q); err != nil {
		return err
	}
	accounts, scopes := s.Runner.Accounts(p.Owner)
	for i, a := range accounts {
		if scopes[i] != run.ScopePerson { // what others spend is theirs to know
			continue
		}
		b := budgetLeft{Scope: scopes[i], Limit: a.Limit}
		b.Left = llm.Amount{Tokens: max(a.Limit.Tokens-out.Today.Tokens, 0), Micros: max(a.Limit.Micros-out.Today.Micros, 0)}
		out.Budgets = append(out.Budgets, b)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, out)
}

// usageReport returns what everybody has spent, by day, person, tenant or
// model.
func (s *Server) usageReport(c echo.Context) error {
	if who(c).Key != "" {
		return problem(http.StatusForbidden, codeForbidden, "This needs the admin token: it tells what everybody has spent.")
	}
	now := time.Now()
	q, err := usageQuery(c, now, 1)
	if err != nil {
		return err
	}
	switch q.By = c.QueryParam("by"); q.By {
	case "", "day", "person", "tenant", "model":
	default:
		return problem(http.StatusBadRequest, codeBadRequest, "Spending is summed up by day, person, tenant or model.").in("by")
	}
	q.Person = c.QueryParam("person")
	rows, err := s.usage(c, q)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]any{"from": q.From, "to": q.To, "usage": rows})
}

func (s *Server) usage(c echo.Context, q chat.UsageQuery) ([]chat.UsageRow, error) {
	rows, err := s.Store.Usage(c.Request().Context(), q)
	if rows == nil {
		rows = []chat.UsageRow{}
	}
	return rows, err
}

// usageQuery reads how many days are asked for, today among them.
func usageQuery(c echo.Context, now time.Time, days int) (q chat.UsageQuery, err error) {
	if text := c.QueryParam("days"); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 1 || days > usageDays {
			return q, problem(http.StatusBadRequest, codeBadRequest, "days is a whole number from 1 to %d.", usageDays).in("days")
		}
	}
	return chat.UsageQuery{From: chat.Day(now.AddDate(0, 0, 1-days)), To: chat.Day(now), Limit: usageDays}, nil
}
