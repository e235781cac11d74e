package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const loadUsage = `Usage: parley bench [flags]
       parley bench --url URL[,URL…] --token TOKEN [flags]
       parley bench [flags] -- [flags of serve]

Measures a Parley under load: sockets that follow a conversation in which nothing happens, and
answers that are written all the time and followed. Every follower checks that it hears each
entry once, in its order, and byte for byte what the model said; if anything was lost, doubled
or failed, bench says so and exits with 1. Ctrl-C prints what there is so far. CPU time is that of
everything that is asked of Parley, told for each million of delivered pieces.

Without --url bench starts a Parley of its own, with everything in a folder that it removes;
flags behind -- go to that one (-- --gather 10ms).

With --url it measures those that run already: several addresses are replicas, or one is a
balancer. bench is their model, so that it knows what was said and when; start each of them so:

  PARLEY_MODEL=bench PARLEY_MODEL_URL=http://127.0.0.1:9099/v1 PARLEY_TITLES=false \
  PARLEY_ANSWERS=1000 PARLEY_MAX_CONNECTIONS_PER_PERSON=1000000 \
  PARLEY_OPS_ADDR=127.0.0.1:9090 parley serve

and give bench the administrator's token and, to learn what it costs, --ops 127.0.0.1:9090.
The conversations that it makes are removed at the end.`

// maxSockets is what the settings of a replica allow one person at most.
const maxSockets = 1_000_000

// loadOptions are what `parley bench` is told. Zero values are not defaults:
// the flags have them.
type loadOptions struct {
	urls, ops []string
	token     string
	modelAddr string

	own      bool
	replicas int
	redis    string
	drain    bool
	serve    []string // flags of the own replicas

	idle, answers, followers int
	rate                     float64 // pieces a second of an answer
	size                     int     // bytes of a piece
	length                   time.Duration
	duration                 time.Duration
	settle                   time.Duration
	dials                    int // a second
	json                     bool
}

func (o *loadOptions) register(fs *flagSet) (urls, ops *string) {
	urls = fs.String("url", "", "comma-separated addresses to measure, each a `url`. Default: a Parley of bench's own.")
	ops = fs.String("ops", "", "their addresses for operators, comma-separated, each `host:port`: where CPU time and memory are read. Before memory is, they are made to free what they do not use.")
	fs.StringVar(&o.token, "token", "", "administrator's `token`. Default: $PARLEY_ADMIN_TOKEN, else what a server on this machine has written into its data folder.")
	fs.StringVar(&o.modelAddr, "model-addr", "", "`host:port` where bench is the model. Default: 127.0.0.1:9099, or any with a Parley of its own.")
	fs.BoolVar(&o.own, "own", false, "measure a Parley of bench's own, as without --url.")
	fs.IntVar(&o.replicas, "replicas", 1, "`number` of replicas of the own Parley; several need --redis. Default: 1.")
	fs.StringVar(&o.redis, "redis", "", "`url` of the own Parley's Redis, whose CPU time is then measured too; with --url it is for that alone. Default: one inside the process.")
	fs.BoolVar(&o.drain, "drain", false, "stop the first of several own replicas by SIGTERM after a third of the time, and see how its clients come back.")
	fs.IntVar(&o.idle, "idle", 1000, "`number` of sockets that each follow a conversation of their own in which nothing happens. Default: 1000.")
	fs.IntVar(&o.answers, "answers", 100, "`number` of answers that are being written at any time. Default: 100.")
	fs.IntVar(&o.followers, "followers", 1, "`number` of followers of each answer; with several addresses they are at others than where it is asked for. Default: 1.")
	fs.Float64Var(&o.rate, "rate", 50, "`number` of pieces that the model says in a second, to each question. Default: 50.")
	fs.IntVar(&o.size, "size", 4, "size of a piece in `bytes`. Default: 4.")
	fs.DurationVar(&o.length, "length", 10*time.Second, "`duration` of an answer; behind it the next question is asked. Default: 10s.")
	fs.DurationVar(&o.duration, "duration", 30*time.Second, "`duration` of measuring. Default: 30s.")
	fs.DurationVar(&o.settle, "settle", 5*time.Second, "`duration` that memory is given to settle before it is read. Default: 5s.")
	fs.IntVar(&o.dials, "dials", 500, "`number` of connections opened in a second, at the start; whoever is sent away later dials when told to. Default: 500.")
	fs.BoolVar(&o.json, "json", false, "print the figures as JSON.")
	return urls, ops
}

// check says what is wrong with the options.
func (o *loadOptions) check() error {
	_, redisErr := redisURL(o.redis)
	switch {
	case o.own && len(o.urls) > 0:
		return usagef("--own measures a Parley of bench's own, --url another; give one of them")
	case len(o.urls) > 0 && (o.replicas != 1 || o.drain || len(o.serve) > 0):
		return usagef("--replicas, --drain and flags behind -- are for a Parley of bench's own, without --url")
	case o.redis != "" && redisErr != nil:
		return usagef("--redis: %q %v", redactURL(o.redis), redisErr)
	case len(o.urls) == 0 && len(o.ops) > 0:
		return usagef("--ops belongs to --url; bench knows its own Parley's")
	case o.replicas < 1 || o.replicas > 1 && o.redis == "":
		return usagef("--replicas: several need the --redis that they share, such as redis://127.0.0.1:6379")
	case o.drain && o.replicas < 2:
		return usagef("--drain: with one replica nobody is left; give --replicas 2 or more, and --redis")
	case o.idle < 0 || o.answers < 0 || o.idle+o.answers == 0:
		return usagef("--idle and --answers: there is nothing to measure")
	case o.followers < 1 || o.dials < 1 || o.size < 1 || o.size > 1<<10:
		return usagef("--followers and --dials are at least 1, --size is from 1 to 1024")
	case !(o.rate >= 0.1 && o.rate <= 100_000):
		return usagef("--rate is from 0.1 to 100000 pieces a second")
	case o.duration < time.Second || o.settle < 0 || o.length < 100*time.Millisecond || o.length > 10*time.Minute:
		return usagef("--duration is at least 1s, --length from 100ms to 10m")
	}
	return o.checkSockets()
}

// sockets is how many connections all have together.
func (o *loadOptions) sockets() int {
	n := o.idle + o.answers*o.followers
	if max(len(o.urls), o.replicas) > 1 {
		n += o.answers // ask elsewhere than they follow
	}
	return n
}

// checkSockets asks before anything begins whether there can be so many.
func (o *loadOptions) checkSockets() error {
	need := o.sockets() + o.answers + 100 // the model's connections and what else is open
	if most := maxFiles(); most > 0 && need > most {
		return usagef("%d sockets need %d open files, and this process may have %d; raise it with `ulimit -n`", o.sockets(), need, most)
	}
	return nil
}

// benchCommand measures a Parley.
func (a *app) benchCommand(ctx context.Context, args []string) error {
	var o loadOptions
	fs := a.flags("bench", loadUsage)
	urls, ops := o.register(fs)
	flags, serve := splitServe(args)
	rest, err := parse(fs, flags)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("bench takes flags only, not %q; flags of its own Parley stand behind --", rest[0])
	}
	o.urls, o.ops, o.serve = parts(*urls), parts(*ops), serve
	if err := o.check(); err != nil {
		return err
	}
	l := newLoadgen(o, a.stderr)
	if len(o.urls) > 0 {
		err = a.others(l)
	} else {
		err = l.startOwn(ctx, a.env)
	}
	if err != nil {
		l.stopOwn()
		return err
	}
	return a.measure(ctx, l)
}

// splitServe takes what stands behind -- off the arguments.
func splitServe(args []string) (flags, serve []string) {
	for i, arg := range args {
		if arg == "--" {
			return args[:i], args[i+1:]
		}
	}
	return args, nil
}

// others sets who is measured: replicas that somebody else has started.
func (a *app) others(l *loadgen) error {
	for _, u := range l.o.urls {
		t, err := a.target(clientFlags{server: u, token: l.o.token}, true)
		if usage := usageError(""); errors.As(err, &usage) {
			return usageError(strings.Replace(string(usage), "--server", "--url", 1))
		}
		if err != nil {
			return err
		}
		l.targets = append(l.targets, t)
	}
	l.o.modelAddr = cmp.Or(l.o.modelAddr, "127.0.0.1:9099")
	l.ops = l.o.ops
	return l.model.listen(context.Background(), l.o.modelAddr)
}

// measure runs the load and prints what came of it, also if it was ended
// early.
func (a *app) measure(ctx context.Context, l *loadgen) error {
	defer l.stopOwn()
	defer l.model.close()
	err := l.run(ctx)
	interrupted := errors.Is(err, context.Canceled)
	if !l.measured() {
		if interrupted {
			fmt.Fprintln(a.stderr, "Stopped before anything was measured.")
			return exitError(exitInterrupted)
		}
		return err
	}
	r := l.report()
	if perr := r.print(a.stdout, l.o.json); perr != nil {
		return perr
	}
	switch {
	case err != nil && !interrupted:
		return err
	case !r.Clean:
		return exitError(exitFailed)
	case interrupted:
		return exitError(exitInterrupted)
	}
	return nil
}
