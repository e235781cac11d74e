package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/agents"
)

const agentsUsage = `Usage: parley agents list                list who can answer
       parley agents show NAME [VERSION] print an agent as JSON, as put takes it
       parley agents versions NAME      list what it was, the newest first
       parley agents put NAME FILE      store a version of it: JSON, as show prints it
       parley agents rm NAME…           delete agents; conversations go on with the default

An agent answers conversations, with instructions, models and tools of its own. What it does not say
is what the server's settings say. To use an old version again, put what show prints of it.`

// agentsCommand manages agents over REST.
func (a *app) agentsCommand(ctx context.Context, args []string) error {
	var c clientFlags
	fs := a.flags("agents", agentsUsage)
	c.register(fs, true)
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	verb, args, err := verbOf("agents", args, "list", "show", "versions", "put", "rm")
	if err != nil {
		return err
	}
	t, err := a.target(c, true)
	if err != nil {
		return err
	}
	as := &agentList{a, client.New(t)}
	switch {
	case verb == "list":
		return as.list(ctx)
	case len(args) == 0 || verb == "put" && len(args) < 2:
		return usagef("agents %s needs more; `parley help agents` says what", verb)
	case verb == "show":
		return as.show(ctx, args)
	case verb == "versions":
		return as.versions(ctx, args[0])
	case verb == "put":
		return as.put(ctx, args[0], args[1])
	}
	return as.remove(ctx, args)
}

type agentList struct {
	app *app
	api *client.Client
}

func agentPath(name string) string { return "/v1/agents/" + url.PathEscape(name) }

func (l *agentList) list(ctx context.Context) error {
	var page struct {
		Agents []agents.Agent `json:"agents"`
	}
	if err := l.api.Get(ctx, "/v1/agents", nil, &page); err != nil {
		return err
	}
	w := tabwriter.NewWriter(l.app.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTITLE\tDESCRIPTION")
	for _, a := range page.Agents {
		fmt.Fprintf(w, "%s\t%s\t%s\n", plain.Line(a.Name), plain.Line(a.Title), plain.Line(a.Description))
	}
	return w.Flush()
}

func (l *agentList) show(ctx context.Context, args []string) error {
	path := agentPath(args[0])
	if len(args) > 1 {
		path += "/versions/" + url.PathEscape(args[1])
	}
	var a agents.Agent // without what the server says of it
	if err := l.api.Get(ctx, path, nil, &a); err != nil {
		return err
	}
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(l.app.stdout, string(b))
	return err
}

func (l *agentList) versions(ctx context.Context, name string) error {
	var page struct {
		Versions []agents.Version `json:"versions"`
	}
	if err := l.api.Get(ctx, agentPath(name)+"/versions", nil, &page); err != nil {
		return err
	}
	w := tabwriter.NewWriter(l.app.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tSTORED\tBY\tTITLE")
	for _, v := range page.Versions {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", v.Version, dayText(v.At), plain.Line(v.By), plain.Line(v.Title))
	}
	return w.Flush()
}

func (l *agentList) put(ctx context.Context, name, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !json.Valid(bytes.TrimSpace(b)) {
		return fmt.Errorf("%s is not JSON", file)
	}
	var v agents.Version
	if err := l.api.SendJSON(ctx, http.MethodPut, agentPath(name), json.RawMessage(b), &v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = fmt.Fprintf(l.app.stdout, "%s is at version %d\n", plain.Line(v.Name), v.Version)
	return err
}

func (l *agentList) remove(ctx context.Context, names []string) error {
	var failed error
	for _, name := range names {
		err := l.api.Do(ctx, client.Request{Method: http.MethodDelete, Path: agentPath(name)}, nil)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
			continue
		}
		fmt.Fprintf(l.app.stdout, "deleted %s\n", name)
	}
	return failed
}
