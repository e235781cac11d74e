package run

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"parley/gateway/chat"
)

// A line is the conversations that wait for a slot of this replica, and the
// people whose they are. The next slot goes to the person whose turn it is:
// each has one after the other, however many conversations they have waiting,
// and of one person's the oldest comes first.
//
// Turns are those of weighted fair queueing with equal weights: the line has a
// time of its own, which passes by one part in n with each start where n people
// wait or are answered. Whoever comes has a turn at once, and one more for each
// start; so neither do those who keep coming hold up who waits, nor is somebody
// held up by what they had when nobody else wanted it.
//
// There are persons only. Tenants could be a level above: a line of lines, with
// the same turns.
//
// All methods may be called concurrently.
type line struct {
	limit func(person string) int // answers that a person may have at once, 0 for any number

	mu     sync.Mutex // guards all below
	now    float64    // the line's own time
	people map[string]*person
	mine   map[string]string // conversations that have a slot of this replica, and whose they are
	again  map[string]bool   // of those, the ones of which was heard again
}

// A person is known while they wait or are answered.
type person struct {
	name    string
	turn    float64   // in the line's time
	running int       // slots of this replica
	shut    time.Time // no slot before: on other replicas they have as many as they may
	waiting []chat.Waiting
	further bool // waiting is one conversation that was seen behind others
}

func newLine(limit func(string) int) *line {
	return &line{limit: limit, people: map[string]*person{}, mine: map[string]string{}, again: map[string]bool{}}
}

// of returns a person. Whoever was not known comes before those who have had
// what is theirs by now. It requires l.mu.
func (l *line) of(name string) *person {
	p := l.people[name]
	if p == nil {
		p = &person{name: name, turn: l.now - 0.5}
		l.people[name] = p
	}
	return p
}

// leave forgets somebody who neither waits nor is answered, once their turns
// are over. It requires l.mu.
func (l *line) leave(p *person) {
	if len(p.waiting) == 0 && p.running == 0 && p.turn <= l.now {
		delete(l.people, p.name)
	}
}

// A found conversation waits, as a look has shown.
type found struct {
	chat.Waiting
	person string
}

// add has conversations wait, unless they do or have a slot.
func (l *line) add(fs ...found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range fs {
		if _, has := l.mine[f.Conversation]; has {
			l.again[f.Conversation] = true // it may have been asked in the moment in which it was given back
			continue
		}
		p := l.of(f.person)
		if !slices.ContainsFunc(p.waiting, func(w chat.Waiting) bool { return w.Conversation == f.Conversation }) {
			p.waiting = append(p.waiting, f.Waiting)
		}
	}
}

// set has wait what a look has found, and nothing else but what was seen
// further behind before.
func (l *line) set(first, further []found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.people {
		if !p.further {
			p.waiting = nil
		}
	}
	for _, f := range first {
		l.wait(f, false)
	}
	for _, f := range further {
		l.wait(f, true)
	}
	l.settle()
	for _, p := range l.people {
		slices.SortStableFunc(p.waiting, func(a, b chat.Waiting) int { return a.Since.Compare(b.Since) })
		l.leave(p)
	}
}

// settle lets all turns be over when nobody waits: what somebody has had does
// not count against them then. It requires l.mu.
func (l *line) settle() {
	latest := l.now
	for _, p := range l.people {
		if len(p.waiting) > 0 {
			return
		}
		latest = max(latest, p.turn)
	}
	l.now = latest
}

// wait requires l.mu. Of those who have nothing among the first it keeps the
// one conversation that has waited longest.
func (l *line) wait(f found, further bool) {
	if _, has := l.mine[f.Conversation]; has {
		return
	}
	p := l.of(f.person)
	switch {
	case further && len(p.waiting) == 0, p.further && !further:
		p.waiting, p.further = []chat.Waiting{f.Waiting}, further
	case !further:
		p.waiting = append(p.waiting, f.Waiting)
	case p.further && f.Since.Before(p.waiting[0].Since):
		p.waiting[0] = f.Waiting
	}
}

// pick returns the conversation that gets the next slot, which is from now on
// held, and whose it is. It reports false if nobody may have one.
func (l *line) pick(now time.Time) (f found, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var next *person
	there := 0
	for _, p := range l.people {
		if len(p.waiting) > 0 || p.running > 0 {
			there++
		}
		if l.may(p, now) && (next == nil || l.before(p, next)) {
			next = p
		}
	}
	if next == nil {
		return found{}, false
	}
	f = found{next.waiting[0], next.name}
	next.waiting = next.waiting[1:]
	next.further = next.further && len(next.waiting) > 0
	next.running++
	next.turn = max(next.turn, l.now) + 1
	l.mine[f.Conversation] = next.name
	l.now += 1 / float64(there)
	return f, true
}

// may requires l.mu. Conversations that are nobody's, because they were
// deleted, are only to be cleared away.
func (l *line) may(p *person, now time.Time) bool {
	if len(p.waiting) == 0 || p.shut.After(now) {
		return false
	}
	most := l.limit(p.name)
	return most <= 0 || p.running < most
}

// before requires l.mu.
func (l *line) before(p, q *person) bool {
	if c := cmp.Compare(p.turn, q.turn); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(p.running, q.running); c != 0 {
		return c < 0
	}
	return p.waiting[0].Since.Before(q.waiting[0].Since)
}

// free gives back the slot of a conversation. began says that it was used: if
// not, the turn was none either.
func (l *line) free(conv string, began bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.people[l.mine[conv]]
	if l.again[conv] {
		p.waiting = append(p.waiting, chat.Waiting{Conversation: conv, Since: time.Now()})
	}
	delete(l.mine, conv)
	delete(l.again, conv)
	p.running--
	if began {
		p.shut = time.Time{}
	} else {
		p.turn--
	}
	l.leave(p)
}

// yields reports whether somebody else waits who may have the slot of a
// conversation.
func (l *line) yields(conv string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.mine[conv]
	for _, p := range l.people {
		if p.name != name && l.may(p, now) {
			return true
		}
	}
	return false
}

// shut keeps a person from slots for a while.
func (l *line) shut(name string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.people[name]; p != nil {
		p.shut = until
	}
}

// has reports whether a conversation has a slot of this replica.
func (l *line) has(conv string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, has := l.mine[conv]
	return has
}

// length returns how many conversations wait, as far as this replica sees.
func (l *line) length() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.people {
		n += len(p.waiting)
	}
	return n
}

// A place is what is ahead of a conversation.
type place struct {
	conv  string
	turn  float64
	since time.Time
}

// order returns those that have waited since before a time, by the number of
// those that are to come before them; nil if there are none.
func (l *line) order(before time.Time) map[string]int {
	l.mu.Lock()
	var all []place
	waits := false
	for _, p := range l.people {
		for i, w := range p.waiting {
			all = append(all, place{w.Conversation, p.turn + float64(i), w.Since})
			waits = waits || w.Since.Before(before)
		}
	}
	l.mu.Unlock()
	if !waits {
		return nil
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), a.since.Compare(b.since), cmp.Compare(a.conv, b.conv))
	})
	ahead := make(map[string]int, len(all))
	for i, p := range all {
		if p.since.Before(before) {
			ahead[p.conv] = i
		}
	}
	return ahead
}
