package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tool returns the endpoint as a tool that sends its requests through client;
// nil means a client with default limits. Its error is that of
// [Endpoint.Validate].
func (e Endpoint) Tool(client *Client) (Tool, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	p, err := e.compile()
	if err != nil {
		return nil, err
	}
	if client == nil {
		client = NewClient(ClientOptions{})
	}
	return &endpointTool{
		plan: p, client: client, spec: e.spec(p), redactor: e.redactor(),
		timeout: time.Duration(cmp.Or(e.TimeoutMs, DefaultTimeoutMs)) * time.Millisecond,
		limit:   cmp.Or(e.MaxBytes, DefaultMaxBytes),
	}, nil
}

// spec describes the endpoint. Of several requests it names the one that may
// do most, the last of them.
func (e *Endpoint) spec(p *plan) Spec {
	s := Spec{Name: e.Name, Description: e.Description, Parameters: e.Parameters, Effect: e.effect()}
	if len(s.Parameters) == 0 {
		s.Parameters = json.RawMessage(noParameters)
	}
	for _, step := range p.steps {
		if s.Host == "" || step.request.method != http.MethodGet || s.Method == http.MethodGet {
			s.Method, s.Host = step.request.method, strings.SplitAfter(step.request.base, "://")[1]
		}
	}
	return s
}

// An endpointTool is a compiled [Endpoint]. All methods may be called
// concurrently.
type endpointTool struct {
	plan     *plan
	client   *Client
	spec     Spec
	redactor redactor
	timeout  time.Duration // of a call
	limit    int           // bytes of an answer
}

func (t *endpointTool) Spec() Spec { return t.spec }

// Call implements [Tool].
func (t *endpointTool) Call(ctx context.Context, call Call) (Result, error) {
	began := time.Now()
	inner, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	r := &exchange{endpointTool: t, ctx: inner, call: call, began: began}
	res := r.run()
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("tools: call %s: %w", t.spec.Name, ctx.Err())
	}
	r.out.LatencyMs = time.Since(began).Milliseconds()
	r.out.Failed, r.out.Reason = res.Failed, res.Outcome.Reason
	res.Outcome = r.out
	return t.redactor.result(res), nil
}

// An exchange is one call of an endpoint under way.
type exchange struct {
	*endpointTool
	ctx   context.Context
	call  Call
	began time.Time
	out   Outcome
}

func (x *exchange) run() Result {
	vs, err := x.plan.params.check(x.call.Arguments)
	if err != nil {
		return fail(err.Error(), "Nothing was sent. Call again with corrected arguments.")
	}
	extra := x.extra(vs)
	var last answer
	for i, step := range x.plan.steps {
		var failed *Result
		if last, failed = x.send(step, vs, extra, i == len(x.plan.steps)-1); failed != nil {
			return *failed
		}
		if failed := x.pick(step, &last, vs); failed != nil {
			return *failed
		}
	}
	return x.result(&last, vs)
}

// extra returns the arguments that an open schema let in without naming them.
func (x *exchange) extra(vs values) map[string]any {
	extra := map[string]any{}
	used := x.plan.steps[0].request.names()
	for name, v := range vs {
		if _, ok := x.plan.params.props[name]; !ok && len(x.plan.steps) == 1 && !slices.Contains(used, name) {
			extra[name] = v
		}
	}
	return extra
}

// send makes one request. It returns a Result only if that is the end.
func (x *exchange) send(step planStep, vs values, extra map[string]any, last bool) (answer, *Result) {
	req, err := step.request.build(x.ctx, vs, extra)
	if err != nil {
		res := fail("the request could not be made: "+err.Error(), "Nothing was sent. Call again with other arguments.")
		return answer{}, &res
	}
	x.mark(req, step, last)
	x.out.Method, x.out.Host, x.out.Status = req.Method, req.URL.Host, 0
	x.out.Requests++
	resp, err := x.client.Do(req)
	if err != nil {
		return answer{}, x.broken(err)
	}
	defer resp.Body.Close()
	x.out.Status = resp.StatusCode
	a, err := readAnswer(resp, x.limit)
	x.out.Bytes += a.wire
	x.out.Cut = x.out.Cut || a.cut
	if err != nil && !a.cut {
		return a, x.broken(err)
	}
	// What lies behind the limit is not drained: closing ends the connection.
	if !a.ok() {
		return a, x.refused(&a)
	}
	return a, nil
}

// mark sets the headers by which a service can tell calls apart. Each request
// of several has a key of its own; the last one's is the call's id.
func (x *exchange) mark(req *http.Request, step planStep, last bool) {
	if x.spec.Effect != Safe && x.call.ID != "" {
		key := x.call.ID
		if !last {
			key += ":" + step.id
		}
		req.Header.Set("Idempotency-Key", key)
	}
	if x.call.Generation != 0 {
		req.Header.Set("Parley-Generation", strconv.FormatUint(x.call.Generation, 10))
	}
}

// broken is the Result of a request without a whole answer.
func (x *exchange) broken(err error) *Result {
	reason, advice := Reason(err), "The service may be down; calling again later may help."
	var refused *RefusedError
	var redirect *RedirectError
	switch {
	case errors.As(err, &refused), errors.As(err, &redirect):
		advice = "Other arguments will not change that: tell the user."
	case errors.Is(x.ctx.Err(), context.DeadlineExceeded):
		reason = fmt.Sprintf("there was no whole answer within %s", x.timeout)
	}
	if x.spec.Effect != Safe && !unsent(err) {
		advice += " It is not known whether the request took effect."
	}
	res := fail(reason, advice+x.done())
	return &res
}

// unsent reports whether a request failed before anything of it was sent.
func unsent(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}

// done says that earlier requests of the call may have changed something.
func (x *exchange) done() string {
	if x.spec.Effect == Safe || x.out.Requests < 2 {
		return ""
	}
	return " Earlier requests of this tool have been carried out."
}

// refused is the Result of an answer whose status is no success.
func (x *exchange) refused(a *answer) *Result {
	reason := strings.TrimSpace(fmt.Sprintf("status %d %s", a.status, http.StatusText(a.status)))
	a.body = []byte(x.redactor.text(string(a.body), a.cut)) // before a message is cut out of it
	if m := x.redactor.text(a.message(), false); m != "" {
		reason += ": " + m
	}
	advice := adviceFor(a.status)
	if s, err := strconv.Atoi(a.retry); err == nil && s > 0 {
		advice += fmt.Sprintf(" The service asks to wait %d s.", s)
	}
	res := fail(reason, advice+x.done())
	return &res
}

// adviceFor says what can be changed about a status.
func adviceFor(status int) string {
	switch status {
	case 400, 413, 414, 422:
		return "Check the arguments against the message and call again."
	case 401, 403, 407:
		return "The credentials stored for this tool were not accepted; only its owner can change that."
	case 404, 410:
		return "Nothing is there under these arguments: check names and ids."
	case 405, 406, 415, 501:
		return "The tool is not registered as the service expects; only its owner can change that."
	case 409, 412, 428:
		return "It conflicts with the present state: look at that first."
	case 408, 425, 429:
		return "Too many requests or too slow: wait before calling again."
	}
	if status >= 500 {
		return "The service has a fault of its own; calling again later may help."
	}
	return "Other arguments may help."
}

// fail is [Failure] with advice for the model that is no part of the reason.
func fail(reason, advice string) Result {
	res := Failure("%s", strings.TrimSuffix(reason, "."))
	res.Outcome.Reason = oneLine(res.Outcome.Reason, 1000)
	res.Content += ". " + advice
	return res
}

// pick adds what step picks from its answer to vs.
func (x *exchange) pick(step planStep, a *answer, vs values) *Result {
	if len(step.picks) == 0 {
		return nil
	}
	doc, ok := a.json()
	if !ok {
		return x.noJSON(a)
	}
	for _, p := range step.picks {
		v, err := p.from(doc, vs, x.began)
		if err != nil {
			res := fail(err.Error(), "Call again with corrected arguments.")
			return &res
		}
		vs[p.name] = v
	}
	for _, p := range step.picks {
		message, ok := step.missing[p.name]
		if !ok || vs[p.name] != nil {
			continue
		}
		text, err := message.expand(vs, func(s string) string { return oneLine(s, 200) })
		if err != nil {
			text = "the answer has no " + p.name
		}
		res := fail(text, "")
		res.Content = strings.TrimSpace(res.Content)
		return &res
	}
	return nil
}

func (x *exchange) noJSON(a *answer) *Result {
	reason := "the service's answer is not valid JSON"
	if a.cut {
		reason = fmt.Sprintf("the service's answer is larger than %d bytes and was not read", x.limit)
	}
	if !a.cut && a.isText() && !a.isHTML() {
		// Where a stream broke, the end says why.
		reason += ", it ends with: " + oneLine(lastBytes(x.redactor.text(string(a.body), true), 200), 200)
	}
	res := fail(reason, "Calling again later, or asking for less, may help.")
	return &res
}

// from returns the pick's value, nil for none.
func (p planPick) from(doc json.RawMessage, vs values, now time.Time) (any, error) {
	var v any
	if p.value != nil {
		v, _ = p.value.value(vs) // absent is nil
	} else if raw, ok := p.at.find(doc); ok {
		v, _ = decodeJSON(raw) // valid: it is part of doc
	}
	if v == nil {
		v = p.fallback
	}
	if mapped, ok := p.table[textOf(v)]; ok && v != nil {
		v = mapped
	}
	if p.date && v != nil {
		zone, _ := p.zone.expand(vs, verbatim)
		return dayOf(textOf(v), zone, now)
	}
	return v, nil
}

// result returns what the last answer, or the endpoint's Result, comes to.
func (x *exchange) result(a *answer, vs values) Result {
	if x.plan.result != nil {
		v, ok := fillTree(x.plan.result, vs)
		if !ok {
			return fail("the service's answers lack what was asked for", "Other arguments may help.")
		}
		return Result{Content: cmp.Or(textOfResult(v), "(no content)")}
	}
	if x.plan.sources != nil && !a.empty() {
		return x.passages(a)
	}
	if x.plan.sel != nil && !a.empty() {
		doc, ok := a.json()
		if !ok {
			return *x.noJSON(a)
		}
		if a.body, ok = x.plan.sel.find(doc); !ok {
			return fail("the answer has nothing at "+"/"+strings.Join(x.plan.sel, "/"), "The service answers otherwise than the tool's owner declared.")
		}
		if text, ok := jsonString(a.body); ok {
			return Result{Content: cmp.Or(text, "(no content)")}
		}
	}
	text, readable := a.render()
	if !readable {
		return Result{Content: text, Failed: x.spec.Effect == Safe, Outcome: Outcome{Reason: unreadable(x.spec.Effect, a)}}
	}
	text = x.redactor.text(text, a.cut)
	if a.cut {
		text += cutNote(x.limit)
	}
	return Result{Content: text}
}

// unreadable is the reason why an answer that was asked for its content
// failed; a request that was made for its effect did not.
func unreadable(e Effect, a *answer) string {
	if e != Safe {
		return ""
	}
	return "the answer is " + oneLine(cmp.Or(a.media, "binary data"), 100) + ", which is no text"
}

func textOfResult(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(compactJSON(v))
}

// passages returns the answer's sources, written so that a model can cite
// them.
func (x *exchange) passages(a *answer) Result {
	doc, ok := a.json()
	if !ok {
		return *x.noJSON(a)
	}
	var sources []Source
	raw, ok := x.plan.sources.find(doc)
	if !ok || json.Unmarshal(raw, &sources) != nil {
		return fail("the answer has no list of passages at /"+strings.Join(x.plan.sources, "/"), "The service answers otherwise than the tool's owner declared.")
	}
	var b strings.Builder
	for i := range sources {
		s := &sources[i]
		s.Ref = cmp.Or(oneLine(s.Ref, 200), strconv.Itoa(i+1))
		heads := append([]string{cmp.Or(s.Title, s.Document)}, s.Headings...)
		fmt.Fprintf(&b, "[%s] %s\n%s\n\n", s.Ref, oneLine(strings.Join(heads, " › "), 500), strings.TrimSpace(s.Text))
	}
	return Result{Content: cmp.Or(strings.TrimSpace(b.String()), "(no passages were found)"), Sources: sources}
}

var _ Tool = (*endpointTool)(nil)
