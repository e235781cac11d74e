//go:build integration

package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Cluster is a PostgreSQL server of a test's own. Its language is English,
// whose order is not that of bytes. URL may be called concurrently.
type Cluster struct {
	dir     string // of the data and of the socket
	account *syscall.SysProcAttr
	server  *exec.Cmd
	ended   chan struct{} // of server
	stores  atomic.Int64
}

// StartCluster starts a server that ends with the test.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pg") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{dir: dir}
	t.Cleanup(func() {
		c.kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c.leaveRoot(t)
	c.run(t, "initdb", "-D", c.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en")
	// What a killed process has written survives without fsync.
	conf := fmt.Sprintf("listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\n", dir)
	if err := os.WriteFile(filepath.Join(c.data(), "postgresql.auto.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Start(t)
	return c
}

// leaveRoot has the server run as somebody else: it refuses to be root.
func (c *Cluster) leaveRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	c.account = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := os.Chown(c.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }
func (c *Cluster) log() string  { return filepath.Join(c.dir, "log") }

// program finds one of PostgreSQL's own, which Debian keeps off the path.
func program(t testing.TB, name string) string {
	t.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(all) == 0 {
		t.Fatalf("%s is not installed: run .ci/setup", name)
	}
	return all[len(all)-1]
}

func (c *Cluster) run(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	cmd.SysProcAttr, cmd.Dir = c.account, c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Start starts the server again and waits until it answers.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c.server, c.ended = exec.Command(program(t, "postgres"), "-D", c.data()), make(chan struct{})
	c.server.SysProcAttr, c.server.Dir, c.server.Stdout, c.server.Stderr = c.account, c.dir, log, log
	if err := c.server.Start(); err != nil {
		t.Fatal(err)
	}
	go func(server *exec.Cmd, ended chan struct{}) { server.Wait(); close(ended) }(c.server, c.ended)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.base())
		if err == nil {
			conn.Close(ctx)
			return
		}
		select {
		case <-c.ended:
			cancel()
		case <-time.After(10 * time.Millisecond):
		}
		if ctx.Err() != nil {
			text, _ := os.ReadFile(c.log())
			t.Fatalf("the server does not answer: %v\n%s", err, text)
		}
	}
}

// Restart restarts it as an administrator does, who does not wait for
// clients. A server that is frozen thaws.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	c.Thaw()
	if err := c.server.Process.Signal(syscall.SIGINT); err != nil { // a "fast" shutdown
		t.Fatal(err)
	}
	<-c.ended
	c.Start(t)
}

// Kill ends all processes of the server at once, with SIGKILL.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	children := c.children()
	c.kill()
	for _, child := range children {
		if err := syscall.Kill(child, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
		for alive(child) { // for a moment; its memory is still in use
			runtime.Gosched()
		}
	}
}

// Freeze stops all processes of the server where they are, until Thaw: to its
// clients it is a server that is connected and says nothing.
func (c *Cluster) Freeze() {
	_ = c.server.Process.Signal(syscall.SIGSTOP) // first, so that there are no more children
	for _, child := range c.children() {
		_ = syscall.Kill(child, syscall.SIGSTOP)
	}
}

// Thaw lets a frozen server go on. It does nothing to one that is not, or that
// has ended meanwhile.
func (c *Cluster) Thaw() {
	for _, child := range c.children() {
		_ = syscall.Kill(child, syscall.SIGCONT)
	}
	_ = c.server.Process.Signal(syscall.SIGCONT)
}

// children returns the server's further processes, none if it has ended.
func (c *Cluster) children() (pids []int) {
	pid := c.server.Process.Pid
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for field := range strings.FieldsSeq(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// alive reports whether a process has not ended; whether its parent has taken
// note of that does not matter.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// kill ends the first process, and waits for it; the others follow it.
func (c *Cluster) kill() {
	if c.server != nil {
		_ = c.server.Process.Kill()
		<-c.ended
	}
}

// URL returns the address of a store that is empty: a schema of its own.
func (c *Cluster) URL(t testing.TB) string {
	t.Helper()
	schema := fmt.Sprint("store", c.stores.Add(1))
	c.Exec(t, "CREATE SCHEMA "+schema)
	return c.base() + "&search_path=" + schema
}

// Database returns the address of a new database.
func (c *Cluster) Database(t testing.TB, name, options string) string {
	t.Helper()
	c.Exec(t, "CREATE DATABASE "+name+" "+options)
	return strings.Replace(c.base(), "/postgres?", "/"+name+"?", 1)
}

func (c *Cluster) base() string { return "postgres://postgres@/postgres?host=" + c.dir }

// Exec runs statements as the administrator.
func (c *Cluster) Exec(t testing.TB, statements string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, c.base())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statements); err != nil {
		t.Fatal(err)
	}
}
