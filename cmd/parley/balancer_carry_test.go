//go:build integration && unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/gateway/store/storetest"
	"parley/llm/llmtest"
)

// What people do, through each balancer, on three replicas that are well, that
// are killed and that are stopped.
func TestBalancers(t *testing.T) {
	t.Parallel()
	replicas, balancers := procBalanced(t, procModelEnv(procPaced(t))...)
	t.Run("carry", func(t *testing.T) {
		for _, b := range balancers {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				t.Run("a chat over WebSockets", b.chats)
				t.Run("an event stream without delay", b.streams)
				t.Run("a long poll", b.polls)
				t.Run("one person on all replicas", b.spreads)
				t.Run("the host, the scheme and large bodies", b.forwards)
			})
		}
	})
	for _, b := range balancers {
		t.Run(b.name+" leads followers away from the dead", func(t *testing.T) { b.leadsAway(t, replicas) })
		t.Run(b.name+" goes on waiting when a replica dies", func(t *testing.T) { b.keepsWaiting(t, replicas) })
	}
	t.Run("hide that replicas are stopped", func(t *testing.T) { procHideDrains(t, replicas, balancers) })
}

// procPaced answers like procModel: K slowly with 60 words, S with words that
// come 100 ms apart, and everything else fast.
func procPaced(t *testing.T) *llmtest.Server {
	return llmtest.NewServer(t, func(r llmtest.Request) llmtest.Reply {
		question := r.Last().Content
		words, every := 15, 5*time.Millisecond
		switch question[0] {
		case 'K':
			words, every = 60, 20*time.Millisecond
		case 'S':
			every = 100 * time.Millisecond
		}
		return llmtest.Reply{Pieces: strings.SplitAfter(procText(question, words), " "), Every: every}
	})
}

// Replicas that start at the same moment on an empty database and an empty
// Redis make one set of tables and one administrator's token.
func TestFleetFromNothingAgrees(t *testing.T) {
	t.Parallel()
	redis, store := procStartRedis(t), storetest.StartCluster(t).Database(t, "parley", "")
	var starting sync.WaitGroup
	tokens := make([]string, 3)
	fleet := &procFleet{rand: procSeeded(t)}
	for i := range tokens {
		s := procNew(t, fmt.Sprintf("replica %d", i), "PARLEY_REDIS="+redis.url(), "PARLEY_STORE="+store, "PARLEY_ADMIN_TOKEN=")
		fleet.nodes = append(fleet.nodes, s)
		starting.Go(s.start)
	}
	starting.Wait()
	for i, s := range fleet.nodes {
		b, err := os.ReadFile(filepath.Join(s.dir, "admin-token"))
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = strings.TrimSpace(string(b))
	}
	admin := &procPerson{http: http.DefaultClient, token: tokens[0]}
	guest, conv := procGuest(t, fleet.nodes[0].url), ""
	for i, s := range fleet.nodes {
		if status, err := admin.do(t.Context(), "GET", s.url+"/v1/tools", nil, nil); err != nil || status != http.StatusOK || tokens[i] != tokens[0] {
			t.Errorf("%s, token %d of %q: %d, %v", s.name, i, tokens, status, err)
		}
		a, status, err := guest.say(t.Context(), s.url, conv, fmt.Sprint("k", i), "Hello", "20s")
		if err != nil || status != http.StatusOK || a.Status != "finished" {
			t.Errorf("%s: %d, %v, %+v", s.name, status, err, a)
		}
		conv = a.Conversation
	}
}

// chats asks on one WebSocket and reads the answer there and on another.
func (b *procBalancer) chats(t *testing.T) {
	person := procGuest(t, b.url)
	ws, err := procDial(t.Context(), person, b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	if err := procSend(t.Context(), ws, map[string]any{"type": "send", "id": "1", "msg": map[string]string{"clientId": "k1", "content": "W0"}}); err != nil {
		t.Fatal(err)
	}
	var ok struct{ Type, C, Run string }
	_, frame, err := ws.Read(t.Context())
	if err == nil {
		err = json.Unmarshal(frame, &ok)
	}
	if err != nil || ok.Type != "ok" {
		t.Fatalf("%v: %s", err, frame)
	}
	fleet := b.fleet(t)
	followers := []*procFollower{procFollow(t, "one", false, fleet, person, ok.C), procFollow(t, "two", false, fleet, person, ok.C)}
	for _, f := range followers {
		f.until(t, 20*time.Second, "the answer is whole", func(st *chat.State) bool { return procEnded(st, ok.Run) })
		if f.dials != 1 {
			t.Errorf("follower %s dialled %d times", f.name, f.dials)
		}
	}
	procSame(t, person.messages(t, b.url, ok.C), []string{"W0"}, 15, followers...)
}

// streams has an answer whose words come 100 ms apart arrive over SSE.
func (b *procBalancer) streams(t *testing.T) {
	person := procGuest(t, b.url)
	a, status, err := person.say(t.Context(), b.url, "", "k1", "S0", "")
	if err != nil || status != http.StatusAccepted && status != http.StatusOK {
		t.Fatalf("%d, %v", status, err)
	}
	resp, err := person.http.Get(b.url + "/v1/conversations/" + a.Conversation + "/events")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	var came []time.Time
	for lines := bufio.NewScanner(resp.Body); lines.Scan() && !strings.Contains(lines.Text(), `"RUN_FINISHED"`); {
		if strings.Contains(lines.Text(), `"TEXT_MESSAGE_CONTENT"`) {
			came = append(came, time.Now())
		}
	}
	// Words that are held back come in pairs, or all at once.
	var gaps []time.Duration
	for i := 1; i < len(came); i++ {
		gaps = append(gaps, came[i].Sub(came[i-1]))
	}
	slices.Sort(gaps)
	if len(gaps) < 10 {
		t.Fatalf("%d pieces of 15 words", len(came))
	}
	t.Logf("from one word to the next: p10 %v, p50 %v, p90 %v", gaps[len(gaps)/10], gaps[len(gaps)/2], gaps[len(gaps)*9/10])
	if gaps[len(gaps)/4] < 50*time.Millisecond {
		t.Errorf("words that were 100 ms apart came %v apart", gaps)
	}
}

// polls waits for what is new, and gets it when it comes.
func (b *procBalancer) polls(t *testing.T) {
	person := procGuest(t, b.url)
	a, _, err := person.say(t.Context(), b.url, "", "k1", "L0", "20s")
	if err != nil || a.Status != "finished" {
		t.Fatalf("%+v, %v", a, err)
	}
	poll := func(after chat.Position) procPolled {
		t.Helper()
		p, status, err := b.poll(t.Context(), person, a.Conversation, after, "20s")
		if err != nil || status != http.StatusOK {
			t.Errorf("%d, %v", status, err)
		}
		return p
	}
	head := b.head(t, person, a.Conversation)
	got := make(chan procPolled, 1)
	go func() { got <- poll(head) }()
	since := time.Now()
	if _, _, err := person.say(t.Context(), b.url, a.Conversation, "k2", "L1", ""); err != nil {
		t.Fatal(err)
	}
	p := <-got
	if len(p.Items) == 0 || !head.Before(p.At) || time.Since(since) > 10*time.Second {
		t.Errorf("behind %s came %+v after %v", head, p, time.Since(since))
	}
}

// A procPolled is the answer to a long poll.
type procPolled struct {
	At    chat.Position
	Items []json.RawMessage
}

func (b *procBalancer) poll(ctx context.Context, person *procPerson, conv string, after chat.Position, wait string) (p procPolled, status int, err error) {
	url := fmt.Sprintf("%s/v1/conversations/%s/events?wait=%s&after=%s", b.url, conv, wait, after)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return p, 0, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := person.http.Do(req)
	if err != nil {
		return p, 0, err
	}
	defer resp.Body.Close()
	return p, resp.StatusCode, json.NewDecoder(resp.Body).Decode(&p)
}

// head returns the position behind which nothing comes any more.
func (b *procBalancer) head(t *testing.T, person *procPerson, conv string) (at chat.Position) {
	t.Helper()
	for {
		p, status, err := b.poll(t.Context(), person, conv, at, "500ms")
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d, %v", status, err)
		}
		if p.At == at {
			return at
		}
		at = p.At
	}
}

// spreads has one person's questions, one after the other, answered on
// whichever replica the balancer likes.
func (b *procBalancer) spreads(t *testing.T) {
	person, conv := procGuest(t, b.url), ""
	for i := range 6 {
		a, status, err := person.say(t.Context(), b.url, conv, fmt.Sprint("k", i), fmt.Sprint("P", i), "20s")
		if err != nil || status != http.StatusOK || a.Status != "finished" {
			t.Fatalf("question %d: %d, %+v, %v", i, status, a, err)
		}
		conv = a.Conversation
	}
	if n := len(person.messages(t, b.url, conv)); n != 12 {
		t.Errorf("%d messages", n)
	}
	procUntil(t, 5*time.Second, "the person's requests went to several replicas", func() bool { return b.log.served("/v1/conversations/"+conv+"/messages") > 1 })
}

// forwards has Parley see what the client sent.
func (b *procBalancer) forwards(t *testing.T) {
	person := procGuest(t, b.url)
	post := func(origin, body string) (status int, p struct{ Code string }) {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", b.url+"/v1/conversations/new/messages", strings.NewReader(body))
		req.Header.Set("Origin", origin)
		resp, err := person.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			t.Errorf("%s, not JSON: %v", resp.Status, err)
		}
		return resp.StatusCode, p
	}
	if status, _ := post(b.url, `{"clientId":"k","content":"F0"}`); status >= 300 {
		t.Errorf("a page of this host: %d", status)
	}
	if status, p := post("http://127.0.0.1:1", `{"clientId":"k","content":"F1"}`); status != http.StatusForbidden || p.Code != "forbidden" {
		t.Errorf("a page of another port: %d, %+v", status, p)
	}
	b.refuses(t, post)
	b.uploads(t)
	for _, scheme := range []string{"http", "https"} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", b.url+"/", nil)
		req.Header.Set("X-Forwarded-Proto", scheme) // of a proxy before this one
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if c := resp.Cookies(); len(c) != 1 || c[0].Secure != (scheme == "https") {
			t.Errorf("over %s the cookie is %v", scheme, c)
		}
	}
}

// refuses has messages sent that are too long.
func (b *procBalancer) refuses(t *testing.T, post func(origin, body string) (int, struct{ Code string })) {
	t.Helper()
	for range 5 { // none of them makes it look as if a replica were away
		if status, p := post(b.url, `{"clientId":"k2","content":"`+strings.Repeat("x", 2<<20)+`"}`); status != http.StatusRequestEntityTooLarge || p.Code != "too_long" {
			t.Errorf("a message of 2 MiB: %d, %+v", status, p)
		}
	}
	if b.name != "nginx" { // which has a limit of its own
		return
	}
	if status, p := post(b.url, strings.Repeat("x", 65<<20)); status != http.StatusRequestEntityTooLarge || p.Code != "too_long" {
		t.Errorf("a message of 65 MiB: %d, %+v", status, p)
	}
}

// uploads sends a document that is larger than what nginx takes by itself.
func (b *procBalancer) uploads(t *testing.T) {
	t.Helper()
	body := strings.NewReader(strings.Repeat("All work and no play through "+b.name+".\n", 50_000))
	req, _ := http.NewRequestWithContext(t.Context(), "POST", b.url+"/v1/documents?name=large.txt", body)
	req.Header.Set("Authorization", "Bearer "+procToken)
	req.Header.Set("Content-Type", "text/plain")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusCreated {
		t.Errorf("a document of 2 MB: %s %s", resp.Status, said)
	}
}

// Connections without a word live longer than the balancer's patience, because
// Parley says something every 15 s; and an address is what the balancer says,
// not what the client does.
func TestBalancersAreKeptAwake(t *testing.T) {
	t.Parallel()
	const idle = 17 * time.Second
	s := procServe(t, "PARLEY_TRUSTED_PROXIES=127.0.0.1", "PARLEY_MESSAGES_PER_ADDRESS=3")
	for _, b := range []*procBalancer{procNginx(t, "17s", []*procServer{s, s, s}), procHAProxy(t, "17s", []*procServer{s, s, s})} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.counts(t)
			b.idles(t, idle)
		})
	}
}

// counts has guests of one address say too much, each under another name for
// it.
func (b *procBalancer) counts(t *testing.T) {
	hosts := map[string]string{"nginx": "127.0.1.", "HAProxy": "127.0.2."}
	for i := range 4 {
		want := http.StatusAccepted
		if i == 3 {
			want = http.StatusTooManyRequests
		}
		if status := b.sayFrom(t, hosts[b.name]+"1", fmt.Sprintf("203.0.113.%d", i)); status != want {
			t.Errorf("message %d: %d", i, status)
		}
	}
	if status := b.sayFrom(t, hosts[b.name]+"2", "203.0.113.9"); status != http.StatusAccepted {
		t.Errorf("another address: %d", status)
	}
}

func (b *procBalancer) sayFrom(t *testing.T, ip, claimed string) int {
	t.Helper()
	person := procFrom(t, ip)
	req, _ := http.NewRequestWithContext(t.Context(), "POST", b.url+"/v1/conversations/new/messages", strings.NewReader(`{"clientId":"k","content":"Hello"}`))
	req.Header.Set("X-Forwarded-For", claimed)
	resp, err := person.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// idles opens a WebSocket and an event stream, and, to see that the balancer
// is impatient at all, a long poll that is silent for longer.
func (b *procBalancer) idles(t *testing.T, idle time.Duration) {
	person := procGuest(t, b.url)
	a, _, err := person.say(t.Context(), b.url, "", "k", "Hello", "20s")
	if err != nil || a.Status != "finished" {
		t.Fatalf("%+v, %v", a, err)
	}
	at := b.head(t, person, a.Conversation)
	ended := make(chan string, 2)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- "WebSocket: " + b.silentSocket(ctx, person, a.Conversation) }()
	go func() {
		ended <- "event stream: " + silentStream(ctx, person, b.url+"/v1/conversations/"+a.Conversation+"/events")
	}()
	started := time.Now()
	_, status, err := b.poll(t.Context(), person, a.Conversation, at, "60s")
	if took := time.Since(started); err != nil || status < 500 || took < idle-time.Second || took > idle+10*time.Second {
		t.Fatalf("a long poll of 60 s: %d, %v after %v; the balancer should have lost its patience after %v", status, err, took, idle)
	}
	select {
	case how := <-ended:
		t.Error(how)
	case <-time.After(2 * time.Second): // they had been silent for longer than that, but for the heartbeat
	}
}

// silentSocket follows a conversation in which nothing happens, and returns
// how that ended.
func (b *procBalancer) silentSocket(ctx context.Context, person *procPerson, conv string) string {
	ws, err := procDial(ctx, person, b.url)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = ws.CloseNow() }()
	if err := procSend(ctx, ws, map[string]any{"type": "sub", "id": "1", "c": conv}); err != nil {
		return err.Error()
	}
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			return err.Error()
		}
	}
}

func silentStream(ctx context.Context, person *procPerson, url string) string {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := person.http.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
	}
	return fmt.Sprintf("%s, ended: %v", resp.Status, lines.Err())
}

// procDialFrom dials from an address of this machine.
func procDialFrom(ip string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return d.DialContext
}
