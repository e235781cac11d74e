//go:build integration

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// benchToken is the admin's: admins may have as many connections as they are
// given, and ask as often as they like.
const benchToken = "bench-0123456789abcdef"

// A benchProcess is a child of the benchmarks, whose use of the machine is
// measured apart from theirs.
type benchProcess struct {
	b   *testing.B
	cmd *exec.Cmd
}

// benchStart starts a program and returns its first line on stdout.
func benchStart(b *testing.B, cmd *exec.Cmd) (*benchProcess, string) {
	b.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &benchProcess{b, cmd}
	b.Cleanup(p.stop)
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	if err != nil {
		b.Fatalf("%s ended at once: %v", filepath.Base(cmd.Path), err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // ends with the child
	return p, strings.TrimSpace(line)
}

func (p *benchProcess) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// clockTick is the unit of times in /proc: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// cpu returns the time that the process has spent, in user and in kernel.
func (p *benchProcess) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte(") ")) // behind the name, which may have spaces
	fields := bytes.Fields(rest)
	user, _ := strconv.Atoi(string(fields[11]))
	kernel, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+kernel) * clockTick
}

// resident returns the process's resident memory in KiB.
func (p *benchProcess) resident() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("VmRSS:"))
	kib, err := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
	if err != nil {
		p.b.Fatal(err)
	}
	return kib
}

// A benchHouse is a gateway, with what is around it.
type benchHouse struct {
	*benchProcess
	b     *testing.B
	url   string // http://host:port
	ops   string // host:port
	redis *benchProcess
}

// benchBuild builds the program.
func benchBuild(b *testing.B) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "parley")
	if out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

// benchCommand is the program with an environment of its own.
func benchCommand(b *testing.B, binary string, env ...string) *exec.Cmd {
	cmd := exec.Command(binary)
	cmd.Env = append([]string{
		"HOME=" + b.TempDir(), "PARLEY_ADDR=127.0.0.1:0", "PARLEY_LOG=error", "PARLEY_ADMIN_TOKEN=" + benchToken,
		"PARLEY_MAX_CONNECTIONS_PER_PERSON=100000", "PARLEY_CONNECTIONS_PER_SECOND=100000", "PARLEY_CONNECTIONS_BURST=100000",
	}, env...)
	return cmd
}

// benchServe starts a gateway for a model, with a redis-server or with the
// Redis inside it.
func benchServe(b *testing.B, binary string, m *benchModel, inProcess bool) *benchHouse {
	b.Helper()
	h := &benchHouse{b: b, ops: benchFreeAddr(b)}
	env := []string{"PARLEY_OPS_ADDR=" + h.ops, "PARLEY_MODEL=bench", "PARLEY_MODEL_URL=" + m.url(), "PARLEY_MODEL_KEY=none", "PARLEY_TITLES=false"}
	if !inProcess {
		addr := benchFreeAddr(b)
		h.redis = benchRedis(b, addr)
		env = append(env, "PARLEY_REDIS=redis://"+addr)
	}
	var line string
	h.benchProcess, line = benchStart(b, benchCommand(b, binary, env...))
	_, h.url, _ = strings.Cut(line, "listens on ")
	return h
}

// benchRedis starts a redis-server that keeps nothing on disk.
func benchRedis(b *testing.B, addr string) *benchProcess {
	b.Helper()
	host, port, _ := net.SplitHostPort(addr)
	p, _ := benchStart(b, exec.Command("redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", b.TempDir()))
	benchWait(b, "redis-server", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return p
}

// benchFreeAddr returns an address that nobody listens on.
func benchFreeAddr(b *testing.B) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func benchWait(b *testing.B, what string, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("after 30 s still not: %s", what)
		}
	}
}

// collect has the gateway free what it does not use.
func (h *benchHouse) collect() {
	for range 3 { // each lets stacks shrink by half
		h.profile("heap?gc=1")
	}
}

// profile returns a profile from the operators' address.
func (h *benchHouse) profile(name string) []byte {
	resp, err := http.Get("http://" + h.ops + "/debug/pprof/" + name)
	if err != nil {
		h.b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		h.b.Fatal(err)
	}
	return all
}

// newConversation makes an empty conversation and returns its id.
func (h *benchHouse) newConversation(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/v1/conversations", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+benchToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var c struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&c); err != nil || c.ID == "" {
		return "", fmt.Errorf("new conversation: %s: %w", resp.Status, err)
	}
	return c.ID, nil
}
