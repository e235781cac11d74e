package run

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/gateway/chat"
)

// A line is the conversations that wait for a slot of this replica, the people
// whose they are, and the tenants that these belong to. The next slot goes to
// the tenant whose turn it is, and of its people to the one whose turn it is:
// each has one after the other, however many conversations they have waiting,
// and of one person's the oldest comes first.
//
// All methods may be called concurrently.
type line struct {
	limits limits

	mu      sync.Mutex // guards all below
	clock   clock
	tenants map[string]*tenant
	mine    map[string]string // conversations that have a slot of this replica, and whose they are
	again   map[string]bool   // of those, the ones of which was heard again
}

// limits say how many answers somebody may have at once, 0 for any number.
type limits struct {
	person func(name string) int
	tenant func(name string) int
}

// TenantOf returns the tenant that a person belongs to: what is before the
// colon of their name, empty for those who are nobody's.
func TenantOf(person string) string {
	tenant, _, ok := strings.Cut(person, ":")
	if !ok {
		return ""
	}
	return tenant
}

// A clock is the time of a line: turns are those of weighted fair queueing with
// equal weights. It passes by one part in n with each start where n wait or are
// answered. Whoever comes has a turn at once, and one more for each start; so
// neither do those who keep coming hold up who waits, nor is somebody held up
// by what they had when nobody else wanted it.
type clock float64

// A share is what somebody has of the slots.
type share struct {
	name    string
	turn    float64   // in the time of the line that they stand in
	running int       // slots of this replica
	shut    time.Time // no slot before: on other replicas they have as many as they may
}

// newcomer returns the share of somebody who was not known: they come before
// those who have had what is theirs by now.
func (c clock) newcomer(name string) share { return share{name: name, turn: float64(c) - 0.5} }

// start gives a slot to one of so many that are there.
func (c *clock) start(s *share, there int) {
	s.running++
	s.turn = max(s.turn, float64(*c)) + 1
	*c += clock(1 / float64(there))
}

// over reports whether somebody who neither waits nor is answered can be
// forgotten.
func (c clock) over(s *share) bool { return s.running == 0 && s.turn <= float64(c) }

// stop gives a slot back. began says that it was used: if not, the turn was
// none either.
func (s *share) stop(began bool) {
	s.running--
	if began {
		s.shut = time.Time{}
	} else {
		s.turn--
	}
}

// may reports whether there may be one more.
func (s *share) may(most int, now time.Time) bool {
	return !s.shut.After(now) && (most <= 0 || s.running < most)
}

// before compares those who wait since a time.
func (s *share) before(o *share, since, other time.Time) bool {
	return cmp.Or(cmp.Compare(s.turn, o.turn), cmp.Compare(s.running, o.running), since.Compare(other)) < 0
}

// A tenant is known while somebody of it waits or is answered.
type tenant struct {
	share
	clock  clock // of the line of its people
	people map[string]*person
}

// A person is known while they wait or are answered.
type person struct {
	share
	waiting []chat.Waiting
	further bool // waiting is one conversation that was seen behind others
}

func (p *person) there() bool { return len(p.waiting) > 0 || p.running > 0 }

// waits reports whether anybody of the tenant does.
func (t *tenant) waits() bool {
	for _, p := range t.people {
		if len(p.waiting) > 0 {
			return true
		}
	}
	return false
}

func newLine(l limits) *line {
	return &line{limits: l, tenants: map[string]*tenant{}, mine: map[string]string{}, again: map[string]bool{}}
}

// of returns a person and their tenant. It requires l.mu.
func (l *line) of(name string) (*tenant, *person) {
	t := l.tenants[TenantOf(name)]
	if t == nil {
		t = &tenant{share: l.clock.newcomer(TenantOf(name)), people: map[string]*person{}}
		l.tenants[t.name] = t
	}
	p := t.people[name]
	if p == nil {
		p = &person{share: t.clock.newcomer(name)}
		t.people[name] = p
	}
	return t, p
}

// leave forgets somebody who neither waits nor is answered, once their turns
// are over. It requires l.mu.
func (l *line) leave(t *tenant, p *person) {
	if len(p.waiting) == 0 && t.clock.over(&p.share) {
		delete(t.people, p.name)
	}
	if len(t.people) == 0 && l.clock.over(&t.share) {
		delete(l.tenants, t.name)
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
		_, p := l.of(f.person)
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
	l.each(func(_ *tenant, p *person) {
		if !p.further {
			p.waiting = nil
		}
	})
	for _, f := range first {
		l.wait(f, false)
	}
	for _, f := range further {
		l.wait(f, true)
	}
	l.settle()
	l.each(func(t *tenant, p *person) {
		slices.SortStableFunc(p.waiting, func(a, b chat.Waiting) int { return a.Since.Compare(b.Since) })
		l.leave(t, p)
	})
}

// each requires l.mu, and lets f forget whom it is called with.
func (l *line) each(f func(*tenant, *person)) {
	for _, t := range l.tenants {
		for _, p := range t.people {
			f(t, p)
		}
	}
}

// settle lets all turns be over where nobody waits: what somebody has had does
// not count against them then. It requires l.mu.
func (l *line) settle() {
	latest, waits := float64(l.clock), false
	for _, t := range l.tenants {
		latest = max(latest, t.turn)
		if t.waits() {
			waits = true
			continue
		}
		for _, p := range t.people {
			t.clock = max(t.clock, clock(p.turn))
		}
	}
	if !waits {
		l.clock = clock(latest)
	}
}

// wait requires l.mu. Of those who have nothing among the first it keeps the
// one conversation that has waited longest.
func (l *line) wait(f found, further bool) {
	if _, has := l.mine[f.Conversation]; has {
		return
	}
	_, p := l.of(f.person)
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
	var of *tenant
	var next *person
	there, people := 0, 0
	for _, t := range l.tenants {
		p, n := l.next(t, now)
		if n > 0 {
			there++
		}
		if p != nil && (of == nil || t.before(&of.share, p.waiting[0].Since, next.waiting[0].Since)) {
			of, next, people = t, p, n
		}
	}
	if next == nil {
		return found{}, false
	}
	f = found{next.waiting[0], next.name}
	next.waiting = next.waiting[1:]
	next.further = next.further && len(next.waiting) > 0
	of.clock.start(&next.share, people)
	l.clock.start(&of.share, there)
	l.mine[f.Conversation] = next.name
	return f, true
}

// next returns whose turn it is among a tenant's people, nil if it is
// nobody's, and how many of them wait or are answered. It requires l.mu.
func (l *line) next(t *tenant, now time.Time) (next *person, there int) {
	for _, p := range t.people {
		if p.there() {
			there++
		}
		if l.may(t, p, now) && (next == nil || p.before(&next.share, p.waiting[0].Since, next.waiting[0].Since)) {
			next = p
		}
	}
	return next, there
}

// may requires l.mu.
func (l *line) may(t *tenant, p *person, now time.Time) bool {
	return len(p.waiting) > 0 && p.may(l.limits.person(p.name), now) && t.may(l.limits.tenant(t.name), now)
}

// free gives back the slot of a conversation. began says that it was used.
func (l *line) free(conv string, began bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, p := l.of(l.mine[conv])
	if l.again[conv] {
		p.waiting = append(p.waiting, chat.Waiting{Conversation: conv, Since: time.Now()})
	}
	delete(l.mine, conv)
	delete(l.again, conv)
	p.stop(began)
	t.stop(began)
	l.leave(t, p)
}

// yields reports whether somebody else waits who may have the slot of a
// conversation.
func (l *line) yields(conv string, now time.Time) (yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.mine[conv]
	l.each(func(t *tenant, p *person) { yes = yes || p.name != name && l.may(t, p, now) })
	return yes
}

// shut keeps a person from slots for a while, shutTenant all of a tenant.
func (l *line) shut(name string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, p := l.of(name) // who has just been refused a slot still holds it
	p.shut = until
}

func (l *line) shutTenant(name string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.tenants[name]; t != nil {
		t.shut = until
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
	l.each(func(_ *tenant, p *person) { n += len(p.waiting) })
	return n
}
