package run

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/gateway/chat"
)

// A session is the time during which this replica writes one conversation.
type session struct {
	r     *Runner
	lease *chat.Lease

	mu      sync.Mutex      // held over a look into the inbox; guards all below
	seen    map[string]bool // items, by id
	settled map[string]bool // items that may leave the inbox
	waiting []chat.Item     // questions, in the order in which they are answered
	stopped map[string]bool // runs that somebody cancelled
	current string          // run that is being answered
	cancel  context.CancelCauseFunc
}

// errCancelled is the cause of the end of a run that somebody stopped.
var errCancelled = errors.New("run: cancelled")

func newSession(r *Runner, lease *chat.Lease) *session {
	return &session{r: r, lease: lease, seen: map[string]bool{}, settled: map[string]bool{}, stopped: map[string]bool{}}
}

// serve answers one question after the other until the inbox is empty or work
// ends; then it hands the conversation over.
func (s *session) serve(work context.Context) error {
	ctx, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	stop := context.AfterFunc(s.lease.Context(), func() { cancel(context.Cause(s.lease.Context())) })
	defer stop()
	var ears sync.WaitGroup
	defer ears.Wait()
	defer cancel(nil)
	ears.Go(func() { s.listen(ctx) })

	err := s.loop(ctx)
	if errors.Is(context.Cause(ctx), errDrain) {
		out, done := context.WithTimeout(context.WithoutCancel(work), s.r.o.Drain)
		defer done()
		return s.lease.HandOver(out)
	}
	if err != nil {
		s.lease.End(err)
	}
	return err
}

func (s *session) loop(ctx context.Context) error {
	if err := s.patiently(ctx, s.recall); err != nil {
		return err
	}
	for {
		if err := s.patiently(ctx, s.look); err != nil {
			return err
		}
		if it, ok := s.next(); ok {
			if err := s.answer(ctx, it); err != nil {
				return err
			}
			s.settle(it.ID)
			continue
		}
		s.settleCancels()
		if err := s.patiently(ctx, s.look); err != nil {
			return err
		}
		if released, err := s.lease.Release(ctx); err != nil || released {
			return err
		}
	}
}

// recall begins with what the store has as unanswered, in the order in which
// it was asked: the inbox may have been lost and filled again since.
func (s *session) recall(ctx context.Context) error {
	qs, err := s.r.questions.Pending(ctx, s.lease.Conversation)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = nil
	for _, q := range qs {
		it := itemOf(q)
		s.seen[it.ID] = true
		s.waiting = append(s.waiting, it)
	}
	return nil
}

// listen looks into the inbox when somebody has put something there.
func (s *session) listen(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.lease.Poked():
			_ = s.patiently(ctx, s.look)
		}
	}
}

// patiently repeats what failed because Redis was away, until ctx ends.
func (s *session) patiently(ctx context.Context, do func(context.Context) error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.r.log.Warn("inbox", "conversation", s.lease.Conversation, "error", err)
		pause(ctx, wait)
	}
}

// look takes note of what is new in the inbox, and takes out what is settled.
func (s *session) look(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	its, err := s.lease.Inbox(ctx)
	if err != nil {
		return err
	}
	for _, it := range its {
		if !s.seen[it.ID] {
			s.seen[it.ID] = true
			s.notice(it)
		}
		if s.settled[it.ID] {
			if err := s.lease.Remove(ctx, it); err != nil {
				return err
			}
		}
	}
	return nil
}

// notice requires s.mu.
func (s *session) notice(it chat.Item) {
	switch {
	case it.Kind == chat.Cancel:
		s.stopped[it.Run] = true
		if s.current == it.Run && s.cancel != nil {
			s.cancel(errCancelled)
		}
	case (it.Kind == chat.Say || it.Kind == chat.Regenerate) && it.Message != nil:
		s.waiting = append(s.waiting, it)
		if s.current != "" && it.Kind == chat.Say {
			s.lease.Put(it.Run, 0, chat.Event{Type: chat.MessageQueued, Said: it.Message})
		}
	default:
		s.r.log.Warn("an inbox item that cannot be understood is dropped", "kind", it.Kind, "conversation", s.lease.Conversation)
		s.settled[it.ID] = true
	}
}

// next returns the question to answer now.
func (s *session) next() (chat.Item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return chat.Item{}, false
	}
	it := s.waiting[0]
	s.waiting = s.waiting[1:]
	return it, true
}

// begin makes a run the current one and returns its context, which ends when
// somebody cancels it.
func (s *session) begin(ctx context.Context, run string) (context.Context, context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, s.cancel = context.WithCancelCause(ctx)
	s.current = run
	if s.stopped[run] {
		s.cancel(errCancelled)
	}
	return ctx, s.cancel
}

// settle lets a question leave the inbox, whose run has ended for good.
func (s *session) settle(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.cancel = "", nil
	s.settled[id] = true
}

// settleCancels lets cancels leave the inbox when no question waits: their
// runs have ended, or were never known.
func (s *session) settleCancels() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for run := range s.stopped {
		s.settled[cancelID(run)] = true
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
