package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/cmd/parley/bench"
)

const benchUsage = `Usage: parley bench [flags]
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

// benchFlags are what `parley bench` is told.
type benchFlags struct {
	bench.Options
	urls, ops, token string
	own, json        bool
}

func (o *benchFlags) register(fs *flagSet) {
	fs.StringVar(&o.urls, "url", "", "comma-separated addresses to measure, each a `url`. Default: a Parley of bench's own.")
	fs.StringVar(&o.ops, "ops", "", "their addresses for operators, comma-separated, each `host:port`: where CPU time and memory are read. Before memory is, they are made to free what they do not use.")
	fs.StringVar(&o.token, "token", "", "administrator's `token`. Default: $PARLEY_ADMIN_TOKEN, else what a server on this machine has written into its data folder.")
	fs.StringVar(&o.ModelAddr, "model-addr", "", "`host:port` where bench is the model. Default: 127.0.0.1:9099, or any with a Parley of its own.")
	fs.BoolVar(&o.own, "own", false, "measure a Parley of bench's own, as without --url.")
	fs.IntVar(&o.Replicas, "replicas", 1, "`number` of replicas of the own Parley; several need --redis. Default: 1.")
	fs.StringVar(&o.Redis, "redis", "", "`url` of the own Parley's Redis, whose CPU time is then measured too; with --url it is for that alone. Default: one inside the process.")
	fs.BoolVar(&o.Drain, "drain", false, "stop the first of several own replicas by SIGTERM after a third of the time, and see how its clients come back.")
	fs.IntVar(&o.Idle, "idle", 1000, "`number` of sockets that each follow a conversation of their own in which nothing happens. Default: 1000.")
	fs.IntVar(&o.Answers, "answers", 100, "`number` of answers that are being written at any time. Default: 100.")
	fs.IntVar(&o.Followers, "followers", 1, "`number` of followers of each answer; with several addresses they are at others than where it is asked for. Default: 1.")
	fs.Float64Var(&o.Rate, "rate", 50, "`number` of pieces that the model says in a second, to each question. Default: 50.")
	fs.IntVar(&o.Size, "size", 4, "size of a piece in `bytes`. Default: 4.")
	fs.DurationVar(&o.Length, "length", 10*time.Second, "`duration` of an answer; behind it the next question is asked. Default: 10s.")
	fs.DurationVar(&o.Duration, "duration", 30*time.Second, "`duration` of measuring. Default: 30s.")
	fs.DurationVar(&o.Settle, "settle", 5*time.Second, "`duration` that memory is given to settle before it is read. Default: 5s.")
	fs.IntVar(&o.Dials, "dials", 500, "`number` of connections opened in a second, at the start; whoever is sent away later dials when told to. Default: 500.")
	fs.BoolVar(&o.json, "json", false, "print the figures as JSON.")
}

// benchCommand measures a Parley.
func (a *app) benchCommand(ctx context.Context, args []string) error {
	var o benchFlags
	fs := a.flags("bench", benchUsage)
	o.register(fs)
	flags, serve := splitServe(args)
	rest, err := parse(fs, flags)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("bench takes flags only, not %q; flags of its own Parley stand behind --", rest[0])
	}
	o.Options.Ops, o.Serve, o.Env = parts(o.ops), serve, a.env
	if err := a.settleBench(&o); err != nil {
		return err
	}
	return a.measure(ctx, o)
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

// settleBench sets who is measured, if somebody else has started them, and
// sees that the flags go together.
func (a *app) settleBench(o *benchFlags) error {
	if o.own && o.urls != "" {
		return usagef("--own measures a Parley of bench's own, --url another; give one of them")
	}
	for _, u := range parts(o.urls) {
		t, err := a.target(clientFlags{server: u, token: o.token}, true)
		if usage := usageError(""); errors.As(err, &usage) {
			return usageError(strings.Replace(string(usage), "--server", "--url", 1))
		}
		if err != nil {
			return err
		}
		o.Targets = append(o.Targets, t)
	}
	if o.Redis != "" {
		if _, err := redisURL(o.Redis); err != nil {
			return usagef("--redis: %q %v", redactURL(o.Redis), err)
		}
	}
	if err := o.Check(); err != nil {
		return usageError(err.Error())
	}
	return nil
}

// measure runs the load and prints what came of it, also if it was ended
// early.
func (a *app) measure(ctx context.Context, o benchFlags) error {
	r, err := bench.Run(ctx, o.Options, a.stderr)
	interrupted := errors.Is(err, context.Canceled)
	if r == nil {
		if interrupted {
			fmt.Fprintln(a.stderr, "Stopped before anything was measured.")
			return exitError(exitInterrupted)
		}
		return err
	}
	if perr := r.Print(a.stdout, o.json); perr != nil {
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
