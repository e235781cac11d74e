package run

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"parley/gateway/chat"
)

// A session is the time during which this replica writes one conversation.
type session struct {
	r     *Runner
	lease *chat.Lease
	leave func() // gives back what answering needs, see [stay]

	short  bool // what was answered last leaves nothing to summarise; owned by serve
	system int  // tokens of what its agent is always told; owned by serve

	looking chan struct{} // 1 slot, held by whoever looks into the inbox

	mu      sync.Mutex      // guards all below
	seen    map[string]bool // items, by id
	settled map[string]bool // items that may leave the inbox
	waiting []chat.Item     // questions without an answer, of which those are shown to wait that another run keeps waiting
	heard   bool            // of a question about which the store has not been asked
	stopped map[string]bool // runs that somebody cancelled
	current string          // run that is being answered
	cancel  context.CancelCauseFunc
	untend  context.CancelFunc // ends what is done once all is answered; nil for nothing
}

// errYield ends a session that has answered a question and has more: somebody
// else's turn comes first, or has come.
var errYield = errors.New("run: somebody else's turn")

// errCancelled is the cause of the end of a run that somebody stopped.
var errCancelled = errors.New("run: cancelled")

func newSession(r *Runner, lease *chat.Lease, leave func()) *session {
	return &session{
		r: r, lease: lease, leave: leave, looking: make(chan struct{}, 1),
		seen: map[string]bool{}, settled: map[string]bool{}, stopped: map[string]bool{},
	}
}

// serve answers one question after the other until the inbox is empty, or
// somebody else waits for the slot, or work ends; then it hands the
// conversation over.
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
	if err == nil { // released
		return nil
	}
	if errors.Is(context.Cause(ctx), errDrain) || errors.Is(err, errYield) {
		out, done := context.WithTimeout(context.WithoutCancel(work), s.r.o.Drain)
		defer done()
		if run, ok := s.lease.Active(); ok {
			s.lease.Put(run.ID, run.Try, chat.Event{Type: chat.RunHandedOver, RunID: run.ID})
		}
		return s.lease.HandOver(out)
	}
	s.lease.End(err)
	return err
}

func (s *session) loop(ctx context.Context) error {
	tried := map[string]bool{} // runs that this session has brought to their end
	for {
		if err := s.patiently(ctx, s.look); err != nil {
			return err
		}
		if err := s.attend(ctx); err != nil {
			return err
		}
		seen := s.seenSoFar()
		q, err := s.next(ctx, tried)
		if err != nil {
			return err
		}
		if q != nil && len(tried) > 0 && s.r.line.yields(s.lease.Conversation, time.Now()) {
			return errYield
		}
		if q != nil {
			if err := s.answer(ctx, *q); err != nil {
				return err
			}
			st := s.lease.State()
			tried[q.Run] = !st.Waits() || st.Run.ID != q.Run
			s.settle(q.Run)
			continue
		}
		s.settleAll(seen)
		if err := s.patiently(ctx, s.look); err != nil {
			return err
		}
		left := s.tend(ctx, seen)
		if released, err := s.lease.Release(ctx); err != nil || released {
			return err
		}
		if left {
			return errYield
		}
	}
}

// next returns the question to answer now. The inbox says that there may be
// one; which comes first the store says, since the inbox may have been lost
// and filled again.
func (s *session) next(ctx context.Context, tried map[string]bool) (next *chat.Question, err error) {
	err = s.patiently(ctx, func(ctx context.Context) error {
		qs, err := s.pending(ctx)
		for _, q := range qs {
			switch {
			case tried[q.Run]:
			case next == nil:
				next = &q
			default:
				s.wait(itemOf(q))
			}
		}
		return err
	})
	return next, err
}

// pending asks the store what has no whole answer: all that was heard of.
func (s *session) pending(ctx context.Context) ([]chat.Question, error) {
	s.mu.Lock()
	s.heard = false
	s.mu.Unlock()
	qs, err := s.r.questions.Pending(ctx, s.lease.Conversation)
	if err != nil {
		s.mu.Lock()
		s.heard = true
		s.mu.Unlock()
	}
	return qs, err
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
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	its, err := s.lease.Inbox(ctx)
	if err != nil {
		return err
	}
	if err := s.showPins(ctx, its); err != nil {
		return err
	}
	for _, it := range its {
		if s.notice(it) {
			if err := s.lease.Remove(ctx, it); err != nil {
				return err
			}
		}
	}
	return s.showHeard(ctx)
}

// showHeard has questions that came during a run shown to wait, if they do: an
// inbox may still have, or after a rollback of Redis have again, one that was
// answered, and may no longer be shown.
func (s *session) showHeard(ctx context.Context) error {
	s.mu.Lock()
	ask := s.heard && s.current != ""
	s.mu.Unlock()
	if !ask {
		return nil
	}
	qs, err := s.pending(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range qs {
		s.waiting = append(s.waiting, itemOf(q))
	}
	s.showWaiting()
	return err
}

// notice takes note of one item and reports whether it may leave the inbox.
func (s *session) notice(it chat.Item) (settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[it.ID] {
		return s.settled[it.ID]
	}
	s.seen[it.ID] = true
	if s.untend != nil {
		s.untend()
	}
	switch it.Kind {
	case chat.Cancel:
		s.stopped[it.Run] = true
		if s.current == it.Run && s.cancel != nil {
			s.cancel(errCancelled)
		}
	case chat.Say:
		s.heard = true
	}
	return s.settled[it.ID]
}

// wait has a question shown to wait, once another is being answered.
func (s *session) wait(it chat.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, it)
}

// showWaiting says which questions were heard and wait for the current run.
// It requires s.mu.
func (s *session) showWaiting() {
	if s.current == "" || len(s.waiting) == 0 {
		return
	}
	shown := map[string]bool{}
	st := s.lease.State()
	for _, m := range append(st.Queued, st.Messages...) {
		shown[m.ID] = true
	}
	for _, it := range s.waiting {
		if it.Kind != chat.Say || it.Run == s.current || shown[it.Message.ID] || s.settled[it.ID] {
			continue
		}
		shown[it.Message.ID] = true
		s.lease.Put(it.Run, 0, chat.Event{Type: chat.MessageQueued, Said: it.Message})
	}
	s.waiting = nil
}

// begin makes a run the current one and returns its context, which ends when
// somebody cancels it.
func (s *session) begin(ctx context.Context, run string) (context.Context, context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, s.cancel = context.WithCancelCause(ctx)
	s.current = run
	s.seen[run] = true // it need not have been in the inbox
	s.showWaiting()
	if s.stopped[run] {
		s.cancel(errCancelled)
	}
	return ctx, s.cancel
}

// settle lets a question leave the inbox, whose run has ended for good.
func (s *session) settle(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.cancel = "", nil
	s.settled[run] = true
}

// seenSoFar returns the items that were seen.
func (s *session) seenSoFar() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}

// settleAll lets everything leave the inbox that was seen before the store
// said that nothing is unanswered: late repeats of questions, cancels of runs
// that have ended, and what a later version of Parley may have put there. What
// was seen since may be a new question.
func (s *session) settleAll(seen map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range seen {
		s.settled[id] = true
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
