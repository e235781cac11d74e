package mcp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"parley/tools"
)

// Limits of a [Server].
const (
	MaxServer        = 64 << 10 // bytes of its JSON form
	DefaultTimeoutMs = 60_000
	MaxTimeoutMs     = 600_000

	maxHeaders = 32
	maxNames   = 1000 // in Allow or Deny
)

var goodName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,31}$`)

// A Server is an MCP server that speaks streamable HTTP, as its owner
// registers it. Its JSON form is what PUT /v1/mcp/{name} takes:
//
//	{"name": "github", "url": "https://mcp.example/mcp",
//	 "headers": {"Authorization": "Bearer …"}, "deny": ["delete_repository"]}
type Server struct {
	Name string `json:"name"` // up to 32 of A-Z a-z 0-9 _ -; stands before the names of its tools
	URL  string `json:"url"`  // of its one address, http or https

	// Headers are sent with every request to URL's origin. They are
	// write-only: see [Server.Public].
	Headers map[string]string `json:"headers,omitempty"`

	// Trusted says that its word is taken for what calling a tool does; the
	// tools of other servers are all unsafe.
	Trusted bool `json:"trusted,omitempty"`

	Approval tools.Approval `json:"approval,omitempty"` // of all its tools: auto, ask or never; empty means auto for what is safe, else ask

	Allow     []string `json:"allow,omitempty"`     // its tools that may be used, by its own names; empty means all
	Deny      []string `json:"deny,omitempty"`      // those that may not, even if allowed
	Disabled  bool     `json:"disabled,omitempty"`  // it is not connected and has no tools
	TimeoutMs int      `json:"timeoutMs,omitempty"` // of a call; zero means 60,000
}

// Decode decodes and validates a server's JSON. Unknown fields are refused.
// Its errors are [*tools.FieldError].
func Decode(b []byte) (s Server, err error) {
	if len(b) > MaxServer {
		return s, fault("server", "must not be larger than %d bytes", MaxServer)
	}
	if err := decodeStrict(b, &s); err != nil {
		return Server{}, fault("server", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return s, s.validate()
}

func (s *Server) validate() error {
	switch u, err := url.Parse(s.URL); {
	case !goodName.MatchString(s.Name):
		return fault("name", "must be up to 32 letters, digits, _ or -, and begin with a letter or digit")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || len(s.URL) > 2000:
		return fault("url", "must be an address such as https://mcp.example/mcp")
	case u.User != nil:
		return fault("url", "must not hold a password: give it in headers, where it is not shown")
	case !slices.Contains([]tools.Approval{"", tools.ApprovalAuto, tools.ApprovalAsk, tools.ApprovalNever}, s.Approval):
		return fault("approval", "must be auto, ask or never")
	case s.TimeoutMs < 0 || s.TimeoutMs > MaxTimeoutMs:
		return fault("timeoutMs", "must be from 0 to %d", MaxTimeoutMs)
	case len(s.Headers) > maxHeaders:
		return fault("headers", "must not be more than %d", maxHeaders)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		if err := checkHeader(name, s.Headers[name]); err != nil {
			return err
		}
	}
	return checkNames(s.Allow, s.Deny)
}

func checkHeader(name, value string) error {
	field := "headers." + line(name, 80)
	switch {
	case !httpguts.ValidHeaderFieldName(name) || reserved(name):
		return fault(field, "is not a header that can be given")
	case !httpguts.ValidHeaderFieldValue(value):
		return fault(field, "has a character that no header may have")
	}
	return nil
}

// reserved reports whether a header is the protocol's own.
func reserved(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, "Mcp-") || slices.Contains([]string{
		"Accept", "Connection", "Content-Length", "Content-Type", "Host", "Last-Event-Id", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}, name)
}

func checkNames(allow, deny []string) error {
	for field, names := range map[string][]string{"allow": allow, "deny": deny} {
		if len(names) > maxNames {
			return fault(field, "must not be more than %d", maxNames)
		}
		if slices.ContainsFunc(names, func(n string) bool { return n == "" || len(n) > maxToolName }) {
			return fault(field, "must be names of tools, as the server calls them")
		}
	}
	return nil
}

// Public returns the server as it may be shown: its headers are masked.
func (s Server) Public() Server {
	s.Headers = maps.Clone(s.Headers)
	for name := range s.Headers {
		s.Headers[name] = tools.Mask
	}
	return s
}

// MapSecrets returns the server with every header replaced by what f makes of
// it. The place that f is told identifies the header and the origin that it is
// sent to. It is for stores, which encrypt them.
func (s Server) MapSecrets(f func(place, secret string) (string, error)) (Server, error) {
	to := origin(s.URL)
	s.Headers = maps.Clone(s.Headers)
	for name, secret := range s.Headers {
		var err error
		if s.Headers[name], err = f("headers\x00"+to+"\x00"+name, secret); err != nil {
			return Server{}, err
		}
	}
	return s, nil
}

// merge returns next with every masked header replaced by the one that old
// has. A header stays with the origin that it was given for.
func merge(old, next Server) (Server, error) {
	next.Headers = maps.Clone(next.Headers)
	had := http.Header{}
	for name, value := range old.Headers {
		had.Set(name, value)
	}
	for name, value := range next.Headers {
		field := "headers." + line(name, 80)
		switch was := had.Get(name); {
		case !strings.Contains(value, tools.Mask):
		case value != tools.Mask || was == "":
			return Server{}, fault(field, "is masked and nothing is stored for it: give the value")
		case origin(old.URL) != origin(next.URL):
			return Server{}, fault(field, "must be given again: the URL's scheme, host or port has changed, and a secret stays with the host that it was given for")
		default:
			next.Headers[name] = was
		}
	}
	return next, next.validate()
}

// origin returns the scheme, host and port of an address.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)])
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}

// connection identifies what a connection depends on.
func (s Server) connection() string {
	b, _ := json.Marshal([]any{s.URL, s.Headers})
	return digest(string(b))
}

// String names the server without its secrets, for %v.
func (s Server) String() string { return "mcp server " + s.Name }

// LogValue is String for slog.
func (s Server) LogValue() slog.Value { return slog.StringValue(s.Name) }

func fault(field, format string, args ...any) *tools.FieldError {
	return &tools.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}
