package openapi

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"parley/tools"
)

// maxParameters is how many parameters an operation may have.
const maxParameters = 200

// A builder makes the tool of one operation.
type builder struct {
	*document
	op     *Operation
	tool   *tools.Endpoint
	notes  notes
	shape  shape
	taken  map[string]bool // names of arguments
	inPath []string        // parameters of the path that are declared, by their names there
}

// skipped is why no tool can be made.
type skipped string

func (s skipped) Error() string { return string(s) }

// params takes in the parameters of the path item, then of the operation,
// which override those of the same name and place.
func (b *builder) params(path, op object) error {
	var list []object
	for _, v := range slices.Concat(listIn(path, "parameters"), listIn(op, "parameters")) {
		p, err := b.resolve(v)
		if err != nil {
			ref, _ := v.(object)
			return skipped(fmt.Sprintf("a parameter, %s, %s", line(textIn(ref, "$ref"), 100), err))
		}
		same := func(had object) bool { return had["name"] == p["name"] && had["in"] == p["in"] }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i] = p
		} else {
			list = append(list, p)
		}
	}
	if len(list) > maxParameters {
		return skipped(fmt.Sprintf("it has %d parameters; at most %d can be read", len(list), maxParameters))
	}
	for _, p := range list {
		if err := b.param(p); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) param(p object) error {
	name, in := textIn(p, "name"), textIn(p, "in")
	required := isTrue(p, "required") || in == "path"
	if name == "" && in != "body" {
		b.notes.add("a parameter without a name is left out")
		return nil
	}
	switch in {
	case "path", "query", "header", "cookie":
	case "body", "formData": // of 2.0: see body.go
		return nil
	default:
		b.notes.addf("the parameter %s is left out: its place %q is not known", line(name, 80), line(in, 40))
		return nil
	}
	if why := b.mustNot(in, name); why != "" {
		if why != "-" {
			b.notes.addf("the parameter %s is left out: %s", line(name, 80), why)
		}
		return nil
	}
	arg := b.argument(name, in)
	schema, style, plain, err := b.written(p, in)
	if err != nil {
		return err
	}
	b.put(arg, in, name, style, plain)
	if in == "path" {
		b.inPath = append(b.inPath, name)
	}
	text := textIn(p, "description")
	if isTrue(p, "deprecated") {
		text = strings.TrimSpace("Deprecated. " + text)
	}
	b.shape.properties = append(b.shape.properties, property{arg, text, schema, required, style.Content == ""})
	return nil
}

// put says where an argument goes. A place that [tools.Endpoint] finds by
// itself is said too: nothing is left to guessing.
func (b *builder) put(arg, in, name string, style tools.Style, plain bool) {
	where := in
	if arg != name {
		where += ":" + name
	}
	b.tool.In[arg] = where
	if !plain {
		b.tool.Style[arg] = style
	}
}

// mustNot returns why a parameter is not the model's to set; "-" if that needs
// no word.
func (b *builder) mustNot(in, name string) string {
	switch {
	case b.isKey(in, name):
		return "-" // the report says how to authenticate
	case in == "cookie" && !httpguts.ValidHeaderFieldName(name):
		return "it cannot be the name of a cookie"
	case in != "header":
		return ""
	case !httpguts.ValidHeaderFieldName(name):
		return "it cannot be the name of a header"
	}
	switch http.CanonicalHeaderKey(name) {
	case "Accept", "Content-Type": // OpenAPI: such a definition is ignored
		return "-"
	case "Authorization":
		return "credentials are the owner's to set, in the tool's header Authorization"
	case "Idempotency-Key":
		return "Parley sets it by itself"
	case "Cookie":
		return "cookies are set one by one"
	case "Host", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Connection", "Keep-Alive", "Expect",
		"Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Accept-Encoding", "Parley-Generation":
		return "this header is set by HTTP itself"
	}
	return ""
}

var badArgument = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// argument returns the name that a model knows a parameter by: its own where
// models allow it and no other has it.
func (b *builder) argument(name, in string) string {
	clean := strings.Trim(badArgument.ReplaceAllString(name, "_"), "_")
	if clean == "" {
		clean = in
	}
	clean = cut(clean, 56)
	if b.taken[clean] {
		clean = cut(in+"_"+clean, 60)
	}
	return unused(clean, b.taken)
}

// written returns a parameter's schema and how it is written; plain says that
// it is written as tools write arguments anyway.
func (b *builder) written(p object, in string) (schema any, style tools.Style, plain bool, err error) {
	if b.swagger {
		style, plain = b.collection(p, in)
		return swaggerSchema(p), style, plain, nil
	}
	if content := objectIn(p, "content"); len(content) > 0 {
		for media, v := range content { // it has exactly one
			m := b.loose(v)
			return m["schema"], tools.Style{Style: styleIn(in), Content: contentOf(media)}, false, nil
		}
	}
	style = tools.Style{Style: cmpText(textIn(p, "style"), styleIn(in)), AllowReserved: isTrue(p, "allowReserved")}
	style.Explode = style.Style == "form" || style.Style == "cookie"
	if explode, ok := truthIn(p, "explode"); ok {
		style.Explode = explode
	}
	if style.Style == "cookie" { // 3.2
		style.Style = "form"
	}
	if !slices.Contains(stylesIn(in), style.Style) {
		b.notes.addf("the parameter %s: the style %q is not one for a %s; %s is used", line(textIn(p, "name"), 80), line(style.Style, 40), in, styleIn(in))
		style.Style, style.Explode = styleIn(in), styleIn(in) == "form"
	}
	plain = b.isScalar(p["schema"], 8) && !style.AllowReserved && (style.Style == "form" || style.Style == "simple")
	return p["schema"], style, plain && in != "cookie", nil
}

func contentOf(media string) string {
	if strings.Contains(media, "*") || len(media) > 200 || !strings.Contains(media, "/") {
		return "application/json"
	}
	return media
}

func styleIn(in string) string { return stylesIn(in)[0] }

func stylesIn(in string) []string {
	switch in {
	case "path":
		return []string{"simple", "label", "matrix"}
	case "header":
		return []string{"simple"}
	case "cookie":
		return []string{"form"}
	}
	return []string{"form", "spaceDelimited", "pipeDelimited", "deepObject", "tabDelimited"} // of a query or form
}

// isScalar reports whether a schema surely lets only text, numbers and truth
// values in.
func (d *document) isScalar(v any, depth int) bool {
	s := d.loose(v)
	if s == nil || depth == 0 {
		return false
	}
	types := textsIn(s, "type")
	if t := textIn(s, "type"); t != "" {
		types = []string{t}
	}
	if len(types) > 0 {
		return !slices.Contains(types, "object") && !slices.Contains(types, "array")
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		if list := listIn(s, key); len(list) > 0 && len(list) <= 50 {
			scalar := func(v any) bool { return d.isScalar(v, depth-1) }
			return key == "allOf" && slices.ContainsFunc(list, scalar) || key != "allOf" && !slices.ContainsFunc(list, func(v any) bool { return !scalar(v) })
		}
	}
	return len(listIn(s, "enum")) > 0 && s["properties"] == nil
}
