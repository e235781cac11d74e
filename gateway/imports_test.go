package gateway_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateway"
	"parley/gateway/gatewaytest"
)

// A seen is what tests read of an import.
type seen struct {
	ID, State, From  string
	Ahead, Count, Of int
	Ended            *time.Time
	Report           *imported
	Problem          *gateway.Problem
}

// sight is what p sees of an import.
func (p *person) sight(id string) (v seen) {
	p.w.Helper()
	p.get("/v1/tools/imports/"+id).into(http.StatusOK, &v)
	return v
}

// follow looks until an import has ended.
func (p *person) follow(id string) seen {
	p.w.Helper()
	for range 100 {
		if v := p.sight(id); v.Ended != nil || v.State == "lost" {
			return v
		}
		time.Sleep(200 * time.Millisecond) // the bubble's clock
	}
	p.w.Fatalf("the import %s does not end: %+v", id, p.sight(id))
	return seen{}
}

// slowDocument serves the document in two halves: the second comes when
// somebody sends to the channel.
func (w *world) slowDocument(document string) (asked chan struct{}, more chan struct{}) {
	asked, more = make(chan struct{}, 8), make(chan struct{})
	w.Cleanup(w.net.Serve(toolHost, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		half := len(document) / 2
		rw.Header().Set("Content-Length", strconv.Itoa(len(document)))
		_, _ = rw.Write([]byte(document[:half]))
		_ = http.NewResponseController(rw).Flush()
		asked <- struct{}{}
		select {
		case <-more:
			_, _ = rw.Write([]byte(document[half:]))
		case <-r.Context().Done():
		}
	})))
	return asked, more
}

var shopRequest = object{"url": "http://10.1.2.3/openapi.json", "select": object{"tags": []string{"orders"}}}

// later starts an import and returns what is said of it at once.
func (p *person) later(request object) (v seen) {
	p.w.Helper()
	a := p.do("POST", "/v1/tools/import", request, "Prefer", "respond-async")
	a.into(http.StatusAccepted, &v)
	if a.header.Get("Location") != "/v1/tools/imports/"+v.ID || a.header.Get("Preference-Applied") != "respond-async" || v.Ended == nil && a.header.Get("Retry-After") == "" {
		p.w.Errorf("it does not say where to look: %v", a.header)
	}
	return v
}

func TestAnImportIsFollowedFromEveryReplica(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		asked, more := w.slowDocument(shopDocument)
		one, two := w.gate(), w.gate()
		admin := w.admin(one)
		v := admin.later(shopRequest)
		<-asked
		time.Sleep(2 * time.Second)
		for _, p := range []*person{admin, w.admin(two)} {
			if v := p.sight(v.ID); v.State != "fetching" || v.Count != len(shopDocument)/2 || v.Of != len(shopDocument) || v.From != "http://10.1.2.3/openapi.json" {
				t.Errorf("%s sees %+v of an import that is half there", p.host, v)
			}
		}
		waiting := w.admin(one).later(shopRequest)
		if waiting.State != "queued" || waiting.Ahead != 1 {
			t.Errorf("the second of two is %+v", waiting)
		}
		more <- struct{}{}
		<-asked
		more <- struct{}{}
		for _, p := range []*person{w.admin(two), admin} {
			done := p.follow(v.ID)
			if done.State != "done" || done.Report == nil || done.Report.line(t, "GET /orders/{order}").Status != "imported" {
				t.Errorf("%s sees the end as %+v", p.host, done)
			}
			if again := p.follow(waiting.ID); again.State != "done" || again.Report.line(t, "GET /orders/{order}").Status != "unchanged" {
				t.Errorf("%s sees the end of the second as %+v", p.host, again)
			}
		}
		admin.do("DELETE", "/v1/tools/imports/"+v.ID, nil).into(http.StatusNoContent, nil)
		admin.get("/v1/tools/imports/"+v.ID).problem(http.StatusNotFound, "not_found", "")
	})
}

func TestAnImportIsCancelledFromEveryReplica(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		asked, _ := w.slowDocument(shopDocument)
		one, two := w.gate(), w.gate()
		for _, at := range []*gatewaytest.Gateway{one, two} {
			v := w.admin(one).later(shopRequest)
			<-asked
			time.Sleep(time.Second)
			w.admin(at).do("DELETE", "/v1/tools/imports/"+v.ID, nil).into(http.StatusAccepted, nil)
			for _, p := range []*person{w.admin(one), w.admin(two)} {
				if v := p.follow(v.ID); v.State != "cancelled" || v.Problem == nil || v.Problem.Code != "conflict" {
					t.Errorf("cancelled at %s, %s sees %+v", at.Host, p.host, v)
				}
			}
		}
		w.admin(one).get("/v1/tools/get_order").problem(http.StatusNotFound, "not_found", "")
	})
}

func TestAnImportWhoseReplicaDiedIsLost(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		asked, _ := w.slowDocument(shopDocument)
		one, two := w.gate(), w.gate()
		v := w.admin(one).later(shopRequest)
		<-asked
		time.Sleep(time.Second)
		one.Replica.Link.Cut()
		lost := w.admin(two).follow(v.ID)
		if lost.State != "lost" || lost.Problem == nil || !strings.Contains(lost.Problem.Detail, "Import again") {
			t.Errorf("it is seen as %+v", lost)
		}
		w.admin(two).do("DELETE", "/v1/tools/imports/"+v.ID, nil).into(http.StatusNoContent, nil)
	})
}

func TestAnImportEndsWithItsReplica(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		asked, _ := w.slowDocument(shopDocument)
		one, two := w.gate(), w.gate()
		v := w.admin(one).later(shopRequest)
		<-asked
		one.SendAway()
		if v := w.admin(two).follow(v.ID); v.State != "failed" || v.Problem == nil || v.Problem.Code != "unavailable" {
			t.Errorf("it is seen as %+v", v)
		}
		w.admin(one).do("POST", "/v1/tools/import", shopRequest).problem(http.StatusServiceUnavailable, "unavailable", "")
	})
}

func TestAnImportFailsInTheBackgroundAsInFront(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		document := "<html>"
		w.shopService(&document)
		admin := w.admin(w.gate())
		v := admin.follow(admin.later(shopRequest).ID)
		if v.State != "failed" || v.Problem == nil || v.Problem.Field != "document" || v.Problem.Status != http.StatusUnprocessableEntity {
			t.Errorf("it is seen as %+v", v)
		}
		admin.do("POST", "/v1/tools/import?wait=0s", object{}).problem(http.StatusBadRequest, "bad_request", "url")
		admin.do("POST", "/v1/tools/import?wait=1", shopRequest).problem(http.StatusBadRequest, "bad_request", "wait")
	})
}

func TestHowLongAnImportIsWaitedFor(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		asked, more := w.slowDocument(shopDocument)
		admin := w.admin(w.gate())
		for _, tt := range []struct {
			query, prefer string
			waits         time.Duration
		}{
			{"", "respond-async", 0},
			{"?wait=0s", "", 0},
			{"?wait=3s", "", 3 * time.Second},
			{"", "wait=2", 2 * time.Second},
			{"", "Respond-Async, wait=2", 2 * time.Second},
			{"?wait=1s", "respond-async, wait=9", time.Second},
		} {
			began := time.Now()
			var v seen
			admin.do("POST", "/v1/tools/import"+tt.query, shopRequest, "Prefer", tt.prefer).into(http.StatusAccepted, &v)
			if waited := time.Since(began).Round(100 * time.Millisecond); waited != tt.waits {
				t.Errorf("%s with Prefer: %s waits %s, want %s", tt.query, tt.prefer, waited, tt.waits)
			}
			<-asked
			more <- struct{}{}
			admin.follow(v.ID)
		}
		go func() { <-asked; time.Sleep(time.Second); more <- struct{}{} }()
		admin.do("POST", "/v1/tools/import?wait=3s", shopRequest).into(http.StatusOK, nil)
	})
}

func TestImportsStandInALineThatEnds(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		asked, _ := w.slowDocument(shopDocument)
		admin := w.admin(w.gate())
		first := admin.later(shopRequest)
		<-asked
		second, third := admin.later(shopRequest), admin.later(shopRequest)
		if p := admin.do("POST", "/v1/tools/import", shopRequest).problem(http.StatusServiceUnavailable, "busy", ""); p.RetryMs == 0 {
			t.Errorf("it does not say when to try again: %+v", p)
		}
		admin.do("DELETE", "/v1/tools/imports/"+second.ID, nil)
		if v := admin.follow(second.ID); v.State != "cancelled" {
			t.Errorf("one that waits is cancelled as %+v", v)
		}
		if v := admin.sight(third.ID); v.State != "queued" || v.Ahead != 1 {
			t.Errorf("the last in line is %+v", v)
		}
		time.Sleep(31 * time.Second)
		if v := admin.sight(first.ID); v.State != "failed" || v.Problem.Field != "url" || !strings.Contains(v.Problem.Detail, "30s") {
			t.Errorf("one that takes too long is %+v", v)
		}
		<-asked // the third has its turn
	})
}

func TestAnImportEndsWithWhoeverWaitsForIt(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		asked, _ := w.slowDocument(shopDocument)
		admin := w.admin(w.gate())
		ctx, leave := context.WithCancel(w.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			if res, err := w.net.Client().Do(admin.request(ctx, "POST", "/v1/tools/import", shopRequest)); err == nil {
				_ = res.Body.Close()
			}
		}()
		<-asked
		leave()
		<-left
		synctest.Wait()
		if v := admin.later(shopRequest); v.Ahead != 0 {
			t.Errorf("one that nobody waits for is still before another: %+v", v)
		}
	})
}
