package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	"parley/cmd/parley/plain"
)

const chaosUsage = `Usage: parley chaos --url A,B,C [flags]

Finds out whether a running deployment keeps its promises. Many conversations are held at once
through all of its addresses and followed over WebSocket, SSE and long polls, while connections
are cut, readers are slow, messages are sent twice through two replicas and answers are stopped
from another one. With --kill, replicas or what they need fall out meanwhile. Every step of every
follower is checked, and in the end each must show what the server has stored, with every
question answered once. Prints a table; the exit code is 1 if anything was wrong.

The questions cost what the model costs. What was said is deleted again.`

// A chaosPlan is what parley chaos is to do.
type chaosPlan struct {
	urls            string
	token, question string
	rounds, talks   int
	kills, restarts texts
	down, patience  time.Duration
	seed            uint64
	keep            bool

	doors []*url.URL
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ", ") }
func (t *texts) Set(v string) error { *t = append(*t, v); return nil }

// chaosCommand is the part of the tests under fire that a client can do.
func (a *app) chaosCommand(ctx context.Context, args []string) error {
	var p chaosPlan
	fs := a.flags("chaos", chaosUsage)
	fs.StringVar(&p.urls, "url", a.getenv("PARLEY_SERVER"), "`addresses` of the deployment, with commas between: of replicas, balancers, or both. Default: $PARLEY_SERVER.")
	fs.StringVar(&p.token, "token", a.getenv("PARLEY_TOKEN"), "bearer `token` to sign in with. Default: $PARLEY_TOKEN, else a guest for each conversation.")
	fs.StringVar(&p.question, "question", "Tell me in about a hundred words what a conversation is.", "`text` that is asked, with a number behind it.")
	fs.IntVar(&p.rounds, "rounds", 10, "`n` rounds.")
	fs.IntVar(&p.talks, "talks", 5, "`n` conversations in each round, all at once.")
	fs.Var(&p.kills, "kill", "shell `command` that has something fall out, such as 'docker kill parley-2'. May be given several times: each round takes the next.")
	fs.Var(&p.restarts, "restart", "shell `command` that brings it back. The first one belongs to the first --kill, and so on.")
	fs.DurationVar(&p.down, "down", 3*time.Second, "`time` between --kill and --restart.")
	fs.DurationVar(&p.patience, "patience", 5*time.Minute, "longest `time` that a round may take until everything is answered and every follower is there.")
	fs.Uint64Var(&p.seed, "seed", 0, "`number` that makes another run do the same. Default: a new one, which is printed.")
	fs.BoolVar(&p.keep, "keep", false, "do not delete the conversations.")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("chaos takes flags only, not %q", rest[0])
	}
	if err := p.check(); err != nil {
		return err
	}
	return a.chaos(ctx, p)
}

func (p *chaosPlan) check() error {
	for _, text := range parts(p.urls) {
		u, err := serverURL(text)
		if err != nil {
			return err
		}
		p.doors = append(p.doors, u)
	}
	switch {
	case len(p.doors) == 0:
		return usagef("chaos needs --url, the addresses of a deployment, such as --url http://10.0.0.1:8080,http://10.0.0.2:8080")
	case !isVisible(p.token):
		return usagef("--token: the value has characters that no token has; was something else pasted with it?")
	case p.rounds < 1 || p.talks < 1 || p.patience <= 0:
		return usagef("--rounds and --talks are at least 1, and --patience more than nothing")
	case len(p.restarts) > len(p.kills):
		return usagef("there are more --restart than --kill")
	}
	if p.seed == 0 {
		p.seed = rand.Uint64N(1_000_000) + 1
	}
	return nil
}

// errChaos says that a deployment does not keep its promises.
var errChaos = errors.New("chaos: something was wrong; see above")

func (a *app) chaos(ctx context.Context, p chaosPlan) error {
	fmt.Fprintf(a.stdout, "%d rounds of %d conversations through %d addresses; --seed %d repeats them\n", p.rounds, p.talks, len(p.doors), p.seed)
	table := &chaosTable{}
	for n := range p.rounds {
		g := &chaosGame{plan: p, n: n, dice: newChaosDice(p.seed, uint64(n)), row: &chaosRow{rounds: 1}}
		g.play(ctx)
		if ctx.Err() != nil {
			break // what was cut off shows nothing
		}
		table.row(g.row.fault).add(g.row)
		fmt.Fprintf(a.stdout, "round %d: %s\n", n+1, g.row.fault)
		for _, w := range g.wrong {
			fmt.Fprintln(a.stderr, "  "+plain.Text(w))
		}
	}
	fmt.Fprintln(a.stdout)
	if err := table.write(a.stdout); err != nil {
		return err
	}
	if !table.total().well() {
		return errChaos
	}
	return ctx.Err()
}

// A chaosGame is one round of parley chaos.
type chaosGame struct {
	plan chaosPlan
	n    int
	dice *chaosDice
	row  *chaosRow
	at   time.Time // when something fell out

	mu    sync.Mutex // guards the fields of row besides what play writes, and all below
	wrong []string
	talks []*chaosTalk
}

// A chaosHabit is how people behave in a round.
type chaosHabit struct {
	name         string
	flips        time.Duration
	stalls       bool
	twice, stops bool
}

func chaosHabits() []chaosHabit {
	return []chaosHabit{
		{name: "connections cut", flips: 500 * time.Millisecond},
		{name: "slow readers", stalls: true},
		{name: "sent twice at once", twice: true},
		{name: "stopped elsewhere", stops: true},
		{name: "all of that", flips: time.Second, stalls: true, twice: true, stops: true},
	}
}

func (g *chaosGame) play(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.plan.patience)
	defer cancel()
	habits := chaosHabits()
	habit := habits[g.n%len(habits)]
	g.row.fault = habit.name
	var all sync.WaitGroup
	for i := range g.plan.talks {
		d := newChaosDice(g.plan.seed, uint64(g.n+1)<<20+uint64(i))
		all.Go(func() { g.converse(ctx, d, habit, fmt.Sprintf("%d.%d", g.n+1, i+1)) })
	}
	if len(g.plan.kills) > 0 {
		g.kill(ctx)
	}
	all.Wait()
	for _, t := range g.talks {
		if took, ok := t.takenOver(g.at); ok && !g.at.IsZero() {
			g.row.takeovers = append(g.row.takeovers, took)
		}
	}
}

// kill has something fall out in the midst of the answers, and come back.
func (g *chaosGame) kill(ctx context.Context) {
	i := g.n % len(g.plan.kills)
	g.row.fault = g.plan.kills[i]
	chaosPause(ctx, g.dice.span(500*time.Millisecond, 2*time.Second))
	g.at = time.Now()
	g.shell(ctx, g.plan.kills[i])
	if i < len(g.plan.restarts) {
		chaosPause(ctx, g.plan.down)
		g.shell(context.WithoutCancel(ctx), g.plan.restarts[i])
	}
}

func (g *chaosGame) shell(ctx context.Context, command string) {
	if out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil {
		g.note(fmt.Sprintf("%s: %v: %s", command, err, plain.Cut(strings.TrimSpace(string(out)), 300)))
	}
}

func (g *chaosGame) note(wrong ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrong = append(g.wrong, wrong...)
	g.row.strange += min(len(wrong), 1)
}

func (g *chaosGame) converse(ctx context.Context, d *chaosDice, h chaosHabit, name string) {
	t := &chaosTalk{}
	err := g.say(ctx, t, d, h, name)
	var v chaosVerdict
	if t.conv != "" {
		v = t.settle(ctx, endedWell)
		t.end()
	}
	if err != nil {
		v.add("%s: %v", name, err)
	}
	if len(v.wrong) == 0 && !g.plan.keep {
		if err := t.person.forget(ctx, t.conv); err != nil {
			v.add("%s cannot be deleted: %v", t.conv, err)
		}
	}
	g.mu.Lock()
	g.talks = append(g.talks, t)
	g.row.take(t, v)
	g.mu.Unlock()
	if v.badFollowers+v.lost+v.doubled > 0 {
		g.mu.Lock()
		g.wrong = append(g.wrong, v.wrong...)
		g.mu.Unlock()
	} else if len(v.wrong) > 0 {
		g.note(v.wrong...)
	}
}

func (g *chaosGame) say(ctx context.Context, t *chaosTalk, d *chaosDice, h chaosHabit, name string) (err error) {
	if t.person, err = newChaosPerson(ctx, g.plan.doors, g.plan.token, d); err != nil {
		return err
	}
	ask := t.ask
	if h.twice {
		ask = t.askTwice
	}
	q, err := ask(ctx, g.plan.question+" ("+name+")")
	if err != nil {
		return err
	}
	for _, f := range chaosCrowd() {
		f.flips, f.stalls = h.flips, h.stalls
		t.follow(f)
	}
	chaosPause(ctx, d.span(200*time.Millisecond, time.Second))
	if h.stops {
		err = t.stopAnswer(ctx, q)
	}
	if d.one(3) {
		_, more := ask(ctx, g.plan.question+" ("+name+", again)")
		err = errors.Join(err, more)
	}
	return err
}

// chaosCrowd returns a follower for every way of following.
func chaosCrowd() []*chaosFollower {
	return []*chaosFollower{
		{name: "WebSocket", way: (*chaosFollower).byWebSocket},
		{name: "another WebSocket", way: (*chaosFollower).byWebSocket},
		{name: "SSE", way: (*chaosFollower).byStream},
		{name: "long poll", way: (*chaosFollower).byPoll},
	}
}
