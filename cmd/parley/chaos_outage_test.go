//go:build integration && unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/cmd/parley/chaos"
	"parley/cmd/parley/client"
	"parley/gateway/chat"
)

// chaosOutage is how long what Parley needs is away.
const chaosOutage = 10 * time.Second

// chaosFleet has many conversations, each with one slow answer under way.
func chaosFleet(t *testing.T, w *chaosWorld, n int) []*chaos.Talk {
	t.Helper()
	talks := make([]*chaos.Talk, n)
	var all sync.WaitGroup
	for i := range talks {
		talks[i] = &chaos.Talk{}
		all.Go(func() {
			d := chaos.NewDice(1, uint64(i))
			var err error
			if talks[i].Person, err = chaos.NewPerson(t.Context(), w.doors, "", d); err == nil {
				_, err = talks[i].Ask(t.Context(), fmt.Sprint(chaosSlow, i))
			}
			if err != nil {
				t.Error(err)
				return
			}
			talks[i].Follow(&chaos.Follower{Name: "WebSocket", Way: (*chaos.Follower).ByWebSocket, Judge: chaosJudge})
			talks[i].Follow(&chaos.Follower{Name: "SSE", Way: (*chaos.Follower).ByStream, Judge: chaosJudge})
			for talks[i].Followers[0].Position().N < 8 && client.Pause(t.Context(), 10*time.Millisecond) { // it has some words
			}
		})
	}
	all.Wait()
	t.Cleanup(func() {
		for _, talk := range talks {
			talk.End()
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return talks
}

// chaosRest waits until all is well with all conversations, and puts what was
// found into a row.
func chaosRest(t *testing.T, fault string, talks []*chaos.Talk) {
	t.Helper()
	row := &chaos.Row{Fault: fault, Rounds: 1}
	since := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), chaosPatience)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, talk := range talks {
		all.Go(func() {
			v := talk.Settle(ctx, chaosExpect)
			mu.Lock()
			defer mu.Unlock()
			row.Take(talk, v)
			for _, wrong := range v.Wrong {
				t.Error(wrong)
			}
		})
	}
	all.Wait()
	var table bytes.Buffer
	_ = (&chaos.Table{Rows: []*chaos.Row{row}}).Write(&table)
	tries := map[int]int{}
	for _, talk := range talks {
		for _, q := range talk.Asked {
			if rec, err := talk.Person.Run(ctx, q.Run); err == nil {
				tries[rec.Try]++
			}
		}
	}
	t.Logf("answers by their attempts: %v", tries)
	t.Logf("at rest %v after the outage\n%s", time.Since(since).Round(100*time.Millisecond), table.String())
}

// chaosRedisAway: Redis is away while answers are written. All are complete.
func chaosRedisAway(t *testing.T) {
	w := newChaosWorld(t, chaosSetup{replicas: 3, aof: "everysec"})
	talks := chaosFleet(t, w, 200)
	w.redis.kill()
	client.Pause(t.Context(), chaosOutage)
	w.redis.start()
	chaosRest(t, "Redis away for 10 s", talks)
}

// A chaosRefusal is the answer to a message while the store is away.
type chaosRefusal struct {
	status     int
	retryAfter string
	took       time.Duration
	problem    client.Problem
	err        error
}

// sayOnce says something once, as a client does that does not insist.
func sayOnce(ctx context.Context, a *client.Client, q *chaos.Asked, conv string) (r chaosRefusal) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	since := time.Now()
	defer func() { r.took = time.Since(since) }()
	b, _ := json.Marshal(client.Said{ClientID: q.ClientID, Content: q.Text})
	req, err := a.Build(ctx, client.Request{Method: http.MethodPost, Path: "/v1/conversations/" + conv + "/messages", Body: bytes.NewReader(b)})
	if err != nil {
		return chaosRefusal{err: err}
	}
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return chaosRefusal{err: err}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	r = chaosRefusal{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	_ = json.Unmarshal(text, &r.problem)
	_ = json.Unmarshal(text, q)
	return r
}

// chaosStoreAway: PostgreSQL is away. Answers go on, messages are refused
// clearly, and nothing that was acknowledged is lost.
func chaosStoreAway(t *testing.T) {
	w := newChaosWorld(t, chaosSetup{replicas: 3, aof: "everysec"})
	talks := chaosFleet(t, w, 60)
	w.db.Kill(t)
	w.removeSocket() // as a server does that is stopped
	gone := time.Now()
	client.Pause(t.Context(), time.Second) // what was on its way has arrived
	before := make([]chat.Position, len(talks))
	for i, talk := range talks {
		before[i] = talk.Followers[0].Position()
	}
	var refused []chaosRefusal
	var again []*chaos.Asked
	for i := range 20 {
		q := &chaos.Asked{Text: fmt.Sprint(chaosPlain, "later", i), ClientID: chat.NewID("k")}
		refused = append(refused, sayOnce(t.Context(), talks[i].Person.Doors[i%3], q, talks[i].Conv))
		again = append(again, q)
	}
	client.Pause(t.Context(), time.Until(gone.Add(6*time.Second)))
	still := 0
	for i, talk := range talks {
		if talk.Followers[0].Position() == before[i] {
			still++
		}
	}
	if still > 0 {
		t.Errorf("%d of %d answers did not go on while the store was away", still, len(talks))
	}
	client.Pause(t.Context(), time.Until(gone.Add(chaosOutage)))
	w.db.Start(t)
	chaosRefusals(t, refused)
	for i, q := range again {
		talk := talks[i]
		err := talk.Person.Insist(t.Context(), func(ctx context.Context, a *client.Client) error { return q.Say(ctx, a, talk.Conv) })
		if err != nil {
			t.Error(err)
		}
		talk.Remember(q)
	}
	chaosRest(t, "PostgreSQL away for 10 s", talks)
}

func (w *chaosWorld) removeSocket() {
	_, dir, _ := strings.Cut(w.store, "host=")
	w.must(os.Remove(filepath.Join(dir, ".s.PGSQL.5432")))
}

func chaosRefusals(t *testing.T, all []chaosRefusal) {
	t.Helper()
	for i, r := range all {
		if r.err != nil || r.status != http.StatusServiceUnavailable || r.retryAfter == "" || r.problem.Code != "unavailable" {
			t.Errorf("message %d while the store is away: %+v", i, r)
		}
	}
	took := func(a, b chaosRefusal) int { return int(a.took - b.took) }
	t.Logf("refused within %v at the most: %+v", slices.MaxFunc(all, took).took, all[0].problem)
}
