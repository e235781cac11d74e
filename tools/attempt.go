package tools

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A reply is what came of a request: an answer, whatever its status, or an
// error if there was no whole one.
type reply struct {
	answer    answer
	header    http.Header
	requested time.Time
	received  time.Time
	moved     bool // a redirect was followed
	sent      bool // anything was
	err       error
	shared    bool // it may be given to others who want the same
}

// attempts makes a request, and again where that is safe and may help. A token
// that the service does not accept is renewed.
func (x *exchange) attempts(req *http.Request) reply {
	r := x.tries(req)
	if again := x.renewed(req, &r); again != nil {
		return x.tries(again)
	}
	return r
}

// tries makes a request with the credential that it has.
func (x *exchange) tries(req *http.Request) reply {
	host := req.URL.Host
	x.client.budget.earn(host)
	var before reply
	for n := 0; ; n++ {
		r := x.once(req)
		x.doubt = x.doubt || r.err != nil && r.sent
		if n > 0 && r.err != nil && x.ctx.Err() != nil {
			return before // the time is up: what went wrong says more than that
		}
		before = r
		wait, again := x.again(req, &r, n)
		if !again || !x.client.budget.spend(host) || !pause(x.ctx, wait) {
			return r
		}
		x.out.Retries++
	}
}

// once makes a request once.
func (x *exchange) once(req *http.Request) (r reply) {
	leave, err := x.traffic.enter(x.ctx)
	if err != nil {
		return reply{err: err}
	}
	defer leave()
	done, err := x.traffic.breakers.of(req.URL.Host, x.client.breaker).allow(req.URL.Host, x.client.breaker)
	if err != nil {
		return reply{err: err}
	}
	defer func() { done(x.verdict(&r)) }()
	ctx := x.ctx
	if x.traffic.attempt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.traffic.attempt)
		defer cancel()
	}
	var sent atomic.Bool // the transport may dial on after it has returned
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	x.out.Requests++
	r = x.ask(req.Clone(ctx))
	r.sent = sent.Load()
	if x.call.Watch != nil {
		x.call.Watch(x.attempt(req, &r))
	}
	return r
}

// ask sends req and reads the answer.
func (x *exchange) ask(req *http.Request) reply {
	if req.GetBody != nil {
		req.Body, _ = req.GetBody() // cannot fail: it is bytes
	}
	setTrace(req.Header, x.call.ID)
	if x.spec.Effect == Unsafe {
		neverReplayed(req)
	}
	r := reply{requested: time.Now()}
	resp, err := x.client.Do(req)
	if err != nil {
		r.err = err
		return r
	}
	defer resp.Body.Close()
	r.header, r.moved = resp.Header, resp.Request.Response != nil
	r.answer, r.err = readAnswer(resp, x.limit)
	r.received = time.Now()
	x.out.Bytes += r.answer.wire
	x.out.Cut = x.out.Cut || r.answer.cut
	if r.answer.cut { // what lies behind the limit is not drained: closing ends the connection
		r.err = nil
	}
	return r
}

// neverReplayed keeps net/http from sending a request a second time by itself.
// It does so when a connection that was used before ends without an answer, if
// the method is GET or HEAD or there is an Idempotency-Key, which it looks for
// in its canonical spelling.
func neverReplayed(req *http.Request) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := req.Header[name]; ok {
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = v
		}
	}
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		req.Body = io.NopCloser(strings.NewReader("")) // empty, but not known to be
	}
}

// again says whether a request is made once more, and after what time.
func (x *exchange) again(req *http.Request, r *reply, n int) (wait time.Duration, ok bool) {
	if n >= x.client.retries || x.ctx.Err() != nil || !passing(r) || r.sent && !x.repeatable(req.Method) {
		return 0, false
	}
	wait = backoff(x.client.backoff, n)
	if r.err == nil {
		wait += retryAfter(r.answer.retry, r.received)
	}
	deadline, bounded := x.ctx.Deadline()
	return wait, !bounded || wait < time.Until(deadline)
}

// repeatable reports whether a request may be made again although it may have
// been carried out.
func (x *exchange) repeatable(method string) bool {
	switch x.traffic.declared {
	case Unsafe:
		return false
	case Safe, Idempotent:
		return true
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// passing reports whether what went wrong may be over in a moment.
func passing(r *reply) bool {
	if r.err == nil {
		switch r.answer.status {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var (
		refused  *RefusedError
		redirect *RedirectError
		paused   *pausedError
		crowded  *crowdedError
		dns      *net.DNSError
		cert     *tls.CertificateVerificationError
		record   tls.RecordHeaderError
	)
	switch {
	case errors.As(r.err, &refused), errors.As(r.err, &redirect), errors.As(r.err, &paused), errors.As(r.err, &crowded),
		errors.As(r.err, &cert), errors.As(r.err, &record), errors.Is(r.err, gzip.ErrHeader), tooManyHeaders(r.err):
		return false
	case errors.As(r.err, &dns):
		return !dns.IsNotFound
	}
	return true
}

func tooManyHeaders(err error) bool {
	return strings.Contains(err.Error(), "response headers exceeded")
}

// retryAfter reads Retry-After, seconds or a date; 0 if there is none.
func retryAfter(field string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(field, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(field); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// stopped reports whether whoever wanted the call wants it no more.
func (x *exchange) stopped() bool { return errors.Is(x.ctx.Err(), context.Canceled) }
