package tools

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// send makes one request, or has it answered from the cache. It returns a
// Result only if that is the end.
func (x *exchange) send(step planStep, vs values, extra map[string]any, last bool) (answer, *Result) {
	req, err := step.request.build(x.ctx, vs, extra)
	if err != nil {
		res := fail("the request could not be made: "+err.Error(), "Nothing was sent. Call again with other arguments.")
		return answer{}, &res
	}
	if failed := x.settle(req, step.request.auth); failed != nil {
		return answer{}, failed
	}
	key, keep := x.keyOf(req) // without the credential itself, of which there may be a new token tomorrow
	x.mark(req, step, last)
	x.out.Method, x.out.Host, x.out.Status = req.Method, req.URL.Host, 0
	if failed := x.sign(req); failed != nil {
		return answer{}, failed
	}
	var r reply
	if keep {
		r = x.cached(req, key)
	} else {
		r = x.attempts(req)
		x.came("", 0)
		x.changed(req, &r)
	}
	x.out.Status = r.answer.status
	if x.denied != nil {
		return answer{}, x.denied
	}
	if r.err != nil {
		return r.answer, x.broken(&r)
	}
	if !r.answer.ok() {
		return r.answer, x.refused(&r)
	}
	x.earlier++
	return r.answer, nil
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
func (x *exchange) broken(r *reply) *Result {
	reason, advice := Reason(r.err), "The service may be down; calling again later may help."
	var refused *RefusedError
	var redirect *RedirectError
	var paused *pausedError
	var crowded *crowdedError
	switch {
	case errors.As(r.err, &paused):
		x.out.Breaker = "open"
		reason, advice = paused.Error(), paused.advice()
	case errors.As(r.err, &crowded):
		reason, advice = crowded.Error(), "Nothing was sent. Call again later."
	case errors.As(r.err, &refused), errors.As(r.err, &redirect):
		advice = "Other arguments will not change that: tell the user."
	case errors.Is(r.err, context.DeadlineExceeded) && errors.Is(x.ctx.Err(), context.DeadlineExceeded):
		reason = fmt.Sprintf("there was no whole answer within %s", x.timeout)
	}
	if x.spec.Effect != Safe && (r.sent || x.doubt) {
		advice += " It is not known whether the request took effect."
	}
	res := fail(reason, advice+x.done())
	return &res
}

// done says that earlier requests of the call may have changed something.
func (x *exchange) done() string {
	if x.spec.Effect == Safe || x.earlier == 0 {
		return ""
	}
	return " Earlier requests of this tool have been carried out."
}

// refused is the Result of an answer whose status is no success.
func (x *exchange) refused(r *reply) *Result {
	a := &r.answer
	reason := strings.TrimSpace(fmt.Sprintf("status %d %s", a.status, http.StatusText(a.status)))
	a.body = []byte(x.redactor.text(string(a.body), a.cut)) // before a message is cut out of it
	if m := x.redactor.text(a.message(), false); m != "" {
		reason += ": " + m
	}
	advice := adviceFor(a.status)
	if wait := retryAfter(a.retry, r.received); wait > 0 {
		advice += fmt.Sprintf(" The service asks to wait %d s.", int(math.Ceil(wait.Seconds())))
	}
	if x.spec.Effect != Safe && x.doubt {
		advice += " It is not known whether an earlier attempt took effect."
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
