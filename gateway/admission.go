package gateway

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Bounds of what accepting a message may take while the store or Redis does
// not answer: beyond, it is refused, and the client sends it again.
const (
	acceptWithin = 10 * time.Second
	countWithin  = time.Second // of one count of what a person does, which is done without then
)

// spread is when to try again what the server cannot do now: not all at once.
func spread() time.Duration { return time.Second + rand.N(3*time.Second) }

// newcomer lets new connections in at no more than a rate, and none while this
// replica leaves or is short of memory. Whoever is refused costs next to
// nothing: neither is anything upgraded nor anybody looked up.
func (s *Server) newcomer(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.draining.Load() {
			return problem(http.StatusServiceUnavailable, codeUnavailable, "This replica is shutting down. Another one takes you.").after(time.Second)
		}
		if err := s.checkMemory(); err != nil {
			return err
		}
		if wait := s.gate.pass(time.Now()); wait > 0 {
			return problem(http.StatusServiceUnavailable, codeTooMany, "More people connect at the moment than this replica takes. Try again later.").after(wait)
		}
		return next(c)
	}
}

// spare lets in while there is memory.
func (s *Server) spare(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.checkMemory(); err != nil {
			return err
		}
		return next(c)
	}
}

// checkMemory refuses what needs more memory while there is hardly any. What
// has begun goes on.
func (s *Server) checkMemory() error {
	if s.Short() {
		return problem(http.StatusServiceUnavailable, codeUnavailable, "This replica has no memory for more at the moment. Try again in a moment.").after(2*time.Second + rand.N(4*time.Second))
	}
	return nil
}

// Refused returns how many connections were refused because too many came at
// once.
func (s *Server) Refused() int {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return s.gate.refused
}

// laterMost is the latest that somebody who is refused is told to come again.
const laterMost = 30 * time.Second

// A turnstile lets so many pass a second, and some more at once after a quiet
// time. Those who are refused are each given a time of their own to come again,
// so that they come at the same rate. All methods may be called concurrently.
type turnstile struct {
	every time.Duration // a turn
	burst time.Duration // of how long a quiet time the turns are kept

	mu      sync.Mutex // guards all below
	next    time.Time  // the next turn; before now, turns were kept
	later   time.Time  // the next turn that is given to somebody who is refused
	refused int
}

func newTurnstile(rate, burst int) *turnstile {
	every := time.Second / time.Duration(rate)
	return &turnstile{every: every, burst: every * time.Duration(burst)}
}

// pass takes a turn. If there is none it returns after how long to try again.
func (t *turnstile) pass(now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept := now.Add(-t.burst); t.next.Before(kept) {
		t.next = kept
	}
	if !t.next.Add(t.every).After(now) {
		t.next = t.next.Add(t.every)
		return 0
	}
	t.refused++
	if least := now.Add(time.Second); t.later.Before(least) {
		t.later = least
	}
	t.later = t.later.Add(t.every)
	wait = t.later.Sub(now)
	if wait > laterMost { // whoever comes then may be refused once more
		wait = laterMost/2 + rand.N(laterMost/2)
	}
	return wait
}
