package tools

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"

	"parley/tools/httpcache"
)

// A Cache keeps bytes for a while, for all replicas together. It may lose
// anything at any time. A Get must return soon: one that cannot tell returns
// an error, and everything goes on without it. All methods must be safe for
// concurrent use.
type Cache interface {
	// Get returns a value for each key, nil where there is none.
	Get(ctx context.Context, keys ...string) ([][]byte, error)
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Delete(ctx context.Context, key string) error
}

// unkeyed are headers that are set behind a key's back.
var unkeyed = []string{"Traceparent", "Tracestate", "Parley-Generation", "Idempotency-Key"}

// markTTL is how long a mark outlives what was kept under it.
const markTTL = httpcache.MaxKeep + time.Hour

// A cacheKey says where an answer is kept. An address's mark changes whenever
// something there may have changed, and an entry counts only while the mark is
// the one under which it was asked for. So one change makes all of an
// address's entries worthless, whoever they belong to, and an entry without a
// mark is one too.
type cacheKey struct{ entry, mark string }

// keyOf returns where the answer to req may be kept, and false if nowhere.
// The key is made of everything that is sent: of the tool, the credentials,
// and all headers that the endpoint and the arguments set.
func (x *exchange) keyOf(req *http.Request) (k cacheKey, ok bool) {
	if x.client.cache == nil || x.traffic.off || x.spec.Effect == Unsafe || req.Body != nil || !httpcache.Askable(req.Method, req.Header) {
		return cacheKey{}, false
	}
	h := sha256.New()
	part := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	for _, s := range []string{x.spec.Name, x.credential, req.Method, req.URL.String()} {
		part(s)
	}
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		part(name)
		for _, v := range req.Header[name] {
			part(v)
		}
	}
	return cacheKey{"e" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)), markOf(req)}, true
}

// markOf is the key of the mark for req's address, its query left out: what
// was posted to a list changes every page of it.
func markOf(req *http.Request) string {
	sum := sha256.Sum256([]byte(origin(req.URL) + req.URL.EscapedPath()))
	return "m" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// A kept is what a cache has for a request: an entry, or none, and the mark
// now.
type kept struct {
	entry *httpcache.Entry
	mark  string
}

func (x *exchange) look(k cacheKey) (had kept) {
	values, err := x.client.cache.Get(x.ctx, k.entry, k.mark)
	if err != nil || len(values) != 2 {
		return kept{}
	}
	had.mark = string(values[1])
	e := &httpcache.Entry{}
	if len(values[0]) == 0 || e.UnmarshalBinary(values[0]) != nil || e.Mark != had.mark || len(e.Body) > x.limit {
		return had
	}
	had.entry = e
	return had
}

// cached answers req from the cache, or asks the service and keeps what it
// may.
func (x *exchange) cached(req *http.Request, k cacheKey) reply {
	if x.traffic.notCacheable() {
		r := x.attempts(req)
		x.came("", 0)
		x.learn(&r)
		return r
	}
	had := x.look(k)
	mustAsk := httpcache.MustAsk(req.Header)
	if !mustAsk && had.fresh() {
		return x.from(had.entry, CacheHit)
	}
	if !mustAsk && x.oftenCacheable(had) {
		return x.joined(req, k, had)
	}
	return x.revalidated(req, k, had)
}

func (had kept) fresh() bool { return had.entry != nil && had.entry.Fresh(time.Now()) }

// oftenCacheable reports whether others who want the same at the same time may
// wait for this answer, since it will most probably be theirs too.
func (x *exchange) oftenCacheable(had kept) bool {
	return had.entry != nil || had.mark != "" || x.traffic.maxAge > 0 || x.traffic.stored.Load()
}

// from is the reply that an entry makes.
func (x *exchange) from(e *httpcache.Entry, how string) reply {
	a := answer{status: e.Status, body: e.Body}
	a.media, _, _ = mime.ParseMediaType(e.Header.Get("Content-Type"))
	x.traffic.stored.Store(true)
	x.came(how, e.Age(time.Now()))
	return reply{answer: a, header: e.Header, shared: true}
}

// revalidated asks the service, on condition that what the cache had is no
// more right, if it had anything.
func (x *exchange) revalidated(req *http.Request, k cacheKey, had kept) reply {
	e := had.entry
	if e != nil {
		req = req.Clone(req.Context())
		e.Condition(req.Header)
	}
	r := x.attempts(req)
	switch {
	case e != nil && r.err == nil && r.answer.status == http.StatusNotModified:
		return x.confirmed(req, k, had, &r)
	case e != nil && (r.err != nil || faulty(r.answer.status)) && !x.stopped() && e.FreshOnError(time.Now()):
		return x.from(e, CacheStale)
	}
	x.came("", 0)
	x.remember(k, had.mark, &r)
	return r
}

// confirmed is the reply when the service says that e is still right.
func (x *exchange) confirmed(req *http.Request, k cacheKey, had kept, r *reply) reply {
	e := had.entry
	if !e.Refresh(r.header, r.requested, r.received) {
		req.Header.Del("If-None-Match")
		req.Header.Del("If-Modified-Since")
		_ = x.client.cache.Delete(x.ctx, k.entry)
		return x.revalidated(req, k, kept{mark: had.mark})
	}
	if x.policy().Storable(e.Status, e.Header) {
		x.store(k, e)
	} else {
		_ = x.client.cache.Delete(x.ctx, k.entry)
	}
	return x.from(e, Revalidated)
}

func (x *exchange) policy() httpcache.Policy {
	return httpcache.Policy{Declared: x.traffic.maxAge, Unkeyed: unkeyed}
}

// remember stores an answer that may be kept.
func (x *exchange) remember(k cacheKey, mark string, r *reply) {
	if r.err != nil || faulty(r.answer.status) {
		r.shared = x.ctx.Err() == nil // who waits for it as well would hardly fare better
		return
	}
	if !x.learn(r) {
		return
	}
	r.shared = true
	e := &httpcache.Entry{
		Status: r.answer.status, Header: httpcache.Kept(r.header), Body: r.answer.body,
		Requested: r.requested, Received: r.received, Declared: x.traffic.maxAge, Mark: mark,
	}
	if mark == "" && !x.firstMark(k, e) {
		return
	}
	x.store(k, e)
}

// learn notes whether an answer might be kept, and reports it. What repeats a
// secret of the request is not kept, nor what was cut.
func (x *exchange) learn(r *reply) bool {
	if r.err != nil || faulty(r.answer.status) {
		return false
	}
	storable := !r.moved && !r.answer.cut && x.policy().Storable(r.answer.status, r.header) && !x.repeatsSecret(r)
	if storable {
		x.traffic.stored.Store(true)
		x.traffic.inVain.Store(0)
	} else {
		x.traffic.inVain.Add(1)
	}
	return storable
}

// firstMark makes the mark of an address that had none. It is false if
// somebody has made one since the request was sent.
func (x *exchange) firstMark(k cacheKey, e *httpcache.Entry) bool {
	now, err := x.client.cache.Get(x.ctx, k.mark)
	if err != nil || len(now) != 1 || len(now[0]) > 0 {
		return false
	}
	e.Mark = rand.Text()
	return x.client.cache.Set(x.ctx, k.mark, []byte(e.Mark), markTTL) == nil
}

func (x *exchange) store(k cacheKey, e *httpcache.Entry) {
	ttl := e.Keep(time.Now())
	if b, err := e.MarshalBinary(); err == nil && ttl > 0 && len(b) <= x.client.maxEntry {
		_ = x.client.cache.Set(x.ctx, k.entry, b, ttl) // a cache may forget
	}
}

func (x *exchange) repeatsSecret(r *reply) bool {
	if x.redactor.text(string(r.answer.body), false) != string(r.answer.body) {
		return true
	}
	for _, values := range httpcache.Kept(r.header) {
		for _, v := range values {
			if x.redactor.text(v, false) != v {
				return true
			}
		}
	}
	return false
}

// changed makes worthless what is kept of an address where something may have
// been changed: by an unsafe method that succeeded (RFC 9111 4.4).
func (x *exchange) changed(req *http.Request, r *reply) {
	if x.client.cache == nil || req.Method == http.MethodGet || req.Method == http.MethodHead || x.spec.Effect == Safe {
		return
	}
	if r.err == nil && r.answer.status < 400 || r.err != nil && r.sent {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), time.Second)
		defer cancel()
		_ = x.client.cache.Set(ctx, markOf(req), []byte(rand.Text()), markTTL)
	}
}

// A provenance says where an answer came from.
type provenance struct {
	how string
	age time.Duration
}

func (x *exchange) came(how string, age time.Duration) {
	x.sources = append(x.sources, provenance{how, age})
}

// provenance sums up where the call's answers came from: from the cache only
// if all did, unless one of them is stale.
func (x *exchange) provenance() (how string, ageMs int64) {
	var oldest time.Duration
	seen := map[string]bool{}
	for _, p := range x.sources {
		seen[p.how], oldest = true, max(oldest, p.age)
	}
	switch {
	case seen[CacheStale]:
		return CacheStale, oldest.Milliseconds()
	case seen[""] || len(seen) == 0:
		return "", 0
	case seen[Revalidated]:
		return Revalidated, 0
	}
	return CacheHit, oldest.Milliseconds()
}
