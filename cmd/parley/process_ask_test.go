//go:build integration && unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"parley/gateway/chat"
)

// A procTill is a service that takes money, and counts how often.
type procTill struct {
	*httptest.Server
	mu    sync.Mutex
	taken map[string]int    // by Idempotency-Key
	asked map[string]string // the body
	takes time.Duration
}

func newProcTill(t testing.TB) *procTill {
	s := &procTill{taken: map[string]int{}, asked: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		key := r.Header.Get("Idempotency-Key")
		s.mu.Lock()
		s.taken[key]++
		s.asked[key] = string(b)
		takes := s.takes
		s.mu.Unlock()
		time.Sleep(takes) // it is slow
		fmt.Fprint(w, `{"paid":true}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *procTill) count() (n, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.taken {
		n, most = n+k, max(most, k)
	}
	return n, most
}

// tool declares the till's tool, which a person has to allow.
func (s *procTill) tool() map[string]any {
	return map[string]any{
		"description": "Takes a payment.", "method": "POST", "url": s.URL + "/charge",
		"parameters": map[string]any{
			"type": "object", "required": []string{"sum"}, "additionalProperties": false,
			"properties": map[string]any{"sum": map[string]any{"type": "number"}, "for": map[string]any{"type": "string"}},
		},
	}
}

func (s *procTill) env() string {
	at, _ := url.Parse(s.URL)
	return "PARLEY_EGRESS_ALLOW=" + at.Host
}

type procInterrupts struct {
	procAnswered
	Interrupts []chat.Interrupt `json:"interrupts"`
}

// pay asks for a payment, and returns what is to be decided.
func (p *procPerson) pay(t *testing.T, base, conv, arguments string) procInterrupts {
	t.Helper()
	var a procInterrupts
	status, err := p.do(t.Context(), "POST", base+"/v1/conversations/"+conv+"/messages?wait=30s", map[string]string{"content": "use charge " + arguments}, &a)
	if err != nil || status != http.StatusAccepted || a.Status != "waiting" || len(a.Interrupts) != 1 {
		t.Fatalf("paying: %d, %v, %+v", status, err, a)
	}
	return a
}

func (p *procPerson) decide(t *testing.T, base string, a procInterrupts, payload any) (int, procAnswered) {
	t.Helper()
	var r procAnswered
	status, err := p.do(t.Context(), "POST", base+"/v1/conversations/"+a.Conversation+"/commands", map[string]any{
		"type": "answer", "answers": []any{map[string]any{"interruptId": a.Interrupts[0].ID, "status": "resolved", "payload": payload}},
	}, &r)
	if err != nil {
		t.Fatal(err)
	}
	return status, r
}

func (p *procPerson) ended(t *testing.T, base, run string) string {
	t.Helper()
	var rec chat.RunRecord
	procUntil(t, 30*time.Second, "the run ends", func() bool {
		status, err := p.do(t.Context(), "GET", base+"/v1/runs/"+run, nil, &rec)
		return err == nil && status == http.StatusOK && rec.Status.Ended()
	})
	return string(rec.Status)
}

// Two replicas: what one asks is answered at the other, with all killed in
// between, and Redis lost; and a replica that dies while it pays does not pay
// again.
func TestAnswersAcrossProcesses(t *testing.T) {
	t.Parallel()
	till, redis := newProcTill(t), procStartRedis(t)
	env := append(procModelEnv(procPuppet(t)), till.env(), "PARLEY_REDIS="+redis.url())
	a := procServe(t, env...)
	b := procNew(t, "other", append(env, "PARLEY_STORE="+a.dir+"/parley.db", "PARLEY_DATA="+a.dir)...)
	b.start()
	procPut(t, a, "charge", till.tool())
	p := procGuest(t, a.url)

	first := p.pay(t, a.url, "new", `{"sum":5}`)
	if status, r := p.decide(t, b.url, first, map[string]any{"approved": "yes"}); status != http.StatusUnprocessableEntity {
		t.Errorf("a payload that does not fit: %d, %+v", status, r)
	}
	if status, r := p.decide(t, b.url, first, map[string]any{"approved": true, "editedArgs": map[string]any{"sum": "much"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("arguments that do not fit: %d, %+v", status, r)
	}
	if status, _ := procGuest(t, a.url).decide(t, b.url, first, map[string]any{"approved": true}); status != http.StatusNotFound {
		t.Errorf("a stranger's answer: %d", status)
	}
	a.kill()
	b.kill()
	redis.kill() // and with it all that it had
	redis.start()
	b.start()
	if status, r := p.decide(t, b.url, first, map[string]any{"approved": true, "editedArgs": map[string]any{"sum": 3}}); status != http.StatusOK {
		t.Fatalf("the answer: %d, %+v", status, r)
	}
	if s := p.ended(t, b.url, first.Run); s != "finished" {
		t.Errorf("it ended as %s", s)
	}
	a.start()
	if status, r := p.decide(t, a.url, first, map[string]any{"approved": false}); status != http.StatusConflict || r.Code != "already_answered" {
		t.Errorf("another answer later: %d, %+v", status, r)
	}

	till.mu.Lock()
	till.takes = 3 * time.Second
	till.mu.Unlock()
	second := p.pay(t, a.url, first.Conversation, `{"sum":7}`)
	if status, r := p.decide(t, a.url, second, map[string]any{"approved": true}); status != http.StatusOK {
		t.Fatalf("the answer: %d, %+v", status, r)
	}
	procUntil(t, 20*time.Second, "the payment has begun", func() bool { n, _ := till.count(); return n == 2 })
	a.kill()
	b.kill()
	b.start()
	if s := p.ended(t, b.url, second.Run); s != "finished" {
		t.Errorf("it ended as %s", s)
	}
	if n, most := till.count(); n != 2 || most != 1 {
		t.Errorf("paid %d times, one of them %d times", n, most)
	}
	till.mu.Lock()
	defer till.mu.Unlock()
	sums := map[string]bool{}
	for _, body := range till.asked {
		sums[body] = true
	}
	if !sums[`{"sum":3}`] || !sums[`{"sum":7}`] {
		t.Errorf("paid was %v", sums)
	}
}
