package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
)

// shownInline knows the images that a browser may show from this origin: none
// that can hold a script.
func shownInline(media string) bool {
	return slices.Contains([]string{"image/png", "image/jpeg", "image/gif", "image/webp"}, media)
}

func isTextMedia(media string) bool {
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "json") || strings.HasSuffix(media, "xml")
}

// uploaded answers an upload.
type uploaded struct {
	FileID string `json:"fileId"`
	URL    string `json:"url"`
	Name   string `json:"name"`
	Media  string `json:"media"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func uploadedOf(f chat.File) uploaded {
	return uploaded{f.ID, "/v1/files/" + f.ID, f.Name, f.Media, f.Size, f.SHA256}
}

// checkUpload refuses whoever uploads too often, or while there is no memory.
func (s *Server) checkUpload(ctx context.Context, p Principal) error {
	if err := s.checkMemory(); err != nil {
		return err
	}
	if p.Admin {
		return nil
	}
	if err := s.allow(ctx, "uploads", "file:"+p.Owner, s.Files.o.Minute); err != nil || p.Key != "" { // a system's people all come from its own address
		return err
	}
	return s.allow(ctx, "uploads", "file-from:"+p.Addr, 10*s.Files.o.Minute)
}

// postFile takes in a file: the body, whose name is the query parameter and
// whose kind the Content-Type, or the first file of a multipart body.
func (s *Server) postFile(c echo.Context) error {
	p := who(c)
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.Files.o.Upload)
	defer cancel()
	if err := s.checkUpload(ctx, p); err != nil {
		return err
	}
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(s.Files.o.Upload)) // a test's writer has none
	name, media, size, body, err := s.bodyFile(c)
	if err != nil {
		return err
	}
	key := c.Request().Header.Get("Idempotency-Key")
	if key == "" {
		key = c.QueryParam("clientId")
	}
	up, err := s.Files.begin(ctx, p.Owner, "", key, name, media, size)
	if errors.Is(err, chat.ErrTaken) {
		return s.postedBefore(c, p.Owner, key, body)
	}
	var f chat.File
	if err == nil {
		f, err = up.readAll(ctx, body)
	}
	if err != nil {
		_, _ = io.Copy(io.Discard, body) // a browser that is still sending does not hear the answer
		return err
	}
	return s.answerFile(c, f)
}

func (s *Server) answerFile(c echo.Context, f chat.File) error {
	c.Response().Header().Set("Location", "/v1/files/"+f.ID)
	return c.JSON(http.StatusCreated, uploadedOf(f))
}

// postedBefore answers the repeat of an upload that succeeded.
func (s *Server) postedBefore(c echo.Context, owner, key string, body io.Reader) error {
	f, err := s.Files.store.FileOf(c.Request().Context(), owner, key)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(body, f.Size+1)); err != nil {
		return problem(http.StatusBadRequest, codeBadRequest, "The file could not be read to its end. Send it again.")
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return problem(http.StatusUnprocessableEntity, codeConflict, "Another file was sent under this key. Take a new one for each file.").in("Idempotency-Key")
	}
	return s.answerFile(c, f)
}

// bodyFile returns the file that a request brings, its size 0 if that is not
// known.
func (s *Server) bodyFile(c echo.Context) (name, media string, size int64, body io.Reader, err error) {
	r := c.Request()
	body = http.MaxBytesReader(c.Response(), r.Body, s.Files.o.Size+64<<10)
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		if r.ContentLength > s.Files.o.Size {
			return "", "", 0, nil, s.Files.tooLarge()
		}
		return c.QueryParam("name"), r.Header.Get("Content-Type"), max(r.ContentLength, 0), body, nil
	}
	if r.ContentLength > s.Files.o.Size+64<<10 {
		return "", "", 0, nil, s.Files.tooLarge()
	}
	parts := multipart.NewReader(body, params["boundary"])
	for range maxParts {
		part, err := parts.NextPart()
		if err != nil {
			break
		}
		if part.FileName() != "" {
			return part.FileName(), part.Header.Get("Content-Type"), 0, part, nil
		}
	}
	return "", "", 0, nil, problem(http.StatusBadRequest, codeBadRequest, "There is no file in this multipart body. Send one as a part with a filename.")
}

const maxParts = 16 // of a multipart body, before the file

// readable returns a file if the asker may read it: its owner, the owner of
// the conversation that it is attached to, and the administrator.
func (s *Server) readable(ctx context.Context, p Principal, id string) (chat.File, error) {
	if !chat.ValidID(id) {
		return chat.File{}, notFound("file")
	}
	f, err := s.Files.store.File(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return f, notFound("file")
	}
	if err != nil || f.Owner == p.Owner || p.Admin {
		return f, err
	}
	if f.Conversation == "" {
		return chat.File{}, notFound("file")
	}
	if _, err := s.owned(ctx, p, f.Conversation); err != nil {
		if problemOf(err) != nil {
			err = notFound("file")
		}
		return chat.File{}, err
	}
	return f, nil
}

// getFile serves a file so that nothing in it can act in this origin's name.
func (s *Server) getFile(c echo.Context) error {
	ctx := c.Request().Context()
	f, err := s.readable(ctx, who(c), c.Param("id"))
	if err != nil {
		return err
	}
	f, content, err := s.Files.Open(ctx, f.ID)
	if errors.Is(err, chat.ErrNotFound) {
		return notFound("file")
	}
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", servedType(f.Media))
	h.Set("Content-Disposition", disposition(f, c.QueryParams().Has("download")))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, max-age=3600")
	h.Set("Vary", "Cookie, Authorization")
	h.Set("ETag", `"`+f.SHA256[:min(len(f.SHA256), 32)]+`"`)
	http.ServeContent(c.Response(), c.Request(), "", f.Created, content)
	return nil
}

// servedType has text read as what it most likely is.
func servedType(media string) string {
	if strings.HasPrefix(media, "text/") {
		return media + "; charset=utf-8"
	}
	return media
}

func disposition(f chat.File, download bool) string {
	kind := "attachment"
	if shownInline(f.Media) && !download {
		kind = "inline"
	}
	if d := mime.FormatMediaType(kind, map[string]string{"filename": f.Name}); d != "" && utf8.ValidString(f.Name) {
		return d
	}
	return kind
}

// deleteFile removes a file that is not part of a conversation.
func (s *Server) deleteFile(c echo.Context) error {
	ctx, p := c.Request().Context(), who(c)
	f, err := s.readable(ctx, p, c.Param("id"))
	if err != nil {
		return err
	}
	if f.Owner != p.Owner && !p.Admin {
		return notFound("file")
	}
	err = s.Files.store.DeleteFile(ctx, f.ID)
	if errors.Is(err, chat.ErrNotFound) {
		return problem(http.StatusConflict, codeConflict, "This file is part of a conversation and goes with it.")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// checkFiles looks at what a message says of its files. Whose they are the
// store says, in the step in which it takes the message.
func (s *Server) checkFiles(ids []string) error {
	if len(ids) > s.Files.o.Message {
		return problem(http.StatusBadRequest, codeTooMany, "A message has at most %d files.", s.Files.o.Message).in("msg.files")
	}
	for i, id := range ids {
		if !chat.ValidID(id) || slices.Contains(ids[:i], id) {
			return problem(http.StatusBadRequest, codeBadRequest, "files is a list of different file ids.").in("msg.files")
		}
	}
	return nil
}
