package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

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
