//go:build integration

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A benchFollower is a client that follows one conversation. What it has
// heard is counted in what it shares with all others.
type benchFollower struct {
	*benchTally
	ws     *websocket.Conn
	conv   string
	pieces int
	ages   []time.Duration // of pieces heard while the tally was open
	began  time.Time       // when the first piece was sent
	first  chan benchFirst // takes that piece
	subbed chan struct{}   // closed when it follows
}

// A benchFirst is when an answer's first piece was sent, and heard.
type benchFirst struct{ sent, heard time.Time }

// A benchTally is what all followers together have heard. It may be used
// concurrently.
type benchTally struct {
	begun  atomic.Int64 // followers that have heard a piece
	open   atomic.Bool  // ages are noted
	frames atomic.Int64
	bytes  atomic.Int64
	pieces atomic.Int64
	ended  atomic.Int64 // answers heard to their end
}

// benchDial connects a client.
func benchDial(ctx context.Context, url string) (*websocket.Conn, error) {
	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/v1/ws", &websocket.DialOptions{
		Subprotocols: []string{"parley.v1"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + benchToken}},
	})
	if err == nil {
		c.SetReadLimit(-1)
	}
	return c, err
}

// follow begins to follow a conversation and returns once it does.
func (h *benchHouse) follow(ctx context.Context, conv string, t *benchTally) (*benchFollower, error) {
	ws, err := benchDial(ctx, h.url)
	if err != nil {
		return nil, err
	}
	f := &benchFollower{benchTally: t, ws: ws, conv: conv, first: make(chan benchFirst, 1), subbed: make(chan struct{})}
	if err := f.write(ctx, `{"type":"sub","id":"1","c":"`+conv+`"}`); err != nil {
		return nil, err
	}
	go f.read(ctx)
	select {
	case <-f.subbed:
		return f, nil
	case <-time.After(30 * time.Second):
		return nil, fmt.Errorf("%s cannot be followed", conv)
	}
}

func (f *benchFollower) write(ctx context.Context, frame string) error {
	return f.ws.Write(ctx, websocket.MessageText, []byte(frame))
}

// ask says something in the conversation.
func (f *benchFollower) ask(ctx context.Context) error {
	return f.write(ctx, `{"type":"send","id":"2","c":"`+f.conv+`","msg":{"clientId":"1","content":"How do I get from here to there?"}}`)
}

// read hears until the connection or ctx ends.
func (f *benchFollower) read(ctx context.Context) {
	for {
		_, b, err := f.ws.Read(ctx)
		if err != nil {
			return
		}
		f.heard(b, time.Now())
	}
}

func (f *benchFollower) heard(b []byte, now time.Time) {
	if bytes.HasPrefix(b, []byte(`{"type":"sub.ok"`)) {
		close(f.subbed)
	}
	if bytes.Contains(b, []byte(`"RUN_FINISHED"`)) {
		f.ended.Add(1)
	}
	before, size := f.pieces, len(b)
	for {
		_, rest, ok := bytes.Cut(b, []byte(`"delta":"`))
		if !ok {
			break
		}
		delta, rest, _ := bytes.Cut(rest, []byte(`"`))
		f.delta(delta, now)
		b = rest
	}
	if f.pieces == before {
		return
	}
	f.frames.Add(1)
	f.bytes.Add(int64(size))
	f.benchTally.pieces.Add(int64(f.pieces - before))
	if before == 0 {
		f.begun.Add(1)
		f.first <- benchFirst{f.began, now}
	}
}

func (f *benchFollower) delta(delta []byte, now time.Time) {
	open := f.open.Load()
	for len(delta) >= pieceLen {
		sent, ok := benchSent(string(delta[:pieceLen]))
		if !ok {
			return // not the model's
		}
		if f.pieces++; f.pieces == 1 {
			f.began = sent
		}
		if open {
			f.ages = append(f.ages, now.Sub(sent))
		}
		delta = delta[pieceLen:]
	}
}

// crowd connects followers of so many conversations, so many of each.
func (h *benchHouse) crowd(ctx context.Context, conversations, each int, t *benchTally) []*benchFollower {
	h.b.Helper()
	all := make([]*benchFollower, conversations*each)
	errs := make(chan error, conversations)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range conversations {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			conv, err := h.newConversation(ctx)
			for k := 0; k < each && err == nil; k++ {
				all[i*each+k], err = h.follow(ctx, conv, t)
			}
			errs <- err
		})
	}
	wg.Wait()
	for range conversations {
		if err := <-errs; err != nil {
			h.b.Fatal(err)
		}
	}
	return all
}

// benchPercentile returns the p-th part of all that were noted, in ms.
func benchPercentile(all []time.Duration, p float64) float64 {
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return float64(all[int(p*float64(len(all)-1))].Microseconds()) / 1000
}

func benchAges(fs []*benchFollower) (all []time.Duration) {
	for _, f := range fs {
		all = append(all, f.ages...)
	}
	return all
}

func benchReportAges(b *testing.B, fs []*benchFollower) {
	ages := benchAges(fs)
	b.ReportMetric(benchPercentile(ages, .5), "age-p50-ms")
	b.ReportMetric(benchPercentile(ages, .99), "age-p99-ms")
}
