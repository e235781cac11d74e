package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
)

// importTools reads an OpenAPI document and makes tools of the operations that
// are selected. Without a selection it tells what there is. It answers when
// that is done, or, if the client does not want to wait as long, with where
// the import can be followed.
func (s *Server) importTools(c echo.Context) error {
	if s.Tools.Endpoints == nil {
		return problem(http.StatusNotImplemented, codeUnavailable, "This server has no store to register tools in.")
	}
	wait, async, err := s.importWait(c)
	if err != nil {
		return err
	}
	im := &importer{server: s}
	if err := s.imports.enter(); err != nil {
		return im.explained(err)
	}
	if err := im.read(c); err != nil {
		s.imports.leave()
		return err
	}
	j := s.imports.begin(plainAddress(im.req.URL), func(err error) *Problem { return s.explain(im.explained(err), "import") }, im.run)
	if async {
		c.Response().Header().Set("Preference-Applied", "respond-async")
	}
	return s.followed(c, j, wait, im)
}

// followed answers with what came of the import, or with where it can be seen.
func (s *Server) followed(c echo.Context, j *importJob, wait time.Duration, im *importer) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-j.ended:
		defer s.imports.forget(j)
		report, err := j.result()
		if err != nil {
			return im.explained(err)
		}
		return c.JSONBlob(http.StatusOK, report)
	case <-c.Request().Context().Done(): // nobody else knows of it
		j.cancel(errImportCancelled)
		<-j.ended
		s.imports.forget(j)
		return c.Request().Context().Err()
	case <-timer.C:
	}
	s.imports.show(j)
	v := s.imports.viewOf(j)
	c.Response().Header().Set("Location", "/v1/tools/imports/"+v.ID)
	return viewed(c, http.StatusAccepted, v)
}

// explained puts into words for people what ended an import from outside.
func (im *importer) explained(err error) error {
	switch {
	case errors.Is(err, errImportTime):
		return problem(http.StatusUnprocessableEntity, codeBadRequest, "The document could not be fetched and read within %s.", im.server.Limits.ImportTime).in(im.source())
	case errors.Is(err, errImportCancelled):
		return problem(http.StatusConflict, codeConflict, "This import was cancelled. What it had registered stays; importing again registers the rest.")
	case errors.Is(err, errImportDrained):
		return problem(http.StatusServiceUnavailable, codeUnavailable, "The replica that imported was shut down. "+importAgain).after(spread())
	}
	return err
}

// importAgain is advice after an import that has not come to its end.
const importAgain = "Import again: what it had registered stays and counts as unchanged."

// importWait says how long the client waits for the report: as wait in the
// query says, or the header Prefer (RFC 7240), or until there is one.
func (s *Server) importWait(c echo.Context) (wait time.Duration, async bool, err error) {
	wait = s.Limits.ImportTime + 5*time.Second
	preferences := preferencesOf(c.Request().Header)
	if _, async = preferences["respond-async"]; async {
		wait = 0
	}
	if seconds, err := strconv.Atoi(preferences["wait"]); err == nil && seconds >= 0 {
		wait = min(time.Duration(min(seconds, 3600))*time.Second, s.Limits.WaitMax)
	}
	wait, err = s.waitParam(c, wait)
	return wait, async, err
}

// preferencesOf reads the header Prefer (RFC 7240, section 2) as far as its
// preferences have no parameters. Of two of one name the first counts.
func preferencesOf(h http.Header) map[string]string {
	found := map[string]string{}
	for preference := range strings.SplitSeq(strings.Join(h.Values("Prefer"), ","), ",") {
		name, value, _ := strings.Cut(preference, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, again := found[name]; !again {
			found[name] = strings.Trim(value, "\" \t")
		}
	}
	return found
}

// viewed answers with how far an import is.
func viewed(c echo.Context, status int, v importView) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	if !v.State.ended() {
		h.Set("Retry-After", "1")
	}
	return c.JSON(status, v)
}

// getImport says how far an import is, on whichever replica it is.
func (s *Server) getImport(c echo.Context) error {
	if c.Param("id") == "stats" { // of a tool named imports
		c.SetParamNames("name")
		c.SetParamValues("imports")
		return s.toolStats(c)
	}
	id, err := importID(c)
	if err != nil {
		return err
	}
	v, err := s.imports.look(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return viewed(c, http.StatusOK, v)
}

// deleteImport cancels an import, or forgets one that has ended.
func (s *Server) deleteImport(c echo.Context) error {
	id, err := importID(c)
	if err != nil {
		return err
	}
	v, err := s.imports.cancel(c.Request().Context(), id)
	switch {
	case err != nil:
		return err
	case v.State.ended():
		return c.NoContent(http.StatusNoContent)
	}
	return viewed(c, http.StatusAccepted, v)
}

func importID(c echo.Context) (string, error) {
	if id := c.Param("id"); chat.ValidID(id) {
		return id, nil
	}
	return "", notFound("import")
}
