// Package storetest is what a store must do, as tests that every store
// passes.
package storetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"parley/gateway/access"
	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
	"parley/tools/feed"
	"parley/tools/mcp"
)

// A Store is what the suite tests. Package store documents the methods.
type Store interface {
	CreateConversation(ctx context.Context, c chat.Conversation) error
	Conversation(ctx context.Context, id string) (chat.Conversation, error)
	Conversations(ctx context.Context, owner, after string, limit int) ([]chat.Conversation, string, error)
	RenameConversation(ctx context.Context, id, title string) error
	Retitle(ctx context.Context, conv string, generation uint64, from, to string) error
	DeleteConversation(ctx context.Context, id string) error
	Owners(ctx context.Context, convs []string) (map[string]string, error)

	Accept(ctx context.Context, q chat.Question) (chat.Question, bool, error)
	Pending(ctx context.Context, conv string) ([]chat.Question, error)
	Due(ctx context.Context, olderThan time.Time, limit int) ([]chat.Question, error)

	Claimed(ctx context.Context, conv string, generation uint64, nonce string) error
	Generation(ctx context.Context, conv string) (uint64, error)
	Archive(ctx context.Context, conv string, generation uint64, b chat.Batch) error
	History(ctx context.Context, conv, before string, limit int) ([]llm.Message, string, error)
	RunRecord(ctx context.Context, run string) (chat.RunRecord, error)

	Waiting(ctx context.Context, conv string) (chat.RunRecord, []chat.Ask, error)
	Asks(ctx context.Context, run string) ([]chat.Ask, error)
	Ask(ctx context.Context, conv, id string) (chat.Ask, error)
	Answer(ctx context.Context, conv string, ds []chat.Decision) ([]chat.Ask, error)
	Abandon(ctx context.Context, conv, run string) (string, error)
	Expire(ctx context.Context, limit int) ([]chat.Expired, error)
	Allowed(ctx context.Context, conv, tool string) (tools.Approval, error)
	Allowances(ctx context.Context, conv string) ([]string, error)
	Disallow(ctx context.Context, conv, tool string) error

	Guard(ctx context.Context, run, call, by string) (bool, error)
	Secret(ctx context.Context, name string, fresh []byte) ([]byte, error)

	Endpoints(ctx context.Context) ([]tools.Endpoint, error)
	Endpoint(ctx context.Context, name string) (tools.Endpoint, error)
	PutEndpoint(ctx context.Context, e tools.Endpoint) error
	DeleteEndpoint(ctx context.Context, name string) error

	AddKey(ctx context.Context, k access.Key) error
	Key(ctx context.Context, id string) (access.Key, error)
	Keys(ctx context.Context) ([]access.Key, error)
	DeleteKey(ctx context.Context, id string) error
	tools.CredentialStore
	tools.TokenStore
	tools.DepartureStore

	MCPServers(ctx context.Context) ([]mcp.Server, error)
	MCPServer(ctx context.Context, name string) (mcp.Server, error)
	PutMCPServer(ctx context.Context, s mcp.Server) error
	DeleteMCPServer(ctx context.Context, name string) error

	NewFile(ctx context.Context, f chat.NewFile) (chat.FileWriter, error)
	File(ctx context.Context, id string) (chat.File, error)
	FileOf(ctx context.Context, owner, clientID string) (chat.File, error)
	OpenFile(ctx context.Context, id string) (chat.File, io.ReadSeeker, error)
	DeleteFile(ctx context.Context, id string) error
	SweepFiles(ctx context.Context, loose, begun time.Time) (int64, error)

	Feeds(ctx context.Context) ([]feed.Feed, error)
	Feed(ctx context.Context, name string) (feed.Feed, error)
	PutFeed(ctx context.Context, f feed.Feed) error
	DeleteFeed(ctx context.Context, name string) error
	Pin(ctx context.Context, conv, feed string, most int) error
	Unpin(ctx context.Context, conv, feed string) error
	Pins(ctx context.Context, conv string) ([]string, error)

	agents.Store
	ChooseAgent(ctx context.Context, conv, agent string) error
	ConversationSpent(ctx context.Context, conv string) (llm.Amount, error)
	DaySpent(ctx context.Context, day, person, tenant string) (llm.Amount, error)
	Usage(ctx context.Context, q chat.UsageQuery) ([]chat.UsageRow, error)
	SweepUsage(ctx context.Context, before string, most int) (int64, error)

	Ping(ctx context.Context) error
}

// Run runs the suite. open returns a new, empty store, which it closes when
// the test that it is given ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, g := range []struct {
		name  string
		tests map[string]func(*testing.T, Store)
	}{
		{"conversations", conversations()},
		{"accept", accept()},
		{"replace", replace()},
		{"edit", edit()},
		{"generations", generations()},
		{"archive", archive()},
		{"history", history()},
		{"pending", pending()},
		{"guards", guards()},
		{"interrupts", interrupts()},
		{"endpoints", endpoints()},
		{"keys", keys()},
		{"mcp", mcpServers()},
		{"credentials", credentials()},
		{"tokens", tokens()},
		{"files", files()},
		{"feeds", feeds()},
		{"agents", agentTests()},
		{"usage", usage()},
	} {
		for name, test := range g.tests {
			t.Run(g.name+"/"+strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { test(t, open(t)) })
		}
	}
}

// start is a time that a store can keep: it knows milliseconds.
var start = time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC)

// question returns a question of ann's whose ids all end with n.
func question(conv, n string) chat.Question {
	return chat.Question{
		Conversation: conv, Owner: "ann", Run: "r" + n, Accepted: start,
		Message: llm.Message{
			ID: "q" + n, Role: llm.User, Content: "question " + n,
			Metadata: &llm.Metadata{Parley: llm.Details{ClientID: "client" + n}},
		},
	}
}

// answer returns an assistant's message of a run.
func answer(run, id, text string) llm.Message {
	return llm.Message{
		ID: id, Role: llm.Assistant, Content: text,
		Metadata: &llm.Metadata{Parley: llm.Details{Run: run}},
	}
}

// ended returns the record of a run that is finished.
func ended(run string) *chat.RunRecord {
	return &chat.RunRecord{ID: run, Status: chat.RunDone, Try: 1, Model: "demo"}
}

func mustAccept(t *testing.T, s Store, q chat.Question) chat.Question {
	t.Helper()
	stored, fresh, err := s.Accept(t.Context(), q)
	ok(t, err)
	if !fresh {
		t.Fatalf("Accept(%s) is not fresh", q.Run)
	}
	return stored
}

// claimed returns a conversation of ann's with one question, q1, in
// generation 5.
func claimed(t *testing.T, s Store) (conv string) {
	t.Helper()
	mustAccept(t, s, question("c1", "1"))
	ok(t, s.Claimed(t.Context(), "c1", 5, "nonce"))
	return "c1"
}

// answered is claimed with an answer, a1.
func answered(t *testing.T, s Store) (conv string) {
	t.Helper()
	conv = claimed(t, s)
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{
		Messages: []llm.Message{question(conv, "1").Message, answer("r1", "a1", "answer")},
		Run:      ended("r1"),
	}))
	return conv
}

// shown returns the ids of all messages that a reader sees.
func shown(t *testing.T, s Store, conv string) string {
	t.Helper()
	ms, next, err := s.History(t.Context(), conv, "", 1000)
	ok(t, err)
	equal(t, "cursor at the beginning", next, "")
	return ids(ms)
}

func ids(ms []llm.Message) string {
	var b strings.Builder
	for i, m := range ms {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(m.ID)
	}
	return b.String()
}

func runs(qs []chat.Question) string {
	var ids []string
	for _, q := range qs {
		ids = append(ids, q.Run)
	}
	return strings.Join(ids, " ")
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, not %v", err, want)
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}
