package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/gateway/gatewaytest"
	"parley/llm/llmtest"
)

// signIn returns the Cookie header of a guest that has signed in as owner.
func signIn(p *person) string {
	p.w.Helper()
	a := p.do("POST", "/v1/session", object{"token": gatewaytest.AdminToken})
	a.into(http.StatusOK, nil)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "parley_owner" {
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/v1" || c.MaxAge != 12*60*60 {
				p.w.Errorf("the cookie is %s", c)
			}
			return "parley=" + p.cookie + "; parley_owner=" + c.Value
		}
	}
	p.w.Fatal("no cookie was set")
	return ""
}

func TestAnOwnersPageMayChangeToolsAndStaysAGuest(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		foreign := exchange(w.guest(g))
		p := w.guest(g)
		mine := exchange(p)
		cookie := signIn(p)
		p.do("GET", "/v1/tools", nil, "Cookie", cookie).into(http.StatusOK, nil)
		p.do("PUT", "/v1/tools/x", object{"description": "d", "url": "https://a.example/"}, "Cookie", cookie).into(http.StatusOK, nil)
		p.do("GET", "/v1/conversations/"+mine.Conversation, nil, "Cookie", cookie).into(http.StatusOK, nil)
		p.do("GET", "/v1/conversations/"+foreign.Conversation, nil, "Cookie", cookie).problem(http.StatusNotFound, "not_found", "")
		p.do("POST", "/v1/keys", "{}", "Cookie", cookie).problem(http.StatusUnauthorized, "sign_in", "") // keys take the token itself
		var is struct{ SignedIn bool }
		p.do("GET", "/v1/session", nil, "Cookie", cookie).into(http.StatusOK, &is)
		if !is.SignedIn {
			t.Error("the session is not known")
		}
		out := p.do("DELETE", "/v1/session", nil, "Cookie", cookie)
		out.into(http.StatusNoContent, nil)
		if !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("signing out sets %q", out.header.Get("Set-Cookie"))
		}
	})
}

func TestAnOwnersCookieIsRefused(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g := w.gate()
		p := w.guest(g)
		p.get("/v1/info")
		good := signIn(p)
		_, value, _ := strings.Cut(good, "parley_owner=")
		at, mac, _ := strings.Cut(value, ".")
		for name, header := range map[string][]string{
			"altered time":      {"Cookie", "parley_owner=9" + at + "." + mac},
			"altered signature": {"Cookie", "parley_owner=" + at + ".A" + mac},
			"no signature":      {"Cookie", "parley_owner=" + at},
			"a guest's":         {"Cookie", "parley_owner=" + p.cookie},
			"another site":      {"Cookie", good, "Sec-Fetch-Site", "cross-site"},
			"a sibling site":    {"Cookie", good, "Sec-Fetch-Site", "same-site"},
			"wrong token":       {"Cookie", good, "Authorization", "Bearer wrong"},
		} {
			if a := p.do("GET", "/v1/tools", nil, header...); a.status != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, a.status)
			}
		}
		p.do("DELETE", "/v1/tools/x", nil, "Cookie", good, "Origin", "https://evil.example").problem(http.StatusForbidden, "forbidden", "")
	})
}

func TestTokensAreNotTriedForLong(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		g := w.gate()
		p := w.guest(g)
		for range 10 {
			p.do("POST", "/v1/session", object{"token": "guess"}).problem(http.StatusUnauthorized, "sign_in", "token")
		}
		p.do("POST", "/v1/session", object{"token": gatewaytest.AdminToken}).problem(http.StatusTooManyRequests, "rate_limited", "")
		time.Sleep(time.Minute)
		signIn(p)
	})
}
