//go:build integration

package deploy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// box is a directory tree like the image's: the binary, /data and /tmp.
type box struct {
	dir string
	env []string
}

// The image's binary, built with the Dockerfile's own line, serves the page,
// answers its health check and drains, with nothing around it: as root the
// test confines it to the tree and to the image's user; as somebody else it
// runs it where it is.
func TestImageRuns(t *testing.T) {
	b, address := fill(t)
	server := b.command(t, parseDockerfile(t).list(t, "ENTRYPOINT"))
	server.Stdout, server.Stderr = t.Output(), t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() { _ = server.Process.Kill() })

	b.waitHealthy(t, ended)
	if page := get(t, "http://"+address+"/"); !strings.Contains(page, "<title>") {
		t.Errorf("the page is %.200q", page)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	case <-time.After(load(t).Services["gateway"].StopGracePeriod):
		t.Error("still running after the time that docker compose gives it")
	}
	if err := b.health(t); err == nil {
		t.Error("the health check passes while nothing runs")
	}
}

// fill builds the binary into a new box and says where it will listen.
func fill(t *testing.T) (b box, address string) {
	t.Helper()
	d := parseDockerfile(t)
	b.dir = t.TempDir()
	for _, name := range []string{"data", "tmp"} {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	build(t, d, filepath.Join(b.dir, "parley"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	_ = l.Close()

	env := d.env()
	host, _, _ := strings.Cut(env["PARLEY_ADDR"], ":")
	_, port, _ := strings.Cut(address, ":")
	env["PARLEY_ADDR"] = host + ":" + port
	if !privileged() {
		env["PARLEY_DATA"], env["TMPDIR"] = filepath.Join(b.dir, "data"), filepath.Join(b.dir, "tmp")
	}
	for name, value := range env {
		b.env = append(b.env, name+"="+value)
	}
	b.hand(t)
	return b, address
}

// build runs the Dockerfile's go build.
func build(t *testing.T, d dockerfile, out string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^.*go build.*$`).FindString(d.text("RUN"))
	line = regexp.MustCompile(`--mount=\S+`).ReplaceAllString(line, "")
	if !strings.Contains(line, "/out/parley") {
		t.Fatalf("no go build into /out/parley: %q", line)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(line, "/out/parley", `"$OUT"`, 1))
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "OUT="+out, "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION=v0.0.0-test")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, said)
	}
}

// privileged reports whether the test may confine what it starts.
func privileged() bool { return os.Getuid() == 0 }

const nobody = 65532 // the image's user

// hand gives what may be written to the image's user, and nothing else.
func (b box) hand(t *testing.T) {
	t.Helper()
	if !privileged() {
		return
	}
	for _, name := range []string{"data", "tmp"} {
		if err := os.Chown(filepath.Join(b.dir, name), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// command prepares a command of the image inside the box.
func (b box) command(t *testing.T, words []string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = b.env
	if privileged() {
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: b.dir, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Err = nil // the binary is found inside only
	} else {
		cmd.Path, cmd.Dir, cmd.Err = filepath.Join(b.dir, words[0]), b.dir, nil
	}
	return cmd
}

func (b box) health(t *testing.T) error {
	return b.command(t, parseDockerfile(t).list(t, "HEALTHCHECK")).Run()
}

func (b box) waitHealthy(t *testing.T, ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.health(t)
		if err == nil {
			return
		}
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended by itself: %v", err)
		case <-ctx.Done():
			t.Fatalf("not healthy after 30 s: %v", err)
		case <-tick.C:
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	return string(body)
}
