package bench

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"parley/cmd/parley/client"
)

// An ownReplica is a replica that bench has started.
type ownReplica struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed at its end
}

// startOwn starts the replicas that are measured. stopOwn ends them, also
// after an error.
func (l *load) startOwn(ctx context.Context) (err error) {
	if err := l.model.listen(ctx, cmp.Or(l.o.ModelAddr, "127.0.0.1:0")); err != nil {
		return err
	}
	if l.folder, err = os.MkdirTemp("", "parley-bench-"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	token := rand.Text()
	for range l.o.Replicas {
		if err := l.startReplica(ctx, self, token); err != nil {
			return err
		}
	}
	return nil
}

// startTimeout is how long a replica may take to listen.
const startTimeout = 30 * time.Second

func (l *load) startReplica(ctx context.Context, self, token string) error {
	ops, err := freeAddr()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"serve"}, l.o.Serve...)...)
	cmd.Env, cmd.Stderr = l.ownEnv(token, ops), l.stderr
	apartFromTerminal(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &ownReplica{cmd: cmd, exited: make(chan struct{})}
	l.replicas = append(l.replicas, r)
	listens := make(chan string, 1)
	go func() { // ends with the child
		defer close(r.exited)
		lines := bufio.NewReader(out)
		first, _ := lines.ReadString('\n')
		listens <- first
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
	}()
	select {
	case first := <-listens:
		_, addr, ok := strings.Cut(strings.TrimSpace(first), "listens on ")
		if !ok {
			return errors.New("bench: the own Parley did not start; what it said stands above")
		}
		u, err := url.Parse(addr)
		if err != nil {
			return err
		}
		l.targets = append(l.targets, client.Target{URL: u, Token: token, Admin: true})
		l.ops = append(l.ops, ops)
		l.tell("Started a Parley at %s, for operators at http://%s", u, ops)
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("bench: the own Parley did not say within %v that it listens", startTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ownEnv is the environment of an own replica. What this one has of Parley's
// settings is left out: they may lead to data that is no benchmark's.
func (l *load) ownEnv(token, ops string) (own []string) {
	for _, kv := range l.o.Env {
		if !strings.HasPrefix(kv, "PARLEY_") {
			own = append(own, kv)
		}
	}
	most := max(1000, 2*l.o.sockets())
	return append(own,
		"PARLEY_DATA="+l.folder, "PARLEY_STORE="+filepath.Join(l.folder, "parley.db"), "PARLEY_REDIS="+l.o.Redis,
		"PARLEY_ADDR=127.0.0.1:0", "PARLEY_OPS_ADDR="+ops, "PARLEY_LOG=error", "PARLEY_ADMIN_TOKEN="+token,
		"PARLEY_MODEL=bench", "PARLEY_MODEL_URL="+l.model.url(), "PARLEY_MODEL_KEY=none", "PARLEY_TITLES=false",
		fmt.Sprint("PARLEY_ANSWERS=", max(256, l.o.Answers+16)),
		fmt.Sprint("PARLEY_MAX_CONNECTIONS=", most), fmt.Sprint("PARLEY_MAX_CONNECTIONS_PER_PERSON=", min(most, maxSockets)),
	)
}

// freeAddr returns an address that nobody listens on.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// terminate asks a replica to end.
func (r *ownReplica) terminate() { _ = r.cmd.Process.Signal(syscall.SIGTERM) }

// endTimeout is how long own replicas may take to end.
const endTimeout = 5 * time.Second

// stopOwn ends the replicas and removes what they have written. It may be
// called more than once.
func (l *load) stopOwn() {
	for _, r := range l.replicas {
		r.terminate()
	}
	late := time.After(endTimeout)
	for _, r := range l.replicas {
		select {
		case <-r.exited:
			continue
		case <-late:
		}
		_ = r.cmd.Process.Kill()
		<-r.exited
	}
	l.replicas = nil
	if l.folder != "" {
		_ = os.RemoveAll(l.folder)
		l.folder = ""
	}
}
