// Command parley is Parley: a server for live conversations with a model that
// calls REST endpoints as tools, and a client of it for the terminal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"parley/tools/pdf"
)

// pdfChild is what the server starts itself with to have a PDF read,
// with the limits behind it.
const pdfChild = "pdf-words"

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if len(os.Args) == 3 && os.Args[1] == pdfChild {
		os.Exit(pdf.Serve(context.Background(), os.Args[2], os.Stdin, os.Stdout))
	}
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Environ(), signals: signals, serve: serve}
	code := a.run(context.Background(), os.Args[1:])
	os.Exit(code)
}

// An app is the program with everything that it has from outside. It is not
// safe for concurrent use.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string // NAME=value
	signals        <-chan os.Signal

	serve func(ctx context.Context, s settings, stdout, stderr io.Writer) error

	// terminal reports whether what stands behind a reader or writer is a
	// terminal; nil means isTerminal.
	terminal func(v any) bool

	// pause is the first of chat's waits between dialling and dialling again;
	// zero means 300 ms.
	pause time.Duration
}

// getenv returns a variable of the app's environment, the last of several.
func (a *app) getenv(name string) (v string) {
	for _, kv := range a.env {
		if rest, ok := strings.CutPrefix(kv, name+"="); ok {
			v = rest
		}
	}
	return v
}

func (a *app) isTerminal(v any) bool {
	if a.terminal != nil {
		return a.terminal(v)
	}
	return isTerminal(v)
}

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells count
)

// A command is a subcommand.
type command struct {
	name, args, help string
	run              func(a *app, ctx context.Context, args []string) error
	signals          bool // it deals with signals by itself
}

func commands() []command {
	return []command{
		{name: "serve", args: "[flags]", help: "run the server; what parley does without a command", run: (*app).serveCommand},
		{name: "chat", args: "[flags]", help: "talk to a server in the terminal", run: (*app).chatCommand, signals: true},
		{name: "docs", args: "add|list|rm|search …", help: "the documents that answers can cite", run: (*app).docsCommand},
		{name: "tools", args: "list|show|add|import|try|rm|enable|disable …", help: "the REST endpoints that the model can call", run: (*app).toolsCommand},
		{name: "keys", args: "list|add|rm …", help: "the API keys of other systems", run: (*app).keysCommand},
		{name: "agents", args: "list|show|versions|put|rm …", help: "who answers: instructions, models and tools by name", run: (*app).agentsCommand},
		{name: "models", args: "[--check]", help: "the model that answers, and whether it works", run: (*app).modelsCommand},
		{name: "store", args: "copy FROM TO", help: "move what is stored from SQLite to PostgreSQL, or back", run: (*app).storeCommand},
		{name: "bench", args: "[flags]", help: "measure a server under load, and check what it delivers", run: (*app).benchCommand},
		{name: "chaos", args: "--url A,B,C [flags]", help: "find out whether a deployment keeps its promises when things fail", run: (*app).chaosCommand},
		{name: "health", args: "[flags]", help: "ask the server whether it is alive; for containers", run: (*app).healthCommand},
		{name: "settings", help: "print the table of settings as Markdown", run: (*app).settingsCommand},
		{name: "version", help: "print the version", run: (*app).versionCommand},
	}
}

// exitError ends the program with a code, its reason having been told.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is a mistake in how the program was called.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// run runs the program and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	name := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	} else if len(args) == 1 && isHelp(args[0]) {
		name = "help"
	}
	if name == "help" {
		return a.exit(a.help(ctx, args))
	}
	c, err := find(name)
	if err != nil {
		return a.exit(err)
	}
	if !c.signals {
		var stop context.CancelFunc
		ctx, stop = a.untilSignal(ctx)
		defer stop()
	}
	return a.exit(c.run(a, ctx, args))
}

func find(name string) (command, error) {
	cs := commands()
	i := slices.IndexFunc(cs, func(c command) bool { return c.name == name })
	if i >= 0 {
		return cs[i], nil
	}
	names := []string{"help"}
	for _, c := range cs {
		names = append(names, c.name)
	}
	if n := nearest(name, names); n != "" {
		return command{}, usagef("there is no command %q; did you mean %s?", name, n)
	}
	return command{}, usagef("there is no command %q; `parley help` lists them", name)
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// exit tells an error to the person and returns the exit code.
func (a *app) exit(err error) int {
	var code exitError
	var usage usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "parley: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(a.stderr, "parley: %v\n", err)
	return exitFailed
}

// untilSignal returns a context that the first signal ends. The second one
// has its usual effect, so that whoever is in a hurry is obeyed.
func (a *app) untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-a.signals:
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-done }
}

func (a *app) help(ctx context.Context, args []string) error {
	if len(args) > 0 && !isHelp(args[0]) {
		c, err := find(args[0])
		if err != nil {
			return err
		}
		return c.run(a, ctx, []string{"--help"})
	}
	fmt.Fprint(a.stdout, "Parley is a server for live conversations with a model that calls your REST\nendpoints as tools.\n\nUsage: parley [command]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(a.stdout, "  %-8s  %s\n", c.name, c.help)
	}
	fmt.Fprint(a.stdout, "\n`parley` alone starts a server on http://127.0.0.1:8080 with nothing to set up.\n`parley help COMMAND` says more about a command.\n")
	return nil
}

// A flagSet is the flags of one command. Its help goes to stdout, and
// mistakes become usage errors without it.
type flagSet struct {
	*flag.FlagSet
	help func()
}

func (a *app) flags(name, usage string) *flagSet {
	fs := &flagSet{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.help = func() {
		fmt.Fprintln(a.stdout, usage)
		writeFlags(a.stdout, fs.FlagSet)
	}
	return fs
}

// writeFlags lists the flags of a client command.
func writeFlags(w io.Writer, fs *flag.FlagSet) {
	heading := "\nFlags\n"
	fs.VisitAll(func(f *flag.Flag) {
		fmt.Fprint(w, heading)
		heading = ""
		arg, help := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %s\n", strings.TrimSpace("--"+f.Name+" "+arg))
		for _, line := range wrap(help, helpWidth-8) {
			fmt.Fprintf(w, "        %s\n", line)
		}
	})
}

// parse parses args; flags may stand behind operands, which are returned.
func parse(fs *flagSet, args []string) (operands []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, fs.mistake(err)
		}
		rest := fs.Args()
		if len(rest) == 0 {
			return operands, nil
		}
		if done := len(args) - len(rest); done > 0 && args[done-1] == "--" {
			return append(operands, rest...), nil
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

// mistake shows the help if that was asked for, and words everything else
// for people.
func (fs *flagSet) mistake(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		fs.help()
		return err
	}
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return usagef("%v", strings.Replace(err.Error(), "an argument: -", "a value: --", 1))
	}
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if n := nearest(strings.TrimPrefix(name, "-"), names); n != "" {
		return usagef("there is no flag --%s; did you mean --%s?", name, n)
	}
	return usagef("there is no flag --%s; `parley help %s` lists them", name, strings.Fields(fs.Name())[0])
}
