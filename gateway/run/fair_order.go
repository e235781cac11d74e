package run

import (
	"cmp"
	"slices"
	"time"
)

// A place is what is ahead of a conversation.
type place struct {
	conv  string
	turn  float64
	since time.Time
}

// order returns those that have waited since before a time, by the number of
// those that are to come before them; nil if there are none.
func (l *line) order(before time.Time) map[string]int {
	all := l.places()
	if !slices.ContainsFunc(all, func(p place) bool { return p.since.Before(before) }) {
		return nil
	}
	sortPlaces(all)
	ahead := make(map[string]int, len(all))
	for i, p := range all {
		if p.since.Before(before) {
			ahead[p.conv] = i
		}
	}
	return ahead
}

// places returns all that wait, each with the turn of its tenant at which it
// is to come.
func (l *line) places() (all []place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tenants {
		var its []place
		for _, p := range t.people {
			for i, w := range p.waiting {
				its = append(its, place{w.Conversation, p.turn + float64(i), w.Since})
			}
		}
		sortPlaces(its)
		for i := range its {
			its[i].turn = t.turn + float64(i)
		}
		all = append(all, its...)
	}
	return all
}

func sortPlaces(all []place) {
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), a.since.Compare(b.since), cmp.Compare(a.conv, b.conv))
	})
}
