package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"parley/cmd/parley/chaos"
)

const chaosUsage = `Usage: parley chaos --url A,B,C [flags]

Finds out whether a running deployment keeps its promises. Many conversations are held at once
through all of its addresses and followed over WebSocket, SSE and long polls, while connections
are cut, readers are slow, messages are sent twice through two replicas and answers are stopped
from another one. With --kill, replicas or what they need fall out meanwhile. Every step of every
follower is checked, and in the end each must show what the server has stored, with every
question answered once. Prints a table; the exit code is 1 if anything was wrong.

The questions cost what the model costs. What was said is deleted again.`

// chaosFlags are what parley chaos is told.
type chaosFlags struct {
	chaos.Plan
	urls string
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ", ") }
func (t *texts) Set(v string) error { *t = append(*t, v); return nil }

// chaosCommand is the part of the tests under fire that a client can do.
func (a *app) chaosCommand(ctx context.Context, args []string) error {
	var p chaosFlags
	fs := a.flags("chaos", chaosUsage)
	fs.StringVar(&p.urls, "url", a.getenv("PARLEY_SERVER"), "`addresses` of the deployment, with commas between: of replicas, balancers, or both. Default: $PARLEY_SERVER.")
	fs.StringVar(&p.Token, "token", a.getenv("PARLEY_TOKEN"), "bearer `token` to sign in with. Default: $PARLEY_TOKEN, else a guest for each conversation.")
	fs.StringVar(&p.Question, "question", "Tell me in about a hundred words what a conversation is.", "`text` that is asked, with a number behind it.")
	fs.IntVar(&p.Rounds, "rounds", 10, "`n` rounds.")
	fs.IntVar(&p.Talks, "talks", 5, "`n` conversations in each round, all at once.")
	fs.Var((*texts)(&p.Kills), "kill", "shell `command` that has something fall out, such as 'docker kill parley-2'. May be given several times: each round takes the next.")
	fs.Var((*texts)(&p.Restarts), "restart", "shell `command` that brings it back. The first one belongs to the first --kill, and so on.")
	fs.DurationVar(&p.Down, "down", 3*time.Second, "`time` between --kill and --restart.")
	fs.DurationVar(&p.Patience, "patience", 5*time.Minute, "longest `time` that a round may take until everything is answered and every follower is there.")
	fs.Uint64Var(&p.Seed, "seed", 0, "`number` that makes another run do the same. Default: a new one, which is printed.")
	fs.BoolVar(&p.Keep, "keep", false, "do not delete the conversations.")
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
	return p.Run(ctx, a.stdout, a.stderr)
}

// check says what is wrong with the flags, and reads the addresses.
func (p *chaosFlags) check() error {
	for _, text := range parts(p.urls) {
		u, err := serverURL(text)
		if err != nil {
			return err
		}
		p.Doors = append(p.Doors, u)
	}
	switch {
	case len(p.Doors) == 0:
		return usagef("chaos needs --url, the addresses of a deployment, such as --url http://10.0.0.1:8080,http://10.0.0.2:8080")
	case !isVisible(p.Token):
		return usagef("--token: the value has characters that no token has; was something else pasted with it?")
	case p.Rounds < 1 || p.Talks < 1 || p.Patience <= 0:
		return usagef("--rounds and --talks are at least 1, and --patience more than nothing")
	case len(p.Restarts) > len(p.Kills):
		return usagef("there are more --restart than --kill")
	}
	if p.Seed == 0 {
		p.Seed = rand.Uint64N(1_000_000) + 1
	}
	return nil
}
