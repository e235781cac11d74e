package openapi

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A server is an address that operations are called at.
type server struct {
	url  string // absolute, or a path that needs a base before it
	note string // what was assumed
}

var goodBase = regexp.MustCompile(`^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^?#{}\s]*)?$`)

// readServers reads the document's own servers and checks the base.
func (d *document) readServers() error {
	if b := d.opts.Base; b != "" && !goodBase.MatchString(b) {
		return fault("base", "must be an http or https address such as https://api.example.com/v1, without query and fragment")
	}
	if d.swagger {
		d.servers = d.swaggerServers(d.root)
	} else {
		d.servers = d.serversOf(d.root)
	}
	return nil
}

// swaggerServers returns what schemes, host and basePath of 2.0 say.
func (d *document) swaggerServers(o object) (servers []server) {
	host, path := textIn(d.root, "host"), strings.TrimSuffix(textIn(d.root, "basePath"), "/")
	if path != "" && path[0] != '/' {
		path = "/" + path
	}
	schemes := textsIn(o, "schemes")
	slices.SortStableFunc(schemes, func(a, b string) int { return strings.Compare(b, a) }) // https before http
	if host == "" {
		if path == "" && textIn(d.root, "basePath") == "" {
			return nil
		}
		return []server{{url: path}}
	}
	for _, s := range schemes {
		if s == "http" || s == "https" {
			servers = append(servers, server{url: s + "://" + host + path})
		}
	}
	if len(servers) == 0 {
		servers = []server{{url: "https://" + host + path, note: "the document does not say whether it is http or https: https is assumed"}}
	}
	return servers
}

// serversOf returns the servers that a document, a path or an operation
// declares, their variables filled in.
func (d *document) serversOf(o object) (servers []server) {
	for _, v := range listIn(o, "servers") {
		if s := d.loose(v); s != nil {
			if text, ok := s["url"].(string); ok {
				servers = append(servers, d.fill(text, objectIn(s, "variables")))
			}
		}
	}
	return servers
}

var variable = regexp.MustCompile(`\{[^{}]*\}`)

func (d *document) fill(text string, variables object) server {
	var s server
	s.url = variable.ReplaceAllStringFunc(text, func(m string) string {
		name := m[1 : len(m)-1]
		v := objectIn(variables, name)
		known := textsIn(v, "enum")
		chosen, ok := d.opts.Variables[name]
		switch {
		case ok && len(known) > 0 && !slices.Contains(known, chosen):
			s.note = "the server's variable " + line(name, 40) + " is none of " + line(strings.Join(known, ", "), 200)
			return chosen
		case ok:
			return chosen
		case v["default"] != nil:
			return scalarText(v["default"])
		case len(known) > 0:
			s.note = "the server's variable " + line(name, 40) + " has no default: " + line(known[0], 100) + " is assumed"
			return known[0]
		}
		s.note = "the server's variable " + line(name, 40) + " has no default: give it a value, or a base address"
		return m
	})
	s.url = strings.TrimSpace(s.url)
	return s
}

// place returns the server's address without a slash at its end, resolved
// against base or the document's own address; it is a path, or "", if neither
// is there.
func (d *document) place(s server, override bool) (address, note string) {
	base, at := d.opts.Base, s.url
	switch {
	case override && base != "":
		return strings.TrimSuffix(rebase(base, at), "/"), ""
	case strings.HasPrefix(at, "//"):
		at = "https:" + at
	}
	if strings.Contains(at, "://") {
		return strings.TrimSuffix(at, "/"), s.note
	}
	from := base
	if from == "" {
		from = d.opts.From
	}
	u, err := url.Parse(from)
	ref, err2 := url.Parse(at)
	if err != nil || err2 != nil || u.Host == "" {
		return "", s.note
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	address = strings.TrimSuffix(u.ResolveReference(ref).String(), "/")
	return address, "the document names its server relative to its own address: " + address
}

// rebase puts base in the place of a server's address: the whole of it if
// base has a path, else of its host.
func rebase(base, at string) string {
	b, err := url.Parse(base)
	if err != nil || b.Path != "" {
		return base
	}
	if _, rest, ok := strings.Cut(at, "://"); ok {
		_, path, _ := strings.Cut(rest, "/")
		at = "/" + path
	}
	if at != "" && at[0] != '/' {
		at = "/" + at
	}
	if !goodBase.MatchString(base + at) {
		return base
	}
	return base + at
}

// serverFor returns where an operation is called; "" if nothing says.
func (d *document) serverFor(path, op object) (address, note string) {
	for _, o := range []object{op, path} {
		if own := d.serversOf(o); len(own) > 0 && !d.swagger {
			return d.place(own[0], false)
		}
	}
	if d.swagger && len(listIn(op, "schemes")) > 0 {
		if own := d.swaggerServers(op); len(own) > 0 {
			return d.place(own[0], true)
		}
	}
	if len(d.servers) > 0 {
		return d.place(d.servers[0], true)
	}
	return strings.TrimSuffix(d.opts.Base, "/"), ""
}
