//go:build integration && unix

package main

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/gateway/store/storetest"
)

// A procBalancer is nginx or HAProxy with the configuration of deploy, in
// front of replicas.
type procBalancer struct {
	name string
	url  string
	log  procAccess
}

// fleet returns the replicas as clients see them, who know the balancer only.
func (b *procBalancer) fleet(t testing.TB) *procFleet {
	return &procFleet{rand: procSeeded(t), nodes: []*procServer{{name: b.name, url: b.url}}}
}

// A procAccess reads the log of a balancer: the configuration has it name the
// path and the replica of every request. It may be used concurrently.
type procAccess struct {
	procTail
	names []string // of the replicas in the log, in their order

	mu   sync.Mutex // guards all below
	rest string
	sent map[string]map[string]int // path, replica in the log: answers that were not 5xx
}

func (l *procAccess) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest += string(p)
	for {
		line, rest, whole := strings.Cut(l.rest, "\n")
		if !whole {
			break
		}
		l.line(line)
		l.rest = rest
	}
	return l.procTail.Write(p)
}

// procRequest finds a path, without a query, a status and the last replica.
var procRequest = regexp.MustCompile(`(?:GET|POST) (/\S*?)"? ([1-4]\d\d) .*?([^ "]+?)(?:" "[^"]*"| --)$`)

// line requires l.mu.
func (l *procAccess) line(line string) {
	if m := procRequest.FindStringSubmatch(line); m != nil {
		if l.sent == nil {
			l.sent = map[string]map[string]int{}
		}
		if l.sent[m[1]] == nil {
			l.sent[m[1]] = map[string]int{}
		}
		l.sent[m[1]][m[3]]++
	}
}

// served returns how many replicas have answered requests for a path.
func (l *procAccess) served(path string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent[path])
}

// answers returns how many requests a replica has answered.
func (l *procAccess) answers(replica int) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, by := range l.sent {
		n += by[l.names[replica]]
	}
	return n
}

// A procEdit is a text in a configuration and what a test puts in its place.
type procEdit struct{ old, new string }

// procDeployed returns a file of deploy with some edits, each of which must
// find its text.
func procDeployed(t testing.TB, name string, edits ...procEdit) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, e := range edits {
		if strings.Contains(text, e.old) {
			text = strings.ReplaceAll(text, e.old, e.new)
		} else {
			t.Fatalf("deploy/%s has no %q", name, e.old)
		}
	}
	return text
}

// procNginx starts nginx with an idle time limit, which is 75s in deploy.
func procNginx(t testing.TB, idle string, replicas []*procServer) *procBalancer {
	t.Helper()
	dir, addr := procOpenDir(t), procFreeAddr(t)
	var ports []procEdit
	for i, s := range replicas {
		ports = append(ports, procEdit{fmt.Sprintf("127.0.0.1:808%d", i+1), strings.TrimPrefix(s.url, "http://")})
	}
	for name, text := range map[string]string{
		"nginx.conf":    procDeployed(t, "nginx/nginx.conf", procEdit{"/tmp/", dir + "/"}),
		"replicas.conf": procDeployed(t, "nginx/replicas.conf", ports...),
		"parley.conf":   procDeployed(t, "nginx/parley.conf", procEdit{"listen 8080 ", "listen " + addr + " "}, procEdit{" 75s;", " " + idle + ";"}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := &procBalancer{name: "nginx", url: "http://" + addr}
	for _, p := range ports {
		b.log.names = append(b.log.names, p.new)
	}
	conf := []string{"-e", "stderr", "-c", filepath.Join(dir, "nginx.conf")}
	procCheck(t, "nginx", append(slices.Clone(conf), "-t")...)
	b.start(t, "nginx", append(conf, "-g", "daemon off;")...)
	return b
}

// procOpenDir returns a folder that everybody may enter: the workers of an
// nginx that root has started are somebody else.
func procOpenDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nginx")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// procHAProxy starts HAProxy with an idle time limit, which is 75s in deploy.
func procHAProxy(t testing.TB, idle string, replicas []*procServer) *procBalancer {
	t.Helper()
	file, addr := filepath.Join(t.TempDir(), "haproxy.cfg"), procFreeAddr(t)
	edits := []procEdit{{"bind :8080", "bind " + addr}, {" 75s\n", " " + idle + "\n"}}
	for i, s := range replicas {
		edits = append(edits, procEdit{fmt.Sprintf("127.0.0.1:808%d", i+1), strings.TrimPrefix(s.url, "http://")})
	}
	if err := os.WriteFile(file, []byte(procDeployed(t, "haproxy/haproxy.cfg", edits...)), 0o644); err != nil {
		t.Fatal(err)
	}
	procCheck(t, "haproxy", "-c", "-f", file)
	b := &procBalancer{name: "HAProxy", url: "http://" + addr, log: procAccess{names: []string{"replicas/r1", "replicas/r2", "replicas/r3"}}}
	b.start(t, "haproxy", "-f", file)
	return b
}

// procCheck has a balancer read its configuration: it must find nothing
// wrong and warn of nothing.
func procCheck(t testing.TB, program string, args ...string) {
	t.Helper()
	out, err := procSystem(program, args...).CombinedOutput()
	if err != nil || strings.Contains(strings.ToLower(string(out)), "warn") {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// procSystem runs a program that Debian keeps where only root looks.
func procSystem(program string, args ...string) *exec.Cmd {
	if path, err := exec.LookPath(program); err == nil {
		return exec.Command(path, args...)
	}
	return exec.Command(filepath.Join("/usr/sbin", program), args...)
}

// start returns when a replica can be reached; the balancer ends with the
// test.
func (b *procBalancer) start(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := procSystem(program, args...)
	cmd.Stdout, cmd.Stderr = &b.log, &b.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; these tests need Debian's package %s", err, program)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("%s wrote:\n%s", b.name, b.log.String())
		}
	})
	procUntil(t, 10*time.Second, b.name+" answers", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v\n%s", b.name, err, b.log.String())
		default:
		}
		resp, err := http.Get(b.url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// procBalanced starts a fleet as docker-compose.yml does, three replicas, a
// Redis and a PostgreSQL, with both balancers in front of it.
func procBalanced(t testing.TB, env ...string) (*procFleet, []*procBalancer) {
	t.Helper()
	cluster := storetest.StartCluster(t)
	redis := procStartRedis(t, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
	env = append([]string{
		"PARLEY_REDIS=" + redis.url(), "PARLEY_STORE=" + cluster.Database(t, "parley", ""), "PARLEY_TRUSTED_PROXIES=127.0.0.1",
		"PARLEY_MESSAGES_PER_ADDRESS=100000", "PARLEY_WAIT_MAX=60s",
	}, env...)
	fleet := &procFleet{rand: procSeeded(t)}
	for i := range 3 {
		fleet.nodes = append(fleet.nodes, procNew(t, fmt.Sprintf("replica %d", i), env...))
	}
	var starting sync.WaitGroup
	for _, s := range fleet.nodes {
		starting.Go(s.start)
	}
	starting.Wait()
	return fleet, []*procBalancer{procNginx(t, "75s", fleet.nodes), procHAProxy(t, "75s", fleet.nodes)}
}

// procFrom returns a guest who comes from an address of this machine.
func procFrom(t testing.TB, ip string) *procPerson {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	return &procPerson{http: &http.Client{Jar: jar, Transport: &http.Transport{DialContext: procDialFrom(ip)}}}
}
