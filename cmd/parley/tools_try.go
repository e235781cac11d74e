package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"parley/cmd/parley/plain"
	"parley/tools"
)

// try calls a tool and prints its answer; what is shown to people of the call
// goes to stderr.
func (t *toolbox) try(ctx context.Context, name string, args []string) error {
	arguments, err := t.arguments(ctx, name, args)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	in := map[string]json.RawMessage{"arguments": arguments}
	if err := t.api.SendJSON(ctx, http.MethodPost, toolPath(name)+"/call", in, &raw); err != nil {
		return t.unknown(ctx, name, err)
	}
	var res struct {
		Content string `json:"content"`
		Failed  bool   `json:"failed"`
		Cached  bool   `json:"cached"`
		Outcome struct {
			tools.Outcome
			Cached bool `json:"cached"`
		} `json:"outcome"`
	}
	if err := json.Unmarshal(raw, &res); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	if t.raw {
		err = t.print(raw)
	} else {
		summary := outcomeText(res.Outcome.Outcome)
		if res.Cached || res.Outcome.Cached {
			summary += " · cached"
		}
		fmt.Fprintf(t.app.stderr, "→ %s %s\n", name, summary)
		_, err = fmt.Fprintln(t.app.stdout, plain.Text(res.Content))
	}
	if err == nil && res.Failed {
		return exitError(exitFailed)
	}
	return err
}

// arguments makes the arguments of a call from what the command line has: one
// JSON object, or key=value as often as is needed.
func (t *toolbox) arguments(ctx context.Context, name string, args []string) (json.RawMessage, error) {
	if len(args) == 0 {
		return json.RawMessage("{}"), nil
	}
	if text := strings.TrimSpace(args[0]); len(args) == 1 && !strings.Contains(text, "=") || strings.HasPrefix(text, "{") {
		if !isObject(text) {
			return nil, usagef("tools try: %q is neither key=value nor a JSON object, such as '{\"place\":\"Lisbon\"}'", plain.Cut(text, 60))
		}
		if len(args) > 1 {
			return nil, usagef("tools try takes either one JSON object or key=value, not both")
		}
		return json.RawMessage(text), nil
	}
	var tool struct {
		Parameters struct {
			Properties map[string]struct {
				Type any `json:"type"`
			} `json:"properties"`
		} `json:"parameters"`
	}
	if err := t.api.Get(ctx, toolPath(name), nil, &tool); err != nil {
		return nil, t.unknown(ctx, name, err)
	}
	values := map[string]json.RawMessage{}
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		p, known := tool.Parameters.Properties[key]
		switch {
		case !ok || key == "":
			return nil, usagef("tools try: %q is not key=value", plain.Cut(arg, 60))
		case !known && len(tool.Parameters.Properties) > 0:
			return nil, usagef("tools try: %s has no parameter %s; it has %s", name, key, plain.Line(strings.Join(slices.Sorted(maps.Keys(tool.Parameters.Properties)), ", ")))
		}
		v, err := typed(text, p.Type)
		if err != nil {
			return nil, usagef("tools try: %s: %v", key, err)
		}
		values[key] = v
	}
	return json.Marshal(values)
}

// typed writes a text as the JSON value that a schema's type asks for. A list
// may be written with commas.
func typed(text string, typ any) (json.RawMessage, error) {
	types, _ := typ.([]any)
	if one, ok := typ.(string); ok {
		types = []any{one}
	}
	quoted, err := json.Marshal(text)
	if err != nil || slices.Contains(types, any("string")) {
		return quoted, err
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	switch {
	case slices.Contains(types, any("array")):
		return json.Marshal(strings.Split(text, ","))
	case len(types) == 0:
		return quoted, nil
	}
	return nil, fmt.Errorf("%q is no %v", plain.Cut(text, 40), types[0])
}

// outcomeText says in a few words how a call went.
func outcomeText(o tools.Outcome) string {
	took := fmt.Sprintf("%d ms", o.LatencyMs)
	if o.Failed {
		return plain.Line(cmp.Or(o.Reason, "failed")) + " · " + took
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
