//go:build integration

package deploy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Whatever alerts, dashboard and autoscaler ask for, a replica has.
func TestMetricsThatAreAskedForExist(t *testing.T) {
	dir := t.TempDir()
	build(t, parseDockerfile(t), filepath.Join(dir, "parley"))
	ops := freeAddress(t)
	server := exec.CommandContext(t.Context(), filepath.Join(dir, "parley"), "serve")
	server.Env = []string{"PARLEY_ADDR=" + freeAddress(t), "PARLEY_OPS_ADDR=" + ops, "PARLEY_DATA=" + dir, "PARLEY_STORE=:memory:"}
	server.Stdout, server.Stderr = t.Output(), t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	waitOpen(t, ops)

	page := get(t, "http://"+ops+"/metrics")
	asked := 0
	for _, q := range queries(t) {
		for _, name := range metricsOf(q) {
			asked++
			if name != "up" && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+`[ {]`).MatchString(page) {
				t.Errorf("%s asks for %s, which /metrics does not have", q, name)
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d metrics are asked for: the search is wrong", asked)
	}
	for _, up := range []string{"parley_redis_up 1\n", "parley_store_up 1\n", "parley_connections_limit 20000\n"} {
		if !strings.Contains(page, up) {
			t.Errorf("/metrics has no %q", up)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func waitOpen(t *testing.T, address string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(err)
		}
	}
}

func TestPrometheusTakesItsFiles(t *testing.T) {
	promtool(t, "test", "rules", "alerts_test.yml")
	promtool(t, "check", "rules", "alerts.yml")
	// The alerts lie elsewhere in the container.
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	here, err := filepath.Abs(filepath.Join(root, "deploy/prometheus/alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(read(t, "deploy/prometheus/prometheus.yml"), "/etc/prometheus/alerts.yml", here, 1)
	if !strings.Contains(text, here) {
		t.Fatal("prometheus.yml does not read the alerts")
	}
	mounted := load(t).Services["prometheus"].Volumes
	if !slices.Contains(mounted, "./deploy/prometheus/alerts.yml:/etc/prometheus/alerts.yml:ro") {
		t.Errorf("the alerts are not mounted: %v", mounted)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "config", file)
}

// promtool is Prometheus's own checker.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir = filepath.Join(root, "deploy/prometheus")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
