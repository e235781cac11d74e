//go:build integration && unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// procRun runs the program with an environment of a server's, or with one of
// its own, until it ends by itself.
func procRun(t testing.TB, env []string, stdin string, args ...string) ran {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), procProgram(t), args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(stdin), &out, &errOut
	late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	evicting := procStartRedis(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
	free, dir := procFreeAddr(t), t.TempDir()
	text, folder := filepath.Join(dir, "notes.txt"), filepath.Join(dir, "folder")
	if err := errors.Join(os.WriteFile(text, bytes.Repeat([]byte("this is no database\n"), 300), 0o600), os.Mkdir(folder, 0o700)); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		env  string
		says []string
	}{
		"a setting that is none":         {"PARLEY_MAX_TURNS=many", []string{"PARLEY_MAX_TURNS", `"many"`, "1 to 1000"}},
		"a port in use":                  {"PARLEY_ADDR=" + taken.Addr().String(), []string{"PARLEY_ADDR", taken.Addr().String(), "in use"}},
		"the port for metrics in use":    {"PARLEY_OPS_ADDR=" + taken.Addr().String(), []string{"PARLEY_OPS_ADDR", "in use"}},
		"a Redis that throws away":       {"PARLEY_REDIS=" + evicting.url(), []string{"PARLEY_REDIS", "allkeys-lru", "noeviction"}},
		"a Redis that is not there":      {"PARLEY_REDIS=redis://:hunter2@" + free, []string{"PARLEY_REDIS", free, "refused"}},
		"a store that is no database":    {"PARLEY_STORE=" + text, []string{text, "not a database"}},
		"a store that is a folder":       {"PARLEY_STORE=" + folder, []string{folder}},
		"a folder that cannot be made":   {"PARLEY_DATA=" + text + "/data", []string{text}},
		"a Redis address that is no URL": {"PARLEY_REDIS=localhost", []string{"PARLEY_REDIS", "redis://"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			r := procRun(t, []string{"HOME=" + home, "PARLEY_DATA=" + home, "PARLEY_ADDR=" + procFreeAddr(t), tt.env}, "", "serve")
			if r.code != exitFailed && r.code != exitUsage {
				t.Errorf("exit code %d", r.code)
			}
			last := strings.TrimSpace(r.errOut[strings.LastIndex(strings.TrimSpace(r.errOut), "\n")+1:])
			if !strings.HasPrefix(last, "parley: ") {
				t.Errorf("the last line is %q", last)
			}
			for _, word := range tt.says {
				if !strings.Contains(last, word) {
					t.Errorf("no %q in %q", word, last)
				}
			}
			if strings.Contains(r.errOut, "hunter2") || strings.Contains(r.errOut, "goroutine ") {
				t.Errorf("it shows too much: %s", r.errOut)
			}
		})
	}
}

// procColdStart starts a server without anything in its folder and returns
// when it listens and when it is ready.
func procColdStart(t *testing.T) (listens, ready time.Duration) {
	t.Helper()
	s := procNew(t, "parley")
	start := time.Now()
	s.start()
	listens = time.Since(start)
	procUntil(t, 10*time.Second, "it is ready", func() bool {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	ready = time.Since(start)
	s.signal(syscall.SIGTERM)
	if code := s.wait(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	return listens, ready
}

func TestColdStart(t *testing.T) {
	procProgram(t) // built before the clock runs
	var all []time.Duration
	for range 5 {
		listens, ready := procColdStart(t)
		all = append(all, listens, ready)
	}
	slices.Sort(all)
	t.Logf("from exec to listening and ready, 5 times: median %v, max %v", all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	if all[len(all)-1] > 10*time.Second {
		t.Error("that is too slow")
	}
}

func TestCommandsOfTheRealProgram(t *testing.T) {
	t.Parallel()
	s := procNew(t, "parley")
	s.env = slices.DeleteFunc(s.env, func(v string) bool { return strings.HasPrefix(v, "PARLEY_ADMIN_TOKEN=") }) // it makes one
	s.start()
	dir := t.TempDir()
	page := filepath.Join(dir, "zebras.md")
	if err := os.WriteFile(page, []byte("# Zebras\n\nA zebra in the Hamburg zoo eats nine kilos of hay a day.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		args  []string
		stdin string
		code  int
		says  string // on either output
	}{
		{[]string{"health"}, "", 0, "ok"},
		{[]string{"docs", "add", page}, "", 0, "zebras"},
		{[]string{"docs", "search", "hay for zebras"}, "", 0, "nine kilos of hay"},
		{[]string{"chat", "--once", "What does a zebra in the zoo eat?"}, "", 0, "nine kilos of hay"},
		{[]string{"tools", "put", "-"}, fmt.Sprintf(`{"name":"health","description":"Says how the server is.","url":"%s/healthz"}`, s.url), 0, "health"},
		{[]string{"tools", "call", "health"}, "", 0, "ok"}, // the server's own address is the one that needs no leave
		{[]string{"tools", "put", "-"}, `{"name":"broken","description":"x","url":"ftp://x"}`, 1, "url"},
		{[]string{"tools", "call", "nothing"}, "", 1, "no tool named nothing"},
		{[]string{"docs", "rm", "zebras"}, "", 0, ""},
		{[]string{"docs", "list", "--token", "wrong"}, "", 1, "token"},
	}
	for _, st := range steps {
		r := procRun(t, s.env, st.stdin, st.args...)
		if r.code != st.code || !strings.Contains(r.out+r.errOut, st.says) {
			t.Errorf("parley %q: exit %d, want %d with %q\n%s%s", st.args, r.code, st.code, st.says, r.out, r.errOut)
		}
	}
	s.kill()
	if r := procRun(t, s.env, "", "health"); r.code != exitFailed {
		t.Errorf("health of a dead server: exit %d, %s", r.code, r.errOut)
	}
}
