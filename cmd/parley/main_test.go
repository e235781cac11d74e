package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// ran is what a run of the program left.
type ran struct {
	code        int
	out, errOut string
}

// program runs parley with an environment that has nothing of this machine's.
func program(t *testing.T, env []string, stdin string, args ...string) ran {
	t.Helper()
	home := t.TempDir()
	var out, errOut bytes.Buffer
	a := &app{
		stdin: strings.NewReader(stdin), stdout: &out, stderr: &errOut,
		env: append([]string{"HOME=" + home}, env...),
		serve: func(_ context.Context, s settings, stdout, _ io.Writer) error {
			_, err := io.WriteString(stdout, "serving "+s.Addr+"\n")
			return err
		},
	}
	code := a.run(t.Context(), args)
	return ran{code, out.String(), errOut.String()}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (go test -update writes it anew):\n%s", path, d)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"serve", "--help"}, {"chat", "-h"}, {"help", "docs"}, {"tools", "--help"}, {"settings"}} {
		name := strings.Trim(strings.Join(args, "_"), "-") + ".txt"
		t.Run(name, func(t *testing.T) {
			r := program(t, nil, "", args...)
			if r.code != 0 || r.errOut != "" {
				t.Errorf("exit %d, %s", r.code, r.errOut)
			}
			golden(t, strings.ReplaceAll(name, "-", ""), r.out)
			for line := range strings.SplitSeq(r.out, "\n") {
				if n := len([]rune(line)); n > 100 && args[0] != "settings" {
					t.Errorf("a line of %d columns: %s", n, line)
				}
			}
		})
	}
}

func TestNoCommandServes(t *testing.T) {
	for _, args := range [][]string{nil, {"serve"}, {"--addr", "127.0.0.1:8080"}} {
		if r := program(t, nil, "", args...); r.code != 0 || r.out != "serving 127.0.0.1:8080\n" {
			t.Errorf("parley %q: exit %d, %q %q", args, r.code, r.out, r.errOut)
		}
	}
	if r := program(t, nil, "", "--help"); !strings.Contains(r.out, "Usage: parley [command]") {
		t.Errorf("parley --help: %q", r.out)
	}
}

func TestMistakesInTheCommandLine(t *testing.T) {
	tests := []struct {
		args []string
		want string
		code int
	}{
		{[]string{"chta"}, "there is no command \"chta\"; did you mean chat?", exitUsage},
		{[]string{"frobnicate"}, "there is no command \"frobnicate\"; `parley help` lists them", exitUsage},
		{[]string{"serve", "--max-mesage=1"}, "there is no flag --max-mesage; did you mean --max-message?", exitUsage},
		{[]string{"serve", "--frobnicate"}, "there is no flag --frobnicate; `parley help serve` lists them", exitUsage},
		{[]string{"serve", "--addr"}, "flag needs a value: --addr", exitUsage},
		{[]string{"serve", "now"}, `serve takes flags only, not "now"`, exitUsage},
		{[]string{"--addr", "x"}, `--addr: "x" is not host:port, such as 127.0.0.1:8080`, exitFailed},
		{[]string{"chat", "hello", "there"}, `chat takes flags only; to ask one question: parley chat --once "hello there"`, exitUsage},
		{[]string{"chat", "--conversation", "a/b"}, `--conversation: "a/b" is not the id of a conversation; /list shows them`, exitUsage},
		{[]string{"chat", "--server", "ftp://x"}, `--server: "ftp://x" is not the URL of a server, such as http://127.0.0.1:8080`, exitUsage},
		{[]string{"docs"}, "docs needs one of add, list, rm, search; `parley help docs` says more", exitUsage},
		{[]string{"docs", "serach", "x"}, `docs has no "serach"; did you mean search?`, exitUsage},
		{[]string{"tools", "call", "weather", "Lisbon"}, `tools try: "Lisbon" is neither key=value nor a JSON object, such as '{"place":"Lisbon"}'`, exitUsage},
		{[]string{"tools", "show"}, "tools show needs a name or file; `parley help tools` says more", exitUsage},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			r := program(t, nil, "", tt.args...)
			if r.code != tt.code || r.errOut != "parley: "+tt.want+"\n" || r.out != "" {
				t.Errorf("exit %d, want %d\n got %q\nwant %q\nout %q", r.code, tt.code, r.errOut, tt.want, r.out)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	if r := program(t, nil, "", "version"); !strings.HasPrefix(r.out, "parley ") || !strings.Contains(r.out, "go1.") {
		t.Errorf("%q", r.out)
	}
}

func TestHealth(t *testing.T) {
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	addr := srv.Listener.Addr().String()
	// A container has no home folder, and other settings may be wrong.
	_, port, _ := strings.Cut(addr, ":")
	if r := program(t, []string{"HOME=", "PARLEY_ADDR=0.0.0.0:" + port, "PARLEY_QUEUED=x"}, "", "health"); r.code != 0 || r.out != "ok\n" {
		t.Errorf("exit %d, %q %q", r.code, r.out, r.errOut)
	}
	status = http.StatusServiceUnavailable
	if r := program(t, nil, "", "health", "--addr", addr); r.code != exitFailed || !strings.Contains(r.errOut, "503") {
		t.Errorf("exit %d, %q", r.code, r.errOut)
	}
	srv.Close()
	if r := program(t, nil, "", "health", "--addr", addr); r.code != exitFailed {
		t.Errorf("exit %d, %q", r.code, r.errOut)
	}
}

func TestLocalURL(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":80": "http://127.0.0.1:80", "0.0.0.0:1": "http://127.0.0.1:1",
		"[::]:1": "http://[::1]:1", "chat.example:8080": "http://chat.example:8080",
	} {
		if got := localURL(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
