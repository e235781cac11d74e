package tools

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A drafter makes an endpoint of what a command says.
type drafter struct {
	*curl
	e          Endpoint
	properties map[string]any
	required   []string
	media      string // of the body, as a header says it
}

func (c *curl) draft() (Endpoint, error) {
	d := &drafter{curl: c, properties: map[string]any{}, e: Endpoint{In: map[string]string{}}}
	u, err := d.parseURL()
	if err != nil {
		return Endpoint{}, err
	}
	d.e.Method = d.methodOf()
	d.takeHeaders(u)
	d.takeQuery(u)
	d.takeBody()
	d.e.TimeoutMs = int(min(c.timeout*1000, MaxTimeoutMs))
	nouns := d.takePath(u)
	d.e.Name = draftName(d.e.Method, nouns, u.Hostname())
	d.e.Description = draftDescription(d.e.Method, nouns, u)
	d.e.Parameters = compactJSON(d.schema())
	if len(d.e.In) == 0 {
		d.e.In = nil
	}
	e, err := withPlainVars(d.e)
	if err != nil {
		return Endpoint{}, faultf("curl", "cannot be made a tool: %v", err)
	}
	for _, fault := range faultsOf(e.Validate()) {
		d.warn(fault)
	}
	return e, nil
}

// withPlainVars returns e without marks of the shell's variables, wherever one
// is left.
func withPlainVars(e Endpoint) (plain Endpoint, err error) {
	b, err := json.Marshal(e)
	if err == nil {
		err = json.Unmarshal([]byte(plainVars(string(b))), &plain)
	}
	return plain, err
}

// faultsOf lists what is to be done about a draft that is no endpoint yet.
func faultsOf(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func (d *drafter) schema() any {
	s := map[string]any{"type": "object", "properties": d.properties, "additionalProperties": false}
	if len(d.required) > 0 {
		s["required"] = d.required
	}
	return s
}

// parseURL reads the command's address.
func (d *drafter) parseURL() (*url.URL, error) {
	address := d.url
	if !strings.Contains(address, "://") {
		address = "https://" + address
		d.warn("the address does not say how it is called: https was taken")
	}
	marks := strings.NewReplacer("{", "%7B", "}", "%7D", "<", "%3C", ">", "%3E", " ", "%20")
	u, err := url.Parse(marks.Replace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(u.Host, string(varBegin)+"%") {
		return nil, faultf("curl", "must call an http or https address with the name of a host in it; it calls %s", oneLine(plainVars(d.url), 100))
	}
	if u.User != nil && d.user == "" {
		password, _ := u.User.Password()
		d.user = u.User.Username() + ":" + password
	}
	u.User, u.Fragment = nil, ""
	return u, nil
}

func (d *drafter) methodOf() string {
	if d.method != "" {
		return d.method
	}
	if (len(d.data) > 0 || len(d.form) > 0) && !d.get {
		return http.MethodPost
	}
	return http.MethodGet
}

// browserHeaders are set by browsers for themselves.
var browserHeaders = []string{"Origin", "Referer", "Dnt", "Priority", "Pragma", "Cache-Control", "Upgrade-Insecure-Requests", "X-Requested-With", "If-None-Match", "If-Modified-Since"}

// takeHeaders takes over what the service needs. All but what says nothing is
// kept as secret.
func (d *drafter) takeHeaders(u *url.URL) {
	headers := d.headers
	if d.user != "" {
		headers = append(headers, [2]string{"Authorization", d.basic()})
	}
	if len(d.cookies) > 0 {
		headers = append(headers, [2]string{"Cookie", strings.Join(d.cookies, "; ")})
	}
	d.e.Headers = map[string]string{}
	for _, h := range headers {
		name := http.CanonicalHeaderKey(h[0])
		switch {
		case name == "Content-Type":
			d.media, _, _ = strings.Cut(strings.ToLower(h[1]), ";")
		case slices.Contains(ownHeaders, name), slices.Contains(browserHeaders, name), strings.HasPrefix(name, "Sec-"):
			d.warn("the header " + oneLine(name, 40) + " was left out: it is set by itself, or says nothing")
		default:
			d.e.Headers[name] = d.secret("header "+oneLine(name, 40), h[1])
		}
	}
	if d.json && d.e.Headers["Accept"] == "" {
		d.e.Headers["Accept"] = "application/json"
	}
	if len(d.e.Headers) == 0 {
		d.e.Headers = nil
	}
}

// secret returns a value that is kept secret; Mask if the command only has the
// name of a shell's variable for it.
func (d *drafter) secret(what, value string) string {
	if name, ok := varIn(value); ok {
		d.warn(fmt.Sprintf("the %s holds the shell's variable %s: give the value", what, name))
		return Mask
	}
	return value
}

func (d *drafter) basic() string {
	if name, ok := varIn(d.user); ok {
		return string(varBegin) + name + string(varEnd)
	}
	if !strings.Contains(d.user, ":") {
		d.warn("-u has no password: the header Authorization holds an empty one")
		d.user += ":"
	}
	return basic(d.user)
}

// varIn returns the name of the first shell's variable in a text.
func varIn(s string) (string, bool) {
	_, rest, ok := strings.Cut(s, string(varBegin))
	name, _, _ := strings.Cut(rest, string(varEnd))
	return name, ok
}

// plainVars writes a shell's variables as the shell does.
func plainVars(s string) string {
	return strings.NewReplacer(string(varBegin), "$", string(varEnd), "").Replace(s)
}

var (
	secretName  = regexp.MustCompile(`(?i)^(api[_-]?key|app[_-]?(id|key)|key|(access|auth|api|id|refresh)?[_-]?token|secret|(client|api|app)[_-]?secret|pass(word|wd)?|pwd|sig|signature|auth|credentials?)$`)
	badArgument = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// parameter declares a parameter and returns its name. where is its place,
// wire its name there.
func (d *drafter) parameter(wire, where string, schema map[string]any, required bool) string {
	base := strings.Trim(badArgument.ReplaceAllString(plainVars(wire), "_"), "_")
	if base == "" {
		base = where
	}
	name := cutText(base, 56)
	for n := 2; d.properties[name] != nil; n++ {
		name = fmt.Sprintf("%s_%d", cutText(base, 50), n)
	}
	d.properties[name] = schema
	if required {
		d.required = append(d.required, name)
	}
	switch {
	case where == "path":
	case name != wire:
		d.e.In[name] = where + ":" + wire
	default:
		d.e.In[name] = where
	}
	return name
}

// example is a schema of a value that is known by one example.
func example(v any) map[string]any {
	s := map[string]any{}
	switch v := v.(type) {
	case bool:
		s["type"] = "boolean"
	case json.Number:
		s["type"] = "number"
		if f, err := v.Float64(); err == nil && f == math.Trunc(f) && !strings.ContainsAny(v.String(), ".eE") {
			s["type"] = "integer"
		}
	case string:
		s["type"] = "string"
		if name, ok := varIn(v); ok {
			s["description"] = "what the command has as $" + name
			return s
		}
		if len(v) > 200 || v == "" {
			return s
		}
	case nil:
		return s
	case []any:
		s["type"] = "array"
		if len(v) > 0 {
			s["items"] = example(v[0])
		}
		return s
	case map[string]any:
		properties := map[string]any{}
		for name, member := range v {
			properties[name] = example(member)
		}
		s["type"], s["properties"] = "object", properties
		return s
	}
	s["examples"] = []any{v}
	return s
}

// scalar reads a text of a query or a form as what it looks like.
func scalar(s string) any {
	if s == "true" || s == "false" {
		return s == "true"
	}
	if looksNumeric.MatchString(s) {
		return json.Number(s)
	}
	return s
}

var looksNumeric = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,10})?$`)

// takeQuery makes parameters of the query's members, and secrets of keys.
func (d *drafter) takeQuery(u *url.URL) {
	raw := []string{u.RawQuery}
	raw = append(raw, d.query...)
	if d.get {
		for _, piece := range d.data {
			if piece.file {
				d.warn("data from the file " + oneLine(piece.value, 80) + " was left out")
				continue
			}
			raw = append(raw, piece.text())
		}
		d.data = nil
	}
	for _, m := range formMembers(strings.Join(raw, "&")) {
		if secretName.MatchString(m.name) {
			if d.e.SecretQuery == nil {
				d.e.SecretQuery = map[string]string{}
			}
			d.e.SecretQuery[m.name] = d.secret("member "+oneLine(m.name, 40)+" of the query", m.values[0])
			continue
		}
		d.parameter(m.name, "query", m.schema(), false)
	}
	u.RawQuery = ""
}

// A formMember is a name of a query or form with its values.
type formMember struct {
	name   string
	values []string
}

func (m formMember) schema() map[string]any {
	if len(m.values) == 1 {
		return example(scalar(m.values[0]))
	}
	return example([]any{scalar(m.values[0])})
}

// formMembers reads a=1&b=2, each name once and in their order.
func formMembers(text string) (members []formMember) {
	at := map[string]int{}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescaped(name), unescaped(value)
		i, had := at[name]
		switch {
		case name == "":
		case had:
			members[i].values = append(members[i].values, value)
		case len(members) < maxMembers:
			at[name] = len(members)
			members = append(members, formMember{name, []string{value}})
		}
	}
	return members
}

// unescaped decodes a text as forms have it; one that is wrong stays.
func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// takeBody makes parameters of the body's members.
func (d *drafter) takeBody() {
	switch {
	case len(d.form) > 0:
		d.e.BodyType = "multipart"
		for _, part := range d.form {
			d.member(part[0], scalar(part[1]))
		}
	case len(d.data) == 0:
	case d.e.Method == http.MethodGet || d.e.Method == http.MethodHead:
		d.warn("the body was left out: a tool sends none with " + d.e.Method)
	case slices.ContainsFunc(d.data, func(p curlData) bool { return p.file }):
		d.takeFile()
	default:
		d.takeData()
	}
}

// takeFile has the whole body be a parameter: what is in the file is not known.
func (d *drafter) takeFile() {
	d.warn("the body is in a file, which was not read: the tool takes the whole body as a parameter")
	schema := map[string]any{"description": "the body of the request"}
	if d.isJSON() || d.media == "" {
		schema["type"] = "object"
	} else {
		schema["type"], d.e.BodyType = "string", d.media
	}
	d.parameter("body", "body", schema, true)
}

func (d *drafter) isJSON() bool {
	return d.json || strings.HasSuffix(d.media, "/json") || strings.HasSuffix(d.media, "+json")
}

func (d *drafter) takeData() {
	var texts []string
	for _, piece := range d.data {
		texts = append(texts, piece.text())
	}
	text := strings.Join(texts, "&")
	if d.json {
		text = strings.Join(texts, "")
	}
	doc, err := decodeJSON([]byte(varsInJSON(text)))
	object, isObject := doc.(map[string]any)
	switch {
	case d.media == "" && isObject && !d.json:
		d.warn("curl would send this JSON as a form: it is sent as JSON")
		fallthrough
	case d.isJSON() && err == nil && isObject && Depth([]byte(text)) <= maxSchemaDepth/4:
		for _, name := range sortedKeys(object) {
			d.member(name, object[name])
		}
	case d.isJSON() && err == nil && !isObject:
		schema := example(doc)
		if Depth([]byte(text)) > maxSchemaDepth/4 {
			schema = map[string]any{}
		}
		schema["description"] = "the whole body of the request"
		d.parameter("body", "body", schema, true)
	case d.isJSON():
		d.warn("the body is no JSON that can be read: the tool takes it as a parameter")
		d.parameter("body", "body", map[string]any{"type": "object"}, true)
	case d.media == "" || d.media == "application/x-www-form-urlencoded":
		d.e.BodyType = "form"
		for _, m := range formMembers(text) {
			d.member(m.name, m.value())
		}
	default:
		d.e.BodyType = d.media
		schema := example(text)
		schema["description"] = "the whole body of the request"
		d.parameter("body", "body", schema, true)
	}
}

func (m formMember) value() any {
	if len(m.values) == 1 {
		return scalar(m.values[0])
	}
	return []any{scalar(m.values[0])}
}

// member makes a parameter of a member of the body.
func (d *drafter) member(name string, v any) {
	schema := example(v)
	if secretName.MatchString(name) {
		d.warn("the member " + oneLine(name, 40) + " of the body looks like a secret: its value was left out, since bodies are shown to everybody")
		delete(schema, "examples")
	}
	d.parameter(name, "property", schema, true)
}

// varsInJSON puts quotes around a shell's variable that stands for a whole
// value.
func varsInJSON(text string) string {
	return bareVar.ReplaceAllString(text, `$1"$2"$3`)
}

var bareVar = regexp.MustCompile(`([:\[,]\s*)(\x{E000}\w+\x{E001})(\s*[,\]}])`)

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
