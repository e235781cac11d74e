// Package chaos finds out whether a deployment keeps its promises while things
// fail: people talk to it through all of its doors, followers take in what it
// says in every way that there is and check each step, and in the end what
// they show is held against what the server has stored. A [Plan] is what an
// operator runs; its parts are those of which the tests under fire are made.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
)

// A Plan is how a deployment is to be tried.
type Plan struct {
	Doors    []*url.URL // addresses of its replicas, balancers, or both
	Token    string     // to sign in with; empty: a guest for each conversation
	Question string     // with a number behind it
	Rounds   int
	Talks    int           // in each round, all at once
	Kills    []string      // shell commands that have something fall out, one a round, in turn
	Restarts []string      // that bring it back, the first what the first of kills did
	Down     time.Duration // between the two
	Patience time.Duration // longest that a round may take until everything is answered and shown
	Seed     uint64        // of the people's dice
	Keep     bool          // the conversations are not deleted
}

// errWrong says that a deployment does not keep its promises.
var errWrong = errors.New("chaos: something was wrong; see above")

// Run plays all rounds and writes the table of what was found to out, and
// what was wrong to wrong as it is found. It returns an error if anything
// was.
func (p Plan) Run(ctx context.Context, out, wrong io.Writer) error {
	fmt.Fprintf(out, "%d rounds of %d conversations through %d addresses; --seed %d repeats them\n", p.Rounds, p.Talks, len(p.Doors), p.Seed)
	table := &Table{}
	for n := range p.Rounds {
		g := &game{plan: p, n: n, dice: NewDice(p.Seed, uint64(n)), row: &Row{Rounds: 1}}
		g.play(ctx)
		if ctx.Err() != nil {
			break // what was cut off shows nothing
		}
		table.Row(g.row.Fault).Add(g.row)
		fmt.Fprintf(out, "round %d: %s\n", n+1, g.row.Fault)
		for _, w := range g.wrong {
			fmt.Fprintln(wrong, "  "+plain.Text(w))
		}
	}
	fmt.Fprintln(out)
	if err := table.Write(out); err != nil {
		return err
	}
	if !table.total().Well() {
		return errWrong
	}
	return ctx.Err()
}

// A game is one round of parley chaos.
type game struct {
	plan Plan
	n    int
	dice *Dice
	row  *Row
	at   time.Time // when something fell out

	mu    sync.Mutex // guards the fields of row besides what play writes, and all below
	wrong []string
	talks []*Talk
}

// A habit is how people behave in a round.
type habit struct {
	name         string
	flips        time.Duration
	stalls       bool
	twice, stops bool
}

func habits() []habit {
	return []habit{
		{name: "connections cut", flips: 500 * time.Millisecond},
		{name: "slow readers", stalls: true},
		{name: "sent twice at once", twice: true},
		{name: "stopped elsewhere", stops: true},
		{name: "all of that", flips: time.Second, stalls: true, twice: true, stops: true},
	}
}

func (g *game) play(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.plan.Patience)
	defer cancel()
	all := habits()
	habit := all[g.n%len(all)]
	g.row.Fault = habit.name
	var talks sync.WaitGroup
	for i := range g.plan.Talks {
		d := NewDice(g.plan.Seed, uint64(g.n+1)<<20+uint64(i))
		talks.Go(func() { g.converse(ctx, d, habit, fmt.Sprintf("%d.%d", g.n+1, i+1)) })
	}
	if len(g.plan.Kills) > 0 {
		g.kill(ctx)
	}
	talks.Wait()
	for _, t := range g.talks {
		if took, ok := t.TakenOver(g.at); ok && !g.at.IsZero() {
			g.row.Takeovers = append(g.row.Takeovers, took)
		}
	}
}

// kill has something fall out in the midst of the answers, and come back.
func (g *game) kill(ctx context.Context) {
	i := g.n % len(g.plan.Kills)
	g.row.Fault = g.plan.Kills[i]
	client.Pause(ctx, g.dice.Span(500*time.Millisecond, 2*time.Second))
	g.at = time.Now()
	g.shell(ctx, g.plan.Kills[i])
	if i < len(g.plan.Restarts) {
		client.Pause(ctx, g.plan.Down)
		g.shell(context.WithoutCancel(ctx), g.plan.Restarts[i])
	}
}

func (g *game) shell(ctx context.Context, command string) {
	if out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil {
		g.note(fmt.Sprintf("%s: %v: %s", command, err, plain.Cut(strings.TrimSpace(string(out)), 300)))
	}
}

func (g *game) note(wrong ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrong = append(g.wrong, wrong...)
	g.row.Strange += min(len(wrong), 1)
}

func (g *game) converse(ctx context.Context, d *Dice, h habit, name string) {
	t := &Talk{}
	err := g.say(ctx, t, d, h, name)
	var v Verdict
	if t.Conv != "" {
		v = t.Settle(ctx, endedWell)
		t.End()
	}
	if err != nil {
		v.Add("%s: %v", name, err)
	}
	if len(v.Wrong) == 0 && !g.plan.Keep {
		if err := t.Person.forget(ctx, t.Conv); err != nil {
			v.Add("%s cannot be deleted: %v", t.Conv, err)
		}
	}
	g.mu.Lock()
	g.talks = append(g.talks, t)
	g.row.Take(t, v)
	g.mu.Unlock()
	if v.BadFollowers+v.Lost+v.Doubled > 0 {
		g.mu.Lock()
		g.wrong = append(g.wrong, v.Wrong...)
		g.mu.Unlock()
	} else if len(v.Wrong) > 0 {
		g.note(v.Wrong...)
	}
}

func (g *game) say(ctx context.Context, t *Talk, d *Dice, h habit, name string) (err error) {
	if t.Person, err = NewPerson(ctx, g.plan.Doors, g.plan.Token, d); err != nil {
		return err
	}
	ask := t.Ask
	if h.twice {
		ask = t.AskTwice
	}
	q, err := ask(ctx, g.plan.Question+" ("+name+")")
	if err != nil {
		return err
	}
	for _, f := range crowd() {
		f.Flips, f.Stalls = h.flips, h.stalls
		t.Follow(f)
	}
	client.Pause(ctx, d.Span(200*time.Millisecond, time.Second))
	if h.stops {
		err = t.StopAnswer(ctx, q)
	}
	if d.One(3) {
		_, more := ask(ctx, g.plan.Question+" ("+name+", again)")
		err = errors.Join(err, more)
	}
	return err
}

// crowd returns a follower for every way of following.
func crowd() []*Follower {
	return []*Follower{
		{Name: "WebSocket", Way: (*Follower).ByWebSocket},
		{Name: "another WebSocket", Way: (*Follower).ByWebSocket},
		{Name: "SSE", Way: (*Follower).ByStream},
		{Name: "long poll", Way: (*Follower).ByPoll},
	}
}
