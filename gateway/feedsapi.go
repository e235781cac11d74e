package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"parley/tools/feed"
)

// feedLine is a feed and how it is.
type feedLine struct {
	feed.Feed
	State feedState `json:"state"`
}

type feedState struct {
	Connected   bool             `json:"connected"`
	Since       *time.Time       `json:"since,omitempty"`   // connected, or not
	Replica     string           `json:"replica,omitempty"` // that connects
	Latest      *feed.ShownValue `json:"latest,omitempty"`
	Stale       bool             `json:"stale"`
	Values      int              `json:"values"` // in the window
	PerMinute   int              `json:"messagesPerMinute"`
	Dropped     int64            `json:"dropped"`
	LastError   string           `json:"lastError,omitempty"`
	Unreachable bool             `json:"unreachable,omitempty"` // Redis does not answer, so nothing is known
}

// lineOf shows a feed without its secrets.
func lineOf(f feed.Feed, r feed.Reading, err error) feedLine {
	st := feedState{
		Connected: !r.State.Connected.IsZero(), Replica: r.State.Replica, Stale: !r.Fresh(f), Values: len(r.Values),
		PerMinute: r.State.PerMinute, Dropped: r.State.Dropped, LastError: r.State.Error, Unreachable: err != nil,
		Latest: r.Excerpt(f, r.Recent(1, 0), 0).Latest,
	}
	since := r.State.Connected
	if since.IsZero() {
		since = r.State.Down
	}
	if !since.IsZero() {
		since = since.UTC()
		st.Since = &since
	}
	return feedLine{f.Public(), st}
}

func (s *Server) listFeeds(c echo.Context) error {
	ctx := c.Request().Context()
	all, err := s.Feeds.Store.Feeds(ctx)
	if err != nil {
		return err
	}
	lines := make([]feedLine, len(all))
	for i, f := range all {
		r, err := s.Feeds.Windows.Read(ctx, f)
		if err != nil {
			s.log.Warn("feeds", "feed", f.Name, "error", err)
		}
		lines[i] = lineOf(f, r, err)
	}
	return c.JSON(http.StatusOK, map[string]any{"feeds": lines})
}

func (s *Server) getFeed(c echo.Context) error {
	f, r, err := s.Feeds.Read(c.Request().Context(), c.Param("name"))
	if err != nil && (f.Name == "" || problemOf(err) != nil) {
		return feedError(err)
	}
	return c.JSON(http.StatusOK, lineOf(f, r, err))
}

// getFeedValue returns what an agent reads: everything in the window.
func (s *Server) getFeedValue(c echo.Context) error {
	f, r, err := s.Feeds.Read(c.Request().Context(), c.Param("name"))
	if err != nil {
		return feedError(err)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, r.Excerpt(f, r.Values, s.Feeds.Limits.WithDefaults().Bytes))
}

func (s *Server) putFeed(c echo.Context) error {
	b, err := readBody(c, feed.MaxFeed)
	if err != nil {
		return err
	}
	if b, err = named(b, c.Param("name")); err != nil {
		return err
	}
	f, err := feed.Decode(b)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if f, err = s.Feeds.Put(ctx, f); err != nil {
		return err
	}
	r, err := s.Feeds.Windows.Read(ctx, f)
	return c.JSON(http.StatusOK, lineOf(f, r, err))
}

func (s *Server) deleteFeed(c echo.Context) error {
	if err := s.Feeds.Delete(c.Request().Context(), c.Param("name")); err != nil {
		return feedError(err)
	}
	return c.NoContent(http.StatusNoContent)
}

func feedError(err error) error {
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return notFound("feed")
	}
	return err
}

// pin pins a feed to a conversation, or takes it away. Whoever may speak in a
// conversation may have every feed's values: its tool says them anyway.
func (s *Server) pin(ctx context.Context, p Principal, cmd command) (reply, error) {
	if _, err := s.owned(ctx, p, cmd.C); err != nil {
		return reply{}, err
	}
	pinned := cmd.Type == "pin"
	if pinned {
		f, err := s.Feeds.Store.Feed(ctx, cmd.Feed)
		if err == nil && f.Disabled {
			return reply{}, notFound("feed").in("feed")
		}
		if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
			return reply{}, notFound("feed").in("feed")
		}
		if err != nil {
			return reply{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, acceptWithin)
	defer cancel()
	return reply{C: cmd.C}, s.Runner.Pin(ctx, cmd.C, cmd.Feed, pinned)
}

// A pinnable is a feed as the people of a conversation see it.
type pinnable struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Pinned      bool          `json:"pinned"`
	Now         *feed.Excerpt `json:"now,omitempty"` // of one that is pinned and still there
}

// listPinned returns the feeds that a conversation has pinned, with their
// latest value, and those that it could pin.
func (s *Server) listPinned(c echo.Context) error {
	ctx := c.Request().Context()
	pins, err := s.Runner.Pins(ctx, c.Param("c"))
	if err != nil {
		return err
	}
	all, err := s.Feeds.Store.Feeds(ctx)
	if err != nil {
		return err
	}
	byName := map[string]feed.Feed{}
	list := []pinnable{}
	for _, f := range all {
		byName[f.Name] = f
	}
	for _, name := range pins {
		if f, ok := byName[name]; ok {
			r, err := s.Feeds.Windows.Read(ctx, f)
			if err != nil {
				return err
			}
			now := r.Excerpt(f, r.Recent(1, 0), 0)
			list = append(list, pinnable{name, f.Description, true, &now})
			delete(byName, name)
		} else { // deleted since; it can be unpinned
			list = append(list, pinnable{Name: name, Pinned: true})
		}
	}
	for _, f := range all {
		if _, free := byName[f.Name]; free && !f.Disabled {
			list = append(list, pinnable{f.Name, f.Description, false, nil})
		}
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]any{"feeds": list})
}
