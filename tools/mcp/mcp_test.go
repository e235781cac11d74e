package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/tools"
	"parley/tools/mcp"
)

const secret = "canary-mcp-secret"

// A shelf is a store in memory.
type shelf struct {
	mu      sync.Mutex
	servers map[string]mcp.Server
}

func newShelf() *shelf { return &shelf{servers: map[string]mcp.Server{}} }

func (s *shelf) MCPServers(context.Context) (all []mcp.Server, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers {
		all = append(all, server)
	}
	slices.SortFunc(all, func(a, b mcp.Server) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (s *shelf) MCPServer(_ context.Context, name string) (mcp.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	server, ok := s.servers[name]
	if !ok {
		return server, fs.ErrNotExist
	}
	return server, nil
}

func (s *shelf) PutMCPServer(_ context.Context, server mcp.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers[server.Name] = server
	return nil
}

func (s *shelf) DeleteMCPServer(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.servers[name]; !ok {
		return fs.ErrNotExist
	}
	delete(s.servers, name)
	return nil
}

// A replica is one process's Servers, running.
type replica struct {
	*testing.T
	*mcp.Servers
	stop func()
}

// start runs a replica; it may call the addresses given, which are private.
func start(t *testing.T, store mcp.Store, allow []string, change ...func(*mcp.Options)) *replica {
	t.Helper()
	client := tools.NewClient(tools.ClientOptions{Allow: allow})
	o := mcp.Options{
		Store: store, HTTP: client.HTTP(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Look: 20 * time.Millisecond, Backoff: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		Settle: 20 * time.Millisecond, ConnectTimeout: 5 * time.Second, PutWait: 10 * time.Second,
	}
	for _, f := range change {
		f(&o)
	}
	r := &replica{T: t, Servers: mcp.New(o)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Servers.Run(ctx) }()
	r.stop = sync.OnceFunc(func() { cancel(); <-done; client.CloseIdle() })
	t.Cleanup(r.stop)
	return r
}

func (r *replica) put(s mcp.Server) mcp.Status {
	r.Helper()
	st, err := r.Put(r.Context(), s)
	if err != nil {
		r.Fatal(err)
	}
	return st
}

func (r *replica) set() *tools.Set {
	r.Helper()
	ts, err := r.Tools(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return tools.NewSet(ts...)
}

func (r *replica) names() (names []string) {
	r.Helper()
	for _, spec := range r.set().Specs() {
		names = append(names, spec.Name)
	}
	return names
}

// until waits for what happens in the background.
func (r *replica) until(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			list, _ := r.List(r.Context())
			b, _ := json.Marshal(list)
			r.Fatalf("never %s: %s", what, b)
		}
	}
}

func (r *replica) call(name, arguments string, answer ...*tools.Answer) tools.Result {
	r.Helper()
	c := tools.Call{ID: "t1", Name: name, Arguments: json.RawMessage(arguments), Person: "ann", Conversation: "c1"}
	if len(answer) > 0 {
		c.Answer = answer[0]
	}
	return r.set().Call(r.Context(), c)
}

// A peer is an MCP server over real HTTP.
type peer struct {
	mcp  *sdk.Server
	http *httptest.Server
	seen func() []http.Header // of requests
}

func (p *peer) host() string { return strings.TrimPrefix(p.http.URL, "http://") }

// serve starts a server of the SDK's that speaks 2026-07-28, or one that only
// knows what was before.
func serve(t *testing.T, legacy bool, add ...func(*sdk.Server)) *peer {
	t.Helper()
	p := &peer{mcp: sdk.NewServer(&sdk.Implementation{Name: "peer", Version: "1.2"}, nil)}
	for _, f := range add {
		f(p.mcp)
	}
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return p.mcp }, &sdk.StreamableHTTPOptions{
		Stateless: !legacy, PropagateRequestCancellation: true,
	})
	var mu sync.Mutex
	var seen []http.Header
	p.seen = func() []http.Header { mu.Lock(); defer mu.Unlock(); return slices.Clone(seen) }
	p.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Header.Clone())
		mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { p.http.CloseClientConnections(); p.http.Close() })
	return p
}

// raw starts a server that answers each request with what answer returns.
func raw(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, id json.RawMessage, method string)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			ID     json.RawMessage
			Method string
		}
		_ = json.NewDecoder(r.Body).Decode(&m)
		w.Header().Set("Content-Type", "application/json")
		answer(w, r, m.ID, m.Method)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// both runs a test with a server of each kind.
func both(t *testing.T, f func(t *testing.T, legacy bool)) {
	t.Run("2026-07-28", func(t *testing.T) { f(t, false) })
	t.Run("older", func(t *testing.T) { f(t, true) })
}

// add adds a tool that answers with what f returns.
func add(name, schema string, f func(ctx context.Context, r *sdk.CallToolRequest) *sdk.CallToolResult) func(*sdk.Server) {
	if schema == "" {
		schema = `{"type":"object"}`
	}
	return func(s *sdk.Server) {
		s.AddTool(&sdk.Tool{Name: name, Description: "Does " + name + ".", InputSchema: json.RawMessage(schema)}, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return f(ctx, r), nil
		})
	}
}

func says(text string) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}
}

// echo says what it was sent.
func echo(s *sdk.Server) {
	add("echo", `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`, func(_ context.Context, r *sdk.CallToolRequest) *sdk.CallToolResult {
		var in struct{ Text string }
		_ = json.Unmarshal(r.Params.Arguments, &in)
		id, _ := r.Params.Meta["parley/idempotencyKey"].(string)
		return says(in.Text + " for " + id)
	})(s)
}

func TestAServersToolsAreCalled(t *testing.T) {
	both(t, func(t *testing.T, legacy bool) {
		p := serve(t, legacy, echo)
		store := newShelf()
		r := start(t, store, []string{p.host()})
		st := r.put(mcp.Server{Name: "peer", URL: p.http.URL, Headers: map[string]string{"Authorization": "Bearer " + secret}})
		if !st.State.Connected || st.State.Tools != 1 || st.State.Software != "peer 1.2" || (st.State.Protocol < "2026") != legacy {
			t.Errorf("it stands as %+v", st.State)
		}
		if st.Headers["Authorization"] != tools.Mask {
			t.Errorf("its headers are shown as %v", st.Headers)
		}
		spec, ok := r.set().Spec("peer_echo")
		if !ok || spec.Description != "Does echo." || spec.Effect != tools.Unsafe || spec.Host != p.host() || !strings.Contains(string(spec.Parameters), `"required":["text"]`) {
			t.Errorf("the tool is %+v, %s", spec, spec.Parameters)
		}
		res := r.call("peer_echo", `{"text":"hello"}`)
		if res.Failed || res.Content != "hello for t1" || res.Outcome.Host != p.host() {
			t.Errorf("the call got %+v", res)
		}
		if res := r.call("peer_echo", `{"text":5}`); !res.Failed || !strings.Contains(res.Content, "/text") {
			t.Errorf("a call with a wrong argument got %+v", res)
		}
		for _, h := range p.seen() {
			if h.Get("Authorization") != "Bearer "+secret {
				t.Errorf("a request came with %v", h)
			}
		}
		other := start(t, store, []string{p.host()})
		other.until("used by the other replica", func() bool { return slices.Equal(other.names(), []string{"peer_echo"}) })
		if res := other.call("peer_echo", `{"text":"there"}`); res.Content != "there for t1" {
			t.Errorf("the other replica's call got %+v", res)
		}
		if err := r.Delete(t.Context(), "peer"); err != nil {
			t.Fatal(err)
		}
		if names := append(r.names(), other.names()...); len(names) > 0 {
			t.Errorf("after it was deleted there are %v", names)
		}
		other.until("forgotten by the other replica", func() bool { list, _ := other.List(t.Context()); return len(list) == 0 })
	})
}

func TestOnlyTrustedServersSayWhatACallDoes(t *testing.T) {
	annotated := func(name string, a *sdk.ToolAnnotations) func(*sdk.Server) {
		return func(s *sdk.Server) {
			s.AddTool(&sdk.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`), Annotations: a}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return says("ok"), nil })
		}
	}
	p := serve(t, false, annotated("read", &sdk.ToolAnnotations{ReadOnlyHint: true}), annotated("set", &sdk.ToolAnnotations{IdempotentHint: true}), annotated("do", nil))
	r := start(t, newShelf(), []string{p.host()})
	for trusted, want := range map[bool]map[string]tools.Effect{
		false: {"p_read": tools.Unsafe, "p_set": tools.Unsafe, "p_do": tools.Unsafe},
		true:  {"p_read": tools.Safe, "p_set": tools.Idempotent, "p_do": tools.Unsafe},
	} {
		r.put(mcp.Server{Name: "p", URL: p.http.URL, Trusted: trusted})
		got := map[string]tools.Effect{}
		for _, spec := range r.set().Specs() {
			got[spec.Name] = spec.Effect
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("trusted %v: (-want +got)\n%s", trusted, d)
		}
	}
	r.put(mcp.Server{Name: "p", URL: p.http.URL, Allow: []string{"read", "do"}, Deny: []string{"do"}})
	if names := r.names(); !slices.Equal(names, []string{"p_read"}) {
		t.Errorf("of what is allowed and not denied there are %v", names)
	}
	r.put(mcp.Server{Name: "p", URL: p.http.URL, Disabled: true})
	if names := r.names(); len(names) > 0 {
		t.Errorf("disabled, it has %v", names)
	}
}

func TestAListThatChangesIsReadAgain(t *testing.T) {
	p := serve(t, false, echo)
	r := start(t, newShelf(), []string{p.host()}, func(o *mcp.Options) { o.Refresh = time.Hour })
	r.put(mcp.Server{Name: "p", URL: p.http.URL})
	before := r.set()
	add("late", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult { return says("late") })(p.mcp)
	p.mcp.RemoveTools("echo")
	r.until("listed again", func() bool { return slices.Equal(r.names(), []string{"p_late"}) })
	res := before.Call(t.Context(), tools.Call{ID: "t", Name: "p_echo", Arguments: json.RawMessage(`{"text":"x"}`)})
	if !res.Failed || !strings.Contains(res.Content, "refused") {
		t.Errorf("a tool that is gone got %+v", res)
	}
}

func TestAServerOfAnOldProtocolIsListedAgainAfterAWhile(t *testing.T) {
	p := serve(t, true, echo)
	r := start(t, newShelf(), []string{p.host()}, func(o *mcp.Options) { o.Refresh = 50 * time.Millisecond })
	r.put(mcp.Server{Name: "p", URL: p.http.URL})
	add("late", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult { return says("late") })(p.mcp)
	r.until("listed again", func() bool { return slices.Equal(r.names(), []string{"p_echo", "p_late"}) })
}

func TestAServerThatIsAwayKeepsItsListAndComesBack(t *testing.T) {
	both(t, func(t *testing.T, legacy bool) {
		p := serve(t, legacy, echo)
		r := start(t, newShelf(), []string{p.host()}, func(o *mcp.Options) { o.Refresh = 50 * time.Millisecond })
		r.put(mcp.Server{Name: "p", URL: p.http.URL})
		addr := p.http.Listener.Addr().String()
		p.http.CloseClientConnections()
		p.http.Close()
		r.until("away", func() bool { st, _ := r.Get(t.Context(), "p"); return !st.State.Connected && st.State.Error != "" })
		res := r.call("p_echo", `{"text":"x"}`)
		if !res.Failed || !strings.Contains(res.Content, "was not called") {
			t.Errorf("a call to it got %+v", res)
		}
		again := serve(t, legacy, echo)
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		back := &http.Server{Handler: again.http.Config.Handler}
		go func() { _ = back.Serve(ln) }()
		defer func() { _ = back.Close() }()
		r.until("back", func() bool { return !r.call("p_echo", `{"text":"x"}`).Failed })
	})
}

func TestWhatAServerAnswersIsText(t *testing.T) {
	content := []sdk.Content{
		&sdk.TextContent{Text: "words"},
		&sdk.ImageContent{MIMEType: "image/png", Data: []byte("\x89PNG")},
		&sdk.AudioContent{MIMEType: "audio/wav", Data: []byte("RIFF")},
		&sdk.ResourceLink{URI: "file:///a.txt", Name: "a", MIMEType: "text/plain", Description: "a file"},
		&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "x://b", MIMEType: "text/plain", Text: "b's text"}},
		&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "x://c/d.bin", MIMEType: "application/octet-stream", Blob: []byte{1, 2}}},
	}
	p := serve(t, false,
		add("all", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult {
			return &sdk.CallToolResult{Content: content, StructuredContent: map[string]any{"n": 1}}
		}),
		add("twice", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: `{ "n": 1 }`}}, StructuredContent: map[string]any{"n": 1}}
		}),
		add("fails", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult {
			res := says("no such city: " + secret)
			res.IsError = true
			return res
		}),
		add("nothing", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult { return &sdk.CallToolResult{} }),
		add("long", "", func(context.Context, *sdk.CallToolRequest) *sdk.CallToolResult {
			return says(strings.Repeat("é", 300<<10))
		}),
	)
	kept := &box{}
	r := start(t, newShelf(), []string{p.host()})
	keeps := start(t, newShelf(), []string{p.host()}, func(o *mcp.Options) { o.Files = kept })
	for _, r := range []*replica{r, keeps} {
		r.put(mcp.Server{Name: "p", URL: p.http.URL, Headers: map[string]string{"X-Key": secret}})
	}
	want := "words\n\n[image, image/png, 4 bytes, which cannot be shown]\n\n[audio, audio/wav, 4 bytes, which cannot be shown]\n\n" +
		"[resource a: file:///a.txt, text/plain] a file\n\n[resource x://b, text/plain]\nb's text\n\n" +
		"[resource x://c/d.bin, application/octet-stream, 2 bytes, which cannot be shown]\n\n" + `{"n":1}`
	if d := cmp.Diff(want, r.call("p_all", "{}").Content); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	all := keeps.call("p_all", "{}")
	if !strings.Contains(all.Content, "[image, image/png, 4 bytes, kept as file f1,") || !strings.Contains(all.Content, "2 bytes, kept as file f3,") {
		t.Errorf("with a place for files it is\n%s", all.Content)
	}
	if len(all.Outcome.Files) != 3 || all.Outcome.Files[0].ID != "f1" {
		t.Errorf("a person is shown the files %+v", all.Outcome.Files)
	}
	if want := []string{"ann c1 p_all-1.png image/png 4", "ann c1 p_all-2.wav audio/wav 4", "ann c1 d_bin application/octet-stream 2"}; !slices.Equal(kept.got, want) {
		t.Errorf("kept were %q, want %q", kept.got, want)
	}
	if text := r.call("p_twice", "{}").Content; text != `{ "n": 1 }` {
		t.Errorf("what stands twice is %s", text)
	}
	if res := r.call("p_fails", "{}"); !res.Failed || res.Content != "Error: no such city: "+tools.Mask {
		t.Errorf("a failure is %+v", res)
	}
	if res := r.call("p_nothing", "{}"); res.Failed || res.Content != "(no content)" {
		t.Errorf("nothing is %+v", res)
	}
	if res := r.call("p_long", "{}"); !res.Outcome.Cut || tools.Tokens(res.Content) > tools.DefaultMaxTokens || !strings.HasSuffix(res.Content, "may give less.)") {
		t.Errorf("a long answer has %d bytes and ends with %q", len(res.Content), res.Content[len(res.Content)-60:])
	}
}

// A box keeps files.
type box struct{ got []string }

func (b *box) PutFile(_ context.Context, person, conversation, name, media string, r io.Reader) (tools.FileRef, error) {
	data, err := io.ReadAll(r)
	b.got = append(b.got, fmt.Sprint(person, " ", conversation, " ", name, " ", media, " ", len(data)))
	return tools.FileRef{ID: fmt.Sprintf("f%d", len(b.got))}, err
}

func TestRegistrations(t *testing.T) {
	p := serve(t, false, echo)
	r := start(t, newShelf(), []string{p.host()}, func(o *mcp.Options) { o.Stdio = []mcp.Command{{Name: "here", Command: "/nonexistent"}} })
	for _, tt := range []struct{ name, body, field string }{
		{"no name", `{"url":"http://x.example/"}`, "name"},
		{"a bad name", `{"name":"a b","url":"http://x.example/"}`, "name"},
		{"a long name", `{"name":"` + strings.Repeat("a", 33) + `","url":"http://x.example/"}`, "name"},
		{"no url", `{"name":"a"}`, "url"},
		{"a file", `{"name":"a","url":"file:///etc/passwd"}`, "url"},
		{"a password", `{"name":"a","url":"http://u:p@x.example/"}`, "url"},
		{"a command", `{"name":"a","command":"sh"}`, "server"},
		{"a header of the protocol", `{"name":"a","url":"http://x.example/","headers":{"mcp-session-id":"x"}}`, "headers.mcp-session-id"},
		{"a header with a break", `{"name":"a","url":"http://x.example/","headers":{"X":"a\r\nb"}}`, "headers.X"},
		{"an empty tool", `{"name":"a","url":"http://x.example/","deny":[""]}`, "deny"},
		{"a long time", `{"name":"a","url":"http://x.example/","timeoutMs":600001}`, "timeoutMs"},
	} {
		var field *tools.FieldError
		if _, err := mcp.Decode([]byte(tt.body)); !errors.As(err, &field) || field.Field != tt.field {
			t.Errorf("%s: %v, want one of %s", tt.name, err, tt.field)
		}
	}
	r.put(mcp.Server{Name: "a", URL: p.http.URL, Headers: map[string]string{"X-Key": secret}})
	r.put(mcp.Server{Name: "a", URL: p.http.URL + "/other", Headers: map[string]string{"x-key": tools.Mask}})
	for _, next := range []mcp.Server{
		{Name: "a", URL: "http://127.0.0.1:1/", Headers: map[string]string{"X-Key": tools.Mask}},
		{Name: "b", URL: p.http.URL, Headers: map[string]string{"X-Key": tools.Mask}},
		{Name: "here", URL: p.http.URL},
	} {
		var field *tools.FieldError
		if _, err := r.Put(t.Context(), next); !errors.As(err, &field) {
			t.Errorf("%+v was taken: %v", next, err)
		}
	}
	if seen := p.seen(); seen[len(seen)-1].Get("X-Key") != secret {
		t.Error("a masked header is not the one that was stored")
	}
	if err := r.Delete(t.Context(), "nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleting nobody: %v", err)
	}
	if _, err := r.Get(t.Context(), "nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("getting nobody: %v", err)
	}
	r.until("failing", func() bool { st, _ := r.Get(t.Context(), "here"); return st.Stdio && st.State.Error != "" })
	st := r.put(mcp.Server{Name: "refused", URL: "http://127.0.0.1:1/"})
	if st.State.Connected || !strings.Contains(st.State.Error, "PARLEY_EGRESS_ALLOW=127.0.0.1:1") {
		t.Errorf("a private address stands as %+v", st.State)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	both(t, func(t *testing.T, legacy bool) {
		p := serve(t, legacy, echo)
		before := runtime.NumGoroutine()
		r := start(t, newShelf(), []string{p.host()})
		r.put(mcp.Server{Name: "p", URL: p.http.URL})
		r.call("p_echo", `{"text":"x"}`)
		r.stop()
		p.http.CloseClientConnections()
		r.until("ended", func() bool { return runtime.NumGoroutine() <= before })
	})
}
