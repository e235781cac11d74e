package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Tool returns the endpoint as a tool that sends its requests through client;
// nil means a client with default limits. Its error is that of
// [Endpoint.Validate].
//
// A tool that names a [Credential] needs a [Registry], which has them.
func (e Endpoint) Tool(client *Client) (Tool, error) {
	p, err := e.valid()
	if err != nil {
		return nil, err
	}
	return e.planned(p, client, nil), nil
}

// planned returns the endpoint as a tool with that plan.
func (e Endpoint) planned(p *plan, client *Client, credentials *Credentials) *endpointTool {
	if client == nil {
		client = NewClient(ClientOptions{})
	}
	return &endpointTool{
		plan: p, client: client, credentials: credentials, spec: e.spec(p), redactor: e.redactor(), traffic: newTraffic(&e),
		timeout: time.Duration(cmp.Or(e.TimeoutMs, DefaultTimeoutMs)) * time.Millisecond,
		limit:   cmp.Or(e.MaxBytes, DefaultMaxBytes), tokens: cmp.Or(e.MaxTokens, DefaultMaxTokens),
	}
}

// spec describes the endpoint. Of several requests it names the one that may
// do most, the last of them.
func (e *Endpoint) spec(p *plan) Spec {
	s := Spec{Name: e.Name, Description: e.Description, Parameters: e.Parameters, Effect: e.effect(), Tags: e.Tags, Approval: e.Approval}
	if len(s.Parameters) == 0 {
		s.Parameters = json.RawMessage(noParameters)
	}
	for i, step := range p.steps {
		if s.Host == "" || step.request.method != http.MethodGet || s.Method == http.MethodGet {
			s.Method, s.Host = step.request.method, strings.SplitAfter(step.request.base, "://")[1]
			s.Path = pathOf(e.requests()[i].URL)
		}
	}
	return s
}

// pathOf returns the path of a URL template.
func pathOf(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	_, path, ok := strings.Cut(rest, "/")
	path, _, _ = strings.Cut(path, "?")
	if !ok {
		return ""
	}
	return "/" + path
}

// An endpointTool is a compiled [Endpoint]. All methods may be called
// concurrently.
type endpointTool struct {
	plan   *plan
	client *Client
	spec   Spec

	credentials *Credentials // nil for none

	redactor redactor
	traffic  *traffic
	timeout  time.Duration // of a call
	limit    int           // bytes of an answer
	tokens   int           // of a result
	files    Files         // nil: nothing is kept
}

func (t *endpointTool) Spec() Spec { return t.spec }

// Call implements [Tool].
func (t *endpointTool) Call(ctx context.Context, call Call) (Result, error) {
	began := time.Now()
	inner, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	r := &exchange{endpointTool: t, ctx: inner, call: call, began: began, redactor: t.redactor}
	res := r.fit(r.run())
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("tools: call %s: %w", t.spec.Name, ctx.Err())
	}
	r.out.Cache, r.out.AgeMs = r.provenance()
	r.out.LatencyMs = time.Since(began).Milliseconds()
	r.out.Failed, r.out.Reason = res.Failed, res.Outcome.Reason
	res.Outcome = r.out
	return r.redactor.result(res), nil
}

// An exchange is one call of an endpoint under way.
type exchange struct {
	*endpointTool
	ctx   context.Context
	call  Call
	began time.Time
	out   Outcome

	redactor redactor // the endpoint's, and that of every credential that was used

	// credential identifies the credential that the requests carry besides the
	// declared headers and query and whose it is, without a secret; empty for
	// none: an answer that was kept for one is never another's.
	credential string
	want       *want   // that credential
	token      int64   // version of the token of it that was sent
	denied     *Result // instead of an answer: there is no token any more

	earlier int          // requests that have been answered with success
	doubt   bool         // one that may have changed something had no whole answer
	sources []provenance // where the answers came from
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

var _ Tool = (*endpointTool)(nil)
