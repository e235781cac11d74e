package tools

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A FileRef names a file that is kept, without what is in it.
type FileRef struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Media string `json:"media"` // type/subtype
	Size  int64  `json:"size"`  // bytes
}

// Files is where what no model can read is kept, for the person on whose
// behalf it was fetched. All methods may be called concurrently. The reader
// is read to its end; an error that is shown to a model says what to do.
type Files interface {
	PutFile(ctx context.Context, person, conversation, name, media string, r io.Reader) (FileRef, error)
}

// keep keeps an answer that is no text as a file. It is false if there is
// nobody to keep it for, or it is not whole.
func (x *exchange) keep(a *answer) (Result, bool) {
	if x.files == nil || x.call.Person == "" || a.cut {
		return Result{}, false
	}
	media := a.fileMedia()
	ref, err := x.files.PutFile(x.ctx, x.call.Person, x.call.Conversation, a.fileName(x.spec.Name, media), media, strings.NewReader(string(a.body)))
	if err != nil {
		return fail("the answer is "+media+" and could not be kept: "+oneLine(err.Error(), 300), "The request itself was answered."+x.done()), true
	}
	x.out.Files = append(x.out.Files, ref)
	kind := "a file"
	if strings.HasPrefix(media, "image/") {
		kind = "an image"
	}
	return Result{Content: fmt.Sprintf("(%s, %s, %s, kept as file %s, which the user is shown; its content cannot be read here)", kind, media, Size(ref.Size), ref.ID)}, true
}

// fileMedia returns what the body is, going by itself where the server says
// nothing.
func (a *answer) fileMedia() string {
	if a.media != "" && a.media != "application/octet-stream" && strings.Contains(a.media, "/") {
		return a.media
	}
	media, _, _ := mime.ParseMediaType(http.DetectContentType(a.body))
	return cmp.Or(media, "application/octet-stream")
}

// fileName returns the name that the server gave, or one of the tool's.
func (a *answer) fileName(tool, media string) string {
	if name := FileName(a.named); name != "" {
		return name
	}
	_, ext, _ := strings.Cut(media, "/")
	ext, _, _ = strings.Cut(ext, "+")
	if ext == "" || ext == "octet-stream" || strings.ContainsAny(ext, ".-") || len(ext) > 8 {
		ext = "bin"
	}
	return tool + "." + ext
}

// FileName returns a name from outside as it may be kept and shown: its last
// part, in one line, without control characters and those that change the
// direction of text, of at most 120 bytes. It may be empty.
func FileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError, r == '\u2028', r == '\u2029':
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.TrimLeft(strings.Join(strings.Fields(name), " "), ". ")
	if name == "/" || name == "" {
		return ""
	}
	const most = 120
	if len(name) <= most {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > 12 {
		ext = ""
	}
	return cutText(name, most-len(ext)-len("…")) + "…" + ext
}

// Size writes a number of bytes for people.
func Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
