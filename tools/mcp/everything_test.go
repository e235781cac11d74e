//go:build integration

package mcp_test

import (
	"context"
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/tools"
	"parley/tools/mcp"
)

// everything returns where the reference server of the protocol's authors is.
func everything(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../.ci/everything")
	var why strings.Builder
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("server-everything cannot be had: %v: %s", err, why.String())
	}
	return strings.TrimSpace(string(out))
}

// freeAddress returns an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestServerEverythingOverHTTP(t *testing.T) {
	program, addr := everything(t), freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	ctx, stop := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, program, "streamableHttp")
	server.Env = append(server.Environ(), "PORT="+port)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = server.Wait() })
	r := start(t, newShelf(), []string{addr})
	r.put(mcp.Server{Name: "all", URL: "http://" + addr + "/mcp", Trusted: true})
	useEverything(r)
}

func TestServerEverythingAsAProcess(t *testing.T) {
	program := everything(t)
	r := start(t, newShelf(), nil, func(o *mcp.Options) {
		o.Stdio = []mcp.Command{{Name: "all", Command: program, Args: []string{"stdio"}, Trusted: true}}
	})
	useEverything(r)
}

func useEverything(r *replica) {
	r.Helper()
	r.until("connected", func() bool { return len(r.names()) >= 15 })
	for _, tt := range []struct{ tool, arguments, want string }{
		{"all_echo", `{"message":"hi"}`, "Echo: hi"},
		{"all_get-sum", `{"a":1,"b":2}`, "is 3"},
		{"all_get-tiny-image", `{}`, "[image, image/png, 4033 bytes"},
		{"all_get-structured-content", `{"location":"New York"}`, `"conditions":"Cloudy"`},
		{"all_get-resource-links", `{}`, "demo://resource/dynamic/"},
	} {
		if res := r.call(tt.tool, tt.arguments); res.Failed || !strings.Contains(res.Content, tt.want) {
			r.Errorf("%s: %+v", tt.tool, res)
		}
	}
	res := r.call("all_trigger-elicitation-request", "{}")
	if res.Ask == nil || !strings.Contains(string(res.Ask.Schema), `"name"`) {
		r.Fatalf("it asks %+v", res)
	}
	res = r.call("all_trigger-elicitation-request", "{}", &tools.Answer{
		Status: tools.AnswerResolved, Payload: json.RawMessage(`{"name":"Ann"}`), State: res.Ask.State,
	})
	if res.Failed || !strings.Contains(res.Content, "Ann") {
		r.Errorf("with the answer it says %+v", res)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 200*time.Millisecond)
	defer cancel()
	if res := r.set().Call(ctx, tools.Call{ID: "t2", Name: "all_trigger-long-running-operation", Arguments: json.RawMessage(`{"duration":60,"steps":60}`), Conversation: "c1"}); !res.Failed {
		r.Errorf("a call that was given up got %+v", res)
	}
	if res := r.call("all_echo", `{"message":"again"}`); res.Content != "Echo: again" {
		r.Errorf("the next call got %+v", res)
	}
}
