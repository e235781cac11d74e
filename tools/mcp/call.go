package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/tools"
)

// metaKey is where a call's id stands in a request's _meta. A server that
// knows it can tell a call that is made again from a new one.
const metaKey = "parley/idempotencyKey"

// maxSheds is how often a server may send a call away with nothing but a
// state to come back with.
const maxSheds = 3

// A tool is one of a server's, as one run sees it.
type tool struct {
	link    *link
	listed  listed
	spec    tools.Spec
	timeout time.Duration
}

var _ tools.Tool = (*tool)(nil)

// tools returns those of the list that the server's owner lets be used.
func (l *link) tools(server Server, names naming) (ts []tools.Tool) {
	l.mu.Lock()
	all := l.listed
	l.mu.Unlock()
	for _, t := range all {
		if len(server.Allow) > 0 && !slices.Contains(server.Allow, t.remote) || slices.Contains(server.Deny, t.remote) {
			continue
		}
		spec := tools.Spec{Name: names.name(server.Name, t.remote), Description: t.description, Parameters: t.parameters, Effect: tools.Unsafe, Approval: server.Approval, Method: "MCP", Host: l.host}
		if server.Trusted {
			spec.Effect = t.effect
		}
		timeout := time.Duration(cmp.Or(server.TimeoutMs, DefaultTimeoutMs)) * time.Millisecond
		ts = append(ts, &tool{l, t, spec, timeout})
	}
	return ts
}

// Spec implements [tools.Tool].
func (t *tool) Spec() tools.Spec { return t.spec }

// Call implements [tools.Tool]. The server is sent the call once, and again
// only if it surely did not take it, or has asked something that has been
// answered since.
func (t *tool) Call(ctx context.Context, call tools.Call) (tools.Result, error) {
	if err := t.listed.checker.Check(call.Arguments); err != nil {
		return tools.Failure("%v. Call again with corrected arguments.", err), nil
	}
	if !t.link.enter() {
		return tools.Failure("the MCP server %s is no longer registered", t.link.name), nil
	}
	defer t.link.exit()
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	defer context.AfterFunc(t.link.life, cancel)()
	began := time.Now()
	res := t.link.redacted(t.call(ctx, call))
	res.Outcome.Method, res.Outcome.Host = t.spec.Method, t.spec.Host
	res.Outcome.LatencyMs = time.Since(began).Milliseconds()
	return res, nil
}

func (t *tool) call(ctx context.Context, call tools.Call) tools.Result {
	p, err := resume(call.Answer, t.link.key, t.listed.remote)
	if err != nil {
		return tools.Failure("%v", err)
	}
	params := &sdk.CallToolParams{
		Meta: sdk.Meta{metaKey: call.ID}, Name: t.listed.remote, Arguments: argumentsOf(call),
	}
	var given map[string]*sdk.ElicitResult
	if p != nil {
		var wrong string
		if given, wrong = p.replies(call.Answer); wrong != "" {
			return p.ask(t.link.name, wrong)
		}
		if p.Legacy && call.Answer.Status != tools.AnswerResolved {
			return tools.Failure("the MCP server %s asked something that nobody answered, and the call was given up", t.link.name)
		}
		if !p.Legacy {
			params.RequestState, params.InputResponses = p.State, responses(given)
		}
	}
	return t.exchange(ctx, call, params, newAsker(p, given))
}

func argumentsOf(call tools.Call) json.RawMessage {
	if len(call.Arguments) == 0 {
		return json.RawMessage("{}")
	}
	return call.Arguments
}

// exchange sends the call and returns what came of it.
func (t *tool) exchange(ctx context.Context, call tools.Call, params *sdk.CallToolParams, a *asker) tools.Result {
	for sheds := 0; ; {
		res, err := t.send(ctx, call, params, a)
		switch {
		case len(a.asked) > 0: // whatever came of it came of the refusal to answer
			return a.pending(t.link.key, t.listed.remote).ask(t.link.name, "")
		case err != nil:
			return t.failed(err)
		case !res.NeedsInput():
			return t.result(ctx, call, res)
		case len(res.InputRequests) > 0:
			p, err := pendingOf(t.link.key, t.listed.remote, res)
			if err != nil {
				return tools.Failure("the MCP server %s %v", t.link.name, err)
			}
			return p.ask(t.link.name, "")
		}
		if sheds++; sheds > maxSheds {
			return tools.Failure("the MCP server %s is too busy. Calling again later may help.", t.link.name)
		}
		params.RequestState, params.InputResponses = res.RequestState, nil
		select {
		case <-time.After(time.Duration(sheds) * t.link.o.Settle):
		case <-ctx.Done():
			return t.failed(ctx.Err())
		}
	}
}

// send sends the call once, and once more to a server that has forgotten the
// session and therefore refused it.
func (t *tool) send(ctx context.Context, call tools.Call, params *sdk.CallToolParams, a *asker) (*sdk.CallToolResult, error) {
	for again := false; ; again = true {
		s, give, err := t.link.borrow(ctx, cmp.Or(call.Conversation, "person "+call.Person))
		if err != nil {
			return nil, err
		}
		s.asker.Store(a)
		// The SDK writes what the session needs into the meta it is given.
		p := *params
		p.Meta = sdk.Meta{metaKey: call.ID}
		res, err := s.sdk.CallTool(ctx, &p)
		s.asker.Store(nil)
		missing := errors.Is(err, sdk.ErrSessionMissing)
		if missing {
			_ = s.sdk.Close()
			<-s.ended
		}
		give()
		if !missing || again {
			return res, err
		}
	}
}

// failed says what went wrong, and whether calling again could do harm.
func (t *tool) failed(err error) tools.Result {
	reason := t.link.reason(err)
	poke(t.link.changed) // what it has may have changed, or it may be gone
	var away *awayError
	switch {
	case errors.As(err, &away), errors.Is(err, errBusy), notSent(err):
		return tools.Failure("the MCP server %s was not called: %s", t.link.name, reason)
	case refused(err):
		return tools.Failure("the MCP server %s refused the call: %s", t.link.name, reason)
	case t.spec.Effect == tools.Unsafe:
		return tools.Failure("the MCP server %s gave no answer: %s. Whether it has carried out the call is unknown: do not call again before this has been found out.", t.link.name, reason)
	}
	return tools.Failure("the MCP server %s gave no answer: %s. Calling again later may help.", t.link.name, reason)
}

// redacted returns res without the server's secrets.
func (l *link) redacted(res tools.Result) tools.Result {
	res.Content, res.Outcome.Reason = l.redactor.Replace(res.Content), l.redactor.Replace(res.Outcome.Reason)
	if res.Ask != nil {
		ask := *res.Ask
		ask.Message = l.redactor.Replace(ask.Message)
		res.Ask = &ask
	}
	return res
}
