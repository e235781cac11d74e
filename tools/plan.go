package tools

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

var goodName = regexp.MustCompile(NamePattern)

// A plan is a compiled [Endpoint]. It does not change.
type plan struct {
	params  *schema
	steps   []planStep
	result  any // a parsed tree, nil for the last answer
	sel     pointer
	sources pointer
	shape   *shaper
}

type planStep struct {
	id      string
	request *request
	picks   []planPick // those from the answer first
	missing map[string]template
}

type planPick struct {
	name     string
	at       pointer
	value    template // instead of at, if not nil
	fallback any
	table    map[string]string
	date     bool
	zone     template
}

// Validate reports what is wrong with the endpoint: a [*FieldError], or
// several joined.
func (e Endpoint) Validate() error {
	_, err := e.valid()
	return err
}

// valid returns the plan of an endpoint that has no fault.
func (e *Endpoint) valid() (*plan, error) {
	p, err := e.usable()
	if p == nil {
		return nil, err
	}
	if _, bad := p.params.compiled(); bad != nil {
		err = errors.Join(err, faultf("parameters", "%v", bad))
	}
	return p, err
}

// usable is valid, but for a schema that cannot be compiled. That is looked at
// when an endpoint is registered, and costs too much to be looked at each time
// that it is read.
func (e *Endpoint) usable() (*plan, error) {
	var faults []error
	fault := func(bad bool, field, format string, args ...any) {
		if bad {
			faults = append(faults, faultf(field, format, args...))
		}
	}
	fault(!goodName.MatchString(e.Name), "name", "must be 1 to 64 letters, digits, _ or -")
	fault(strings.TrimSpace(e.Description) == "", "description", "must say what the tool does: the model chooses tools by it")
	fault(len(e.Description) > maxText, "description", "must not be longer than %d bytes", maxText)
	fault(len(e.Tags) > maxTags, "tags", "must not be more than %d", maxTags)
	fault(slices.ContainsFunc(e.Tags, func(t string) bool { return len(t) > maxTag }), "tags", "must not be longer than %d bytes each", maxTag)
	fault(e.TimeoutMs < 0 || e.TimeoutMs > MaxTimeoutMs, "timeoutMs", "must be between 1 and %d, or 0 for %d", MaxTimeoutMs, DefaultTimeoutMs)
	fault(e.MaxBytes < 0 || e.MaxBytes > MaxMaxBytes, "maxBytes", "must be between 1 and %d, or 0 for %d", MaxMaxBytes, DefaultMaxBytes)
	fault(e.AttemptMs < 0 || e.AttemptMs > MaxTimeoutMs, "attemptMs", "must be between 1 and %d, or 0 for timeoutMs", MaxTimeoutMs)
	fault(e.Concurrency < 0 || e.Concurrency > MaxConcurrency, "concurrency", "must be between 1 and %d, or 0 for %d", MaxConcurrency, DefaultConcurrency)
	fault(e.Cache != nil && (e.Cache.MaxAgeMs < 0 || e.Cache.MaxAgeMs > MaxMaxAgeMs), "cache.maxAgeMs", "must be between 1 and %d, or 0 for none", MaxMaxAgeMs)
	fault(!slices.Contains([]Effect{"", Safe, Idempotent, Unsafe}, e.Effect), "effect", "must be safe, idempotent or unsafe")
	fault(e.MaxTokens < 0 || e.MaxTokens > MaxMaxTokens, "maxTokens", "must be between 1 and %d, or 0 for %d", MaxMaxTokens, DefaultMaxTokens)
	fault(!slices.Contains([]Approval{"", ApprovalAuto, ApprovalAsk, ApprovalNever}, e.Approval), "approval", "must be auto, ask or never")
	fault(e.Select != "" && e.Sources != "", "select", "cannot be used together with sources")
	fault(e.JQ != "" && e.Select != "", "jq", "cannot be used together with select: begin the expression with the path")
	fault(e.JQ != "" && e.Sources != "", "jq", "cannot be used together with sources")
	if err := e.unmasked(); err != nil {
		faults = append(faults, err)
	}
	p, err := e.compile()
	if err != nil {
		faults = append(faults, err)
	}
	return p, errors.Join(faults...)
}

// compile returns the endpoint's plan or a [*FieldError].
func (e *Endpoint) compile() (*plan, error) {
	p := &plan{}
	var err error
	if len(e.Parameters) > MaxEndpoint {
		return nil, faultf("parameters", "must not be larger than %d bytes", MaxEndpoint)
	}
	if p.params, err = readSchema(e.Parameters); err != nil {
		return nil, faultf("parameters", "%v", err)
	}
	if p.sel, err = parsePointer(e.Select); err != nil {
		return nil, faultf("select", "%v", err)
	}
	if p.sources, err = parsePointer(e.Sources); err != nil {
		return nil, faultf("sources", "%v", err)
	}
	if p.shape, err = parseShape(e.JQ); err != nil {
		return nil, faultf("jq", "%v", err)
	}
	if len(e.Steps) == 0 {
		err = e.compileSingle(p)
	} else {
		err = e.compileSteps(p)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (e *Endpoint) compileSingle(p *plan) error {
	if len(e.Result) > 0 {
		return faultf("result", "is of endpoints with steps only; use select")
	}
	q, err := compileRequest(&e.Request, "")
	if err != nil {
		return err
	}
	if err := e.place(q, p.params); err != nil {
		return err
	}
	if err := e.styleParts(q); err != nil {
		return err
	}
	p.steps = []planStep{{request: q}}
	for _, name := range q.names() {
		if _, ok := p.params.props[name]; !ok && !p.params.open {
			return faultf("url", "uses {%s}, which is not among the parameters", name)
		}
	}
	return nil
}

func (e *Endpoint) compileSteps(p *plan) error {
	r := e.Request
	if r.URL != "" || r.Method != "" || len(r.Query)+len(r.Headers)+len(r.SecretQuery)+len(r.Body)+len(e.In)+len(e.Style)+len(e.Parts) > 0 || r.Auth != "" {
		return faultf("steps", "stand instead of method, url, query, headers, auth, body, in, style and parts: move those into a step")
	}
	if len(e.Steps) > maxSteps {
		return faultf("steps", "must not be more than %d", maxSteps)
	}
	known := map[string]bool{}
	for name := range p.params.props {
		known[name] = true
	}
	ids := map[string]bool{}
	for i := range e.Steps {
		at := fmt.Sprintf("steps[%d].", i)
		step, err := compileStep(&e.Steps[i], at, known)
		if err != nil {
			return err
		}
		if ids[step.id] {
			return faultf(at+"id", "must be unique")
		}
		ids[step.id] = true
		p.steps = append(p.steps, step)
	}
	return e.compileResult(p, known)
}

func (e *Endpoint) compileResult(p *plan, known map[string]bool) error {
	if len(e.Result) == 0 {
		return nil
	}
	if e.Select != "" || e.Sources != "" || e.JQ != "" {
		return faultf("result", "cannot be used together with select, jq or sources")
	}
	doc, err := decodeJSON(e.Result)
	if err == nil {
		p.result, err = parseTree(doc)
	}
	if err != nil {
		return faultf("result", "%v", err)
	}
	return unknown("result", treeNames(p.result), known)
}

// compileStep compiles s and adds what it picks to the known names.
func compileStep(s *Step, at string, known map[string]bool) (planStep, error) {
	step := planStep{id: s.ID, missing: map[string]template{}}
	if !goodName.MatchString(s.ID) {
		return step, faultf(at+"id", "must be 1 to 64 letters, digits, _ or -")
	}
	var err error
	if step.request, err = compileRequest(&s.Request, at); err != nil {
		return step, err
	}
	if err := unknown(at+"url", step.request.names(), known); err != nil {
		return step, err
	}
	if step.picks, err = compilePicks(s.Pick, at+"pick.", known); err != nil {
		return step, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Missing)) {
		field := at + "missing." + oneLine(name, 80)
		if _, ok := s.Pick[name]; !ok {
			return step, faultf(field, "is not among the step's picks")
		}
		t, err := parseTemplate(s.Missing[name])
		if err != nil || len(s.Missing[name]) > maxText {
			return step, faultf(field, "must be a short text with {name} in it")
		}
		if err := unknown(field, t.names(), known); err != nil {
			return step, err
		}
		step.missing[name] = t
	}
	return step, nil
}

func compilePicks(picks map[string]Pick, at string, known map[string]bool) ([]planPick, error) {
	if len(picks) > maxMembers {
		return nil, faultf(at[:len(at)-1], "must not be more than %d", maxMembers)
	}
	var fromAnswer, made []planPick
	for _, name := range slices.Sorted(maps.Keys(picks)) {
		pick, err := compilePick(name, picks[name])
		if err != nil {
			return nil, faultf(at+oneLine(name, 80), "%v", err)
		}
		if pick.value == nil {
			fromAnswer = append(fromAnswer, pick)
			known[name] = true
		} else {
			made = append(made, pick)
		}
	}
	for _, pick := range made {
		if err := unknown(at+pick.name, append(pick.value.names(), pick.zone.names()...), known); err != nil {
			return nil, err
		}
	}
	for _, pick := range made {
		known[pick.name] = true
	}
	return append(fromAnswer, made...), nil
}

func compilePick(name string, p Pick) (planPick, error) {
	out := planPick{name: name, table: p.Map, date: p.As == "date"}
	if name == "" || strings.ContainsAny(name, "{},") {
		return out, errors.New("must have a name without { } and comma")
	}
	if p.At != "" && p.Value != "" {
		return out, errors.New(`must have "at" or "value", not both`)
	}
	if p.As != "" && p.As != "date" {
		return out, errors.New(`"as" must be "date" or absent`)
	}
	var err error
	if out.at, err = parsePointer(p.At); err != nil {
		return out, err
	}
	if p.Value != "" {
		if out.value, err = parseTemplate(p.Value); err != nil {
			return out, err
		}
	}
	if out.zone, err = parseTemplate(p.Zone); err != nil {
		return out, err
	}
	if len(p.Default) > 0 {
		out.fallback, err = decodeJSON(p.Default)
	}
	return out, err
}

func unknown(field string, names []string, known map[string]bool) error {
	for _, name := range names {
		if !known[name] {
			return faultf(field, "uses {%s}, which is neither a parameter nor picked before", name)
		}
	}
	return nil
}

// place puts every parameter that no template uses where In or the default
// says.
func (e *Endpoint) place(q *request, params *schema) error {
	for name := range e.In {
		if _, ok := params.props[name]; !ok {
			return faultf("in."+oneLine(name, 80), "is not among the parameters")
		}
	}
	whole := false
	for _, where := range e.In {
		whole = whole || where == "body"
	}
	byDefault := "property"
	if whole || slices.Contains([]string{"GET", "HEAD", "DELETE"}, q.method) {
		byDefault = "query"
	}
	if _, isObject := q.body.(map[string]any); q.body != nil && !isObject {
		byDefault = "query"
	}
	used := q.names()
	for _, name := range slices.Sorted(maps.Keys(params.props)) {
		where, declared := e.In[name]
		if !declared && slices.Contains(used, name) {
			continue
		}
		if !declared {
			where = byDefault
		}
		if err := e.placeStyled(q, name, where); err != nil {
			return err
		}
	}
	for name := range e.Style {
		if !slices.ContainsFunc(q.names(), func(n string) bool { return n == name }) {
			return faultf("style."+oneLine(name, 80), "is not among the parameters")
		}
	}
	if byDefault == "property" && q.body == nil && params.open {
		q.body = map[string]any{}
	}
	return nil
}

// placeStyled places a parameter, in its style if it has one.
func (e *Endpoint) placeStyled(q *request, name, where string) error {
	style, ok := e.Style[name]
	kind, _, _ := strings.Cut(where, ":")
	if !ok && kind != "cookie" {
		if err := q.placeOne(name, where); err != nil {
			return faultf("in."+oneLine(name, 80), "%v", err)
		}
		return nil
	}
	style, err := style.in(kind)
	if err != nil {
		return faultf("style."+oneLine(name, 80), "%v", err)
	}
	if err := q.placeIn(name, where, style); err != nil {
		return faultf("in."+oneLine(name, 80), "%v", err)
	}
	return nil
}

// placeIn is placeOne with a style that is right there.
func (q *request) placeIn(name, where string, style Style) error {
	kind, wire, renamed := strings.Cut(where, ":")
	if !renamed {
		wire = name
	}
	s := styled{wire, name, style}
	switch {
	case strings.ContainsAny(name, "{},"):
		return errors.New("the name must not hold { } or a comma")
	case kind == "query":
		q.styled = append(q.styled, s)
		return nil
	case kind == "cookie" && !httpguts.ValidHeaderFieldName(wire):
		return fmt.Errorf("%q is not a valid name of a cookie", oneLine(wire, 80))
	case kind == "cookie":
		q.cookies = append(q.cookies, s)
		return nil
	}
	if q.styles == nil {
		q.styles = map[string]styled{}
	}
	q.styles[name] = s
	return q.placeOne(name, where)
}

// styleParts gives the members of a form their styles.
func (e *Endpoint) styleParts(q *request) error {
	if len(e.Parts) == 0 {
		return nil
	}
	kind, _, _ := kindOfBody(q.bodyType)
	q.parts = map[string]Style{}
	for name, style := range e.Parts {
		field := "parts." + oneLine(name, 80)
		err := style.checkContent()
		switch {
		case kind == formBody:
			style, err = style.in("query")
		case kind != multipartBody:
			err = errors.New("is for bodies of type form or multipart")
		}
		if err != nil {
			return faultf(field, "%v", err)
		}
		q.parts[name] = style
	}
	return nil
}

func (q *request) placeOne(name, where string) error {
	if strings.ContainsAny(name, "{},") {
		return errors.New("the name must not hold { } or a comma")
	}
	where, wire, renamed := strings.Cut(where, ":")
	if !renamed {
		wire = name
	}
	value := template{{name: name}}
	switch where {
	case "path":
		return q.placeInPath(name, wire)
	case "query", "query-list":
		value[0].list = where == "query-list"
		q.query = append(q.query, field{template{}.text(wire), value})
	case "header":
		return q.placeInHeader(wire, value)
	case "property", "body":
		return q.placeInBody(where == "body", wire, value)
	default:
		return errors.New("must be path, query, query-list, header, cookie, property or body")
	}
	return nil
}

// placeInPath lets name stand for {wire} in the path.
func (q *request) placeInPath(name, wire string) error {
	found := false
	for _, t := range q.path {
		for i := range t {
			if t[i].name == wire && !t[i].placed {
				t[i].name, t[i].placed, found = name, true, true
			}
		}
	}
	if !found {
		return fmt.Errorf("the URL's path has no {%s}", wire)
	}
	return nil
}

func (q *request) placeInHeader(wire string, value template) error {
	canonical := http.CanonicalHeaderKey(wire)
	taken := slices.ContainsFunc(slices.Collect(maps.Keys(q.fixed)), func(k string) bool { return http.CanonicalHeaderKey(k) == canonical })
	switch {
	case !httpguts.ValidHeaderFieldName(wire):
		return fmt.Errorf("%q is not a valid header name", oneLine(wire, 80))
	case taken, slices.Contains(ownHeaders, canonical), slices.Contains([]string{"Authorization", "Cookie", "Content-Type"}, canonical):
		return fmt.Errorf("the header %s cannot be set by an argument", canonical)
	}
	q.headers = append(q.headers, field{template{}.text(canonical), value})
	return nil
}

func (q *request) placeInBody(whole bool, wire string, value template) error {
	if q.method == http.MethodGet || q.method == http.MethodHead {
		return fmt.Errorf("%s has no body", q.method)
	}
	if whole {
		if q.body != nil {
			return errors.New(`only one argument can be the whole body; use "property" for members of it`)
		}
		q.body = value
		return nil
	}
	object, ok := q.body.(map[string]any)
	if q.body == nil {
		object, ok = map[string]any{}, true
	}
	if !ok {
		return errors.New("the body is not an object that could have it as a property")
	}
	object[wire] = value
	q.body = object
	return nil
}
