package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
)

// sseBeat is how often a stream without events says that it lives. Balancers
// are set to three times as much.
const sseBeat = 15 * time.Second

// goodEvery is how often it is asked whether a stream's credentials are still
// good.
const goodEvery = 2 * time.Second

// events is a conversation's log over Server-Sent Events, with the same
// positions and entries as on a WebSocket; or, for a client that accepts JSON
// alone, what is new by now, after waiting for it.
func (s *Server) events(c echo.Context) error {
	from := c.Request().Header.Get("Last-Event-ID")
	if from == "" {
		from = c.QueryParam("after")
	}
	at, err := chat.ParsePosition(from)
	if err != nil {
		return err
	}
	p := who(c)
	if err := s.conns.reserve(p.Owner); err != nil {
		return err
	}
	defer s.conns.unreserve(p.Owner)
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() // a drain ends the stream; its client resumes elsewhere
	accept := c.Request().Header.Get("Accept")
	if strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/event-stream") {
		return s.poll(ctx, c, at)
	}
	return s.stream(ctx, c, at)
}

func (s *Server) stream(ctx context.Context, c echo.Context, at chat.Position) error {
	w := c.Response()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	fmt.Fprint(w, ": parley\n\n")
	w.Flush()
	out := http.NewResponseController(w)
	deliveries, stop := s.follow(ctx, c.Param("c"), at)
	defer stop()
	beat := time.NewTicker(sseBeat)
	defer beat.Stop()
	look := time.NewTicker(goodEvery)
	defer look.Stop()
	for {
		_ = out.SetWriteDeadline(time.Now().Add(writeTimeout + sseBeat))
		select {
		case d, ok := <-deliveries:
			if !ok {
				return nil
			}
			if err := writeDelivery(w, d); err != nil {
				return nil // the client is gone
			}
			if d.Reason == chat.ReasonDeleted {
				w.Flush()
				return nil
			}
		case <-look.C:
			if !s.Identity.good(ctx, who(c)) {
				return nil // whoever dials again is told why
			}
			continue
		case <-beat.C:
			if _, err := fmt.Fprint(w, ": beat\n\n"); err != nil {
				return nil
			}
		}
		w.Flush()
	}
}

// follow delivers what a conversation brings on a channel, until stop is
// called. Nothing is queued: the next delivery is taken when the one before
// has been.
func (s *Server) follow(ctx context.Context, conv string, at chat.Position) (<-chan chat.Delivery, func()) {
	ctx, cancel := context.WithCancel(ctx)
	ch, done := make(chan chat.Delivery), make(chan struct{})
	go func() {
		defer close(done)
		defer close(ch)
		for d, err := range s.patiently(ctx, conv, at) {
			if err != nil {
				return
			}
			select {
			case ch <- d:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch, func() { cancel(); <-done }
}

// patiently follows on when Redis or the store has been away.
func (s *Server) patiently(ctx context.Context, conv string, at chat.Position) iter.Seq2[chat.Delivery, error] {
	return func(yield func(chat.Delivery, error) bool) {
		for {
			for d, err := range s.Hub.Follow(ctx, conv, at) {
				if err != nil {
					break
				}
				at = d.At
				if !yield(d, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
				yield(chat.Delivery{}, ctx.Err())
				return
			case <-time.After(retryTake):
			}
		}
	}
}

// A snapEvent is a snapshot as SSE and long polls carry it.
type snapEvent struct {
	At       chat.Position   `json:"at"`
	Reason   string          `json:"reason"`
	Snapshot json.RawMessage `json:"snapshot"`
}

func writeDelivery(w http.ResponseWriter, d chat.Delivery) error {
	if d.Snapshot != nil {
		_, err := fmt.Fprintf(w, "id: %s\nevent: snap\ndata: %s\n\n", d.At, payload(snapEvent{d.At, d.Reason, d.Snapshot}))
		return err
	}
	for _, e := range merged(d.Entries) {
		if _, err := fmt.Fprintf(w, "id: %s\nevent: entry\ndata: %s\n\n", e.At, e.Raw); err != nil {
			return err
		}
	}
	return nil
}

// polled answers a long poll.
type polled struct {
	At       chat.Position     `json:"at"` // to ask with next
	Snapshot json.RawMessage   `json:"snapshot,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Items    []json.RawMessage `json:"items"`
}

func (s *Server) poll(ctx context.Context, c echo.Context, at chat.Position) error {
	wait, err := s.waitParam(c, 25*time.Second)
	if err != nil {
		return err
	}
	deliveries, stop := s.follow(ctx, c.Param("c"), at)
	defer stop()
	t := time.NewTimer(wait)
	defer t.Stop()
	a := polled{At: at, Items: []json.RawMessage{}}
	select {
	case d, ok := <-deliveries:
		if ok {
			a.At, a.Snapshot, a.Reason = d.At, d.Snapshot, d.Reason
			for _, e := range merged(d.Entries) {
				a.Items = append(a.Items, e.Raw)
			}
		}
	case <-t.C:
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, a)
}

// waitParam reads the query parameter wait, a duration such as 60s.
func (s *Server) waitParam(c echo.Context, def time.Duration) (time.Duration, error) {
	v := c.QueryParam("wait")
	if v == "" {
		return def, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, problem(http.StatusBadRequest, codeBadRequest, "wait is a duration such as 60s.").in("wait")
	}
	return min(d, s.Limits.WaitMax), nil
}
