//go:build integration && unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/tools/toolstest"
)

// Of two processes one is connected to a feed; it is killed, then
// frozen, and each time the other goes on.
func TestAFeedSurvivesTheProcessThatIsConnected(t *testing.T) {
	t.Parallel()
	floor := &toolstest.Feed{Script: toolstest.Ticks(100*time.Millisecond, func(n int) string { return fmt.Sprintf(`{"p":%d}`, n) })}
	market := httptest.NewServer(floor)
	defer market.Close()
	defer floor.Refuse(true)
	redis := procStartRedis(t)
	env := []string{"PARLEY_REDIS=" + redis.url(), "PARLEY_STORE=" + t.TempDir() + "/parley.db", "PARLEY_EGRESS_ALLOW=" + market.Listener.Addr().String()}
	a := procServe(t, env...)
	procFeed(t, a, "PUT", "gold", fmt.Sprintf(`{"description":"Price of gold","url":"ws%s","value":".p","window":{"last":20}}`, strings.TrimPrefix(market.URL, "http")))
	reads := func(s *procServer) {
		t.Helper()
		procUntil(t, 10*time.Second, s.name+" reads the feed", func() bool { return procFeed(t, s, "GET", "gold", "").State.Values == 20 })
	}
	reads(a)
	b := procServe(t, env...)
	reads(b)
	if floor.Dials() != 1 {
		t.Errorf("two processes dialled %d times", floor.Dials())
	}
	goesOn := func(s *procServer, without string) {
		t.Helper()
		began := time.Now()
		procUntil(t, 5*time.Second, "the other is connected", func() bool {
			st := procFeed(t, s, "GET", "gold", "").State
			return st.Replica != without && st.Connected && !st.Stale
		})
		t.Logf("connected again after %v", time.Since(began).Round(time.Millisecond))
	}
	first := procFeed(t, b, "GET", "gold", "").State.Replica
	a.kill()
	goesOn(b, first)
	a.start()
	reads(a)
	second := procFeed(t, a, "GET", "gold", "").State.Replica
	b.signal(syscall.SIGSTOP)
	goesOn(a, second)
	b.signal(syscall.SIGCONT)
	procUntil(t, 5*time.Second, "one connection is left", func() bool { return floor.Open() == 1 })
	if st := procFeed(t, b, "GET", "gold", "").State; st.Replica == second {
		t.Error("who was frozen has the feed back")
	}
	if floor.Most() > 2 {
		t.Errorf("%d connections at once", floor.Most())
	}
}

// procLine is a feed as it is shown.
type procLine struct {
	State struct {
		Connected, Stale bool
		Replica          string
		Values           int
	}
}

func procFeed(t *testing.T, s *procServer, method, name, body string) (l procLine) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/v1/feeds/"+name, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+procToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&l); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v", method, name, res.Status, err)
	}
	return l
}
