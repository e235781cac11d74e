package mcp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/tools"
	"parley/tools/mcp"
)

const asServer = "PARLEY_TEST_MCP_SERVER"

// TestMain is an MCP server on its standard input and output when a test has
// this program run as one.
func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "" {
		os.Exit(m.Run())
	}
	s := sdk.NewServer(&sdk.Implementation{Name: "process", Version: "1"}, nil)
	echo(s)
	add("pid", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult {
		return says(strconv.Itoa(os.Getpid()))
	})(s)
	add("env", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult {
		return says(strings.Join(os.Environ(), "\n"))
	})(s)
	add("die", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult { os.Exit(3); return nil })(s)
	fmt.Fprintln(os.Stderr, "the token is "+os.Getenv("TOKEN"))
	fmt.Fprintln(os.Stderr, strings.Repeat("long ", 1000))
	for range 1000 {
		fmt.Fprintln(os.Stderr, "again and again")
	}
	if err := s.Run(context.Background(), &sdk.StdioTransport{}); err != nil {
		os.Exit(1)
	}
}

// A journal keeps what is logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func TestAProcessIsAServerToo(t *testing.T) {
	t.Setenv("PARLEY_MODEL_KEY", "canary-model-key")
	commands, err := mcp.Commands(fmt.Appendf(nil, `{"mcpServers":{"here":{"command":%q,"env":{"TOKEN":%q,%q:"1"},"deny":["nothing"]}}}`, os.Args[0], secret, asServer))
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	r := start(t, newShelf(), nil, func(o *mcp.Options) {
		o.Stdio, o.Log = commands, slog.New(slog.NewTextHandler(log, nil))
	})
	r.until("connected", func() bool {
		return slices.Equal(r.names(), []string{"here_die", "here_echo", "here_env", "here_pid"})
	})
	if res := r.call("here_echo", `{"text":"hi"}`); res.Content != "hi for t1" {
		t.Errorf("the call got %+v", res)
	}
	env := r.call("here_env", "{}").Content
	if strings.Contains(env, "canary-model-key") || !strings.Contains(env, "PATH=") || !strings.Contains(env, "TOKEN="+tools.Mask) {
		t.Errorf("the process has the environment\n%s", env)
	}
	first := r.call("here_pid", "{}").Content
	if res := r.call("here_die", "{}"); !res.Failed {
		t.Errorf("a call that ended the process got %+v", res)
	}
	r.until("running again", func() bool { res := r.call("here_pid", "{}"); return !res.Failed && res.Content != first })
	pid, _ := strconv.Atoi(r.call("here_pid", "{}").Content)
	r.stop()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the process is still there")
	}
	text := log.String()
	if strings.Contains(text, secret) || !strings.Contains(text, "the token is "+tools.Mask) || strings.Contains(text, strings.Repeat("long ", 200)) || strings.Count(text, "again and again") > 3*60 {
		t.Errorf("the log has %d bytes: %.2000s", len(text), text)
	}
}

func TestCommandsAreChecked(t *testing.T) {
	for name, file := range map[string]string{
		"no JSON": `{`, "another file": `{"servers":{}}`, "no command": `{"mcpServers":{"a":{}}}`, "a bad name": `{"mcpServers":{"a b":{"command":"x"}}}`,
		"an unknown field": `{"mcpServers":{"a":{"command":"x","cmd":"y"}}}`, "a long time": `{"mcpServers":{"a":{"command":"x","timeoutMs":9999999}}}`,
	} {
		if cs, err := mcp.Commands([]byte(file)); err == nil {
			t.Errorf("%s: %+v", name, cs)
		}
	}
}
