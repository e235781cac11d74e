package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"text/tabwriter"
	"time"
)

// A Report is what `parley bench` has found, as --json prints it: times in
// milliseconds, what was not measured left out.
type Report struct {
	Clean       bool   `json:"clean"` // nothing was missed, doubled, garbled or failed
	Reason      string `json:"reason,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`

	Addresses int     `json:"addresses"`
	Idle      int     `json:"idle"`
	Answers   int     `json:"answers"`
	Followers int     `json:"followers"` // of each answer
	Rate      float64 `json:"rate"`      // pieces a second of an answer
	Size      int     `json:"size"`      // bytes of a piece
	Seconds   float64 `json:"seconds"`   // measured

	PiecesPerSecond float64 `json:"piecesPerSecond"` // delivered
	FramesPerSecond float64 `json:"framesPerSecond"`
	Age             Times   `json:"ageMs"`
	FirstAdded      Times   `json:"firstPieceAddedMs"`

	Finished int64 `json:"finished"` // answers, by all their followers
	Failed   int64 `json:"failed"`
	Unended  int64 `json:"unended"` // followers that have not heard an answer's end
	Holes    int64 `json:"missed"`
	Doubles  int64 `json:"doubled"`
	Garbled  int64 `json:"garbled"`

	DialsPerSecond float64 `json:"dialsPerSecond,omitempty"` // at the start
	TurnedAway     int64   `json:"turnedAway"`
	Reconnects     int     `json:"reconnects"`
	MostDials      int     `json:"mostDialsInASecond"` // to come back
	AwayMs         float64 `json:"awayMs"`             // from the first that was lost until all were back
	Rollbacks      int64   `json:"rollbacks"`
	Snapshots      int64   `json:"snapshots"`

	Replicas  *Use     `json:"replicas,omitempty"` // all together
	Redis     *Use     `json:"redis,omitempty"`
	Generator *Use     `json:"bench,omitempty"`
	IdleKiB   *float64 `json:"idleConnectionKiB,omitempty"` // of the replicas' memory

	Cores       int     `json:"cores"`
	MachineLoad float64 `json:"machineLoad"` // before anything began; negative: not known
}

// Times is a distribution.
type Times struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// A Use is what processes have used during the window.
type Use struct {
	CPUSecondsPerMillion float64 `json:"cpuSecondsPerMillionPieces,omitempty"`
	CPUPercent           float64 `json:"cpuPercent"` // of one core
	ResidentMiB          float64 `json:"residentMiB,omitempty"`
}

func timesOf(s *spans) Times {
	return Times{s.count(), millis(s.at(.5)), millis(s.at(.99)), millis(s.longest())}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// report is called when run has returned.
func (l *load) report() Report {
	t, g := &l.tally, &l.figures
	seconds := g.end.at.Sub(g.begin.at).Seconds()
	r := Report{
		Reason: t.firstReason(), Interrupted: g.interrupted,
		Addresses: len(l.targets), Idle: l.o.Idle, Answers: l.o.Answers, Followers: l.o.Followers, Rate: l.o.Rate, Size: l.o.Size, Seconds: seconds,
		PiecesPerSecond: float64(t.pieces.Load()) / seconds, FramesPerSecond: float64(t.frames.Load()) / seconds,
		Age: timesOf(&t.age), FirstAdded: timesOf(&t.added),
		Finished: t.finished.Load(), Failed: t.failed.Load(), Unended: g.unended,
		Holes: t.holes.Load(), Doubles: t.doubles.Load(), Garbled: t.garbled.Load(),
		TurnedAway: t.refused.Load(), Rollbacks: t.rollbacks.Load(), Snapshots: t.snapshots.Load(),
		Cores: runtime.NumCPU(), MachineLoad: g.machine,
	}
	if g.opening > 0 {
		r.DialsPerSecond = float64(g.dialled) / g.opening.Seconds()
	}
	t.away.fill(&r)
	l.fillUse(&r, seconds)
	r.Clean = r.Holes+r.Doubles+r.Garbled+r.Failed+r.Unended == 0
	if r.Unended > 0 && r.Reason == "" {
		r.Reason = fmt.Sprintf("%d followers have not heard the end of an answer %v after the model said it", r.Unended, grace)
	}
	return r
}

func (o *outage) fill(r *Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.Reconnects, r.MostDials, r.AwayMs = o.back, o.most, millis(o.longest)
}

func (l *load) fillUse(r *Report, seconds float64) {
	g, pieces := &l.figures, float64(l.tally.pieces.Load())
	use := func(cpu, bytes float64) *Use {
		u := &Use{CPUPercent: 100 * cpu / seconds, ResidentMiB: bytes / (1 << 20)}
		if pieces > 0 {
			u.CPUSecondsPerMillion = cpu * 1e6 / pieces
		}
		return u
	}
	if g.begin.hasReplicas && g.end.hasReplicas {
		r.Replicas = use(g.end.cpu-g.begin.cpu, g.end.rss)
	}
	if g.begin.hasRedis && g.end.hasRedis {
		r.Redis = use(g.end.redis-g.begin.redis, 0)
	}
	r.Generator = use((g.end.generator - g.begin.generator).Seconds(), float64(g.generatorBytes))
	if g.hasIdle {
		r.IdleKiB = &g.idleKiB
	}
}

// Print writes the report as a table, or as JSON.
func (r Report) Print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range r.rows() {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	return t.Flush()
}

func (r Report) rows() (rows [][2]string) {
	row := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	row("load", "%s answers of %v pieces/s of %d bytes, followers of each %d; idle connections %s; addresses %d; %.0f s",
		grouped(r.Answers), r.Rate, r.Size, r.Followers, grouped(r.Idle), r.Addresses, r.Seconds)
	if r.Answers > 0 {
		row("delivered", "%s pieces/s in %s frames/s", grouped(int(r.PiecesPerSecond)), grouped(int(r.FramesPerSecond)))
		row("age of a piece", "p50 %s, p99 %s, max %s", ms(r.Age.P50), ms(r.Age.P99), ms(r.Age.Max))
		row("added to the first piece", "p50 %s, p99 %s, max %s of %s answers", ms(r.FirstAdded.P50), ms(r.FirstAdded.P99), ms(r.FirstAdded.Max), grouped(int(r.FirstAdded.Count)))
		row("answers", "%s finished, %d failed, %d not heard to the end", grouped(int(r.Finished)), r.Failed, r.Unended)
		row("checked", "%d missed, %d doubled, %d garbled", r.Holes, r.Doubles, r.Garbled)
	}
	if r.Reconnects > 0 || r.TurnedAway > 0 {
		row("connections", "%s came back, all after %s; at most %s dials in a second; %s turned away", grouped(r.Reconnects), ms(r.AwayMs), grouped(r.MostDials), grouped(int(r.TurnedAway)))
	} else {
		row("connections", "none was lost")
	}
	if r.Rollbacks+r.Snapshots > 0 {
		row("taken over", "%d texts begun anew, %d snapshots", r.Rollbacks, r.Snapshots)
	}
	if r.Replicas != nil {
		row("Parley", "%s", r.Replicas)
	}
	if r.IdleKiB != nil {
		row("idle connection", "%.1f KiB of Parley's memory each", *r.IdleKiB)
	}
	if r.Redis != nil {
		row("Redis", "%s", r.Redis)
	}
	row("bench itself", "%s", r.Generator)
	if r.MachineLoad >= 0 {
		row("this machine", "%d cores, load %.2f before", r.Cores, r.MachineLoad)
	}
	switch {
	case !r.Clean:
		row("NOT CLEAN", "%s", r.Reason)
	case r.Answers == 0: // nothing was said that could be missed
	case r.Interrupted:
		row("clean", "as far as it went")
	default:
		row("clean", "every follower heard everything once, in its order")
	}
	return rows
}

// String is the use in one line, what was not measured left out.
func (u *Use) String() (v string) {
	if u.CPUSecondsPerMillion > 0 {
		v = fmt.Sprintf("%.1f CPU s per million pieces, ", u.CPUSecondsPerMillion)
	}
	v += fmt.Sprintf("%.0f %% of a core", u.CPUPercent)
	if u.ResidentMiB > 0 {
		v += fmt.Sprintf(", %.0f MiB resident", u.ResidentMiB)
	}
	return v
}

// ms shows milliseconds to three digits.
func ms(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	case v < 10_000:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.1f s", v/1000)
}

// grouped shows a whole number with commas between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
