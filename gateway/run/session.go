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

	mu      sync.Mutex // held over a look into the inbox; guards all below
	seen    map[string]bool
	waiting []chat.Item     // questions, in the order in which they are answered
	cancels []chat.Item     // taken out of the inbox when their run has ended
	ended   map[string]bool // runs cancelled before they began
	current string          // run that is being answered
	cancel  context.CancelCauseFunc
}

// errCancelled is the cause of the end of a run that somebody stopped.
var errCancelled = errors.New("run: cancelled")

func newSession(r *Runner, lease *chat.Lease) *session {
	return &session{r: r, lease: lease, seen: map[string]bool{}, ended: map[string]bool{}}
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
	for {
		if err := s.patiently(ctx, s.look); err != nil {
			return err
		}
		if it, ok := s.next(); ok {
			if err := s.answer(ctx, it); err != nil {
				return err
			}
			continue
		}
		if err := s.patiently(ctx, s.settle); err != nil {
			return err
		}
		if released, err := s.lease.Release(ctx); err != nil || released {
			return err
		}
	}
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

// look takes note of what is new in the inbox.
func (s *session) look(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	its, err := s.lease.Inbox(ctx)
	if err != nil {
		return err
	}
	for _, it := range its {
		if s.seen[it.ID] {
			continue
		}
		if err := s.notice(ctx, it); err != nil {
			return err
		}
		s.seen[it.ID] = true
	}
	return nil
}

// notice requires s.mu.
func (s *session) notice(ctx context.Context, it chat.Item) error {
	switch it.Kind {
	case chat.Say, chat.Regenerate:
		s.waiting = append(s.waiting, it)
		if s.current != "" && it.Kind == chat.Say && it.Message != nil {
			s.lease.Put(it.Run, 0, chat.Event{Type: chat.MessageQueued, Said: it.Message})
		}
		return nil
	case chat.Cancel:
		s.cancels = append(s.cancels, it)
		s.ended[it.Run] = true
		if s.current == it.Run && s.cancel != nil {
			s.cancel(errCancelled)
		}
		return nil
	}
	s.r.log.Warn("an inbox item of an unknown kind is dropped", "kind", it.Kind, "conversation", s.lease.Conversation)
	return s.lease.Remove(ctx, it)
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
	if s.ended[run] {
		s.cancel(errCancelled)
	}
	return ctx, s.cancel
}

// finish removes a question from the inbox, whose run has ended for good.
func (s *session) finish(ctx context.Context, it chat.Item) error {
	s.mu.Lock()
	s.current, s.cancel = "", nil
	s.mu.Unlock()
	return s.patiently(ctx, func(ctx context.Context) error { return s.lease.Remove(ctx, it) })
}

// settle removes cancels from the inbox whose run has ended, or is not known.
func (s *session) settle(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rest []chat.Item
	for _, c := range s.cancels {
		if s.isWaiting(c.Run) {
			rest = append(rest, c)
		} else if err := s.lease.Remove(ctx, c); err != nil {
			return err
		}
	}
	s.cancels = rest
	return nil
}

// isWaiting requires s.mu.
func (s *session) isWaiting(run string) bool {
	for _, w := range s.waiting {
		if w.Run == run {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
