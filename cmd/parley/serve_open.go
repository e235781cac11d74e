package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"parley/gateway"
	"parley/gateway/access"
	"parley/gateway/fleet"
	"parley/gateway/run"
	"parley/gateway/store"
	"parley/llm"
	"parley/llm/provider"
	"parley/tools"
	"parley/tools/mcp"
)

func newLogger(s settings, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// openChain returns the models of the settings as one that fails over, and
// what is done besides answering.
func openChain(s settings, log *slog.Logger) (*llm.Chain, run.Tending, error) {
	models, err := openModels(s)
	if err != nil {
		return nil, run.Tending{}, err
	}
	fitted, first := fitModels(s, models)
	o := llm.ChainOptions{Log: log}
	if s.Prices != nil {
		o.Prices = s.Prices
	}
	chain := llm.NewChain(o, fitted...)
	tending, err := openTending(s, o, chain, first)
	return chain, tending, err
}

// openModels opens the models of the settings in their order.
func openModels(s settings) ([]llm.Model, error) {
	if s.Demo() {
		return []llm.Model{provider.Demo(provider.DemoOptions{})}, nil
	}
	first, err := openRemote(s)
	if err != nil {
		return nil, err
	}
	models := []llm.Model{first}
	for _, f := range s.ModelFallback {
		m, err := openFallback(s, f)
		if err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

func openFallback(s settings, f fallback) (*provider.Remote, error) {
	return provider.Open(f.Provider, provider.Options{BaseURL: f.URL, Key: string(f.Key), Model: f.Model, MaxTokens: s.ModelMaxTokens, Continues: slices.Contains(s.ModelContinues, f.Model)})
}

// openRemote opens the model that the settings name.
func openRemote(s settings) (*provider.Remote, error) {
	name := s.ModelProvider
	if name == "auto" {
		name = ""
	}
	return provider.Open(name, provider.Options{
		BaseURL: s.ModelURL, Key: string(s.ModelKey), Model: s.Model,
		Reasoning: provider.Effort(s.ModelReasoning), MaxTokens: s.ModelMaxTokens, Input: modelInput(s),
		Continues: slices.Contains(s.ModelContinues, s.Model),
	})
}

// retrieval declares the tool that searches documents: a REST endpoint like
// any other, which happens to be this server's own.
func retrieval(base, token string) tools.Endpoint {
	return tools.Endpoint{
		Name:        "search_documents",
		Description: "Search the documents that this assistant knows: manuals, guides, and how Parley itself works and is set up. Returns passages with references to cite.",
		Parameters:  json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","description":"what to look for, in words that the documents would use"},"limit":{"type":"integer","minimum":1,"maximum":10,"default":5}},"required":["query"],"additionalProperties":false}`),
		Request:     tools.Request{Method: "POST", URL: base + "/v1/retrieval", Headers: map[string]string{"Authorization": "Bearer " + token}},
		Effect:      tools.Safe,
		Sources:     "/passages",
	}
}

// openTools returns the tools of this server. Its own address is the one
// private address that is always allowed, for retrieval.
func openTools(s settings, db *store.DB, rdb redis.UniversalClient, use *fleet.Stats, files tools.Files, k keyring, addr net.Addr, log *slog.Logger) (*tools.Registry, *mcp.Servers, error) {
	self := selfAddr(addr)
	o := tools.ClientOptions{Allow: append(append([]string(nil), s.EgressAllow...), self), UserAgent: "Parley/" + shortVersion()}
	if s.ToolCache > 0 {
		shared := fleet.NewCache(rdb, fleet.CacheOptions{MaxBytes: s.ToolCache})
		o.Cache, o.Locker, o.MaxEntry = shared, shared, s.ToolCacheEntry
	}
	client := tools.NewClient(o)
	r := &tools.Registry{
		Endpoints: db, Client: client, Versions: fleet.NewNotice(rdb, "tools"), Observer: use, MaxTokens: s.MaxResultTokens, Files: files, Log: log,
		Credentials: &tools.Credentials{Store: db, Tokens: db, Departures: db, Client: client, Log: log},
	}
	for _, e := range []tools.Endpoint{tools.Weather("", ""), retrieval("http://"+self, k.retrieval())} {
		t, err := e.Tool(client)
		if err != nil {
			return nil, nil, fmt.Errorf("tool %s: %w", e.Name, err)
		}
		r.Builtins = append(r.Builtins, t)
	}
	commands, err := mcpCommands(s.MCPStdio)
	if err != nil {
		return nil, nil, fmt.Errorf("PARLEY_MCP_STDIO: %w", err)
	}
	servers := mcp.New(mcp.Options{Store: db, HTTP: client.HTTP(), Stdio: commands, Files: files, Log: log, Version: shortVersion(), UserAgent: "Parley/" + shortVersion()})
	r.Suppliers = append(r.Suppliers, servers)
	return r, servers, nil
}

func mcpCommands(file string) ([]mcp.Command, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return mcp.Commands(b)
}

// selfAddr is where this process reaches itself.
func selfAddr(addr net.Addr) string {
	a, _ := addr.(*net.TCPAddr)
	ip := a.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(a.Port))
}

// A keyring is the secrets of a fleet, the same on all its replicas.
type keyring struct {
	cookie []byte
	admin  string
	made   bool // the admin token was made here, and has to be told
}

func secretsOf(ctx context.Context, db *store.DB, s settings) (k keyring, err error) {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh)
	if k.cookie, err = db.Secret(ctx, "cookie", fresh); err != nil {
		return k, err
	}
	if k.admin = string(s.AdminToken); k.admin != "" {
		return k, nil
	}
	token, err := db.Secret(ctx, "admin-token", []byte("pa_"+rand.Text()))
	if err != nil {
		return k, err
	}
	k.admin, k.made = string(token), true
	return k, saveToken(s, k.admin)
}

func saveToken(s settings, token string) error {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("PARLEY_DATA: %w", err)
	}
	if err := os.WriteFile(adminTokenFile(s.Data), []byte(token+"\n"), 0o600); err != nil {
		return fmt.Errorf("PARLEY_DATA: %w", err)
	}
	return nil
}

// retrieval returns the token with which the retrieval tool calls this fleet.
func (k keyring) retrieval() string {
	m := hmac.New(sha256.New, k.cookie)
	m.Write([]byte("retrieval"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (k keyring) identity(s settings, keys access.Keys) *gateway.Identity {
	return &gateway.Identity{
		Keys: access.NewRing(keys), AdminToken: k.admin, RetrievalToken: k.retrieval(), CookieKey: k.cookie, SecureCookies: s.SecureCookies, Proxies: proxiesOf(s),
	}
}

// hostsOf returns the names that the server answers for. On loopback these
// are loopback's, so that no foreign name can be rebound to it; elsewhere all,
// unless the operator names some.
func hostsOf(s settings, addr net.Addr) []string {
	a, _ := addr.(*net.TCPAddr)
	if len(s.Hosts) == 0 && !a.IP.IsLoopback() {
		return nil
	}
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, h := range s.Hosts {
		hosts = append(hosts, strings.ToLower(h))
	}
	return hosts
}

func proxiesOf(s settings) (nets []*net.IPNet) {
	for _, p := range s.TrustedProxies {
		nets = append(nets, ipNet(p))
	}
	return nets
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func greet(w io.Writer, s settings, addr net.Addr, k keyring) {
	fmt.Fprintf(w, "Parley listens on http://%s\n", selfAddr(addr))
	if k.made {
		fmt.Fprintf(w, "Admin token: %s\n", k.admin)
	}
	if s.Demo() {
		fmt.Fprintln(w, "The built-in demo model answers; it is not a language model. Connect one with PARLEY_MODEL_URL, PARLEY_MODEL_KEY and PARLEY_MODEL.")
	}
}
