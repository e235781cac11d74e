package chat

import (
	"context"
	"errors"
	"time"

	"parley/tools"
)

// A File is what is known of a file besides its content.
type File struct {
	ID           string
	Owner        string
	Conversation string // that it is attached to, empty for none
	Name         string
	Media        string // type/subtype
	Size         int64  // bytes
	SHA256       string // in hex
	Created      time.Time
}

// Ref returns what a message says of the file.
func (f File) Ref() tools.FileRef {
	return tools.FileRef{ID: f.ID, Name: f.Name, Media: f.Media, Size: f.Size}
}

// A NewFile is a file that is about to be written.
type NewFile struct {
	ID           string
	Owner        string
	Conversation string // to attach it to, empty for none
	ClientID     string // the same again replaces what was begun under it; empty for none
	Name         string
	Size         int64 // bytes that are announced, 0 if that is not known
	Most         FileLimits
}

// A FileWriter writes one file. It is used by one goroutine, and ends with
// Commit or Abort.
type FileWriter interface {
	Write(ctx context.Context, p []byte) error
	Size() int64    // bytes that were written
	SHA256() string // of those, in hex
	// Commit makes the file whole, of that media type. The error is [ErrQuota]
	// if the person has too much by now, and [ErrNotFound] if the file has
	// given way to another, or its conversation was deleted.
	Commit(ctx context.Context, media string) (File, error)
	// Abort removes what was written. It needs no context that still lives.
	Abort(ctx context.Context) error
}

// FileLimits are how much one person may keep. Zero means any number.
type FileLimits struct {
	Files int
	Bytes int64
}

// Errors that callers tell apart, about files.
var (
	// ErrNoFile is returned for a question with a file that is not there, not
	// whole, not the asker's, or attached to another conversation.
	ErrNoFile = errors.New("chat: there is no such file")

	// ErrTaken is returned for a file whose client id was used for a whole one.
	ErrTaken = errors.New("chat: this client id is that of another file")

	// ErrQuota is returned if a person would have too many files, or too large
	// ones.
	ErrQuota = errors.New("there are too many files: delete a conversation that has some")
)
