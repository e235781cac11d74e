package run

import (
	"context"
	"strings"
	"time"

	"parley/gateway/chat"
	"parley/llm"
)

// Tending is what the holder of a conversation's lease does for it once
// everything is answered: a title, suggestions, a summary of what has become
// long. Nobody waits for it: the slot and its owner's seats are given back
// before it begins, and whatever comes of this conversation ends it. What was
// not done, since too much is tended, since something came, or since it
// failed, is done after the next answer; if the holder dies, by whoever claims
// the conversation then.
type Tending struct {
	Model       llm.Model     // that is asked; nil: nothing is done
	Titles      bool          // the title that was made of the first question gives way to a better one
	Suggestions bool          // what could be asked next is suggested
	Answers     *llm.Gauge    // how much the model reads that answers; nil: nothing is summarised
	Reads       *llm.Gauge    // how much Model reads; nil: as much as that
	AtOnce      int           // conversations of this replica, more are not tended: 8
	Time        time.Duration // for all of one conversation: 60 s
}

func (t Tending) withDefaults() Tending {
	t.AtOnce = or(t.AtOnce, 8)
	t.Time = or(t.Time, 60*time.Second)
	return t
}

// tend does what is to be done before the lease is given back, unless items
// have come besides those seen. It reports whether it has left the slot and
// the seats: then nothing may be answered any more.
func (s *session) tend(ctx context.Context, seen map[string]bool) (left bool) {
	var err error
	t := tending{session: s, Tending: s.r.o.Tending}
	chores := t.chores(s.lease.State())
	if len(chores) == 0 {
		return false
	}
	select {
	case s.r.tendings <- struct{}{}:
		defer func() { <-s.r.tendings }()
	default:
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, t.Time)
	defer cancel()
	if t.accounts, err = s.afford(ctx); err != nil {
		return false
	}
	if !s.untendedBy(cancel, len(seen)) {
		return false
	}
	defer s.untendedBy(nil, 0)
	s.leave()
	for _, c := range chores {
		if err := c.do(ctx); err != nil && ctx.Err() == nil {
			s.r.log.Warn("tend", "conversation", s.lease.Conversation, "what", c.what, "error", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return true
}

// untendedBy has the next item end what is done, and reports false if one has
// come already.
func (s *session) untendedBy(end context.CancelFunc, seen int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untend = end
	if len(s.seen) > seen {
		s.untend = nil
		return false
	}
	return true
}

// A tending is the tending of one conversation. It is owned by its session.
type tending struct {
	*session
	Tending
	accounts []chat.Account // towards which it counts
}

// A chore is one thing that is done for a conversation.
type chore struct {
	what string
	do   func(context.Context) error
}

// chores returns what a conversation lacks, as far as its state says.
func (t *tending) chores(st chat.State) (chores []chore) {
	if t.Model == nil || st.Run == nil || st.Run.Status != chat.RunDone || len(st.Queued) > 0 {
		return nil
	}
	if t.untitled(st) {
		chores = append(chores, chore{"title", t.title})
	}
	if t.unsuggested(st) {
		chores = append(chores, chore{"suggestions", t.suggest})
	}
	if t.Answers != nil && !t.short {
		chores = append(chores, chore{"summary", t.summarise})
	}
	return chores
}

// ask asks the model something small and returns the beginning of what it
// says, at most so many bytes.
func (t *tending) ask(ctx context.Context, system, content string, most int) (said string, usage *llm.Usage, err error) {
	var text strings.Builder
	req := llm.Request{System: system, Messages: []llm.Message{{Role: llm.User, Content: content}}}
	reading, enough := context.WithCancel(ctx)
	defer enough()
	for c, e := range t.Model.Stream(reading, req) {
		if c.Usage != nil {
			usage = c.Usage
		}
		if text.Len() < most {
			text.WriteString(c.Text)
		}
		if text.Len() >= most {
			enough() // what it has cost comes after it all the same
		} else if e != nil {
			err = e
		}
	}
	t.spent(ctx, usage)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", nil, err
	}
	return strings.TrimSpace(strings.ToValidUTF8(text.String()[:min(most, text.Len())], "")), usage, nil
}

// put writes an entry that belongs to no run.
func (t *tending) put(ev chat.Event) { t.lease.Put("", 0, ev) }
