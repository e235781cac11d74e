package gateway_test

import (
	"net"
	"net/http/httptest"
	"testing"

	"parley/gateway"
)

func TestCookiesAreSecureWhereTheBrowserSpeaksTLS(t *testing.T) {
	_, balancer, err := net.ParseCIDR("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, setting, from, proto string
		secure                     bool
	}{
		{"plain", "auto", "192.0.2.1:1", "", false},
		{"behind a balancer that ended TLS", "auto", "10.1.2.3:1", "https", true},
		{"behind a balancer without TLS", "", "10.1.2.3:1", "http", false},
		{"a stranger says that there was TLS", "auto", "192.0.2.1:1", "https", false},
		{"the operator says always", "true", "192.0.2.1:1", "", true},
		{"the operator says never", "false", "10.1.2.3:1", "https", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := &gateway.Identity{CookieKey: []byte("key"), SecureCookies: c.setting, Proxies: []*net.IPNet{balancer}}
			r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			r.RemoteAddr = c.from
			if c.proto != "" {
				r.Header.Set("X-Forwarded-Proto", c.proto)
			}
			if _, err := id.Of(w, r); err != nil {
				t.Fatal(err)
			}
			if cs := w.Result().Cookies(); len(cs) != 1 || cs[0].Secure != c.secure || !cs[0].HttpOnly {
				t.Errorf("cookies %v", cs)
			}
		})
	}
}
