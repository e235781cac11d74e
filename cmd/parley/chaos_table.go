package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// A chaosRow is what was measured under one kind of fault.
type chaosRow struct {
	fault                               string
	rounds, talks, followers            int
	bad, lost, doubled, unsafe, strange int // strange: rounds with anything else wrong
	takeovers, resumes, stops           []time.Duration
	silence                             time.Duration
}

// A chaosTable is the rows of a run, in the order of their first rounds.
type chaosTable struct{ rows []*chaosRow }

func (t *chaosTable) row(fault string) *chaosRow {
	for _, r := range t.rows {
		if r.fault == fault {
			return r
		}
	}
	r := &chaosRow{fault: fault}
	t.rows = append(t.rows, r)
	return r
}

// take adds what a conversation showed.
func (r *chaosRow) take(t *chaosTalk, v chaosVerdict) {
	r.talks++
	r.followers += len(t.followers)
	r.bad += v.badFollowers
	r.lost += v.lost
	r.doubled += v.doubled
	r.stops = append(r.stops, t.stops...)
	for _, f := range t.followers {
		f.mu.Lock()
		r.resumes = append(r.resumes, f.resumes...)
		r.silence = max(r.silence, f.silence)
		f.mu.Unlock()
	}
}

func (r *chaosRow) add(o *chaosRow) {
	r.rounds += o.rounds
	r.talks += o.talks
	r.followers += o.followers
	r.bad += o.bad
	r.lost += o.lost
	r.doubled += o.doubled
	r.unsafe += o.unsafe
	r.strange += o.strange
	r.takeovers = slices.Concat(r.takeovers, o.takeovers)
	r.resumes = slices.Concat(r.resumes, o.resumes)
	r.stops = slices.Concat(r.stops, o.stops)
	r.silence = max(r.silence, o.silence)
}

// well reports whether nothing was wrong.
func (r *chaosRow) well() bool { return r.bad+r.lost+r.doubled+r.unsafe+r.strange == 0 }

func (t *chaosTable) total() *chaosRow {
	sum := &chaosRow{fault: "in all"}
	for _, r := range t.rows {
		sum.add(r)
	}
	return sum
}

// write prints the table. Times are p50/p95/max, in milliseconds.
func (t *chaosTable) write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "fault\trounds\ttalks\tfollowers\tbad\tlost\tdoubled\tunsafe twice\tother\ttakeover ms\tresume ms\tstop ms\tlongest silence")
	for _, r := range append(slices.Clone(t.rows), t.total()) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%.1f s\n", r.fault, r.rounds, r.talks, r.followers,
			r.bad, r.lost, r.doubled, r.unsafe, r.strange, chaosSpread(r.takeovers), chaosSpread(r.resumes), chaosSpread(r.stops), r.silence.Seconds())
	}
	return tw.Flush()
}

// chaosSpread is p50/p95/max of durations and how many there are.
func chaosSpread(ds []time.Duration) string {
	if len(ds) == 0 {
		return "–"
	}
	return fmt.Sprintf("%d/%d/%d (%d)", chaosPercentile(ds, 50).Milliseconds(), chaosPercentile(ds, 95).Milliseconds(), chaosPercentile(ds, 100).Milliseconds(), len(ds))
}

// chaosPercentile returns the smallest duration that so many percent do not
// exceed.
func chaosPercentile(ds []time.Duration, percent int) time.Duration {
	ds = slices.Sorted(slices.Values(ds))
	return ds[max((len(ds)*percent+99)/100-1, 0)]
}
