// Package redistest is real Redis for tests: a server, a cluster, a primary
// with Sentinels, each of the test's own, on ports of loopback, killed when
// the test ends. It needs a redis-server of 7.0 or later in the PATH.
package redistest

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A Server is a redis-server of the test's own.
type Server struct {
	Addr string // 127.0.0.1:port, the same after a restart

	tb   testing.TB
	args []string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a server, with arguments as they stand on its command line, and
// returns when it answers.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	addr := freeAddr(tb)
	s := &Server{Addr: addr, tb: tb, log: filepath.Join(dir, "log"), args: append([]string{
		"--bind", "127.0.0.1", "--port", port(addr), "--dir", dir, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--logfile", filepath.Join(dir, "log"),
	}, args...)}
	tb.Cleanup(func() {
		s.Kill()
		if b, _ := os.ReadFile(s.log); tb.Failed() && len(b) > 0 {
			tb.Logf("redis-server at %s wrote:\n%s", s.Addr, b[max(0, len(b)-4000):])
		}
	})
	s.Start()
	return s
}

// Start starts a server again that was killed.
func (s *Server) Start() {
	s.tb.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatalf("%v; this test needs Debian's package redis-server", err)
	}
	done, cmd := make(chan struct{}), s.cmd
	s.done = done
	go func() { defer close(done); _ = cmd.Wait() }()
	c := s.Client()
	defer func() { _ = c.Close() }()
	until(s.tb, "redis-server answers", func() bool {
		err := c.Ping(context.Background()).Err()
		return err == nil || strings.Contains(err.Error(), "NOAUTH") || strings.Contains(err.Error(), "LOADING")
	})
}

// Kill is kill -9; it returns when the process is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Freeze stops the process in the middle of whatever it does, its connections
// open, until Thaw.
func (s *Server) Freeze() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// URL is the server as PARLEY_REDIS.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Client returns a client that the caller closes.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.Addr, MaxRetries: -1, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// do sends one command, and fails the test if it fails.
func (s *Server) do(args ...any) *redis.Cmd {
	s.tb.Helper()
	c := s.Client()
	defer func() { _ = c.Close() }()
	cmd := c.Do(context.Background(), args...)
	if err := cmd.Err(); err != nil {
		s.tb.Fatalf("%v at %s: %v", args, s.Addr, err)
	}
	return cmd
}

// info returns a line of what INFO says.
func (s *Server) info(section, name string) string {
	c := s.Client()
	defer func() { _ = c.Close() }()
	for line := range strings.Lines(c.Info(context.Background(), section).Val()) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// freeAddr returns an address below the ports that the system gives to
// connections, so that a server that starts again finds its own free.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(12_000+rand.IntN(18_000)))
		if err == nil {
			defer func() { _ = ln.Close() }()
			return ln.Addr().String()
		}
	}
	tb.Fatal("no free port between 12000 and 30000")
	return ""
}

func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	tb.Fatalf("after 20 s it is not so that %s", what)
}
