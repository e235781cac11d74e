package bench

import (
	"errors"
	"fmt"
	"time"

	"parley/cmd/parley/client"
)

// maxSockets is what the settings of a replica allow one person at most.
const maxSockets = 1_000_000

// Options are what is measured, and under which load. Zero values are not
// defaults: the flags of `parley bench` have them.
type Options struct {
	Targets   []client.Target // with the administrator's token; none: a Parley of bench's own
	Ops       []string        // where the targets tell operators what they use, each host:port
	ModelAddr string          // where bench is the model, host:port; empty: 127.0.0.1:9099, or any with a Parley of its own

	Replicas int      // of the own Parley
	Redis    string   // URL, of the own replicas; with targets only its CPU time is read
	Drain    bool     // the first own replica is stopped meanwhile
	Serve    []string // flags of the own replicas
	Env      []string // of the own replicas, NAME=value; what it has of Parley's settings is left out

	Idle      int           // sockets that follow a conversation in which nothing happens
	Answers   int           // written at any time
	Followers int           // of each answer
	Rate      float64       // pieces a second of an answer
	Size      int           // bytes of a piece
	Length    time.Duration // of an answer
	Duration  time.Duration // of measuring
	Settle    time.Duration // given to memory before it is read
	Dials     int           // a second, at the start
}

// Check says what is wrong with the options, in the words of the flags.
func (o *Options) Check() error {
	switch {
	case len(o.Targets) > 0 && (o.Replicas != 1 || o.Drain || len(o.Serve) > 0):
		return errors.New("--replicas, --drain and flags behind -- are for a Parley of bench's own, without --url")
	case len(o.Targets) == 0 && len(o.Ops) > 0:
		return errors.New("--ops belongs to --url; bench knows its own Parley's")
	case o.Replicas < 1 || o.Replicas > 1 && o.Redis == "":
		return errors.New("--replicas: several need the --redis that they share, such as redis://127.0.0.1:6379")
	case o.Drain && o.Replicas < 2:
		return errors.New("--drain: with one replica nobody is left; give --replicas 2 or more, and --redis")
	case o.Idle < 0 || o.Answers < 0 || o.Idle+o.Answers == 0:
		return errors.New("--idle and --answers: there is nothing to measure")
	case o.Followers < 1 || o.Dials < 1 || o.Size < 1 || o.Size > 1<<10:
		return errors.New("--followers and --dials are at least 1, --size is from 1 to 1024")
	case !(o.Rate >= 0.1 && o.Rate <= 100_000):
		return errors.New("--rate is from 0.1 to 100000 pieces a second")
	case o.Duration < time.Second || o.Settle < 0 || o.Length < 100*time.Millisecond || o.Length > 10*time.Minute:
		return errors.New("--duration is at least 1s, --length from 100ms to 10m")
	}
	return o.checkSockets()
}

// sockets is how many connections all have together.
func (o *Options) sockets() int {
	n := o.Idle + o.Answers*o.Followers
	if max(len(o.Targets), o.Replicas) > 1 {
		n += o.Answers // ask elsewhere than they follow
	}
	return n
}

// checkSockets asks before anything begins whether there can be so many.
func (o *Options) checkSockets() error {
	need := o.sockets() + o.Answers + 100 // the model's connections and what else is open
	if most := maxFiles(); most > 0 && need > most {
		return fmt.Errorf("%d sockets need %d open files, and this process may have %d; raise it with `ulimit -n`", o.sockets(), need, most)
	}
	return nil
}
