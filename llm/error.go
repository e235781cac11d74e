package llm

import (
	"fmt"
	"time"
)

// A Kind says what sort of failure an [Error] is.
type Kind string

// The kinds of failure.
const (
	RateLimited Kind = "rate_limited"     // wait, then again
	Quota       Kind = "quota"            // the account is used up
	TooLong     Kind = "context_too_long" // the conversation does not fit
	Auth        Kind = "auth"             // key missing, wrong or without the right
	NotFound    Kind = "not_found"        // no such model or address
	BadRequest  Kind = "bad_request"
	Refused     Kind = "refused"     // what was asked may not be, says a filter
	Unavailable Kind = "unavailable" // 5xx, refused connection, overload
	Timeout     Kind = "timeout"     // nothing came in time
	Truncated   Kind = "truncated"   // the stream ended before the answer did
	Malformed   Kind = "malformed"   // what came is not the protocol
	Resting     Kind = "resting"     // of a chain's model: it failed too often just now, and was not asked
)

// An Error is a model's failure to answer.
type Error struct {
	Kind       Kind
	Provider   string        // e.g. "openai"
	Status     int           // HTTP status, 0 if there was none
	Code       string        // the provider's own code, may be empty
	Message    string        // the provider's words, secrets taken out
	RetryAfter time.Duration // as the provider asked, 0 if it did not
	MidStream  bool          // pieces of the answer had been delivered
	Err        error         // cause, may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Provider, e.Kind)
	if e.Status != 0 {
		s += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Retryable reports whether the same request may succeed a little later.
func (e *Error) Retryable() bool {
	switch e.Kind {
	case RateLimited, Unavailable, Timeout, Truncated:
		return true
	}
	return false
}
