package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"parley/tools"
)

const toolsUsage = `Usage: parley tools list              list the tools that the model can call
       parley tools show NAME         print one as JSON, without its secrets
       parley tools put FILE          register what a JSON file declares, or replace it
       parley tools import URL|FILE   make tools of an OpenAPI document's operations: list them,
                                      or register those that --tag, --path or --operation select
       parley tools rm NAME…          remove tools
       parley tools call NAME [JSON]  call one with these arguments, as the model would

Manages the REST endpoints that the model can call as tools. The FILE - is standard input.`

// toolsCommand manages tools over REST.
func (a *app) toolsCommand(ctx context.Context, args []string) error {
	var c clientFlags
	fs := a.flags("tools", toolsUsage)
	c.register(fs, true)
	var imports importFlags
	imports.register(fs)
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	verb, args, err := verbOf("tools", args, "list", "show", "put", "import", "rm", "call")
	if err != nil {
		return err
	}
	t, err := a.target(c, true)
	if err != nil {
		return err
	}
	return (&toolbox{app: a, api: newAPI(t), imports: imports}).run(ctx, verb, args)
}

type toolbox struct {
	app     *app
	api     *api
	imports importFlags
}

func (t *toolbox) run(ctx context.Context, verb string, args []string) error {
	if verb == "list" {
		return t.list(ctx)
	}
	if len(args) == 0 {
		return usagef("tools %s needs a name or file; `parley help tools` says more", verb)
	}
	switch verb {
	case "show":
		return t.show(ctx, args[0])
	case "put":
		return t.put(ctx, args[0])
	case "import":
		return t.importTools(ctx, args[0], t.imports)
	case "rm":
		return t.remove(ctx, args)
	}
	arguments := "{}"
	if len(args) > 1 {
		arguments = args[1]
	}
	return t.call(ctx, args[0], arguments)
}

func toolPath(name string) string { return "/v1/tools/" + url.PathEscape(name) }

func (t *toolbox) list(ctx context.Context) error {
	var page struct {
		Tools []struct {
			tools.Spec
			URL string `json:"url"`
		} `json:"tools"`
	}
	if err := t.api.get(ctx, "/v1/tools", nil, &page); err != nil {
		return err
	}
	w := tabwriter.NewWriter(t.app.stdout, 0, 4, 2, ' ', 0)
	if len(page.Tools) > 0 {
		fmt.Fprintln(w, "NAME\tEFFECT\tCALLS\tDESCRIPTION")
	}
	for _, s := range page.Tools {
		host := s.Host
		if u, err := url.Parse(s.URL); err == nil && host == "" {
			host = u.Host
		}
		where := cmp.Or(oneLined(s.Method+" "+host), "-")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", oneLined(s.Name), cmp.Or(oneLined(string(s.Effect)), "-"), where, cut(oneLined(s.Description), 60))
	}
	return w.Flush()
}

// cut shortens a text to n characters.
func cut(v string, n int) string {
	if r := []rune(v); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return v
}

func (t *toolbox) show(ctx context.Context, name string) error {
	var raw json.RawMessage
	if err := t.api.get(ctx, toolPath(name), nil, &raw); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.app.stdout, plainText(b.String()))
	return err
}

// put sends a tool's file as it is: the server says what is wrong with it.
func (t *toolbox) put(ctx context.Context, file string) error {
	b, err := t.read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, reason(err))
	}
	var named struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(b, &named); err != nil {
		return fmt.Errorf("%s: %w", file, notObject(err))
	}
	if named.Name == "" {
		return fmt.Errorf("%s: name: must be set, such as \"get_order\"", file)
	}
	if err := t.api.do(ctx, request{method: http.MethodPut, path: toolPath(named.Name), body: bytes.NewReader(b)}, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.app.stdout, "registered %s\n", oneLined(named.Name))
	return err
}

// notObject says where a text stops being JSON, if that is what is wrong.
func notObject(err error) error {
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("it is not JSON: %v at byte %d", syntax, syntax.Offset)
	}
	return errors.New("it is not a JSON object with a name")
}

func (t *toolbox) read(file string) ([]byte, error) {
	if file != "-" {
		return readSmall(file, tools.MaxEndpoint)
	}
	b, err := io.ReadAll(io.LimitReader(t.app.stdin, tools.MaxEndpoint+1))
	if err == nil && len(b) > tools.MaxEndpoint {
		err = fmt.Errorf("it is larger than %d bytes", tools.MaxEndpoint)
	}
	return b, err
}

func (t *toolbox) remove(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := t.api.do(ctx, request{method: http.MethodDelete, path: toolPath(name)}, nil); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(t.app.stdout, "removed %s\n", name)
	}
	return nil
}

// call prints a tool's answer; what is shown to people of the call goes to
// stderr.
func (t *toolbox) call(ctx context.Context, name, arguments string) error {
	if !isObject(arguments) {
		return usagef("tools call: %q is not a JSON object, such as '{\"place\":\"Lisbon\"}'", cut(arguments, 60))
	}
	in := map[string]json.RawMessage{"arguments": json.RawMessage(arguments)}
	var res struct {
		Content string        `json:"content"`
		Failed  bool          `json:"failed"`
		Outcome tools.Outcome `json:"outcome"`
	}
	if err := t.api.sendJSON(ctx, http.MethodPost, toolPath(name)+"/call", in, &res); err != nil {
		return err
	}
	fmt.Fprintf(t.app.stderr, "→ %s %s\n", name, outcomeText(res.Outcome))
	fmt.Fprintln(t.app.stdout, plainText(res.Content))
	if res.Failed {
		return exitError(exitFailed)
	}
	return nil
}

// outcomeText says in a few words how a call went.
func outcomeText(o tools.Outcome) string {
	took := fmt.Sprintf("%d ms", o.LatencyMs)
	if o.Failed {
		return oneLined(cmp.Or(o.Reason, "failed")) + " · " + took
	}
	status := "ok"
	if o.Status > 0 {
		status = fmt.Sprint(o.Status)
	}
	if o.Cut {
		took += " · cut"
	}
	return status + " · " + took
}

func isObject(text string) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal([]byte(text), &members) == nil && members != nil
}
