package gateway

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// An originGuard keeps other sites' pages out: by the Host, against names
// that are rebound to this address, and by the Origin, against pages that let
// a browser send its cookie here.
type originGuard struct {
	hosts   []string // allowed names without port; empty: all
	origins []string // allowed besides the request's own host, such as https://chat.example.com
}

// check refuses a request that a foreign page may have caused.
func (g originGuard) check(r *http.Request) error {
	if isProbe(r) {
		return nil
	}
	host := hostname(r.Host)
	if len(g.hosts) > 0 && !slices.Contains(g.hosts, host) {
		return problem(http.StatusMisdirectedRequest, codeForbidden, "This server does not answer for the name %q. The operator can add it with PARLEY_HOSTS.", host)
	}
	origin := r.Header.Get("Origin")
	if origin == "" || safeMethod(r) && r.Header.Get("Upgrade") == "" {
		return nil
	}
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) && (u.Scheme == "https" || u.Scheme == "http" && r.TLS == nil) {
		return nil
	}
	if slices.Contains(g.origins, origin) {
		return nil
	}
	return problem(http.StatusForbidden, codeForbidden, "Pages of another origin may not do this. The operator can allow theirs with PARLEY_ORIGINS.")
}

// isProbe reports whether a balancer or an orchestrator asks how this replica
// is. They ask by whatever address it has, and learn nothing else.
func isProbe(r *http.Request) bool {
	return safeMethod(r) && (r.URL.Path == "/healthz" || r.URL.Path == "/readyz")
}

func safeMethod(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}
