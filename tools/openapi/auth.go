package openapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/tools"
)

// An Auth is a way of authentication that the document declares, with what
// the tools' owner has to set for it.
type Auth struct {
	Scheme string `json:"scheme"` // its name in the document
	Needs  string `json:"needs"`  // for people
	In     string `json:"in"`     // "headers" or "secretQuery" of the tool, "" if Parley cannot do it
	Name   string `json:"name,omitempty"`
}

// A scheme is a security scheme.
type scheme struct {
	Auth
	where string // of an API key: header, query or cookie
	wire  string // its name there
}

func (d *document) readSchemes() {
	d.schemes = map[string]scheme{}
	declared := objectIn(objectIn(d.root, "components"), "securitySchemes")
	if d.swagger {
		declared = objectIn(d.root, "securityDefinitions")
	}
	for name, v := range declared {
		if len(d.schemes) >= 100 {
			break
		}
		if o, err := d.resolve(v); err == nil {
			d.schemes[name] = schemeOf(name, o)
		}
	}
}

func schemeOf(name string, o object) scheme {
	s := scheme{Auth: Auth{Scheme: line(name, 100), In: "headers", Name: "Authorization"}}
	switch kind := textIn(o, "type"); strings.ToLower(kind) {
	case "apikey":
		s.key(textIn(o, "in"), line(textIn(o, "name"), 100))
	case "basic":
		s.Needs = basicNeeds
	case "http":
		switch strings.ToLower(textIn(o, "scheme")) {
		case "basic":
			s.Needs = basicNeeds
		case "bearer":
			s.Needs = `a bearer token: set the header Authorization to "Bearer TOKEN" on the tool`
		default:
			s.Needs = fmt.Sprintf("HTTP authentication %q: set the header Authorization on the tool", line(textIn(o, "scheme"), 40))
		}
	case "oauth2", "openidconnect":
		s.Needs = `an OAuth 2 access token, which Parley does not fetch itself: set the header Authorization to "Bearer TOKEN" on the tool`
	case "mutualtls":
		s.Needs, s.In, s.Name = "a client's TLS certificate, which tools cannot have", "", ""
	default:
		s.Needs, s.In, s.Name = fmt.Sprintf("authentication of an unknown type %q", line(kind, 40)), "", ""
	}
	return s
}

const basicNeeds = `a user and password: set the header Authorization to "Basic BASE64(user:password)" on the tool`

func (s *scheme) key(in, name string) {
	s.where, s.wire, s.Name = in, name, name
	switch in {
	case "query":
		s.In, s.Needs = "secretQuery", fmt.Sprintf("an API key in the query's %s: set %s in secretQuery on the tool", name, name)
	case "cookie":
		s.Name = "Cookie"
		s.Needs = fmt.Sprintf("an API key in the cookie %s: set the header Cookie to %q on the tool", name, name+"=KEY")
	default:
		s.Needs = fmt.Sprintf("an API key in the header %s: set the header %s on the tool", name, name)
	}
}

func (d *document) authReport() (all []Auth) {
	for _, name := range slices.Sorted(maps.Keys(d.schemes)) {
		all = append(all, d.schemes[name].Auth)
	}
	return all
}

// authOf returns the alternatives of an operation; "none" is one of them
// where it can be called without.
func (d *document) authOf(op object) (alternatives []string) {
	list, ok := op["security"].([]any)
	if !ok {
		list = listIn(d.root, "security")
	}
	for _, v := range list[:min(len(list), maxNotes)] {
		set, _ := v.(object)
		names := slices.Sorted(maps.Keys(set))
		for i, name := range names {
			names[i] = line(name, 100)
		}
		if len(names) == 0 {
			names = []string{"none"}
		}
		alternatives = append(alternatives, strings.Join(names, " and "))
	}
	return alternatives
}

// isKey reports whether a parameter is one of the document's API keys: those
// are the owner's to set and never a model's.
func (d *document) isKey(in, name string) bool {
	for _, s := range d.schemes {
		if s.where == in && (s.wire == name || in == "header" && strings.EqualFold(s.wire, name)) {
			return true
		}
	}
	return false
}

// Missing says what an operation's tool still needs to be let in, "" if
// nothing: it has all that one of the alternatives asks for.
func (r *Report) Missing(op Operation, tool tools.Endpoint) string {
	var first string
	if tool.Auth != "" { // what its owner has chosen
		return ""
	}
	for _, alternative := range op.Auth {
		needs, ok := r.lacks(alternative, tool)
		if ok {
			return ""
		}
		first = cmpText(first, needs)
	}
	return first
}

func (r *Report) lacks(alternative string, tool tools.Endpoint) (needs string, ok bool) {
	if alternative == "none" {
		return "", true
	}
	for name := range strings.SplitSeq(alternative, " and ") {
		i := slices.IndexFunc(r.Auth, func(a Auth) bool { return a.Scheme == name })
		if i < 0 {
			return fmt.Sprintf("it needs %s, which the document does not explain", name), false
		}
		a := r.Auth[i]
		_, inQuery := tool.SecretQuery[a.Name]
		inHeader := slices.ContainsFunc(slices.Collect(maps.Keys(tool.Headers)), func(h string) bool { return strings.EqualFold(h, a.Name) })
		if a.In == "secretQuery" && !inQuery || a.In != "secretQuery" && !inHeader {
			return "it needs " + a.Needs, false
		}
	}
	return "", true
}
