//go:build integration && unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// procBinary is the program as people get it, built once for all tests.
var procBinary = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), "parley-integration")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "parley")
	fresh := path + "." + strconv.Itoa(os.Getpid()) // another run of these tests may be using the other
	if out, err := exec.Command("go", "build", "-o", fresh, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, os.Rename(fresh, path)
})

func procProgram(t testing.TB) string {
	t.Helper()
	path, err := procBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A procServer is a process of Parley's.
type procServer struct {
	t    testing.TB
	name string
	env  []string
	dir  string // PARLEY_DATA
	url  string // http://127.0.0.1:port, the same after a restart
	ops  string
	wrap []string // command that starts the program, if not it by itself

	mu     sync.Mutex // guards all below
	cmd    *exec.Cmd
	exited chan struct{}
	code   int
	log    procTail
}

// procServe starts a server that ends with the test.
func procServe(t testing.TB, env ...string) *procServer {
	t.Helper()
	s := procNew(t, "parley", env...)
	s.start()
	return s
}

func procNew(t testing.TB, name string, env ...string) *procServer {
	t.Helper()
	addr := procFreeAddr(t)
	s := &procServer{t: t, name: name, dir: t.TempDir(), url: "http://" + addr, ops: procFreeAddr(t)}
	s.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "PARLEY_DATA=" + s.dir, "PARLEY_ADMIN_TOKEN=" + procToken, "PARLEY_SECRET_KEY=" + procKey,
		"PARLEY_ADDR=" + addr, "PARLEY_OPS_ADDR=" + s.ops, "PARLEY_MESSAGES_PER_MINUTE=100000", "PARLEY_MAX_CONNECTIONS_PER_PERSON=1000",
	}, env...)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", s.name, s.log.String())
		}
	})
	return s
}

const procToken = "pa_integration_test_token"

// procKey encrypts the secrets of stores that several processes share.
const procKey = "a key of the integration tests"

// start returns when the process says that it listens.
func (s *procServer) start() {
	s.t.Helper()
	argv := append(slices.Clone(s.wrap), procProgram(s.t), "serve")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stderr = s.env, &s.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	greeted, exited := make(chan struct{}), make(chan struct{})
	s.mu.Lock()
	s.cmd, s.exited = cmd, exited
	s.mu.Unlock()
	go func() {
		defer close(exited)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(&s.log, lines.Text())
			if lines.Text() == "Parley listens on "+s.url {
				close(greeted)
			}
		}
		err := cmd.Wait()
		s.mu.Lock()
		s.code = cmd.ProcessState.ExitCode()
		s.mu.Unlock()
		fmt.Fprintln(&s.log, "--", s.name, "ended:", err)
	}()
	select {
	case <-greeted:
	case <-exited:
		s.t.Fatalf("%s did not start:\n%s", s.name, s.log.String())
	case <-time.After(20 * time.Second):
		s.t.Fatalf("%s did not say that it listens:\n%s", s.name, s.log.String())
	}
}

func (s *procServer) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil && s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// kill is kill -9; it returns when the process is gone.
func (s *procServer) kill() {
	s.mu.Lock()
	exited := s.exited
	s.mu.Unlock()
	if exited == nil {
		return
	}
	s.signal(syscall.SIGKILL)
	<-exited
}

// wait returns the exit code of a process that was told to end.
func (s *procServer) wait(most time.Duration) int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(most):
		s.t.Errorf("%s has not ended after %v", s.name, most)
		s.kill()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code
}

// writes reports whether this replica writes a conversation, as its metrics
// say.
func (s *procServer) writes() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ops+"/metrics", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return bytes.Contains(b, []byte("\nparley_conversations_written 1\n"))
}

// A procTail keeps the end of what a process writes. It may be used
// concurrently.
type procTail struct {
	mu  sync.Mutex
	buf []byte
}

func (w *procTail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	if over := len(w.buf) - 16<<10; over > 0 {
		w.buf = append(w.buf[:0], w.buf[over:]...)
	}
	return len(p), nil
}

func (w *procTail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.buf)
}

// procFreeAddr returns an address that nobody listens on at the moment. It is
// below the ports that the system gives to connections: a server that starts
// again must find its own free.
func procFreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no free port between 12000 and 30000")
	return ""
}

// procUntil waits until something is so, looking every few milliseconds.
func procUntil(t testing.TB, most time.Duration, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(most); !is(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after %v it is not so that %s", most, what)
		}
	}
}

// A procRedis is a redis-server of the test's own.
type procRedis struct {
	t    testing.TB
	addr string
	args []string
	cmd  *exec.Cmd
	done chan struct{}
}

func procStartRedis(t testing.TB, args ...string) *procRedis {
	t.Helper()
	addr := procFreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	r := &procRedis{t: t, addr: addr, args: append([]string{
		"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--loglevel", "warning",
	}, args...)}
	t.Cleanup(r.kill)
	r.start()
	return r
}

func (r *procRedis) url() string { return "redis://" + r.addr }

// start returns when Redis has read what it kept.
func (r *procRedis) start() {
	r.t.Helper()
	cmd := exec.Command("redis-server", r.args...)
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("%v; these tests need Debian's package redis-server", err)
	}
	done := make(chan struct{})
	r.cmd, r.done = cmd, done
	go func() { defer close(done); _ = cmd.Wait() }()
	procUntil(r.t, 10*time.Second, "redis-server answers", func() bool { return r.pong() })
}

func (r *procRedis) pong() bool {
	c, err := net.DialTimeout("tcp", r.addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprint(c, "PING\r\n")
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line == "+PONG\r\n"
}

func (r *procRedis) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		<-r.done
	}
}

// A procFleet is the replicas that clients are spread over.
type procFleet struct {
	mu    sync.Mutex // guards all below
	rand  *rand.Rand
	nodes []*procServer
}

// procSeeded returns a source of randomness whose seed is in the test's log;
// PARLEY_TEST_SEED repeats one.
func procSeeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if v := os.Getenv("PARLEY_TEST_SEED"); v != "" {
		seed, _ = strconv.ParseUint(v, 10, 64)
	}
	t.Logf("PARLEY_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func (f *procFleet) intn(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rand.IntN(n)
}

// url returns that of any replica, as a balancer without health checks would.
func (f *procFleet) url() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[f.rand.IntN(len(f.nodes))].url
}

// remove takes a replica out for good.
func (f *procFleet) remove(s *procServer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = slices.DeleteFunc(slices.Clone(f.nodes), func(o *procServer) bool { return o == s })
}

// writer returns the replica that writes the only conversation under way.
func (f *procFleet) writer(t testing.TB) *procServer {
	t.Helper()
	var w *procServer
	procUntil(t, 10*time.Second, "a replica writes", func() bool {
		for _, s := range f.nodes {
			if s.writes() {
				w = s
				return true
			}
		}
		return false
	})
	return w
}

// A procPerson is a guest with a cookie, or with a token.
type procPerson struct {
	http  *http.Client
	token string
}

func procGuest(t testing.TB, url string) *procPerson {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	p := &procPerson{http: &http.Client{Jar: jar}}
	if status, err := p.do(t.Context(), "GET", url+"/v1/info", nil, nil); err != nil || status != http.StatusOK {
		t.Fatalf("GET /v1/info: %d, %v", status, err)
	}
	return p
}

func procAdmin() *procPerson { return &procPerson{http: &http.Client{}, token: procToken} }

// do sends a request and decodes the answer, of whatever status.
func (p *procPerson) do(ctx context.Context, method, url string, body, out any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second) // no server waits that long for anything
	defer cancel()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(b, out)
	}
	return resp.StatusCode, err
}

// procAnswered is the answer to POST /v1/conversations/{c}/messages, or a
// problem.
type procAnswered struct {
	Conversation string       `json:"conversation"`
	MessageID    string       `json:"messageId"`
	Run          string       `json:"run"`
	Status       any          `json:"status"` // of the run; of a problem the number
	Answer       *llm.Message `json:"answer"`
	Failure      *llm.Failure `json:"failure"`
	Code         string       `json:"code"`
	Detail       string       `json:"detail"`
}

// say asks once, and waits for the answer if wait is not empty.
func (p *procPerson) say(ctx context.Context, base, conv, clientID, content, wait string) (procAnswered, int, error) {
	var a procAnswered
	if conv == "" {
		conv = "new"
	}
	url := base + "/v1/conversations/" + conv + "/messages"
	if wait != "" {
		url += "?wait=" + wait
	}
	status, err := p.do(ctx, "POST", url, map[string]string{"clientId": clientID, "content": content}, &a)
	return a, status, err
}

// insist asks any replica, with the same client id, until one has
// acknowledged the question, for a minute at most.
func (p *procPerson) insist(ctx context.Context, f *procFleet, conv, clientID, content string) (procAnswered, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	var last string
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		a, status, err := p.say(try, f.url(), conv, clientID, content, "")
		cancel()
		if err == nil && (status == http.StatusOK || status == http.StatusAccepted) {
			return a, nil
		}
		if err == nil && status != http.StatusServiceUnavailable {
			return a, fmt.Errorf("%s: status %d, %s", content, status, a.Detail)
		}
		if ctx.Err() == nil {
			last = fmt.Sprint(status, " ", a.Detail, " ", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return a, fmt.Errorf("nobody acknowledges %q; the last said: %s", content, last)
		}
	}
}

// messages returns what the store has of a conversation.
func (p *procPerson) messages(t testing.TB, base, conv string) (all []llm.Message) {
	t.Helper()
	for before := ""; ; {
		var page struct {
			Messages []llm.Message
			Next     string
		}
		status, err := p.do(context.Background(), "GET", base+"/v1/conversations/"+conv+"/messages?limit=200&before="+before, nil, &page)
		if err != nil || status != http.StatusOK {
			t.Fatalf("messages: %d, %v", status, err)
		}
		all = append(page.Messages, all...)
		if before = page.Next; before == "" {
			return all
		}
	}
}

// procEnded reports whether a run has ended in a state.
func procEnded(st *chat.State, run string) bool {
	for _, m := range st.Messages {
		if m.Metadata != nil && m.Metadata.Parley.Run == run && m.Metadata.Parley.Status != "" {
			return true
		}
	}
	return false
}
