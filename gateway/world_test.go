package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway"
	"parley/gateway/gatewaytest"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
	"parley/tools"
)

// Secrets that no answer and no log line may show, besides gatewaytest's.
const (
	modelKey   = "canary-model-key"
	toolSecret = "canary-tool-secret"
)

const toolHost = "10.1.2.3" // on the network, where tests serve what tools call

// A world is a cluster with its model, its network and everybody's logs,
// inside one bubble.
type world struct {
	*testing.T
	c     *gatewaytest.Cluster
	net   *gatewaytest.Network
	model *llmtest.Server
	o     gatewaytest.GatewayOptions
	log   *logs
	gates []*gatewaytest.Gateway
}

// inBubble runs f in a world of its own, whose model follows the script.
func inBubble(t *testing.T, script func(llmtest.Request) llmtest.Reply, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t, script)) })
}

func newWorld(t *testing.T, script func(llmtest.Request) llmtest.Reply) *world {
	w := &world{T: t, net: gatewaytest.NewNetwork(), log: &logs{}}
	w.model = llmtest.NewPipeServer(t, script)
	m, err := provider.OpenAI(provider.OpenAIOptions{BaseURL: w.model.URL, Key: modelKey, Model: "scripted", Client: w.model.Client})
	if err != nil {
		t.Fatal(err)
	}
	w.c = gatewaytest.NewCluster(t, &llm.Agent{Model: m})
	w.c.Log = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client := tools.NewClient(tools.ClientOptions{Allow: []string{toolHost + ":80"}, Dial: w.dialTool})
	t.Cleanup(client.CloseIdle)
	w.c.Registry = func(db *store.DB) *tools.Registry {
		return &tools.Registry{Endpoints: db, Client: client, Log: w.c.Log}
	}
	t.Cleanup(w.end)
	return w
}

// dialTool connects to what tools call.
func (w *world) dialTool(ctx context.Context, network, addr string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	return w.net.Dial(ctx, network, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String())
}

// gate starts one more replica.
func (w *world) gate() *gatewaytest.Gateway {
	g := w.c.Start().Gateway(w.net, w.o)
	w.gates = append(w.gates, g)
	synctest.Wait() // what is cut later is connected first: go-redis sleeps under a lock while it dials, which would stop the bubble's clock
	return g
}

func (w *world) end() {
	for _, g := range w.gates {
		g.Stop()
		g.Replica.Drain()
	}
	w.c.Wait()
	w.noSecret("the log", w.log.bytes())
}

// noSecret fails the test if b shows a secret.
func (w *world) noSecret(what string, b []byte) {
	w.Helper()
	for _, secret := range []string{modelKey, toolSecret, gatewaytest.AdminToken, gatewaytest.RetrievalToken, gatewaytest.CookieKey} {
		if i := bytes.Index(b, []byte(secret)); i >= 0 {
			w.Errorf("%s shows the secret %s: …%.300s", what, secret, b[max(0, i-100):])
		}
	}
}

// logs keeps what is logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

// A person speaks to one gateway, and keeps its cookie as a browser does.
type person struct {
	w      *world
	host   string
	cookie string
	token  string
	name   string // of the tenant's person that the token's system speaks for
	ticket string // to open a connection with
}

func (w *world) guest(g *gatewaytest.Gateway) *person { return &person{w: w, host: g.Host} }

func (w *world) admin(g *gatewaytest.Gateway) *person {
	return &person{w: w, host: g.Host, token: gatewaytest.AdminToken}
}

// at is the same person at another gateway.
func (p *person) at(g *gatewaytest.Gateway) *person {
	if p.cookie == "" && p.token == "" {
		p.get("/v1/info")
	}
	return &person{w: p.w, host: g.Host, cookie: p.cookie, token: p.token, name: p.name}
}

// An answer is what came of a request.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

func (p *person) get(path string) *answer { return p.do("GET", path, nil) }

// do sends a request. A body that is a string or bytes goes as it is, anything
// else as JSON. Header holds names and values in turn.
func (p *person) do(method, path string, body any, header ...string) *answer {
	p.w.Helper()
	res, err := p.w.net.Client().Do(p.request(p.w.Context(), method, path, body, header...))
	for tries := 0; errors.Is(err, io.ErrClosedPipe) && tries < 20; tries++ { // the server does not read a long body to its end, and a pipe has no buffer
		res, err = p.w.net.Client().Do(p.request(p.w.Context(), method, path, body, header...))
	}
	if err != nil {
		p.w.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	p.keep(res)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return &answer{p.w.T, method + " " + path, res.StatusCode, res.Header, nil}
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.w.Fatalf("%s %s: %v", method, path, err)
	}
	a := &answer{p.w.T, method + " " + path, res.StatusCode, res.Header, b}
	p.w.noSecret(a.what, b)
	p.w.noSecret(a.what, fmt.Append(nil, res.Header))
	return a
}

func (p *person) request(ctx context.Context, method, path string, body any, header ...string) *http.Request {
	p.w.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.host+path, bytes.NewReader(bodyOf(body)))
	if err != nil {
		p.w.Fatal(err)
	}
	p.sign(req.Header)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if h := req.Header.Get("Host"); h != "" {
		req.Host = h
	}
	return req
}

func bodyOf(body any) []byte {
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return []byte(b)
	case []byte:
		return b
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return b
}

func (p *person) sign(h http.Header) {
	if p.token != "" {
		h.Set("Authorization", "Bearer "+p.token)
	}
	if p.name != "" {
		h.Set("Parley-Person", p.name)
	}
	if p.cookie != "" {
		h.Set("Cookie", "parley="+p.cookie)
	}
}

func (p *person) keep(res *http.Response) {
	for _, c := range res.Cookies() {
		if c.Name == "parley" {
			p.cookie = c.Value
		}
	}
}

// into decodes the answer, which must have a status.
func (a *answer) into(status int, v any) {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.status, status, a.body)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
}

// problem checks that the answer is a problem with a status, a code and a
// field, and returns it.
func (a *answer) problem(status int, code, field string) gateway.Problem {
	a.t.Helper()
	var p gateway.Problem
	if err := json.Unmarshal(a.body, &p); err != nil || a.status != status || p.Status != status || p.Code != code || p.Field != field {
		a.t.Errorf("%s: %d %s, want status %d, code %q, field %q", a.what, a.status, a.body, status, code, field)
		return p
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Errorf("%s: the problem has Content-Type %q", a.what, ct)
	}
	if p.Title == "" || p.Detail == "" || !strings.HasSuffix(p.Type, code) {
		a.t.Errorf("%s: the problem does not say what is wrong: %s", a.what, a.body)
	}
	return p
}

// An object is any JSON object.
type object = map[string]any

// conversation makes a conversation.
func (p *person) conversation() string {
	p.w.Helper()
	var c struct{ ID string }
	p.do("POST", "/v1/conversations", nil).into(http.StatusCreated, &c)
	return c.ID
}

// A posted is the answer to POST …/messages.
type posted struct {
	Conversation, MessageID, Run, Status string
	Answer                               *llm.Message
	Failure                              *llm.Failure
}

// say says something in a conversation, or a new one, and waits for the
// answer.
func (p *person) say(conv, text string) posted {
	p.w.Helper()
	var a posted
	p.do("POST", "/v1/conversations/"+conv+"/messages?wait=60s", object{"content": text}).into(http.StatusOK, &a)
	return a
}

// history returns a conversation's messages, as the store has them.
func (p *person) history(conv string) []llm.Message {
	p.w.Helper()
	var page struct{ Messages []llm.Message }
	p.get("/v1/conversations/"+conv+"/messages").into(http.StatusOK, &page)
	return page.Messages
}

// words returns a reply of n words, one every so often.
func words(n int, every time.Duration) llmtest.Reply {
	var pieces []string
	for i := range n {
		pieces = append(pieces, fmt.Sprintf("word%d ", i))
	}
	return llmtest.Reply{Pieces: pieces, Every: every}
}

func always(r llmtest.Reply) func(llmtest.Request) llmtest.Reply {
	return func(llmtest.Request) llmtest.Reply { return r }
}

// rest lets a moment pass: what was set off is done, and limits on commands a
// second have recovered.
func (w *world) rest() { time.Sleep(time.Second) }
