package tools

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxRedirects is how many redirects a [Client] follows.
const maxRedirects = 3

// ClientOptions are the limits of a [Client]. The zero value is safe.
type ClientOptions struct {
	// Allow lists the host:port pairs that may be called although they are
	// in a private network. A name ("rag:8081") allows what is asked for by
	// that name; an address ("10.0.0.5:8080") what is asked for by that
	// address; localhost stands for both loopback addresses. See [CheckAllow].
	Allow []string

	DialTimeout   time.Duration // of one connection; zero means 3 s
	HeaderTimeout time.Duration // until the answer's headers; zero means no limit of its own
	Timeout       time.Duration // of a whole exchange with its redirects and body; zero means 2 min, negative none
	MaxHeader     int64         // bytes of an answer's headers; zero means 32 KiB
	UserAgent     string        // zero means "Parley"

	Retries int            // of a tool's request that may be made again: zero means 2, negative none
	Backoff time.Duration  // bound of the time before the first of them: zero means 200 ms
	Breaker BreakerOptions // when a tool leaves a host alone

	// Cache keeps answers of tools, Locker has replicas ask a service once;
	// nil means none. MaxEntry is how many bytes an answer may have to be
	// kept, headers included; zero means 256 KiB.
	Cache    Cache
	Locker   Locker
	MaxEntry int

	// Resolver resolves names; nil means the system's.
	Resolver *net.Resolver

	// Dial opens a connection to an address that was found permitted; nil
	// means the network. It is for tests that have no network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client is the only way out: it sends every HTTP request that Parley makes
// on somebody else's behalf. It refuses private and reserved networks at the
// moment of dialling, when the name has been resolved; it uses no proxy,
// follows at most three redirects and none to another origin, asks for no
// compression and ends every exchange in time. All methods may be called
// concurrently.
type Client struct {
	http      *http.Client
	userAgent string

	// What tools' requests share: see [exchange.attempts].
	retries  int
	backoff  time.Duration
	breaker  BreakerOptions
	budget   *retryBudget
	cache    Cache
	locker   Locker
	maxEntry int
	flights  flights
}

// NewClient returns a client with the limits of opts.
func NewClient(opts ClientOptions) *Client {
	timeout := cmp.Or(opts.Timeout, 2*time.Minute)
	return &Client{
		userAgent: cmp.Or(opts.UserAgent, "Parley"),
		retries:   max(cmp.Or(opts.Retries, 2), 0), backoff: cmp.Or(opts.Backoff, 200*time.Millisecond),
		breaker: opts.Breaker, budget: newRetryBudget(),
		cache: opts.Cache, locker: opts.Locker, maxEntry: cmp.Or(opts.MaxEntry, 256<<10),
		http: &http.Client{
			Timeout:       max(timeout, 0),
			CheckRedirect: checkRedirect,
			Transport: &http.Transport{
				Proxy:                  nil, // HTTP_PROXY would carry a call past the guard
				DialContext:            dialer(opts),
				DisableCompression:     true, // net/http unpacks without a bound
				MaxResponseHeaderBytes: cmp.Or(opts.MaxHeader, 32<<10),
				ResponseHeaderTimeout:  opts.HeaderTimeout,
				TLSHandshakeTimeout:    5 * time.Second,
				ForceAttemptHTTP2:      true,
				MaxIdleConns:           64,
				MaxIdleConnsPerHost:    8,
				IdleConnTimeout:        60 * time.Second,
			},
		},
	}
}

// HTTP returns the client for libraries that take an [http.Client]. It has
// the same guard and limits.
func (c *Client) HTTP() *http.Client { return c.http }

// Do sends the request as [http.Client.Do] does. Its error may print the whole
// URL: people and models are shown [Reason] of it.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", c.userAgent)
	}
	return c.http.Do(req)
}

// CloseIdle closes the connections that nobody uses.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer returns a function that dials what was asked for, checking each
// address that is tried.
func dialer(opts ClientOptions) dialFunc {
	g := newGuard(opts.Allow)
	timeout := cmp.Or(opts.DialTimeout, 3*time.Second)
	if opts.Dial != nil {
		return hookedDialer(g, opts)
	}
	return func(ctx context.Context, network, asked string) (net.Conn, error) {
		d := net.Dialer{
			Timeout:  timeout,
			Resolver: opts.Resolver,
			Control: func(_, dialled string, _ syscall.RawConn) error {
				return g.check(asked, dialled)
			},
		}
		return d.DialContext(ctx, network, asked)
	}
}

func hookedDialer(g guard, opts ClientOptions) dialFunc {
	return func(ctx context.Context, network, asked string) (net.Conn, error) {
		addrs, err := resolve(ctx, opts.Resolver, asked)
		for _, addr := range addrs {
			if err = g.check(asked, addr.String()); err != nil {
				continue
			}
			var conn net.Conn
			if conn, err = opts.Dial(ctx, network, addr.String()); err == nil {
				return conn, nil
			}
		}
		return nil, err
	}
}

func resolve(ctx context.Context, r *net.Resolver, asked string) ([]netip.AddrPort, error) {
	if r == nil {
		r = net.DefaultResolver
	}
	host, p, err := net.SplitHostPort(asked)
	if err != nil {
		return nil, err
	}
	port, err := net.LookupPort("tcp", p)
	if err != nil {
		return nil, err
	}
	ips, err := r.LookupNetIP(ctx, "ip", host)
	if err == nil && len(ips) == 0 {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip, uint16(port))
	}
	return addrs, err
}

// A RedirectError says why a redirect was not followed.
type RedirectError struct {
	To     string // the origin that it led to
	Reason string
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("the server redirects to %s, which is not followed: %s", e.To, e.Reason)
}

// checkRedirect refuses every change of origin: Go takes Authorization and
// Cookie off towards another host, but keeps X-Api-Key and its like.
func checkRedirect(req *http.Request, via []*http.Request) error {
	to := origin(req.URL)
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return &RedirectError{To: req.URL.Scheme + ":", Reason: "only http and https are"}
	case to != origin(via[0].URL):
		return &RedirectError{To: to, Reason: "it is another origin; register the endpoint with that address if it is the right one"}
	case len(via) > maxRedirects:
		return &RedirectError{To: to, Reason: fmt.Sprintf("there were more than %d redirects", maxRedirects)}
	}
	return nil
}

// origin returns the scheme, host and port of u, the port always written.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + net.JoinHostPort(canonicalHost(u.Hostname()), port)
}

// Reason says in one line why a request of a [Client] failed, for people and
// models. It shows no URL, no header and no address.
func Reason(err error) string {
	var (
		refused  *RefusedError
		redirect *RedirectError
		dns      *net.DNSError
		timeout  net.Error
		cert     *tls.CertificateVerificationError
		record   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &redirect):
		return redirect.Error()
	case errors.Is(err, context.Canceled):
		return "the call was stopped"
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host named %s", dns.Name)
	case errors.As(err, &dns) && !dns.IsTimeout:
		return fmt.Sprintf("the host name %s could not be resolved", dns.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "there was no whole answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing answers at that host and port"
	case errors.As(err, &cert):
		return "the host's TLS certificate was not accepted"
	case errors.As(err, &record):
		return "the host does not speak TLS at that port"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection broke off before the answer was whole"
	case err != nil && strings.Contains(err.Error(), "response headers exceeded"):
		return "the answer's headers are too large"
	}
	return "the connection failed"
}
