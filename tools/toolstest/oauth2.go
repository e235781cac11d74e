package toolstest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// An OAuth2 is an authorisation server (RFC 6749, with PKCE after RFC 7636)
// and a service that takes its tokens, as one [http.Handler]:
//
//	/authorize  the person agrees at once, or denies
//	/token      codes, refresh tokens and client credentials
//	/api        answers with what it was sent, 401 without a good token
//
// A refresh token is good once; using it again revokes everything of its
// grant, as RFC 9700 §4.14.2 wants. All methods may be called concurrently;
// the fields are set before it is used.
type OAuth2 struct {
	ClientID     string
	ClientSecret string        // empty for a public client
	InBody       bool          // the client shows its secret in the body, not in a header
	NoRefresh    bool          // it gives no refresh tokens
	RedirectURI  string        // the one that is registered
	Life         time.Duration // of an access token; zero means an hour
	Prefix       string        // what every token and code begins with

	mu       sync.Mutex
	fault    string
	deny     string
	codes    map[string]oauthCode
	access   map[string]oauthGrant
	refresh  map[string]string // grant by token
	used     map[string]string // grant by token that was used up
	revoked  map[string]bool   // grants
	requests []string          // grant types
	bad      []string          // what was wrong with requests
	watch    func()
}

type oauthCode struct{ challenge, redirect, grant string }

type oauthGrant struct {
	id      string
	expires time.Time
}

// Fail has the token endpoint fail from now on: "html" and "500" answer with
// an error page, "html200" with a page and 200, "rubbish" with JSON that is no
// token, "echo" with an error that repeats the request, "hang" not at all until
// the client goes, and "" as it should.
func (o *OAuth2) Fail(how string) { o.mu.Lock(); defer o.mu.Unlock(); o.fault = how }

// Watch has f called, unless it is nil, when a token is asked for, before the
// answer.
func (o *OAuth2) Watch(f func()) { o.mu.Lock(); defer o.mu.Unlock(); o.watch = f }

// Deny has people refuse with an error code from now on, "" to agree.
func (o *OAuth2) Deny(code string) { o.mu.Lock(); defer o.mu.Unlock(); o.deny = code }

// Requests returns the grant types that tokens were asked for with.
func (o *OAuth2) Requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.requests)
}

// Wrong returns what was wrong with requests.
func (o *OAuth2) Wrong() []string { o.mu.Lock(); defer o.mu.Unlock(); return slices.Clone(o.bad) }

// RevokeAccess ends all access tokens; refresh tokens stay good.
func (o *OAuth2) RevokeAccess() { o.mu.Lock(); defer o.mu.Unlock(); o.access = nil }

// RevokeAll ends everything that was granted.
func (o *OAuth2) RevokeAll() { o.mu.Lock(); defer o.mu.Unlock(); o.access, o.refresh = nil, nil }

// Tokens returns every token and code that is or was good.
func (o *OAuth2) Tokens() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for t := range o.access {
		all = append(all, t)
	}
	for t := range o.refresh {
		all = append(all, t)
	}
	for t := range o.used {
		all = append(all, t)
	}
	return all
}

// ServeHTTP implements [http.Handler].
func (o *OAuth2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/authorize":
		o.authorize(w, r)
	case "/token":
		o.token(w, r)
	case "/api":
		o.api(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (o *OAuth2) wrong(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bad = append(o.bad, fmt.Sprintf(format, args...))
}

func (o *OAuth2) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	redirect := q.Get("redirect_uri")
	if q.Get("client_id") != o.ClientID || redirect != o.RedirectURI || q.Get("response_type") != "code" || q.Get("state") == "" ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
		o.wrong("authorize %s", r.URL)
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	o.mu.Lock()
	if o.deny != "" {
		back.Set("error", o.deny)
	} else {
		code := o.Prefix + "code-" + rand.Text()
		if o.codes == nil {
			o.codes = map[string]oauthCode{}
		}
		o.codes[code] = oauthCode{q.Get("code_challenge"), redirect, rand.Text()}
		back.Set("code", code)
	}
	o.mu.Unlock()
	http.Redirect(w, r, redirect+"?"+back.Encode(), http.StatusFound)
}

func (o *OAuth2) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	o.mu.Lock()
	fault, watch := o.fault, o.watch
	o.requests = append(o.requests, r.PostForm.Get("grant_type"))
	o.mu.Unlock()
	if watch != nil {
		watch()
	}
	switch fault {
	case "html":
		w.WriteHeader(http.StatusBadGateway)
		fallthrough
	case "html200":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<html><h1>Bad gateway</h1>%s</html>", r.PostForm.Encode())
		return
	case "500":
		http.Error(w, "fault: "+r.PostForm.Encode()+" "+r.Header.Get("Authorization"), http.StatusInternalServerError)
		return
	case "rubbish":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":5}`)
		return
	case "echo":
		id, secret, _ := r.BasicAuth()
		o.refuse(w, "invalid_client", "you sent "+id+" "+secret+" "+r.PostForm.Encode())
		return
	case "hang":
		<-r.Context().Done()
		return
	}
	if !o.client(r) {
		o.wrong("client authentication: %q %q", r.Header.Get("Authorization"), r.PostForm.Get("client_id"))
		w.Header().Set("WWW-Authenticate", "Basic")
		o.refuse(w, "invalid_client", "")
		return
	}
	o.grant(w, r)
}

func (o *OAuth2) client(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	if o.InBody || o.ClientSecret == "" {
		return !basic && r.PostForm.Get("client_id") == o.ClientID && r.PostForm.Get("client_secret") == o.ClientSecret
	}
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	return basic && id == o.ClientID && secret == o.ClientSecret
}

func (o *OAuth2) grant(w http.ResponseWriter, r *http.Request) {
	switch r.PostForm.Get("grant_type") {
	case "client_credentials":
		o.give(w, "", false)
	case "authorization_code":
		o.mu.Lock()
		c, ok := o.codes[r.PostForm.Get("code")]
		delete(o.codes, r.PostForm.Get("code"))
		o.mu.Unlock()
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		proof := base64.RawURLEncoding.EncodeToString(sum[:])
		if !ok || subtle.ConstantTimeCompare([]byte(proof), []byte(c.challenge)) != 1 || r.PostForm.Get("redirect_uri") != c.redirect {
			o.refuse(w, "invalid_grant", "the code is not good")
			return
		}
		o.give(w, c.grant, true)
	case "refresh_token":
		grant, ok := o.use(r.PostForm.Get("refresh_token"))
		if !ok {
			o.refuse(w, "invalid_grant", "the refresh token "+r.PostForm.Get("refresh_token")+" is not good")
			return
		}
		o.give(w, grant, true)
	default:
		o.refuse(w, "unsupported_grant_type", "")
	}
}

// use uses a refresh token up. If it was used before, everything of its grant
// is revoked: it was stolen, or two clients share it.
func (o *OAuth2) use(token string) (grant string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.used == nil {
		o.used, o.revoked = map[string]string{}, map[string]bool{}
	}
	if grant, was := o.used[token]; was {
		o.revoked[grant] = true
		o.bad = append(o.bad, "a refresh token was used twice")
		return "", false
	}
	if grant, ok = o.refresh[token]; !ok || o.revoked[grant] {
		return "", false
	}
	delete(o.refresh, token)
	o.used[token] = grant
	return grant, true
}

func (o *OAuth2) give(w http.ResponseWriter, grant string, refreshed bool) {
	life := o.Life
	if life == 0 {
		life = time.Hour
	}
	access, refresh := o.Prefix+"access-"+rand.Text(), o.Prefix+"refresh-"+rand.Text()
	body := map[string]any{"access_token": access, "token_type": "bearer", "expires_in": int(life.Seconds())}
	o.mu.Lock()
	if o.access == nil {
		o.access = map[string]oauthGrant{}
	}
	if o.refresh == nil {
		o.refresh = map[string]string{}
	}
	o.access[access] = oauthGrant{grant, time.Now().Add(life)}
	if refreshed && !o.NoRefresh {
		o.refresh[refresh] = grant
		body["refresh_token"] = refresh
	}
	o.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body)
}

func (o *OAuth2) refuse(w http.ResponseWriter, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}

// api answers with everything that it was sent, secrets included, as careless
// services do in their errors.
func (o *OAuth2) api(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	o.mu.Lock()
	g, ok := o.access[token]
	ok = ok && !o.revoked[g.id] && time.Now().Before(g.expires)
	o.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": ok, "grant": g.id, "message": "you sent " + r.Header.Get("Authorization")})
}
