package store

import (
	"database/sql"
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"parley/gateway/chat"
)

// Errors that callers tell apart, besides [chat.ErrFenced] and
// [chat.ErrNotFound].
var (
	// ErrFull is [chat.ErrFull].
	ErrFull = chat.ErrFull

	// ErrRunning is returned if an answer is to be replaced that is still
	// being given.
	ErrRunning = errors.New("the run has not ended: stop it first")
)

// wrap says what failed, in the errors that callers know. It returns nil for
// nil.
func wrap(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case full(err):
		return fmt.Errorf("store: %s: %w (%w)", op, ErrFull, err)
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("store: %s: %w", op, chat.ErrNotFound)
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

// full knows the ways in which SQLite says that there is no room. The second
// is the index of its write-ahead log, which it makes anew at every start.
func full(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
