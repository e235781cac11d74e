package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"parley/cmd/parley/client"
	"parley/gateway/chat"
)

// A link is a client as the page is one: it keeps a connection, follows
// one conversation over it or asks questions in it, or both, and dials again
// when the connection ends, behind what it has heard.
type link struct {
	l    *load
	home int // index of the address that it dials next
	conv string
	sub  bool      // it follows conv
	f    *follower // checks what is heard; nil if nothing is to be
	slot *slot     // whose questions go this way; nil for none

	opened bool          // has stood before; this and the next two are owned by live
	away   bool          // has not come back since
	bye    time.Duration // to dial again, as the server said; 0 for not said

	mu sync.Mutex
	ws *socket // nil while there is none
}

// Sizes of a connection's buffer: of one that hears little, and of one that
// follows an answer.
const (
	idleBuffer   = 256
	followBuffer = 4 << 10
)

// live keeps the connection until ctx ends. It runs on a goroutine of its own,
// whose stack stays small: what needs more of it runs apart.
func (k *link) live(ctx context.Context) {
	defer k.close()
	for tries := 0; ctx.Err() == nil; {
		var err error
		apart(func() { err = k.open(ctx) })
		if err == nil {
			tries, err = 0, k.read()
		}
		if ctx.Err() != nil {
			return
		}
		tries++
		if !k.pause(ctx, err, tries) {
			return
		}
	}
}

// apart runs f on a goroutine of its own, to its end, so that the stack it
// needs goes with it.
func apart(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (k *link) target() client.Target { return k.l.targets[k.home%len(k.l.targets)] }

// open dials, and says what is wanted.
func (k *link) open(ctx context.Context) error {
	if k.opened {
		k.l.tally.away.dial(time.Now())
	}
	size := idleBuffer
	if k.f != nil {
		size = followBuffer
	}
	ws, err := dial(ctx, k.target(), size)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.ws = ws
	k.mu.Unlock()
	if ctx.Err() != nil { // whoever closes all has not seen this one
		ws.close()
	}
	if !k.sub {
		k.ready()
	} else {
		k.write(k.subscription())
	}
	if k.slot != nil {
		k.slot.send()
	}
	return nil
}

func (k *link) subscription() client.Order {
	o := client.Order{Type: "sub", ID: "s", C: k.conv}
	if k.f != nil && !k.f.at.IsZero() {
		at := k.f.at
		o.After = &at
	}
	return o
}

// ready says that the connection does what it is for.
func (k *link) ready() {
	if k.away {
		k.away = false
		k.l.tally.away.found(time.Now())
	}
	if !k.opened {
		k.opened = true
		k.l.ready <- struct{}{}
	}
}

// write sends a command, if there is a connection. If that fails, the reader
// notices.
func (k *link) write(o client.Order) {
	k.mu.Lock()
	ws := k.ws
	k.mu.Unlock()
	if ws != nil && ws.write(opText, o.Encode()) != nil {
		ws.close()
	}
}

// close ends the connection, if there is one.
func (k *link) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ws != nil {
		k.ws.close()
		k.ws = nil
	}
}

// read hears until the connection ends.
func (k *link) read() error {
	k.mu.Lock()
	ws := k.ws
	k.mu.Unlock()
	if ws == nil {
		return net.ErrClosed
	}
	for {
		b, err := ws.next()
		if err == nil {
			err = k.frame(b)
		}
		if err != nil {
			k.close()
			return err
		}
	}
}

// The beginnings of the frames that are many.
var (
	eventsPrefix = []byte(`{"type":"ev"`)
	beatPrefix   = []byte(`{"type":"beat"`)
	subPrefix    = []byte(`{"type":"sub.ok"`)
)

// frame takes one frame.
func (k *link) frame(b []byte) (err error) {
	switch {
	case bytes.HasPrefix(b, eventsPrefix):
		if k.f != nil {
			k.f.events(b, k.l.now())
		}
	case bytes.HasPrefix(b, beatPrefix):
	case k.f == nil && bytes.HasPrefix(b, subPrefix):
		k.ready()
	default:
		apart(func() { err = k.reply(b) })
	}
	return err
}

// reply takes a frame of the kinds that are few.
func (k *link) reply(b []byte) error {
	f, err := client.DecodeFrame(b)
	if err != nil {
		k.l.tally.garbled.Add(1)
		k.l.tally.blame("a frame cannot be read")
		return err
	}
	switch {
	case f.Type == "bye":
		k.bye = max(time.Duration(f.RetryMs)*time.Millisecond, time.Millisecond)
	case f.Type == "sub.ok":
		if !f.Recovered {
			k.replace(f)
		}
		k.ready()
	case f.Type == "snap":
		k.replace(f)
	case f.Type == "err" && f.ID == "s" && f.Problem != nil:
		return &turnedAway{*f.Problem, time.Duration(f.Problem.RetryMs) * time.Millisecond}
	case k.slot != nil && (f.Type == "ok" || f.Type == "err"):
		k.slot.reply(f)
	}
	return nil
}

func (k *link) replace(f client.Frame) {
	if k.f == nil {
		return
	}
	s := f.Snapshot
	if s == nil {
		s = &chat.State{}
	}
	if k.opened { // the first is where it begins
		k.l.tally.snapshots.Add(1)
	}
	k.f.replace(s, f.At)
}

// pause waits until it is time to dial again, and chooses where. It reports
// false if there is no sense in that.
func (k *link) pause(ctx context.Context, err error, tries int) bool {
	wait := min(client.FirstPause<<min(tries-1, 6), client.MaxPause)
	wait = wait/2 + rand.N(wait/2+1)
	away := (*turnedAway)(nil)
	switch errors.As(err, &away); {
	case away != nil && hopeless(away):
		k.l.stop(k.advice(away))
		return false
	case away != nil:
		k.l.tally.refused.Add(1)
		wait = max(wait, away.after+rand.N(client.FirstPause))
	case !k.opened && tries >= 5:
		k.l.stop(fmt.Errorf("%s cannot be reached: %w", k.target().URL, err))
		return false
	}
	if k.opened && !k.away {
		k.away = true
		k.l.tally.away.lost(time.Now())
		if k.bye == 0 {
			k.l.note("a connection to %s was lost: %v", k.target().URL, err)
		}
	}
	if k.bye > 0 {
		wait, k.bye = k.bye, 0
	}
	k.home++ // elsewhere, if there is another
	return client.Pause(ctx, wait)
}

// hopeless reports whether dialling again will bring the same answer.
func hopeless(e *turnedAway) bool {
	switch e.Status {
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusInternalServerError:
		return false
	}
	return e.Code != "rate_limited" && e.Code != "unavailable"
}

// advice adds to a refusal what can be done about it.
func (k *link) advice(e *turnedAway) error {
	switch {
	case e.Status == http.StatusTooManyRequests && e.Code == "too_many":
		return fmt.Errorf("%s: %w\nAll connections of a benchmark are one person's. Start Parley with PARLEY_MAX_CONNECTIONS_PER_PERSON=%d", k.target().URL, e, maxSockets)
	case e.Status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w\nGive the administrator's token as PARLEY_ADMIN_TOKEN or --token", k.target().URL, e)
	}
	return fmt.Errorf("%s: %w", k.target().URL, e)
}
