package mcp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Command is an MCP server that the operator has this replica run, and that
// speaks over its standard input and output. There is no way to register one
// over the API: whoever can set it can run anything here.
type Command struct {
	Name    string            `json:"-"` // see [Server]
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"` // besides PATH, HOME and the like; of Parley's own environment it gets nothing more

	Trusted   bool     `json:"trusted"`
	Allow     []string `json:"allow"`
	Deny      []string `json:"deny"`
	TimeoutMs int      `json:"timeoutMs"`
}

// Commands reads a file such as
//
//	{"mcpServers": {"files": {"command": "mcp-files", "args": ["/srv/share"], "env": {"TOKEN": "…"}}}}
//
// by name.
func Commands(b []byte) ([]Command, error) {
	var file struct {
		Servers map[string]Command `json:"mcpServers"`
	}
	if err := decodeStrict(b, &file); err != nil {
		return nil, fmt.Errorf("mcp: read commands: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	var all []Command
	for _, name := range slices.Sorted(maps.Keys(file.Servers)) {
		c := file.Servers[name]
		c.Name = name
		if !goodName.MatchString(name) {
			return nil, fmt.Errorf("mcp: command %q: the name must be up to 32 letters, digits, _ or -, and begin with a letter or digit", name)
		}
		if c.Command == "" || c.TimeoutMs < 0 || c.TimeoutMs > MaxTimeoutMs {
			return nil, fmt.Errorf("mcp: command %q: it needs a command, and a timeoutMs of %d at most", name, MaxTimeoutMs)
		}
		all = append(all, c)
	}
	return all, nil
}

// server is the command as it is listed beside registered servers.
func (c Command) server() Server {
	return Server{Name: c.Name, Trusted: c.Trusted, Allow: c.Allow, Deny: c.Deny, TimeoutMs: c.TimeoutMs}
}

// terminate is how long a process is given to end by itself, and again after
// SIGTERM.
const terminate = 2 * time.Second

// stdioLink returns a link to a process, which is started anew whenever it
// has ended.
func stdioLink(ctx context.Context, o *Options, c Command) *link {
	l := newLink(ctx, o, c.Name, "command "+digest(append([]string{c.Command}, c.Args...)...), slices.Collect(maps.Values(c.Env)))
	l.stdio = true
	l.dial = func(func()) sdk.Transport {
		cmd := exec.Command(c.Command, c.Args...) // ended by its transport, which first lets it end by itself
		cmd.Env = environment(c.Env)
		cmd.Stderr = &stderr{log: l.log, redact: l.redactor.Replace}
		cmd.WaitDelay = terminate
		return &sdk.CommandTransport{Command: cmd, TerminateDuration: terminate}
	}
	return l
}

// environment is what a process needs to run at all, and what was given for
// it. Parley's own has secrets.
func environment(given map[string]string) (env []string) {
	for _, name := range []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		env = append(env, name+"="+given[name])
	}
	return env
}

const (
	maxLogLine  = 500 // bytes of a line of a process's standard error
	maxLogLines = 60  // a minute
)

// stderr writes a process's standard error to the log, bounded. All methods
// may be called concurrently.
type stderr struct {
	log    *slog.Logger
	redact func(string) string

	mu    sync.Mutex
	line  []byte // the beginning of the line that is being written
	began time.Time
	lines int // since began
}

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		s.line = append(s.line, part[:min(len(part), max(0, 4*maxLogLine-len(s.line)))]...)
		if rest = after; ended {
			s.tell()
		}
	}
	return len(p), nil
}

// tell logs the line. Requires s.mu.
func (s *stderr) tell() {
	text := line(s.redact(string(s.line)), maxLogLine)
	s.line = s.line[:0]
	if now := time.Now(); now.Sub(s.began) > time.Minute {
		s.began, s.lines = now, 0
	}
	switch s.lines++; {
	case text == "" || s.lines > maxLogLines:
	case s.lines == maxLogLines:
		s.log.Info("mcp server writes more than is logged", "linesPerMinute", maxLogLines)
	default:
		s.log.Info("mcp server says", "stderr", text)
	}
}
