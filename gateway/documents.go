package gateway

import (
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"parley/tools/rag"
)

// addDocument takes in the body as a document: its name is the query
// parameter, its kind the Content-Type.
func (s *Server) addDocument(c echo.Context) error {
	b, err := readBody(c, int64(s.Limits.Document))
	if err != nil {
		return err
	}
	kind := ""
	if ct := c.Request().Header.Get("Content-Type"); ct != "" {
		kind, _, _ = mime.ParseMediaType(ct)
	}
	if kind == "application/octet-stream" || kind == "application/x-www-form-urlencoded" { // what clients send without thinking
		kind = ""
	}
	d, err := s.Documents.Add(c.Request().Context(), rag.Upload{Name: c.QueryParam("name"), MediaType: kind, Source: c.QueryParam("source"), Data: b})
	if err != nil {
		return err
	}
	d.Text = ""
	c.Response().Header().Set("Location", "/v1/documents/"+d.ID)
	return c.JSON(http.StatusCreated, d)
}

func (s *Server) listDocuments(c echo.Context) error {
	limit, err := limitParam(c)
	if err != nil {
		return err
	}
	ds, err := s.Documents.Documents(c.Request().Context(), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	next := ""
	if len(ds) == limit {
		next = ds[len(ds)-1].ID
	}
	if ds == nil {
		ds = []rag.Document{}
	}
	return c.JSON(http.StatusOK, struct {
		Documents []rag.Document `json:"documents"`
		Next      string         `json:"next,omitempty"`
	}{ds, next})
}

func (s *Server) getDocument(c echo.Context) error {
	d, err := s.Documents.Document(c.Request().Context(), c.Param("id"))
	if err != nil {
		return documentError(err)
	}
	return c.JSON(http.StatusOK, d)
}

func documentError(err error) error {
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return notFound("document")
	}
	return err
}

func (s *Server) deleteDocument(c echo.Context) error {
	if err := s.Documents.Delete(c.Request().Context(), c.Param("id")); err != nil {
		return documentError(err)
	}
	return c.NoContent(http.StatusNoContent)
}

// retrieve searches the documents. It is what the retrieval tool calls, as
// any tool calls its endpoint.
func (s *Server) retrieve(c echo.Context) error {
	if ok, err := s.Identity.retrieves(c.Request()); err != nil {
		return err
	} else if !ok {
		return problem(http.StatusUnauthorized, codeSignIn, "Searching documents needs the admin token or an API key.")
	}
	var q rag.Query
	if err := decodeBody(c, int64(s.Limits.Frame), &q); err != nil {
		return err
	}
	a, err := s.Documents.Search(c.Request().Context(), q)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, a)
}
