package tools_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/tools"
	"parley/tools/toolstest"
)

const clientSecret = "canary-client-secret/<&>"

// An authWorld is an authorisation server with its service, and replicas that
// share a store.
type authWorld struct {
	*testing.T
	oauth    *toolstest.OAuth2
	url      string
	http     *http.Client // of people, who follow no redirect
	store    *toolstest.Credentials
	tools    *toolstest.Store
	replicas []*tools.Registry
	log      *syncText
}

const serviceHost = "10.1.2.3"

// pipes is a listener without a network.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.closed); return nil }

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// syncText keeps what is written.
type syncText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncText) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func newAuthWorld(t *testing.T, o *toolstest.OAuth2) *authWorld {
	o.ClientID, o.RedirectURI, o.Prefix = "parley", "https://parley.example/back", "canary-"
	w := &authWorld{T: t, oauth: o, store: &toolstest.Credentials{}, tools: &toolstest.Store{}, log: &syncText{}}
	w.url = "http://" + serviceHost
	conns := pipes{make(chan net.Conn), make(chan struct{})}
	srv := &http.Server{Handler: o}
	go func() { _ = srv.Serve(conns) }()
	t.Cleanup(func() { _ = srv.Close() })
	w.http = &http.Client{Transport: &http.Transport{DialContext: conns.dial, DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for range 2 {
		client := tools.NewClient(tools.ClientOptions{Allow: []string{serviceHost + ":80"}, Dial: conns.dial})
		t.Cleanup(client.CloseIdle)
		w.replicas = append(w.replicas, &tools.Registry{
			Endpoints: w.tools, Client: client, Log: log,
			Credentials: &tools.Credentials{Store: w.store, Tokens: w.store, Departures: w.store, Client: client, Log: log, AskTimeout: 2 * time.Second},
		})
	}
	t.Cleanup(func() {
		for _, r := range w.replicas {
			r.Credentials.Wait()
		}
		w.noSecret("the log", w.log.String())
	})
	return w
}

func (w *authWorld) noSecret(what, text string) {
	w.Helper()
	for _, form := range []string{"canary", "Y2FuYXJ5", base64.StdEncoding.EncodeToString([]byte("parley:canary"))[:12]} {
		if strings.Contains(text, form) {
			w.Errorf("%s shows a secret: %s", what, text)
		}
	}
}

func (w *authWorld) credential(grant string) tools.Credential {
	c := tools.Credential{
		Name: "shop", Description: "your shop", Kind: tools.OAuth2, Origins: []string{w.url}, Grant: grant,
		TokenURL: w.url + "/token", ClientID: "parley", ClientSecret: w.oauth.ClientSecret, Scopes: []string{"read"},
	}
	if w.oauth.InBody {
		c.AuthStyle = "body"
	}
	if grant == tools.PersonGrant {
		c.AuthorizeURL = w.url + "/authorize?prompt=consent"
	}
	return c
}

func (w *authWorld) put(c tools.Credential) {
	w.Helper()
	if _, err := w.replicas[0].Credentials.Put(w.Context(), c); err != nil {
		w.Fatal(err)
	}
}

// tool registers a tool of the service, whose name says what it may do.
func (w *authWorld) tool(effect tools.Effect) {
	w.Helper()
	_, err := w.replicas[0].Put(w.Context(), tools.Endpoint{
		Name: string(effect), Description: "d", Effect: effect, Request: tools.Request{Method: "POST", URL: w.url + "/api", Auth: "shop", Body: json.RawMessage(`{"a":1}`)},
	})
	if err != nil {
		w.Fatal(err)
	}
}

// call calls a tool at a replica.
func (w *authWorld) call(replica int, name tools.Effect, person string, answer *tools.Answer) tools.Result {
	w.Helper()
	set, err := w.replicas[replica].Set(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	res := set.Call(w.Context(), tools.Call{ID: "id", Name: string(name), Arguments: json.RawMessage(`{}`), Person: person, Answer: answer})
	b, _ := json.Marshal(res)
	w.noSecret("the result", string(b))
	return res
}

func (w *authWorld) good(res tools.Result) {
	w.Helper()
	if res.Failed || res.Ask != nil || !strings.Contains(res.Content, `"ok":true`) {
		w.Errorf("the call came to %+v", res)
	}
}

// visit has the person go where Depart sends them, and returns what they come
// back with.
func (w *authWorld) visit(person, state string) url.Values {
	w.Helper()
	to, err := w.replicas[0].Credentials.Depart(w.Context(), "shop", person, state, w.oauth.RedirectURI)
	if err != nil {
		w.Fatal(err)
	}
	resp, err := w.http.Get(to)
	if err != nil {
		w.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil || back.Query().Get("state") != state {
		w.Fatalf("the service sends back to %v, %v; it found wrong: %v", back, err, w.oauth.Wrong())
	}
	return back.Query()
}

func (w *authWorld) connect(person string) {
	w.Helper()
	q := w.visit(person, "state of "+person)
	if name, err := w.replicas[1].Credentials.Arrive(w.Context(), person, q.Get("state"), q.Get("code"), q.Get("error")); err != nil || name != "shop" {
		w.Fatalf("%q, %v", name, err)
	}
}

func TestAClientTokenServesEverybody(t *testing.T) {
	for name, o := range map[string]*toolstest.OAuth2{"secret in a header": {ClientSecret: clientSecret}, "secret in the body": {ClientSecret: clientSecret, InBody: true}} {
		t.Run(name, func(t *testing.T) {
			w := newAuthWorld(t, o)
			w.put(w.credential(tools.ClientGrant))
			w.tool(tools.Safe)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() { w.good(w.call(i%2, tools.Safe, fmt.Sprint("person", i), nil)) })
			}
			wg.Wait()
			if got := o.Requests(); len(got) != 1 || len(o.Wrong()) > 0 {
				t.Errorf("tokens were asked for with %v; wrong: %v", got, o.Wrong())
			}
		})
	}
}

func TestATokenThatIsNotAcceptedIsRenewedOnce(t *testing.T) {
	w := newAuthWorld(t, &toolstest.OAuth2{ClientSecret: clientSecret})
	w.put(w.credential(tools.ClientGrant))
	w.tool(tools.Safe)
	w.tool(tools.Unsafe)
	w.good(w.call(0, tools.Safe, "", nil))
	w.oauth.RevokeAccess()
	w.good(w.call(1, tools.Safe, "", nil))
	w.oauth.RevokeAccess()
	if res := w.call(0, tools.Unsafe, "", nil); !res.Failed || res.Outcome.Status != http.StatusUnauthorized || res.Outcome.Requests != 1 {
		t.Errorf("an unsafe call came to %+v", res)
	}
	w.good(w.call(0, tools.Unsafe, "", nil))
	if got := len(w.oauth.Requests()); got != 3 {
		t.Errorf("%d tokens were asked for, want 3", got)
	}
}

func TestATokenIsRenewedAheadOfItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAuthWorld(t, &toolstest.OAuth2{ClientSecret: clientSecret})
		w.put(w.credential(tools.ClientGrant))
		w.tool(tools.Unsafe) // a 401 would fail it
		for range 5 * 60 {
			w.good(w.call(0, tools.Unsafe, "", nil))
			time.Sleep(time.Minute)
		}
		if got := len(w.oauth.Requests()); got != 6 {
			t.Errorf("%d tokens in 5 h, which last an hour each", got)
		}
	})
}

func TestAPersonIsAskedToConnect(t *testing.T) {
	for name, o := range map[string]*toolstest.OAuth2{"with a secret": {ClientSecret: clientSecret}, "without": {}} {
		t.Run(name, func(t *testing.T) {
			w := newAuthWorld(t, o)
			w.put(w.credential(tools.PersonGrant))
			w.tool(tools.Safe)
			ask := w.call(0, tools.Safe, "ann", nil).Ask
			if ask == nil || ask.Reason != tools.AskConnect || ask.URL != "/v1/connect/shop" || !strings.Contains(ask.Message, "your shop") {
				t.Fatalf("asked %+v", ask)
			}
			for _, status := range []tools.AnswerStatus{tools.AnswerResolved, tools.AnswerCancelled} {
				if res := w.call(0, tools.Safe, "ann", &tools.Answer{Status: status, State: ask.State}); !res.Failed || res.Ask != nil || !strings.Contains(res.Content, "not connected") {
					t.Errorf("answered without connecting: %+v", res)
				}
			}
			if res := w.call(0, tools.Safe, "ann", &tools.Answer{Status: tools.AnswerResolved, State: "of another question"}); res.Ask == nil {
				t.Errorf("the answer to another question counts: %+v", res)
			}
			w.connect("ann")
			w.good(w.call(0, tools.Safe, "ann", &tools.Answer{Status: tools.AnswerResolved, State: ask.State}))
			w.good(w.call(1, tools.Safe, "ann", nil))
			if res := w.call(0, tools.Safe, "bob", nil); res.Ask == nil {
				t.Errorf("somebody else's call came to %+v", res)
			}
			if res := w.call(0, tools.Safe, "", nil); !res.Failed || res.Ask != nil {
				t.Errorf("nobody's call came to %+v", res)
			}
			if len(o.Wrong()) > 0 {
				t.Errorf("the service found wrong: %v", o.Wrong())
			}
		})
	}
}

// Refresh tokens are good once: had two replicas asked at the same time, the
// connection would be gone.
func TestOneReplicaRefreshes(t *testing.T) {
	w := newAuthWorld(t, &toolstest.OAuth2{})
	w.put(w.credential(tools.PersonGrant))
	w.tool(tools.Safe)
	w.connect("ann")
	for round := range 5 {
		w.oauth.RevokeAccess()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { w.good(w.call(i%2, tools.Safe, "ann", nil)) })
		}
		wg.Wait()
		if got := len(w.oauth.Requests()); got != round+2 || len(w.oauth.Wrong()) > 0 {
			t.Fatalf("round %d: %d requests for tokens; wrong: %v", round, got, w.oauth.Wrong())
		}
	}
}

func TestARefusedRefreshEndsTheConnection(t *testing.T) {
	w := newAuthWorld(t, &toolstest.OAuth2{ClientSecret: clientSecret})
	w.put(w.credential(tools.PersonGrant))
	w.tool(tools.Safe)
	w.connect("ann")
	w.oauth.RevokeAll()
	if res := w.call(0, tools.Safe, "ann", nil); res.Ask == nil {
		t.Errorf("the call came to %+v", res)
	}
	if cs, err := w.replicas[0].Credentials.Connections(t.Context(), "ann"); err != nil || len(cs) != 0 {
		t.Errorf("connections %v, %v", cs, err)
	}
	w.connect("ann")
	w.good(w.call(0, tools.Safe, "ann", nil))
}

func TestATokenServerThatFails(t *testing.T) {
	for _, how := range []string{"html", "html200", "500", "rubbish", "echo", "hang"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newAuthWorld(t, &toolstest.OAuth2{ClientSecret: clientSecret})
			for _, r := range w.replicas {
				r.Credentials.AskTimeout = 200 * time.Millisecond
			}
			w.put(w.credential(tools.PersonGrant))
			w.tool(tools.Safe)
			w.connect("ann")
			w.oauth.Fail(how)
			w.oauth.RevokeAccess()
			res := w.call(0, tools.Safe, "ann", nil)
			if !res.Failed || res.Ask != nil || !strings.Contains(res.Outcome.Reason, "token server") {
				t.Errorf("the call came to %+v", res)
			}
			q := w.visit("bob", "state of bob")
			var wrong *tools.ConnectError
			if _, err := w.replicas[0].Credentials.Arrive(t.Context(), "bob", q.Get("state"), q.Get("code"), ""); !errors.As(err, &wrong) {
				t.Errorf("connecting: %v", err)
			} else {
				w.noSecret("the error", err.Error())
			}
			w.oauth.Fail("")
			w.good(w.call(1, tools.Safe, "ann", nil)) // the refresh token was not lost
		})
	}
}

// Who stops an answer does not end the connection: a refresh that has begun
// is carried out.
func TestAStoppedCallLosesNoToken(t *testing.T) {
	o := &toolstest.OAuth2{}
	w := newAuthWorld(t, o)
	w.put(w.credential(tools.PersonGrant))
	w.tool(tools.Safe)
	w.connect("ann")
	o.RevokeAccess()
	set, err := w.replicas[0].Set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	o.Watch(func() { stop() }) // the token request has arrived
	set.Call(ctx, tools.Call{ID: "id", Name: "safe", Arguments: json.RawMessage(`{}`), Person: "ann"})
	o.Watch(nil)
	w.replicas[0].Credentials.Wait()
	w.good(w.call(1, tools.Safe, "ann", nil))
	if got := o.Requests(); len(got) != 2 || len(o.Wrong()) > 0 {
		t.Errorf("requests %v; wrong: %v", got, o.Wrong())
	}
}

func TestTheWayBackIsForOnePersonOnce(t *testing.T) {
	w := newAuthWorld(t, &toolstest.OAuth2{})
	w.put(w.credential(tools.PersonGrant))
	cs := w.replicas[0].Credentials
	q := w.visit("ann", "s1")
	if _, err := cs.Arrive(t.Context(), "eve", "s1", q.Get("code"), ""); !errors.Is(err, tools.ErrDeparture) {
		t.Errorf("somebody else comes back: %v", err)
	}
	if _, err := cs.Arrive(t.Context(), "ann", "s1", q.Get("code"), ""); !errors.Is(err, tools.ErrDeparture) {
		t.Errorf("the state was used: %v", err)
	}
	w.oauth.Deny("access_denied")
	q = w.visit("ann", "s2")
	var wrong *tools.ConnectError
	if name, err := cs.Arrive(t.Context(), "ann", "s2", q.Get("code"), q.Get("error")); !errors.As(err, &wrong) || name != "shop" {
		t.Errorf("she did not agree: %q, %v", name, err)
	}
	if _, err := cs.Depart(t.Context(), "none", "ann", "s3", w.oauth.RedirectURI); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown credential: %v", err)
	}
	c := w.credential(tools.ClientGrant)
	c.Name, c.ClientSecret = "clients", "canary-x"
	w.put(c)
	if _, err := cs.Depart(t.Context(), "clients", "ann", "s4", w.oauth.RedirectURI); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a credential that is nobody's own: %v", err)
	}
}

func TestConnectionsAreEachPersonsOwn(t *testing.T) {
	w := newAuthWorld(t, &toolstest.OAuth2{})
	w.put(w.credential(tools.PersonGrant))
	w.tool(tools.Safe)
	w.connect("ann")
	w.connect("bob")
	cs := w.replicas[1].Credentials
	if err := cs.Disconnect(t.Context(), "shop", "eve"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("eve: %v", err)
	}
	if err := cs.Disconnect(t.Context(), "shop", "ann"); err != nil {
		t.Fatal(err)
	}
	for person, want := range map[string]int{"ann": 0, "bob": 1, "eve": 0} {
		if got, err := cs.Connections(t.Context(), person); err != nil || len(got) != want {
			t.Errorf("%s has %v, %v", person, got, err)
		}
	}
	if w.call(0, tools.Safe, "ann", nil).Ask == nil {
		t.Error("ann is not asked to connect")
	}
	w.good(w.call(0, tools.Safe, "bob", nil))
	c := w.credential(tools.PersonGrant)
	c.Scopes = []string{"read", "write"}
	w.put(c)
	if got, err := cs.Connections(t.Context(), "bob"); err != nil || len(got) != 0 {
		t.Errorf("with other scopes bob has %v, %v", got, err)
	}
	if w.call(0, tools.Safe, "bob", nil).Ask == nil {
		t.Error("with other scopes bob is not asked to connect")
	}
}

func TestTokensDoNotFollowToANewOrigin(t *testing.T) {
	w := newAuthWorld(t, &toolstest.OAuth2{})
	c := w.credential(tools.PersonGrant)
	w.put(c)
	w.connect("ann")
	var stolen atomic.Bool
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stolen.Store(true)
	}))
	t.Cleanup(evil.Close)
	c.Origins = append(c.Origins, evil.URL) // a public client has no secret to give again
	w.put(c)
	_, err := w.replicas[0].Put(t.Context(), tools.Endpoint{Name: "evil", Description: "d", Request: tools.Request{URL: evil.URL + "/", Auth: "shop"}})
	if err != nil {
		t.Fatal(err)
	}
	if res := w.call(0, "evil", "ann", nil); res.Ask == nil || stolen.Load() {
		t.Errorf("the call came to %+v, stolen %v", res, stolen.Load())
	}
}

// Without a refresh token a connection ends with its token.
func TestAConnectionWithoutARefreshToken(t *testing.T) {
	w := newAuthWorld(t, &toolstest.OAuth2{NoRefresh: true})
	w.put(w.credential(tools.PersonGrant))
	w.tool(tools.Safe)
	w.connect("ann")
	w.good(w.call(0, tools.Safe, "ann", nil))
	w.oauth.RevokeAccess()
	if res := w.call(0, tools.Safe, "ann", nil); res.Ask == nil {
		t.Errorf("the call came to %+v", res)
	}
	if cs, err := w.replicas[1].Credentials.Connections(t.Context(), "ann"); err != nil || len(cs) != 0 {
		t.Errorf("connections %v, %v", cs, err)
	}
}
