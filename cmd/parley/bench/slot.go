package bench

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/cmd/parley/client"
)

// A slot is a conversation in which one question is asked after the
// other, each when the answer before it has been heard. All methods may be
// called concurrently.
type slot struct {
	l     *load
	n     int // of all slots
	conv  string
	asker *link
	begun atomic.Bool

	mu     sync.Mutex // guards all below
	number int        // of questions
	answer *answer
	acked  bool // the server has the question
}

// ask asks the next question. The first answers have different lengths, so
// that later ones do not all end at the same time.
func (s *slot) ask() {
	s.mu.Lock()
	s.number++
	pieces := s.l.pieces()
	if s.number == 1 {
		pieces = max(1, pieces*(s.n+1)/s.l.o.Answers)
	}
	a := newAnswer(fmt.Sprintf("%s-%d-%d", s.l.nonce, s.n, s.number), pieces, s.l.o.Followers)
	s.answer, s.acked = a, false
	s.mu.Unlock()
	s.l.model.add(a)
	s.l.unheard.Add(int64(a.due))
	a.asked.Store(s.l.now())
	s.send()
}

// send says the question over the connection that there is; without one it is
// said when there is. Saying it again is harmless by its client id.
func (s *slot) send() {
	s.mu.Lock()
	a := s.answer
	if s.acked {
		a = nil
	}
	s.mu.Unlock()
	if a == nil {
		return
	}
	s.asker.write(client.Order{Type: "send", ID: a.key, C: s.conv, Msg: &client.Said{ClientID: a.key, Content: a.question()}})
}

// reply takes the answer to a question's send.
func (s *slot) reply(f client.Frame) {
	s.mu.Lock()
	a := s.answer
	mine := a != nil && f.ID == a.key && !s.acked
	busy := f.Problem != nil && (f.Problem.Code == "rate_limited" || f.Problem.Code == "unavailable")
	if mine && !busy {
		s.acked = true
	}
	s.mu.Unlock()
	switch {
	case !mine:
	case busy:
		time.AfterFunc(max(time.Duration(f.Problem.RetryMs)*time.Millisecond, client.FirstPause), s.send)
	case f.Problem != nil:
		s.l.stop(fmt.Errorf("%s refuses a question: %w", s.asker.target().URL, f.Problem))
	}
}

// over is called by each follower that has heard an answer's end. The first
// of them has the next question asked.
func (s *slot) over(a *answer, failed, first bool) {
	if failed && first {
		s.l.tally.failed.Add(1)
	}
	s.l.unheard.Add(-1)
	if a.ended.Add(1) == int64(a.due) {
		s.l.model.remove(a)
		if !failed {
			s.l.tally.finished.Add(1)
		}
	}
	if first && !s.l.closing.Load() {
		s.ask()
	}
}
