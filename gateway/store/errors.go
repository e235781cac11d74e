package store

import (
	"database/sql"
	"errors"
	"fmt"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"parley/gateway/chat"
)

// Errors that callers tell apart, besides [chat.ErrFenced] and
// [chat.ErrNotFound].
var (
	// ErrFull is [chat.ErrFull].
	ErrFull = chat.ErrFull

	// ErrRunning is returned if an answer is to be replaced or a question to be
	// edited while one of the conversation waits or is being answered.
	ErrRunning = errors.New("the run has not ended: stop it first")

	// ErrNotLast is returned if an answer is to be replaced behind which, or in
	// whose place, another question stands.
	ErrNotLast = errors.New("only the last answer can be replaced")

	// ErrNotQuestion is returned if a message is to be edited that no person
	// has said.
	ErrNotQuestion = errors.New("only what a person said can be edited")

	// ErrEdited is returned if a message is to be edited in whose place, or in
	// the place of one before it, another stands.
	ErrEdited = errors.New("another message stands in its place: edit that")
)

// wrap says what failed, in the errors that callers know. It returns nil for
// nil.
func wrap(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case full(err):
		return fmt.Errorf("store: %s: %w (%w)", op, ErrFull, err)
	case errors.Is(err, sql.ErrNoRows), orphan(err):
		return fmt.Errorf("store: %s: %w", op, chat.ErrNotFound)
	case errors.Is(err, syscall.ENOENT): // a server's socket or a file; as an error it is a [chat.ErrNotFound], too
		return fmt.Errorf("store: %s: %v", op, err)
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

// SQLSTATEs of PostgreSQL, Appendix A of its manual.
const (
	stateForeignKey    = "23503"
	stateNotAuthorised = "28000"
	stateWrongPassword = "28P01"
	stateNoDatabase    = "3D000"
	stateSerialisation = "40001"
	stateDeadlock      = "40P01"
	stateNotAllowed    = "42501"
	stateDiskFull      = "53100"
	stateTooMany       = "53300"
)

// sqlState returns the code of an error of PostgreSQL, or "".
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// full knows the ways in which a database says that there is no room. The
// second of SQLite's is the index of its write-ahead log, which it makes anew
// at every start.
func full(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE
	}
	return sqlState(err) == stateDiskFull || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// orphan tells whether something could not be stored because what it belongs
// to is gone: deleted since the transaction looked for it.
func orphan(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY || sqlState(err) == stateForeignKey
}

// isForeignKey is orphan for a SQLite file as well.
func isForeignKey(err error) bool {
	var e *sqlite.Error
	return orphan(err) || errors.As(err, &e) && e.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

// undone tells whether a transaction was rolled back, all of it, for the sake
// of another, and may be made again.
func undone(err error) bool {
	state := sqlState(err)
	return state == stateSerialisation || state == stateDeadlock
}
