package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
)

const toolsUsage = `Usage: parley tools list [WORDS…]         list the tools, or those that fit words, the best first
       parley tools show NAME             print one as JSON, without its secrets
       parley tools add FILE              register what a JSON file declares, or replace it
       parley tools add NAME --url URL    register one by flags
       parley tools add [NAME] --curl CMD register what a curl command calls
       parley tools import URL|FILE       list the operations of an OpenAPI document, or make tools
                                          of those that --tag, --path or --operation select
       parley tools try NAME [key=value…] call one, as the model would; one JSON object can stand
                                          instead of key=value
       parley tools disable NAME…         keep tools, but neither offer nor call them
       parley tools enable NAME…          offer them again
       parley tools rm NAME…              remove tools

Manages the REST endpoints that the model can call as tools. The FILE - is standard input, and
so is the command of --curl -. With --json every verb prints the server's own answer.

  parley tools add get_order --url 'https://shop.example/orders/{order}' --header 'X-Api-Key: …'
  parley tools add --curl "curl https://shop.example/orders/7 -H 'X-Api-Key: …'" --dry-run
  parley tools try get_order order=7`

// toolVerbs are what can be done with tools; put and call are the names that
// add and try had.
func toolVerbs() []string {
	return []string{"list", "show", "add", "import", "try", "rm", "enable", "disable", "put", "call"}
}

// toolsCommand manages tools over REST.
func (a *app) toolsCommand(ctx context.Context, args []string) error {
	var c clientFlags
	fs := a.flags("tools", toolsUsage)
	c.register(fs, true)
	t := &toolbox{app: a}
	t.imports.register(fs)
	t.adds.register(fs)
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	verb, args, err := verbOf("tools", args, toolVerbs()...)
	if err != nil {
		return err
	}
	to, err := a.target(c, true)
	if err != nil {
		return err
	}
	t.api, t.raw = client.New(to), t.imports.raw
	return t.run(ctx, verb, args)
}

type toolbox struct {
	app     *app
	api     *client.Client
	raw     bool // answers are printed as the server gives them
	imports importFlags
	adds    addFlags
}

func (t *toolbox) run(ctx context.Context, verb string, args []string) error {
	switch {
	case verb == "list":
		return t.list(ctx, strings.Join(args, " "))
	case verb == "add" || verb == "put":
		return t.add(ctx, args)
	case len(args) == 0:
		return usagef("tools %s needs a name or file; `parley help tools` says more", verb)
	}
	switch verb {
	case "show":
		return t.show(ctx, args[0])
	case "import":
		return t.importTools(ctx, args[0], t.imports)
	case "rm":
		return t.remove(ctx, args)
	case "enable", "disable":
		return t.switchTo(ctx, args, verb == "disable")
	}
	return t.try(ctx, args[0], args[1:])
}

func toolPath(name string) string { return "/v1/tools/" + url.PathEscape(name) }

func (t *toolbox) show(ctx context.Context, name string) error {
	var raw json.RawMessage
	if err := t.api.Get(ctx, toolPath(name), nil, &raw); err != nil {
		return t.unknown(ctx, name, err)
	}
	return t.print(raw)
}

// print prints what the server answered.
func (t *toolbox) print(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.app.stdout, plain.Text(b.String()))
	return err
}

// unknown adds to an error that there is no such tool which one may be meant.
func (t *toolbox) unknown(ctx context.Context, name string, err error) error {
	if p := (*client.Problem)(nil); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		return err
	}
	var page toolPage
	if t.api.Get(ctx, "/v1/tools", nil, &page) != nil {
		return err
	}
	var names []string
	for _, l := range page.Tools {
		names = append(names, l.Name)
	}
	if meant := nearest(name, names); meant != "" {
		return fmt.Errorf("there is no tool named %s; did you mean %s?", name, plain.Line(meant))
	}
	return fmt.Errorf("there is no tool named %s; `parley tools list` names those that there are", name)
}

func (t *toolbox) remove(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := t.api.Do(ctx, client.Request{Method: http.MethodDelete, Path: toolPath(name)}, nil); err != nil {
			return fmt.Errorf("%s: %w", name, t.unknown(ctx, name, err))
		}
		if err := t.done("removed", name, json.RawMessage(fmt.Sprintf(`{"removed":%q}`, name))); err != nil {
			return err
		}
	}
	return nil
}

// switchTo disables tools, or enables them again.
func (t *toolbox) switchTo(ctx context.Context, names []string, disabled bool) error {
	for _, name := range names {
		var raw json.RawMessage
		if err := t.api.SendJSON(ctx, http.MethodPatch, toolPath(name), map[string]bool{"disabled": disabled}, &raw); err != nil {
			return fmt.Errorf("%s: %w", name, t.unknown(ctx, name, err))
		}
		did := "enabled"
		if disabled {
			did = "disabled"
		}
		if err := t.done(did, name, raw); err != nil {
			return err
		}
	}
	return nil
}

// done says what was done with a tool, or prints the answer to it.
func (t *toolbox) done(did, name string, raw json.RawMessage) error {
	if t.raw {
		return t.print(raw)
	}
	_, err := fmt.Fprintf(t.app.stdout, "%s %s\n", did, plain.Line(name))
	return err
}
