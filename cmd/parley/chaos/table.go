package chaos

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// A Row is what was measured under one kind of fault.
type Row struct {
	Fault                               string
	Rounds, Talks, followers            int
	Bad, Lost, Doubled, Unsafe, Strange int // Strange: rounds with anything else wrong
	Takeovers, resumes, stops           []time.Duration
	Silence                             time.Duration
}

// A Table is the rows of a run, in the order of their first rounds.
type Table struct{ Rows []*Row }

// Row returns the row of a fault, a new one for the first time.
func (t *Table) Row(fault string) *Row {
	for _, r := range t.Rows {
		if r.Fault == fault {
			return r
		}
	}
	r := &Row{Fault: fault}
	t.Rows = append(t.Rows, r)
	return r
}

// Take adds what a conversation showed.
func (r *Row) Take(t *Talk, v Verdict) {
	r.Talks++
	r.followers += len(t.Followers)
	r.Bad += v.BadFollowers
	r.Lost += v.Lost
	r.Doubled += v.Doubled
	r.stops = append(r.stops, t.stops...)
	for _, f := range t.Followers {
		f.mu.Lock()
		r.resumes = append(r.resumes, f.resumes...)
		r.Silence = max(r.Silence, f.silence)
		f.mu.Unlock()
	}
}

// Add adds what another row has measured.
func (r *Row) Add(o *Row) {
	r.Rounds += o.Rounds
	r.Talks += o.Talks
	r.followers += o.followers
	r.Bad += o.Bad
	r.Lost += o.Lost
	r.Doubled += o.Doubled
	r.Unsafe += o.Unsafe
	r.Strange += o.Strange
	r.Takeovers = slices.Concat(r.Takeovers, o.Takeovers)
	r.resumes = slices.Concat(r.resumes, o.resumes)
	r.stops = slices.Concat(r.stops, o.stops)
	r.Silence = max(r.Silence, o.Silence)
}

// Well reports whether nothing was wrong.
func (r *Row) Well() bool { return r.Bad+r.Lost+r.Doubled+r.Unsafe+r.Strange == 0 }

func (t *Table) total() *Row {
	sum := &Row{Fault: "in all"}
	for _, r := range t.Rows {
		sum.Add(r)
	}
	return sum
}

// Write prints the table. Times are p50/p95/max, in milliseconds.
func (t *Table) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "fault\trounds\ttalks\tfollowers\tbad\tlost\tdoubled\tunsafe twice\tother\ttakeover ms\tresume ms\tstop ms\tlongest silence")
	for _, r := range append(slices.Clone(t.Rows), t.total()) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%.1f s\n", r.Fault, r.Rounds, r.Talks, r.followers,
			r.Bad, r.Lost, r.Doubled, r.Unsafe, r.Strange, Spread(r.Takeovers), Spread(r.resumes), Spread(r.stops), r.Silence.Seconds())
	}
	return tw.Flush()
}

// Spread is p50/p95/max of durations and how many there are.
func Spread(ds []time.Duration) string {
	if len(ds) == 0 {
		return "–"
	}
	return fmt.Sprintf("%d/%d/%d (%d)", percentile(ds, 50).Milliseconds(), percentile(ds, 95).Milliseconds(), percentile(ds, 100).Milliseconds(), len(ds))
}

// percentile returns the smallest duration that so many percent do not
// exceed.
func percentile(ds []time.Duration, percent int) time.Duration {
	ds = slices.Sorted(slices.Values(ds))
	return ds[max((len(ds)*percent+99)/100-1, 0)]
}
