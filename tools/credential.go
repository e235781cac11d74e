package tools

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A CredentialKind says how a [Credential] shows who calls.
type CredentialKind string

// The kinds.
const (
	APIKey CredentialKind = "apiKey" // a value under a name in a header, the query or a cookie
	Basic  CredentialKind = "basic"  // RFC 7617
	Bearer CredentialKind = "bearer" // a token that does not change, RFC 6750
	OAuth2 CredentialKind = "oauth2" // tokens that are asked for and expire, RFC 6749
)

// The grants of [OAuth2].
const (
	ClientGrant = "client_credentials" // one token for everybody
	PersonGrant = "authorization_code" // a token for each person, who has agreed; with PKCE, RFC 7636
)

// Limits of a [Credential].
const (
	MaxCredential = 64 << 10 // bytes of its JSON form
	maxOrigins    = 32
	maxSecretText = 16 << 10
)

// A Credential is a named way to prove to services who calls, which any
// number of endpoints share by naming it in their field auth:
//
//	{"name": "shop", "kind": "apiKey", "parameter": "X-Api-Key", "value": "…",
//	 "origins": ["https://shop.example"]}
//
// It is sent to its origins and nowhere else. Value, Password and
// ClientSecret are write-only: see [Credential.Public].
type Credential struct {
	Name        string         `json:"name"`                  // see [NamePattern]; not "callback"
	Description string         `json:"description,omitempty"` // what it opens, for a person who is asked to connect
	Kind        CredentialKind `json:"kind"`
	Origins     []string       `json:"origins"` // scheme://host[:port], at least one

	In        string `json:"in,omitempty"`        // of apiKey: "header", the default, "query" or "cookie"
	Parameter string `json:"parameter,omitempty"` // of apiKey: name of the header, query member or cookie
	Value     string `json:"value,omitempty"`     // of apiKey and bearer

	User     string `json:"user,omitempty"` // of basic; as good as a password if there is none
	Password string `json:"password,omitempty"`

	Grant        string   `json:"grant,omitempty"` // of oauth2: client_credentials, the default, or authorization_code
	TokenURL     string   `json:"tokenUrl,omitempty"`
	AuthorizeURL string   `json:"authorizeUrl,omitempty"` // of authorization_code; may have a query
	ClientID     string   `json:"clientId,omitempty"`
	ClientSecret string   `json:"clientSecret,omitempty"` // may be absent with authorization_code
	Scopes       []string `json:"scopes,omitempty"`
	Audience     string   `json:"audience,omitempty"`
	AuthStyle    string   `json:"authStyle,omitempty"` // how the client shows its secret: "header", the default, or "body"
}

// DecodeCredential decodes one credential's JSON without validating it, since
// masked secrets are filled in later. Unknown fields are refused. Its error is
// a [*FieldError].
func DecodeCredential(b []byte) (Credential, error) {
	var c Credential
	if len(b) > MaxCredential {
		return c, faultf("credential", "must not be larger than %d bytes", MaxCredential)
	}
	if err := decodeStrict(b, &c); err != nil {
		return Credential{}, credentialFault(err)
	}
	return c, nil
}

func credentialFault(err error) error {
	fault := decodeFault(err)
	fault.Reason = strings.ReplaceAll(fault.Reason, "an endpoint", "a credential")
	if fault.Field == "endpoint" {
		fault.Field = "credential"
	}
	return fault
}

// Personal reports whether each person has tokens of their own.
func (c Credential) Personal() bool { return c.Kind == OAuth2 && c.Grant == PersonGrant }

// Validate reports what is wrong with the credential: a [*FieldError], or
// several joined. No text of it holds a secret.
func (c Credential) Validate() error {
	v := &validator{}
	v.check(goodName.MatchString(c.Name), "name", "must be 1 to 64 letters, digits, _ or -")
	v.check(c.Name != "callback", "name", "must be another: this one is an address of Parley's")
	v.check(len(c.Description) <= maxText, "description", "must not be longer than %d bytes", maxText)
	c.validateOrigins(v)
	for field, secret := range c.secrets() {
		v.check(len(*secret) <= maxSecretText, field, "must not be longer than %d bytes", maxSecretText)
		v.check(!strings.Contains(*secret, Mask), field, "is masked and nothing is stored for it: give the value")
	}
	switch c.Kind {
	case APIKey:
		c.validateKey(v)
	case Bearer:
		v.check(c.Value != "" && goodHeaderValue(c.Value), "value", "must be the token: one line without control characters")
	case Basic:
		v.check(c.User+c.Password != "", "user", "must be given, or a password")
		v.check(!strings.Contains(c.User, ":"), "user", "must not hold a colon")
	case OAuth2:
		c.validateOAuth2(v)
	default:
		v.check(false, "kind", "must be apiKey, basic, bearer or oauth2")
	}
	c.validateUnused(v)
	return errors.Join(v.faults...)
}

// A validator gathers what is wrong.
type validator struct{ faults []error }

func (v *validator) check(ok bool, field, format string, args ...any) {
	if !ok {
		v.faults = append(v.faults, faultf(field, format, args...))
	}
}

func (c *Credential) validateOrigins(v *validator) {
	v.check(len(c.Origins) > 0 && len(c.Origins) <= maxOrigins, "origins", "must list 1 to %d origins that it may be sent to, such as https://api.example.com", maxOrigins)
	for _, o := range c.Origins {
		m := goodURL.FindStringSubmatch(o)
		good := m != nil && goodHost.MatchString(m[2]) && (m[3] == "" || m[3] == "/") && m[4] == "" && originOf(o) != ""
		v.check(good, "origins", "must be like https://api.example.com, without a path: %q is not", oneLine(o, 100))
	}
}

func (c *Credential) validateKey(v *validator) {
	v.check(c.Value != "", "value", "must be the key")
	switch c.In {
	case "", "header":
		canonical := http.CanonicalHeaderKey(c.Parameter)
		v.check(httpguts.ValidHeaderFieldName(c.Parameter) && !slices.Contains(ownHeaders, canonical) && canonical != "Cookie", "parameter", "must be the name of a header that Parley does not set by itself")
		v.check(goodHeaderValue(c.Value), "value", "must be one line without control characters")
	case "query":
		v.check(c.Parameter != "", "parameter", "must be the name of the query member")
	case "cookie":
		v.check(httpguts.ValidHeaderFieldName(c.Parameter), "parameter", "must be the name of the cookie")
		v.check(goodHeaderValue(c.Value) && !strings.ContainsAny(c.Value, `;," \`), "value", "must be a cookie's value: without spaces, quotes, commas, semicolons and backslashes")
	default:
		v.check(false, "in", "must be header, query or cookie")
	}
}

func (c *Credential) validateOAuth2(v *validator) {
	v.check(goodAddress(c.TokenURL), "tokenUrl", "must be the http or https address at which the service gives tokens")
	v.check(c.ClientID != "", "clientId", "must be what the service has registered Parley as")
	v.check(slices.Contains([]string{"", "header", "body"}, c.AuthStyle), "authStyle", "must be header or body")
	for _, s := range c.Scopes {
		v.check(s != "" && !strings.ContainsAny(s, " \"\\") && goodHeaderValue(s), "scopes", "must be a list of scopes without spaces in them")
	}
	switch c.Grant {
	case "", ClientGrant:
		v.check(c.ClientSecret != "", "clientSecret", "must be given for client_credentials")
	case PersonGrant:
		v.check(goodAddress(c.AuthorizeURL) && !ownQuery(c.AuthorizeURL), "authorizeUrl", "must be the http or https address at which a person agrees, without what Parley adds to it: state, redirect_uri and the like")
	default:
		v.check(false, "grant", "must be client_credentials or authorization_code")
	}
}

func goodAddress(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && len(raw) <= maxText && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && u.Fragment == ""
}

// ownQuery reports whether an address has a member that the flow sets.
func ownQuery(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return true
	}
	q := u.Query()
	return slices.ContainsFunc([]string{"state", "redirect_uri", "client_id", "response_type", "code_challenge", "code_challenge_method", "scope"}, q.Has)
}

// validateUnused refuses what the kind has no use for: it would be taken for
// something that it is not.
func (c *Credential) validateUnused(v *validator) {
	v.check(c.Kind == APIKey || c.In+c.Parameter == "", "parameter", "is for apiKey, as is in")
	v.check(c.Kind == APIKey || c.Kind == Bearer || c.Value == "", "value", "is for apiKey and bearer")
	v.check(c.Kind == Basic || c.User+c.Password == "", "user", "is for basic, as is password")
	v.check(c.Kind == OAuth2 || c.Grant+c.TokenURL+c.AuthorizeURL+c.ClientID+c.ClientSecret+c.Audience+c.AuthStyle == "" && len(c.Scopes) == 0, "tokenUrl", "and all that belongs to OAuth 2 is for oauth2")
	v.check(c.Kind != OAuth2 || c.Grant == PersonGrant || c.AuthorizeURL == "", "authorizeUrl", "is for authorization_code")
}

// fits reports whether the credential may be sent to an origin.
func (c *Credential) fits(to string) bool {
	return to != "" && slices.ContainsFunc(c.Origins, func(o string) bool { return originOf(o) == to })
}

// header is the header that the credential sets, "" for none.
func (c *Credential) header() string {
	switch {
	case c.Kind != APIKey:
		return "Authorization"
	case c.In == "" || c.In == "header":
		return http.CanonicalHeaderKey(c.Parameter)
	}
	return ""
}

// revision identifies what tokens of the credential are good for. A token of
// another revision is not used: it was given for other origins, another
// client or other scopes.
func (c *Credential) revision() string {
	var origins []string
	for _, o := range c.Origins {
		origins = append(origins, originOf(o))
	}
	slices.Sort(origins)
	b, _ := json.Marshal([]any{c.Kind, cmp.Or(c.Grant, ClientGrant), c.TokenURL, c.AuthorizeURL, c.ClientID, c.Scopes, c.Audience, slices.Compact(origins)})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// String names the credential without its secrets, for %v.
func (c Credential) String() string { return "credential " + c.Name }

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

// LogValue is String for slog: a logged credential shows no secret.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.Name) }
