package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"parley/gateway/chat"
	"parley/tools"
)

// FileStore is where files are kept.
type FileStore interface {
	NewFile(ctx context.Context, f chat.NewFile) (chat.FileWriter, error)
	File(ctx context.Context, id string) (chat.File, error)
	FileOf(ctx context.Context, owner, clientID string) (chat.File, error)
	OpenFile(ctx context.Context, id string) (chat.File, io.ReadSeeker, error)
	DeleteFile(ctx context.Context, id string) error
	SweepFiles(ctx context.Context, loose, begun time.Time) (int64, error)
}

// FileOptions are the settings of [Files]. Zero values are the defaults.
type FileOptions struct {
	Size    int64         // bytes of a file: 20 MiB
	Person  int64         // bytes of all files of one person: 500 MiB
	Count   int           // files of one person: 1,000
	Message int           // files of one message: 10
	Minute  int           // uploads of one person in a minute, on all replicas: 60
	Orphans time.Duration // after which a file is removed that no message has: 24 h
	Upload  time.Duration // of one upload: 10 min
	AtOnce  int           // uploads on this replica at once: 256
	Own     int           // of those, one person's: 16
}

func (o FileOptions) withDefaults() FileOptions {
	for p, def := range map[*int]int{&o.Count: 1000, &o.Message: 10, &o.Minute: 60, &o.AtOnce: 256, &o.Own: 16} {
		if *p <= 0 {
			*p = def
		}
	}
	if o.Size <= 0 {
		o.Size = 20 << 20
	}
	if o.Person <= 0 {
		o.Person = 500 << 20
	}
	if o.Orphans <= 0 {
		o.Orphans = 24 * time.Hour
	}
	if o.Upload <= 0 {
		o.Upload = 10 * time.Minute
	}
	return o
}

// Files are what people attach to their messages and what tools bring back
// that is no text. All methods may be called concurrently.
type Files struct {
	store FileStore
	o     FileOptions

	mu      sync.Mutex // guards all below
	under   int        // uploads under way
	persons map[string]int
}

// NewFiles returns files that are kept in a store.
func NewFiles(s FileStore, o FileOptions) *Files {
	return &Files{store: s, o: o.withDefaults(), persons: map[string]int{}}
}

// claim counts one more upload of a person, or says why there may be none.
func (f *Files) claim(person string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.under >= f.o.AtOnce || f.persons[person] >= f.o.Own {
		return problem(http.StatusTooManyRequests, codeTooMany, "Too many files are being uploaded at this moment. Send this one again when one of them is up.").after(spread())
	}
	f.under++
	f.persons[person]++
	return nil
}

func (f *Files) release(person string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.under--
	if f.persons[person]--; f.persons[person] == 0 {
		delete(f.persons, person)
	}
}

// Sweep removes what was never attached, now and then, until ctx ends.
func (f *Files) Sweep(ctx context.Context, failed func(error)) error {
	tick := time.NewTicker(min(f.o.Orphans/2, time.Hour))
	defer tick.Stop()
	for {
		now := time.Now()
		if _, err := f.store.SweepFiles(ctx, now.Add(-f.o.Orphans), now.Add(-2*f.o.Upload)); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// PutFile implements [tools.Files].
func (f *Files) PutFile(ctx context.Context, person, conversation, name, media string, r io.Reader) (tools.FileRef, error) {
	up, err := f.begin(ctx, person, conversation, "", name, media, 0)
	if err != nil {
		return tools.FileRef{}, plain(err)
	}
	file, err := up.readAll(ctx, r)
	return file.Ref(), plain(err)
}

// plain is an error as a model may read it.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if p := problemOf(err); p != nil {
		return errors.New(p.Detail)
	}
	return errors.New("the store of files does not answer; try again later")
}

// Open returns a file and its content.
func (f *Files) Open(ctx context.Context, id string) (chat.File, io.ReadSeeker, error) {
	return f.store.OpenFile(ctx, id)
}

// Read implements [run.Files].
func (f *Files) Read(ctx context.Context, id string, most int64) ([]byte, error) {
	_, r, err := f.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, most))
}

// An upload is a file on its way in. It is used by one goroutine, and ends
// with finish or abort.
type upload struct {
	files *Files
	owner string
	ended bool
	w     chat.FileWriter
	says  string // the media type that was declared, "" for none
	size  int64  // that was announced, 0 for none
	head  []byte // what the media type is told by
}

const sniffed = 512 // bytes that [http.DetectContentType] looks at

// begin makes room for a file of that size, 0 if it is not known.
func (f *Files) begin(ctx context.Context, person, conv, clientID, name, media string, size int64) (*upload, error) {
	if size < 0 || size > f.o.Size {
		return nil, f.tooLarge()
	}
	if len(clientID) > 128 {
		return nil, problem(http.StatusBadRequest, codeBadRequest, "A clientId has at most 128 bytes.").in("clientId")
	}
	if name = tools.FileName(name); name == "" {
		name = "file"
	}
	if err := f.claim(person); err != nil {
		return nil, err
	}
	w, err := f.store.NewFile(ctx, chat.NewFile{
		ID: chat.NewID("f"), Owner: person, Conversation: conv, ClientID: clientID, Name: name, Size: size,
		Most: chat.FileLimits{Files: f.o.Count, Bytes: f.o.Person},
	})
	if err != nil {
		f.release(person)
		return nil, f.explained(err)
	}
	return &upload{files: f, owner: person, w: w, says: mediaType(media), size: size}, nil
}

func (f *Files) tooLarge() *Problem {
	return problem(http.StatusRequestEntityTooLarge, codeTooLong, "A file has at most %s. Send a smaller one.", tools.Size(f.o.Size)).in("size")
}

// explained is err for whoever uploads.
func (f *Files) explained(err error) error {
	if errors.Is(err, chat.ErrQuota) {
		return problem(http.StatusInsufficientStorage, codeQuota, "You have as many files as you may have: %d, or %s. Delete a conversation that has some.", f.o.Count, tools.Size(f.o.Person))
	}
	return err
}

// write takes the next bytes. After an error nothing of the file is kept.
func (u *upload) write(ctx context.Context, p []byte) error {
	n := u.w.Size() + int64(len(p))
	err := error(nil)
	switch {
	case n > u.files.o.Size:
		err = u.files.tooLarge()
	case u.size > 0 && n > u.size:
		err = problem(http.StatusBadRequest, codeBadRequest, "There are more bytes than the %d that were announced.", u.size).in("size")
	default:
		if len(u.head) < sniffed {
			u.head = append(u.head, p[:min(len(p), sniffed-len(u.head))]...)
		}
		err = u.w.Write(ctx, p)
	}
	if err != nil {
		u.abort(ctx)
	}
	return err
}

// finish makes the file whole. sha, if not empty, is what its SHA-256 must be.
func (u *upload) finish(ctx context.Context, sha string) (chat.File, error) {
	media, err := settle(u.says, u.head)
	switch {
	case err != nil:
	case u.w.Size() == 0:
		err = problem(http.StatusBadRequest, codeBadRequest, "The file is empty.")
	case u.size > 0 && u.w.Size() != u.size:
		err = problem(http.StatusBadRequest, codeBadRequest, "There are %d bytes, not the %d that were announced. Send the file again.", u.w.Size(), u.size).in("size")
	case sha != "" && !strings.EqualFold(sha, u.w.SHA256()):
		err = problem(http.StatusUnprocessableEntity, codeBadRequest, "The bytes that came have another SHA-256. Send the file again.").in("sha256")
	}
	var f chat.File
	if err == nil {
		f, err = u.w.Commit(ctx, media)
	}
	if err != nil {
		u.abort(ctx)
	}
	u.end()
	return f, u.files.explained(err)
}

// abort may be called again.
func (u *upload) abort(ctx context.Context) {
	if !u.ended {
		_ = u.w.Abort(ctx) // what stays is swept
	}
	u.end()
}

func (u *upload) end() {
	if !u.ended {
		u.ended = true
		u.files.release(u.owner)
	}
}

// readAll takes all of r and makes the file whole.
func (u *upload) readAll(ctx context.Context, r io.Reader) (chat.File, error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := u.write(ctx, buf[:n]); err != nil {
				return chat.File{}, err
			}
		}
		if errors.Is(err, io.EOF) {
			return u.finish(ctx, "")
		}
		if err != nil {
			u.abort(ctx)
			return chat.File{}, problem(http.StatusBadRequest, codeBadRequest, "The file could not be read to its end. Send it again.")
		}
	}
}

var goodMedia = regexp.MustCompile(`^[a-z0-9][a-z0-9.+_-]{0,50}/[a-z0-9][a-z0-9.+_-]{0,80}$`)

// mediaType returns type/subtype of what a client declares, "" if that says
// nothing.
func mediaType(declared string) string {
	m, _, err := mime.ParseMediaType(declared)
	if err != nil || !goodMedia.MatchString(m) || m == "application/octet-stream" || m == "application/x-www-form-urlencoded" {
		return ""
	}
	return m
}

// settle returns the media type of a file that is declared to be of one and
// begins with head. An image is what it looks like, or none.
func settle(declared string, head []byte) (string, error) {
	looks, _, _ := mime.ParseMediaType(http.DetectContentType(head))
	switch {
	case shownInline(declared) && !strings.HasPrefix(looks, "image/"):
		return "", problem(http.StatusUnsupportedMediaType, codeBadRequest, "It is declared to be %s, but is no image.", declared).in("media")
	case strings.HasPrefix(looks, "image/") && (declared == "" || strings.HasPrefix(declared, "image/")):
		return looks, nil
	case declared == "":
		return looks, nil
	case isTextMedia(declared) && bytes.IndexByte(head, 0) >= 0:
		return "application/octet-stream", nil
	}
	return declared, nil
}

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
	if err := s.allow(ctx, "file:"+p.Owner, s.Files.o.Minute); err != nil {
		return err
	}
	return s.allow(ctx, "file-from:"+p.Addr, 10*s.Files.o.Minute)
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
