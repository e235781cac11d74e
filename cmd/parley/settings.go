package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"parley/llm"
	"parley/llm/price"
)

// settings are all that an operator can choose. Every field has been checked;
// what each means, its default and its three names stand in settingsTable.
type settings struct {
	Config string // the YAML file that was read, empty for none

	Addr    string // host:port
	OpsAddr string // host:port of metrics and profiling, empty for none

	Data      string // absolute path of a folder, which may not exist yet
	Store     string // path of a SQLite file, ":memory:" or a postgres:// URL; never empty
	SecretKey secret // keys of the store's secrets, the newest first; empty for the file in Data
	Redis     string // redis:// or rediss:// URL, empty for the in-process one

	ModelProvider  string // one of provider.Names, "demo", or "auto"
	ModelURL       string
	ModelKey       secret
	Model          string     // empty for the demo model
	ModelReasoning string     // off, low, medium, high, or empty for the provider's default
	ModelMaxTokens int        // of one turn, 0 for what the provider has
	ModelFallback  []fallback // that answer if those before do not, the next best first
	ModelContinues []string   // that go on with an answer whose beginning they are given, besides those known to
	ModelInput     string     // text,image,audio,pdf, or empty for what is known of the model
	ModelFileBytes int        // of one request
	ModelImages    int        // of one request
	ModelImageSide int        // pixels
	ModelFileText  int        // bytes of one text
	ModelWindow    int        // tokens, 0 for what is known of the model
	ModelSmall     fallback   // for small things; none: the models themselves
	Titles         string     // "true" or "false"
	Suggestions    string     // "true" or "false"
	SystemPrompt   string
	Prices         *price.Table // of models
	PricesText     string       // as they were written

	AdminToken     secret // empty: one is to be made
	PublicURL      string // empty: what each request says
	Origins        []string
	Hosts          []string
	TrustedProxies []netip.Prefix
	SecureCookies  string // "auto", "true" or "false"
	EgressAllow    []string
	MCPStdio       string // file of MCP servers to run, empty for none

	LogLevel  slog.Level
	LogFormat string // "text" or "json"

	MaxMessage              int // bytes
	MaxFrame                int // bytes
	MaxConnections          int
	MaxConnectionsPerPerson int
	ConnectionsPerSecond    int
	ConnectionsBurst        int
	MaxFollows              int
	CommandsPerSecond       int
	CommandsBurst           int
	MessagesPerMinute       int
	MessagesPerAddress      int
	Queued                  int
	MaxDocument             int // bytes
	DocumentPages           int // of a PDF
	DocumentTime            time.Duration
	ToolCache               int // bytes; 0 for none
	ToolCacheEntry          int // bytes
	MaxOpenAPI              int // bytes
	ImportTime              time.Duration
	MaxFile                 int   // bytes
	FileBytes               int64 // of one person
	FilesPerPerson          int
	FilesPerMessage         int
	FileOrphans             time.Duration
	UsageDays               int
	MaxResultTokens         int
	WaitMax                 time.Duration

	Feeds       int
	FeedValues  int
	FeedBytes   int
	FeedMessage int // bytes
	FeedRate    int // messages a second
	Pins        int

	Memory int64 // bytes, 0 for what the environment says

	Answers            int
	PerPerson          int // 0 for any number
	PerTenant          int // 0 for any number
	MaxRun             time.Duration
	ApprovalTime       time.Duration
	MaxTurns           int
	ParallelTools      int
	ToolsOffered       int        // 0 for all
	BudgetRun          llm.Amount // 0 of a kind for any amount
	BudgetConversation llm.Amount
	BudgetPerson       llm.Amount // of a day
	BudgetTenant       llm.Amount // of a day
	BudgetDay          llm.Amount // of everybody

	Gather time.Duration
	Lease  time.Duration
	Drain  time.Duration
}

// Demo reports whether the built-in model answers: it was asked for, or no
// other was named.
func (s settings) Demo() bool { return s.Model == "" || s.ModelProvider == "demo" }

// A secret is a text that is never printed: fmt and slog show whether it is
// set, and string(s) is the text.
type secret string

const hidden = "(hidden)"

func (s secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is String, for %#v.
func (s secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue is String, for slog.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for everything that writes JSON.
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// shown are the settings by name as they may be shown, secrets and passwords
// in URLs hidden.
func (s settings) shown() []shownSetting {
	var all []shownSetting
	for _, row := range settingsTable() {
		if row.get != nil {
			all = append(all, shownSetting{row.name, row.redact(row.get(&s))})
		}
	}
	return all
}

type shownSetting struct{ name, value string }

// String lists the settings without their secrets.
func (s settings) String() string {
	var b strings.Builder
	for i, v := range s.shown() {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%q", v.name, v.value)
	}
	return b.String()
}

// GoString is String, so that %#v shows no secret either.
func (s settings) GoString() string { return s.String() }

// LogValue lists the settings without their secrets.
func (s settings) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, v := range s.shown() {
		attrs = append(attrs, slog.String(v.name, v.value))
	}
	return slog.GroupValue(attrs...)
}
