// Package gateway is the front door: conversations over WebSocket, SSE and
// REST, and what else a person, a program or an operator can ask of a
// replica. It holds nothing that another replica would miss: whatever a
// client sees of a conversation was first in its log, and whatever it wants
// goes through the store and the conversation's inbox.
package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/gateway/run"
	"parley/llm"
	"parley/tools"
	"parley/tools/feed"
	"parley/tools/mcp"
	"parley/tools/rag"
)

// Conversations is what the gateway needs of the store.
type Conversations interface {
	CreateConversation(ctx context.Context, c chat.Conversation) error
	Conversation(ctx context.Context, id string) (chat.Conversation, error)
	Conversations(ctx context.Context, owner, after string, limit int) (cs []chat.Conversation, next string, err error)
	RenameConversation(ctx context.Context, id, title string) error
	ChooseAgent(ctx context.Context, conv, agent string) error
	DeleteConversation(ctx context.Context, id string) error
	History(ctx context.Context, conv, before string, limit int) (ms []llm.Message, next string, err error)
	Pending(ctx context.Context, conv string) ([]chat.Question, error)
	RunRecord(ctx context.Context, run string) (chat.RunRecord, error)
	Asks(ctx context.Context, run string) ([]chat.Ask, error)
	Allowances(ctx context.Context, conv string) (tools []string, err error)
	Disallow(ctx context.Context, conv, tool string) error
	Usage(ctx context.Context, q chat.UsageQuery) ([]chat.UsageRow, error)
	ConversationSpent(ctx context.Context, conv string) (llm.Amount, error)
	Ping(ctx context.Context) error
}

// A Limiter counts what one person does on all replicas together.
type Limiter interface {
	Allow(ctx context.Context, key string, limit int, window time.Duration) (ok bool, wait time.Duration, err error)
}

// ToolUse is how tools have been used of late on all replicas together.
type ToolUse interface {
	Hour(ctx context.Context) (map[string]tools.Use, error) // by tool, of those that were called
	Series(ctx context.Context, tool string) (tools.UseSeries, error)
}

// Config is what a Server is built of. All but Limits, Use and the lists of
// hosts and origins must be set.
type Config struct {
	Store     Conversations
	Hub       *chat.Hub
	Runner    *run.Runner
	Tools     *tools.Registry
	MCP       *mcp.Servers
	Use       ToolUse // nil: it is not known
	Feeds     *feed.Book
	Agents    *agents.Book
	Documents *rag.Service
	Keys      Keys
	Files     *Files
	Identity  *Identity
	Limiter   Limiter
	Board     Board                           // on which imports under way are seen from all replicas
	Ready     func(ctx context.Context) error // Redis and whatever else must be there
	Short     func() bool                     // there is no memory for more; nil: never
	Page      http.Handler
	Log       *slog.Logger
	Info      Info
	Limits    Limits
	PublicURL string       // where people find this server, such as https://chat.example; empty: what each request says
	Hosts     []string     // names that this server answers for; empty: all
	Origins   []string     // other sites' origins that may use it
	Proxies   []*net.IPNet // whose X-Forwarded-For is believed
}

// Info is what everybody may know of a server.
type Info struct {
	Name   string `json:"name"`
	Build  string `json:"build"`
	Model  string `json:"model"`
	Demo   bool   `json:"demo"`
	Feeds  bool   `json:"feeds,omitempty"`  // there are some that conversations can pin
	Agents bool   `json:"agents,omitempty"` // somebody has configured one
	Limits struct {
		MaxMessage int   `json:"maxMessage"`
		MaxFile    int64 `json:"maxFile"`
		MaxFiles   int   `json:"maxFiles"` // of a message
	} `json:"limits"`
}

// Limits are a Server's settings. Zero values are the defaults.
type Limits struct {
	Message            int           // bytes of what a person says: 32,768
	Frame              int           // bytes of a frame or of a command's body: 65,536
	Connections        int           // WebSockets and SSE streams of a replica: 20,000
	Dials              int           // of those, new ones a second: 500
	DialBurst          int           // new ones at once: 1,000
	PerPerson          int           // of those, one person's: 32
	Follows            int           // conversations that one connection follows: 64
	Commands           int           // commands a second of one connection: 20
	Burst              int           // commands at once: 40
	MessagesPerMinute  int           // of one person, on all replicas: 30
	MessagesPerAddress int           // a minute, of all guests of one address, on all replicas: 300
	Queued             int           // unanswered questions of a conversation: 16
	SignIns            int           // attempts a minute of one address, on all replicas: 10
	Document           int           // bytes of a document: 16 MiB
	Import             int           // bytes of an OpenAPI document: 16 MiB
	ImportTime         time.Duration // of fetching and reading one: 30 s
	Imports            int           // that wait while a replica reads another: 2
	WaitMax            time.Duration // of a request that waits for an answer: 120 s
}

func (l Limits) withDefaults() Limits {
	for p, def := range map[*int]int{
		&l.Message: 32 << 10, &l.Frame: 64 << 10, &l.Connections: 20000, &l.Dials: 500, &l.DialBurst: 1000, &l.PerPerson: 32, &l.Follows: 64,
		&l.Commands: 20, &l.Burst: 40, &l.MessagesPerMinute: 30, &l.MessagesPerAddress: 300, &l.Queued: 16, &l.SignIns: 10, &l.Document: 16 << 20,
	} {
		if *p <= 0 {
			*p = def
		}
	}
	l.Import, l.Imports = cmp.Or(max(l.Import, 0), 16<<20), cmp.Or(max(l.Imports, 0), 2)
	l.ImportTime = cmp.Or(max(l.ImportTime, 0), 30*time.Second)
	if l.WaitMax <= 0 {
		l.WaitMax = 120 * time.Second
	}
	return l
}

// A Server answers HTTP. All methods may be called concurrently; Run is
// called once.
type Server struct {
	Config
	log   *slog.Logger
	guard originGuard
	echo  *echo.Echo
	conns *connSet
	gate  *turnstile

	imports *importDesk

	ctx      context.Context // ends with the server; what connections live under
	stop     context.CancelFunc
	draining atomic.Bool
	wg       sync.WaitGroup // connections' goroutines
	crew     *crew
}

// New returns a Server.
func New(c Config) *Server {
	c.Limits = c.Limits.withDefaults()
	c.Info.Limits.MaxMessage = c.Limits.Message
	c.Info.Limits.MaxFile, c.Info.Limits.MaxFiles = c.Files.o.Size, c.Files.o.Message
	if c.Short == nil {
		c.Short = func() bool { return false }
	}
	s := &Server{Config: c, log: c.Log, guard: originGuard{c.Hosts, c.Origins}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.crew = newCrew(s.wg.Go)
	s.conns = newConnSet(c.Limits.Connections, c.Limits.PerPerson)
	s.gate = newTurnstile(c.Limits.Dials, c.Limits.DialBurst)
	s.imports = newImportDesk(c.Board, c.Limits, c.Log)
	s.echo = echo.New()
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.HTTPErrorHandler = s.handleError
	s.echo.IPExtractor = addressOf(c.Proxies)
	s.echo.Use(s.outermost)
	s.routes()
	return s
}

// addressOf believes X-Forwarded-For only from the proxies named.
func addressOf(proxies []*net.IPNet) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	o := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		o = append(o, echo.TrustIPRange(p))
	}
	return echo.ExtractIPFromXFFHeader(o...)
}

func (s *Server) routes() {
	e := s.echo
	e.GET("/healthz", s.health)
	e.GET("/readyz", s.ready)
	v1 := e.Group("/v1")
	v1.GET("/info", s.person(s.info))
	v1.GET("/ws", s.newcomer(s.ticketed(s.webSocket)))
	v1.POST("/ws-ticket", s.person(s.giveTicket))
	v1.POST("/conversations", s.person(s.createConversation))
	v1.GET("/conversations", s.person(s.listConversations))
	v1.GET("/conversations/:c", s.person(s.own(s.getConversation)))
	v1.PATCH("/conversations/:c", s.person(s.own(s.patchConversation)))
	v1.DELETE("/conversations/:c", s.person(s.own(s.deleteConversation)))
	v1.GET("/conversations/:c/messages", s.person(s.own(s.listMessages)))
	v1.POST("/conversations/:c/messages", s.person(s.postMessage))
	v1.GET("/conversations/:c/events", s.newcomer(s.ticketed(s.own(s.events))))
	v1.POST("/conversations/:c/commands", s.person(s.postCommand))
	v1.GET("/conversations/:c/allowances", s.person(s.own(s.listAllowances)))
	v1.DELETE("/conversations/:c/allowances/:tool", s.person(s.own(s.deleteAllowance)))
	v1.GET("/runs/:run", s.person(s.getRun))
	v1.GET("/session", s.known(s.getSession))
	v1.POST("/session", s.known(s.openSession))
	v1.DELETE("/session", s.known(s.closeSession))
	v1.GET("/tools", s.admin(s.listTools))
	v1.GET("/tools/:name", s.admin(s.getTool))
	v1.GET("/tools/:name/stats", s.admin(s.toolStats))
	v1.PUT("/tools/:name", s.admin(s.putTool))
	v1.PATCH("/tools/:name", s.admin(s.patchTool))
	v1.DELETE("/tools/:name", s.admin(s.deleteTool))
	v1.POST("/tools/draft", s.admin(s.draftTool))
	v1.POST("/tools/:name/call", s.admin(s.callTool))
	v1.POST("/tools/import", s.spare(s.admin(s.importTools)))
	v1.GET("/tools/imports/:id", s.admin(s.getImport))
	v1.DELETE("/tools/imports/:id", s.admin(s.deleteImport))
	v1.GET("/agents", s.known(s.listAgents))
	v1.GET("/agents/:name", s.admin(s.getAgent))
	v1.PUT("/agents/:name", s.admin(s.putAgent))
	v1.DELETE("/agents/:name", s.admin(s.deleteAgent))
	v1.GET("/agents/:name/versions", s.admin(s.listAgentVersions))
	v1.GET("/agents/:name/versions/:n", s.admin(s.getAgentVersion))
	v1.GET("/feeds", s.admin(s.listFeeds))
	v1.GET("/feeds/:name", s.admin(s.getFeed))
	v1.GET("/feeds/:name/value", s.admin(s.getFeedValue))
	v1.PUT("/feeds/:name", s.admin(s.putFeed))
	v1.DELETE("/feeds/:name", s.admin(s.deleteFeed))
	v1.GET("/conversations/:c/feeds", s.person(s.own(s.listPinned)))
	v1.GET("/mcp", s.admin(s.listMCP))
	v1.GET("/mcp/:name", s.admin(s.getMCP))
	v1.PUT("/mcp/:name", s.admin(s.putMCP))
	v1.DELETE("/mcp/:name", s.admin(s.deleteMCP))
	v1.GET("/credentials", s.admin(s.listCredentials))
	v1.GET("/credentials/:name", s.admin(s.getCredential))
	v1.PUT("/credentials/:name", s.admin(s.putCredential))
	v1.DELETE("/credentials/:name", s.admin(s.deleteCredential))
	v1.GET("/connect/:credential", s.person(s.connect))
	v1.GET("/connect/callback", s.person(s.connected))
	v1.GET("/connections", s.person(s.listConnections))
	v1.DELETE("/connections/:credential", s.person(s.deleteConnection))
	v1.POST("/documents", s.spare(s.admin(s.addDocument)))
	v1.GET("/documents", s.admin(s.listDocuments))
	v1.GET("/documents/:id", s.person(s.getDocument))
	v1.DELETE("/documents/:id", s.admin(s.deleteDocument))
	v1.POST("/files", s.spare(s.person(s.postFile)))
	v1.GET("/files/:id", s.person(s.getFile))
	v1.HEAD("/files/:id", s.person(s.getFile))
	v1.DELETE("/files/:id", s.person(s.deleteFile))
	v1.POST("/retrieval", s.retrieve)
	v1.GET("/usage", s.person(s.getUsage))
	v1.GET("/usage/report", s.admin(s.usageReport))
	v1.POST("/keys", s.operator(s.addKey))
	v1.GET("/keys", s.operator(s.listKeys))
	v1.DELETE("/keys/:id", s.operator(s.deleteKey))
	v1.Any("/*", func(echo.Context) error { return notFound("address") })
	e.Match([]string{http.MethodGet, http.MethodHead}, "/*", s.page)
}

// outermost guards against foreign pages and keeps a panic to its request.
func (s *Server) outermost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				s.log.Error("panic", "path", c.Path(), "panic", p, "stack", string(debug.Stack()))
				err = internal()
			}
		}()
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if err := s.guard.check(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}

const principalKey = "principal"

func who(c echo.Context) Principal { p, _ := c.Get(principalKey).(Principal); return p }

// known finds out who sent a request.
func (s *Server) known(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p, err := s.Identity.Of(c.Response(), c.Request())
		if err != nil {
			return err
		}
		p.Addr = c.RealIP()
		c.Set(principalKey, p)
		return next(c)
	}
}

// only lets in who may, and tells the others why not.
func only(may func(Principal) bool, why string, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !may(who(c)) {
			return problem(http.StatusForbidden, codeForbidden, "%s", why)
		}
		return next(c)
	}
}

// person lets everybody in, each as themselves.
func (s *Server) person(next echo.HandlerFunc) echo.HandlerFunc {
	return s.known(only(func(p Principal) bool { return p.Chat }, "This API key is for tools alone. One with the scope chat is needed here.", next))
}

// admin lets in who may change tools and documents: by a token, or by the
// cookie of a page that was signed in with one.
func (s *Server) admin(next echo.HandlerFunc) echo.HandlerFunc {
	byToken := s.signedIn(only(func(p Principal) bool { return p.Tools },
		"This API key is for conversations alone. The admin token, or a key with the scope tools, is needed here.", next))
	byCookie := s.known(next)
	return func(c echo.Context) error {
		r := c.Request()
		if _, ok := s.Identity.ownerUntil(r); ok && r.Header.Get("Authorization") == "" {
			return byCookie(c)
		}
		return byToken(c)
	}
}

// operator lets in who has the admin token.
func (s *Server) operator(next echo.HandlerFunc) echo.HandlerFunc {
	return s.signedIn(only(func(p Principal) bool { return p.Admin }, "This needs the admin token.", next))
}

// signedIn lets no guests in.
func (s *Server) signedIn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if bearer(c.Request()) == "" {
			return problem(http.StatusUnauthorized, codeSignIn, "This needs the admin token: Authorization: Bearer <token>. It was printed when the server started, or is PARLEY_ADMIN_TOKEN.")
		}
		return s.known(next)(c)
	}
}

// page serves the browser's page. A first visit makes a guest, so that the
// page's WebSocket has a cookie to send.
func (s *Server) page(c echo.Context) error {
	if _, err := s.Identity.Of(c.Response(), c.Request()); err != nil {
		return err
	}
	s.Page.ServeHTTP(c.Response(), c.Request())
	return nil
}

func (s *Server) info(c echo.Context) error {
	in := s.Info
	if all, err := s.Feeds.Store.Feeds(c.Request().Context()); err == nil {
		in.Feeds = slices.ContainsFunc(all, func(f feed.Feed) bool { return !f.Disabled })
	}
	if all, err := s.Agents.List(c.Request().Context()); err == nil {
		in.Agents = len(all) > 1 || all[0].Version > 0
	}
	return c.JSON(http.StatusOK, in)
}

// health says that the process is alive, and nothing of what it needs: a
// Redis that is away must not have the whole fleet restarted.
func (s *Server) health(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// ready says whether a balancer should send anybody here. A replica that is
// short of memory stays ready: were it taken out, all that it would have had
// came to the others, which would follow it.
func (s *Server) ready(c echo.Context) error {
	if s.draining.Load() {
		return problem(http.StatusServiceUnavailable, codeUnavailable, "This replica is shutting down.").after(time.Second)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	if err := s.Store.Ping(ctx); err != nil {
		s.log.Warn("not ready", "error", err)
		return problem(http.StatusServiceUnavailable, codeUnavailable, "The store does not answer.").after(time.Second)
	}
	if err := s.Ready(ctx); err != nil {
		s.log.Warn("not ready", "error", err)
		return problem(http.StatusServiceUnavailable, codeUnavailable, "Redis does not answer.").after(time.Second)
	}
	return c.String(http.StatusOK, "ready\n")
}
