// Package chat is what a conversation is: a log that one lease holder at a
// time writes, an inbox into which everybody else puts what they want of it,
// and hubs that let any number of followers read the log as it grows. All of
// it is kept in Redis, and only here.
//
// Delivery: whatever a follower sees was first in the log. Entries reach
// every follower in order, without a hole and without a double, or the
// follower is given a snapshot that replaces what it has. A bell (Redis
// pub/sub) may be lost; a follower notices and reads the log.
package chat

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"strings"
	"time"

	"parley/llm"
)

// Errors that callers tell apart.
var (
	// ErrFenced is returned to a writer whose generation has passed: another
	// replica writes the conversation now.
	ErrFenced = errors.New("chat: another replica writes this conversation")

	// ErrNotFound is returned for what is not there, or is not the asker's.
	ErrNotFound = fs.ErrNotExist

	// ErrPinned is returned if a conversation has as many pins as it may.
	ErrPinned = errors.New("as many feeds are pinned as are allowed: unpin one")

	// ErrFull is returned by a store that has no room for a change. Nothing of
	// the change is stored, and what was stored before is still there.
	ErrFull = errors.New("the disk is full: free some space and try again")
)

// A Conversation is what is known of a conversation besides its messages.
type Conversation struct {
	ID      string    `json:"id"`
	Owner   string    `json:"-"`
	Title   string    `json:"title"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Waiting bool      `json:"waiting,omitempty"` // for somebody to answer an interrupt
	Agent   string    `json:"agent,omitempty"`   // that answers; empty for the default
}

// A Question is a person's message and the run that is to answer it, as the
// store accepts them before anything is acknowledged.
type Question struct {
	Conversation string
	Owner        string
	Run          string
	Message      llm.Message // its client id is in metadata.parley.clientId
	Replaces     string      // a run whose answer is to be given anew; Message is then an old one
	Edits        string      // a message in whose place Message is to stand; what is behind that gives way too
	Accepted     time.Time
	Agent        string // that is to answer from now on; empty: the one that has

	Files     []string    // ids of files to attach; the stored Message says what they are
	KeepFiles bool        // of an edit: instead of Files those of the message that it edits
	Format    *llm.Format // of the answer; nil for text. Of an accepted question it is in the [RunRecord] alone

	Uploader string // whose the files are that are not attached yet; empty means the owner
}

// A RunRecord is what the store keeps of a run.
type RunRecord struct {
	ID           string       `json:"id"`
	Conversation string       `json:"conversation"`
	Question     string       `json:"question"` // message id
	Replaces     string       `json:"replaces,omitempty"`
	Edits        string       `json:"edits,omitempty"` // message id
	Format       *llm.Format  `json:"response_format,omitempty"`
	Status       RunStatus    `json:"status"`
	Try          int          `json:"try"`
	Model        string       `json:"model,omitempty"`
	Usage        *llm.Usage   `json:"usage,omitempty"`
	Failure      *llm.Failure `json:"failure,omitempty"`
	Created      time.Time    `json:"created"`
	Updated      time.Time    `json:"updated"`

	Agent        string `json:"agent,omitempty"`        // that answers; until the run has begun, that is to
	AgentVersion int    `json:"agentVersion,omitempty"` // 0: what the settings say
}

// ref returns who answers a run that has begun, as its log has it.
func (r RunRecord) ref() *llm.AgentRef {
	if r.AgentVersion == 0 {
		return nil
	}
	return &llm.AgentRef{Name: r.Agent, Version: r.AgentVersion}
}

// A Batch is what the writer of a conversation archives in one step.
type Batch struct {
	Messages []llm.Message // finished; one whose id is known replaces it in its place, others follow the last
	Run      *RunRecord    // its Status, Try, Model, Usage and Failure are set, and Agent and AgentVersion, if it is known
	Replaced string        // a run whose messages, but for the question, are no longer shown
	Edited   string        // a message that is no longer shown, nor is what lies between it and the first of Messages
	Title    string        // set if not empty and the conversation has none
	Spent    *llm.Usage    // by no run; it counts each time that it is stored

	// Asks are what Run waits for, whose Status is RunWaiting then. If all of
	// them are answered already it is RunAnswered.
	Asks []Ask
}

// NewID returns a new id: the prefix, which says what it names, and 80 random
// bits. Ids are safe in keys, URLs and HTML.
func NewID(prefix string) string {
	return prefix + strings.ToLower(rand.Text()[:16])
}

// ValidID reports whether s can be an id, so that nothing from outside
// becomes part of a Redis key unless it has the form of one.
func ValidID(s string) bool {
	if len(s) < 2 || len(s) > 64 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}
