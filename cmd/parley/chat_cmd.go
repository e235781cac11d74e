package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/chat"
)

const chatUsage = `Usage: parley chat [flags]

Talks to a server in the terminal. Answers come as they are written; Ctrl-C stops one, and leaves
if there is none. Lost connections are taken up again where they broke off. If standard input is
no terminal, each of its lines is a question; the exit code is 1 if an answer failed.

While talking:
  /new          begin a new conversation
  /edit WORDS   ask the last question in these words; the new answer replaces the old
  /retry        have the last question answered anew
  /list         list your conversations
  /open ID      go on with one of them
  /help         show these commands
  /quit         leave, as Ctrl-D does`

const chatHelp = "/new begins a conversation, /list lists them, /open ID goes on with one, /quit leaves.\n/edit WORDS asks the last question in other words, /retry has it answered anew.\nCtrl-C stops an answer."

type chatFlags struct {
	clientFlags
	conversation, once string
	quiet              bool
}

// chatCommand is a client of a server for people and for scripts.
func (a *app) chatCommand(ctx context.Context, args []string) error {
	var f chatFlags
	fs := a.flags("chat", chatUsage)
	f.register(fs, false)
	fs.StringVar(&f.conversation, "conversation", "", "`id` of a conversation to go on with.")
	fs.StringVar(&f.once, "once", "", "`question` to ask, and leave with its answer.")
	fs.BoolVar(&f.quiet, "quiet", false, "print answers only, no tool calls and sources.")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("chat takes flags only; to ask one question: parley chat --once %q", strings.Join(rest, " "))
	}
	if f.conversation != "" && !chat.ValidID(f.conversation) {
		return usagef("--conversation: %q is not the id of a conversation; /list shows them", plain.Cut(f.conversation, 80))
	}
	t, err := a.target(f.clientFlags, false)
	if err != nil {
		return err
	}
	return a.talk(ctx, t, f)
}

// talk gathers what a conversation needs and holds it.
func (a *app) talk(ctx context.Context, to client.Target, f chatFlags) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	guest := &guest{path: cookieFile(a.getenv), target: to, jar: jar}
	guest.load()
	c := &client.Client{Target: to, HTTP: &http.Client{Timeout: 30 * time.Second, Jar: jar}}
	var info serverInfo
	if err := c.Get(ctx, "/v1/info", nil, &info); err != nil {
		return err
	}
	if err := guest.save(); err != nil {
		fmt.Fprintf(a.stderr, "parley: this conversation cannot be continued later: %v\n", err)
	}
	t := newTalk(a, c, f, info)
	t.lines = a.questions(ctx, f.once)
	defer t.close()
	return t.run(ctx)
}

// serverInfo is what GET /v1/info says.
type serverInfo struct {
	Name   string `json:"name"`
	Model  string `json:"model"`
	Demo   bool   `json:"demo"`
	Limits struct {
		MaxMessage int `json:"maxMessage"`
	} `json:"limits"`
}

const maxLine = 1 << 20 // bytes of a line of input

// questions returns what is asked, and is closed at its end: the one question,
// or the lines of standard input. The goroutine that reads those ends with
// them, or with the process: a read cannot be interrupted.
func (a *app) questions(ctx context.Context, once string) <-chan string {
	if once != "" {
		one := make(chan string, 1)
		one <- once
		close(one)
		return one
	}
	lines := make(chan string)
	go a.readLines(ctx, lines)
	return lines
}

func (a *app) readLines(ctx context.Context, lines chan<- string) {
	defer close(lines)
	sc := bufio.NewScanner(a.stdin)
	sc.Buffer(nil, maxLine)
	for sc.Scan() {
		select {
		case lines <- sc.Text():
		case <-ctx.Done():
			return
		}
	}
	if err := sc.Err(); err != nil {
		fmt.Fprintf(a.stderr, "parley: reading questions: %v\n", err)
	}
}
