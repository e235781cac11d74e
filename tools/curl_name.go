package tools

import (
	"net/url"
	"regexp"
	"strings"
)

// A noun is a part of a path that says what it is about.
type noun struct {
	text   string
	withID bool // an id stands behind it
}

var (
	idSegment   = regexp.MustCompile(`^([0-9]+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[A-Za-z]{1,8}[_-][A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*|[0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]{15,})$`)
	placeholder = regexp.MustCompile(`^(?:\{+([A-Za-z0-9_.-]+)\}+|<([A-Za-z0-9_.-]+)>|:([A-Za-z][A-Za-z0-9_]*)|\x{E000}(\w+)\x{E001}|([A-Z][A-Z0-9]*_[A-Z0-9_]+))$`)
	versionPart = regexp.MustCompile(`(?i)^(v[0-9]+([._][0-9]+)*|api|rest|[0-9]{4}-[0-9]{2}(-[0-9]{2})?)$`)
	anyVar      = regexp.MustCompile(`\x{E000}(\w+)\x{E001}`)
)

// takePath makes parameters of what looks like an id or a placeholder in the
// path, puts the URL together and returns what the path is about.
func (d *drafter) takePath(u *url.URL) (nouns []noun) {
	path, raw := "", strings.TrimPrefix(u.EscapedPath(), "/")
	for segment := range strings.SplitSeq(raw, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			plain = segment
		}
		m := placeholder.FindStringSubmatch(plain)
		switch {
		case m != nil:
			schema := map[string]any{"type": "string"}
			path += "/{" + d.parameter(strings.ToLower(strings.Join(m[1:], "")), "path", schema, true) + "}"
			nouns = withID(nouns)
		case idSegment.MatchString(plain) && !versionPart.MatchString(plain):
			path += "/{" + d.parameter(idName(nouns), "path", example(scalar(plain)), true) + "}"
			nouns = withID(nouns)
		default:
			path += "/" + d.pathText(plain)
			if plain != "" && !versionPart.MatchString(plain) {
				nouns = append(nouns, noun{text: anyVar.ReplaceAllString(plain, "")})
			}
		}
	}
	d.e.URL = u.Scheme + "://" + u.Host + path
	return nouns
}

// pathText is a segment as URL templates have it, with the shell's variables
// in it as parameters.
func (d *drafter) pathText(plain string) string {
	var out strings.Builder
	rest := plain
	for {
		at := anyVar.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		out.WriteString(literalPath(rest[:at[0]]))
		out.WriteString("{" + d.parameter(strings.ToLower(rest[at[2]:at[3]]), "path", map[string]any{"type": "string"}, true) + "}")
		rest = rest[at[1]:]
	}
	return out.String() + literalPath(rest)
}

func literalPath(s string) string {
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(url.PathEscape(s))
}

func withID(nouns []noun) []noun {
	if len(nouns) > 0 {
		nouns[len(nouns)-1].withID = true
	}
	return nouns
}

// idName names the parameter behind the last noun: order_id in /orders/7.
func idName(nouns []noun) string {
	if len(nouns) == 0 {
		return "id"
	}
	return singular(nouns[len(nouns)-1].text) + "_id"
}

func singular(s string) string {
	lower := strings.ToLower(s)
	switch {
	case strings.HasSuffix(lower, "ies") && len(s) > 4:
		return s[:len(s)-3] + "y"
	case strings.HasSuffix(lower, "sses"), strings.HasSuffix(lower, "xes"), strings.HasSuffix(lower, "ches"), strings.HasSuffix(lower, "shes"):
		return s[:len(s)-2]
	case strings.HasSuffix(lower, "s") && !strings.HasSuffix(lower, "ss") && !strings.HasSuffix(lower, "us") && !strings.HasSuffix(lower, "is"):
		return s[:len(s)-1]
	}
	return s
}

// verbOf is what a method does to the last noun, and whether it is to one of
// them.
func verbOf(method string, last noun) (verb string, one bool) {
	plural := singular(last.text) != last.text
	switch method {
	case "POST":
		return "create", true
	case "PUT", "PATCH":
		return "update", true
	case "DELETE":
		return "delete", true
	case "HEAD":
		return "check", last.withID
	}
	if plural && !last.withID {
		return "list", false
	}
	return "get", true
}

// draftName suggests a name: list_orders, get_order, cancel_order.
func draftName(method string, nouns []noun, host string) string {
	if len(nouns) == 0 {
		labels := strings.Split(strings.TrimPrefix(host, "www."), ".")
		nouns = []noun{{text: labels[max(len(labels)-2, 0)]}}
	}
	last := nouns[len(nouns)-1]
	verb, one := verbOf(method, last)
	name := last.text
	if one {
		name = singular(name)
	}
	name = verb + "_" + name
	if before := len(nouns) - 2; before >= 0 && nouns[before].withID {
		of := singular(nouns[before].text)
		switch {
		case method == "POST" && !last.withID && singular(last.text) == last.text: // /orders/7/cancel
			name = last.text + "_" + of
		case last.withID || singular(last.text) != last.text:
			name = verb + "_" + of + "_" + strings.TrimPrefix(name, verb+"_")
		}
	}
	name = strings.Trim(badArgument.ReplaceAllString(name, "_"), "_")
	if name = strings.Trim(cutText(name, 64), "_"); name == "" {
		return "call"
	}
	return strings.ToLower(name)
}

// draftDescription suggests a description, which its owner should better.
func draftDescription(method string, nouns []noun, u *url.URL) string {
	what := "Calls " + u.Hostname()
	if len(nouns) > 0 {
		last := nouns[len(nouns)-1]
		verb, one := verbOf(method, last)
		text := strings.ToLower(strings.Trim(badArgument.ReplaceAllString(last.text, " "), " "))
		switch {
		case text == "":
		case method == "POST" && len(nouns) > 1 && nouns[len(nouns)-2].withID && singular(text) == text:
			what = strings.ToUpper(text[:1]) + text[1:] + ": one " + singular(strings.ToLower(nouns[len(nouns)-2].text)) + " at " + u.Hostname()
		case one:
			what = strings.ToUpper(verb[:1]) + verb[1:] + "s one " + singular(text) + " at " + u.Hostname()
		default:
			what = strings.ToUpper(verb[:1]) + verb[1:] + "s " + text + " at " + u.Hostname()
		}
	}
	return cutText(what, 500) + "."
}
