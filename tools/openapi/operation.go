package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"parley/tools"
)

// methods are those that tools can call, as OpenAPI writes them.
func methods() []string { return []string{"get", "head", "post", "put", "patch", "delete"} }

// report makes a tool of every operation.
func (d *document) report() (*Report, error) {
	info := objectIn(d.root, "info")
	r := &Report{
		Title: line(textIn(info, "title"), 200), Version: line(cmpText(textIn(info, "version"), numberText(info["version"])), 40),
		OpenAPI: line(cmpText(cmpText(textIn(d.root, "openapi"), textIn(d.root, "swagger")), cmpText(numberText(d.root["openapi"]), numberText(d.root["swagger"]))), 20),
		Auth:    d.authReport(), Operations: []Operation{},
	}
	for _, s := range d.servers[:min(len(d.servers), maxNotes)] {
		r.Servers = append(r.Servers, line(s.url, 300))
	}
	var note string
	if r.Base, note = d.serverFor(nil, nil); note != "" {
		d.warnings.add(note)
	}
	r.From = d.from(r)
	if strings.HasPrefix(r.Base, "http://") {
		d.warnings.addf("%s is not encrypted", line(r.Base, 200))
	}
	if err := d.operations(r); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(r.Operations, func(o Operation) bool { return o.NeedsBase }) {
		d.warnings.add("the document does not say where it is called: give a base")
	}
	r.Warnings = d.warnings.all()
	return r, nil
}

// from names the document: by its address, or by its title and the host that
// it is about.
func (d *document) from(r *Report) string {
	if d.opts.From != "" {
		return d.opts.From
	}
	name := cmpText(r.Title, "document")
	if origin := (tools.Endpoint{Request: tools.Request{URL: r.Base}}).Origin(); origin != "" {
		name += " at " + origin
	}
	return name
}

func (d *document) operations(r *Report) error {
	paths, ok := d.root["paths"].(object)
	if !ok {
		d.warnings.add("the document has no paths, so there is nothing to call")
	}
	names := newNames(d.opts.Prefix, &d.warnings)
	var items []object
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if strings.HasPrefix(path, "x-") {
			continue
		}
		item, err := d.resolve(paths[path])
		if err != nil {
			d.warnings.addf("the path %s %s", line(path, 100), err)
			continue
		}
		for _, op := range d.operationsOf(path, item) {
			if len(r.Operations) >= d.opts.MaxOperations {
				d.warnings.addf("only the first %d operations were read", d.opts.MaxOperations)
				return d.build(r, items, names)
			}
			r.Operations = append(r.Operations, op)
			items = append(items, item)
		}
	}
	return d.build(r, items, names)
}

// operationsOf lists what a path item has, those that tools cannot call as
// skipped.
func (d *document) operationsOf(path string, item object) (ops []Operation) {
	for _, method := range []string{"get", "head", "post", "put", "patch", "delete", "options", "trace", "query"} {
		op, ok := item[method].(object)
		if !ok {
			continue
		}
		o := Operation{
			Operation: strings.ToUpper(method) + " " + path, ID: line(textIn(op, "operationId"), 200),
			Summary: line(cmpText(textIn(op, "summary"), textIn(op, "description")), 200), Deprecated: isTrue(op, "deprecated"),
			Auth: d.authOf(op),
		}
		for _, t := range textsIn(op, "tags") {
			if len(o.Tags) < maxNotes {
				o.Tags = append(o.Tags, line(t, 100))
			}
		}
		if !slices.Contains(methods(), method) {
			o.Skipped = "tools do not use " + strings.ToUpper(method)
		}
		ops = append(ops, o)
	}
	return ops
}

// build names the operations and makes their tools.
func (d *document) build(r *Report, items []object, names *names) error {
	names.assign(r.Operations)
	for i := range r.Operations {
		if err := d.ctx.Err(); err != nil {
			return fmt.Errorf("openapi: import: %w", err)
		}
		if d.opts.Progress != nil {
			d.opts.Progress(i, len(r.Operations))
		}
		op := &r.Operations[i]
		if op.Skipped != "" {
			continue
		}
		err := d.make(op, items[i], r)
		var why skipped
		switch {
		case errors.As(err, &why):
			op.Skipped = string(why)
		case err != nil:
			return err
		}
	}
	return nil
}

// make makes the tool of one operation.
func (d *document) make(o *Operation, item object, r *Report) error {
	method, path, _ := strings.Cut(o.Operation, " ")
	op := objectIn(item, strings.ToLower(method))
	b := &builder{document: d, op: o, tool: &o.Tool, taken: map[string]bool{}}
	o.Tool = tools.Endpoint{
		Name: o.Name, Description: describe(op, item, o, r), Request: tools.Request{Method: method},
		In: map[string]string{}, Style: map[string]tools.Style{},
	}
	for _, tag := range o.Tags[:min(len(o.Tags), 16)] {
		o.Tool.Tags = append(o.Tool.Tags, cut(tag, 100))
	}
	defer func() { o.Warnings = b.notes.all() }()
	if err := b.params(item, op); err != nil {
		return err
	}
	if err := b.body(item, op); err != nil {
		return err
	}
	if err := b.url(path, item, op); err != nil {
		return err
	}
	var err error
	if o.Tool.Parameters, err = d.parameters(b.shape, &b.notes); err != nil {
		return err
	}
	if len(o.Tool.Style) == 0 {
		o.Tool.Style = nil
	}
	o.Tool.Import = &tools.Import{From: r.From, Operation: o.Operation, Revision: revision(o.Tool), Declared: tools.Declared(o.Tool)}
	return b.check()
}

// check refuses a tool that would not be taken.
func (b *builder) check() error {
	t := *b.tool
	if b.op.NeedsBase {
		t.URL = "https://base.invalid" + t.URL
	}
	if err := t.Validate(); err != nil {
		return skipped("it cannot be made a tool: " + line(err.Error(), 300))
	}
	return nil
}

// revision tells declarations apart.
func revision(t tools.Endpoint) string {
	t.Import, t.Name = nil, "" // the name may be one that it was given before
	b, err := json.Marshal(t)
	if err != nil { // it holds JSON only
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// describe is what the model reads of an operation.
func describe(op, item object, o *Operation, r *Report) string {
	summary, text := strings.TrimSpace(textIn(op, "summary")), strings.TrimSpace(withoutTags(textIn(op, "description")))
	if text == "" {
		text = strings.TrimSpace(textIn(item, "description"))
	}
	switch {
	case summary == "" && text == "":
		summary = strings.TrimSpace(o.Operation + " of " + cmpText(r.Title, "the service"))
	case summary != "" && text != "" && !strings.HasPrefix(text, summary):
		summary = strings.TrimSuffix(summary, ".") + ". " + text
	case text != "":
		summary = text
	}
	if o.Deprecated {
		summary = "Deprecated. " + summary
	}
	return cmpText(paragraph(summary, 1000), "Calls "+o.Operation)
}

var inPath = regexp.MustCompile(`\{[^{}/]*\}`)

// url puts the server's address and the path together.
func (b *builder) url(path string, item, op object) error {
	base, note := b.serverFor(item, op)
	if note != "" && !slices.Contains(b.warnings.list, note) {
		b.notes.add(note)
	}
	if base == "" {
		b.op.NeedsBase = true
	} else if !goodBase.MatchString(base) {
		return skipped("its server's address cannot be used: " + line(base, 200) + "; give a base")
	}
	path, _, _ = strings.Cut(path, "#")
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	path, query, _ := strings.Cut(path, "?")
	var out strings.Builder
	rest := path
	for {
		at := inPath.FindStringIndex(rest)
		if at == nil {
			out.WriteString(literal(rest))
			break
		}
		out.WriteString(literal(rest[:at[0]]))
		name, err := b.pathArgument(rest[at[0]+1 : at[1]-1])
		if err != nil {
			return err
		}
		out.WriteString("{" + name + "}")
		rest = rest[at[1]:]
	}
	b.tool.URL = strings.NewReplacer("{", "{{", "}", "}}").Replace(base) + out.String()
	if query != "" {
		b.tool.URL += "?" + strings.NewReplacer("{", "{{", "}", "}}", " ", "%20").Replace(query)
	}
	b.unusedPath(path)
	return nil
}

// pathArgument returns the name of the path's parameter in the tool's URL.
func (b *builder) pathArgument(name string) (string, error) {
	if strings.Contains(name, ",") || name == "" {
		return "", skipped("its path has a parameter named " + line(name, 80))
	}
	if !slices.Contains(b.inPath, name) {
		b.notes.addf("the path's parameter %s is not declared: it is taken as text", line(name, 80))
		arg := b.argument(name, "path")
		b.put(arg, "path", name, tools.Style{}, true)
		b.inPath = append(b.inPath, name)
		b.shape.properties = append(b.shape.properties, property{name: arg, schema: object{"type": "string"}, required: true})
	}
	return name, nil
}

// unusedPath takes out parameters that are declared to be in the path and are
// not.
func (b *builder) unusedPath(path string) {
	for _, name := range b.inPath {
		if strings.Contains(path, "{"+name+"}") {
			continue
		}
		for arg, where := range b.tool.In {
			if where == "path" && arg == name || where == "path:"+name {
				b.notes.addf("the parameter %s is left out: the path has no {%s}", line(name, 80), line(name, 80))
				delete(b.tool.In, arg)
				delete(b.tool.Style, arg)
				b.shape.properties = slices.DeleteFunc(b.shape.properties, func(p property) bool { return p.name == arg })
			}
		}
	}
}

// literal escapes what may not stand in a path as it is.
func literal(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("/._~!$&'()*+,;=:@-%", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
		}
	}
	return b.String()
}
