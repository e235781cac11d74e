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
	"regexp"
	"slices"
	"strings"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/tools"
)

// addFlags are what `parley tools add` takes besides a file or name.
type addFlags struct {
	curl, url, method, description, effect, body string
	params, secretQuery                          values
}

func (f *addFlags) register(fs *flagSet) {
	fs.StringVar(&f.curl, "curl", "", "add: a `command` of curl's, in quotes; - reads it from standard input.")
	fs.StringVar(&f.url, "url", "", "add: the `address` that the tool calls, with {name} where a parameter stands in its path.")
	fs.StringVar(&f.method, "method", "", "add: the HTTP `method`; GET unless there is another.")
	fs.StringVar(&f.description, "description", "", "add: a `text` that tells the model what the tool does and when to use it.")
	fs.StringVar(&f.effect, "effect", "", "add: what a call does: safe, idempotent or unsafe; an `effect` follows from the method otherwise.")
	fs.StringVar(&f.body, "body-type", "", "add: how the body is written, a `kind`: json, form, text, multipart or a media type.")
	fs.Var(&f.params, "param", "add: a parameter as `name:type!=text`; string unless there is a type, required with !, and = says what it is.")
	fs.Var(&f.secretQuery, "secret-query", "add: a secret member of the query, such as `key=value`.")
}

// add registers what a file, flags or a curl command declare.
func (t *toolbox) add(ctx context.Context, args []string) error {
	if len(args) > 1 {
		return usagef("tools add takes one file or name, not %d; `parley help tools` says more", len(args))
	}
	what := strings.Join(args, "")
	var declared []byte
	var err error
	switch f := t.adds; {
	case f.curl != "" && f.url != "":
		return usagef("tools add takes either --curl or --url")
	case f.curl != "":
		declared, err = t.draft(ctx, what)
	case f.url != "":
		declared, err = t.declare(what)
	case what == "":
		return usagef("tools add needs a file, --url or --curl; `parley help tools` says more")
	default:
		declared, err = t.fromFile(what)
	}
	if err != nil {
		return err
	}
	if t.imports.dryRun {
		return t.print(declared)
	}
	return t.put(ctx, what, declared)
}

// put sends a declaration: the server says what is wrong with it.
func (t *toolbox) put(ctx context.Context, from string, declared []byte) error {
	var named struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(declared, &named); err != nil {
		return fmt.Errorf("%s: %w", from, notObject(err))
	}
	if named.Name == "" {
		return fmt.Errorf("%s: name: must be set, such as \"get_order\"", from)
	}
	var raw json.RawMessage
	if err := t.api.Do(ctx, client.Request{Method: http.MethodPut, Path: toolPath(named.Name), Body: bytes.NewReader(declared)}, &raw); err != nil {
		return err
	}
	return t.done("registered", named.Name, raw)
}

func (t *toolbox) fromFile(file string) ([]byte, error) {
	b, err := t.read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, reason(err))
	}
	return b, nil
}

// draft has the server make a draft of a curl command. What the flags say goes
// before what the command says.
func (t *toolbox) draft(ctx context.Context, name string) ([]byte, error) {
	command := t.adds.curl
	if command == "-" {
		b, err := t.read("-")
		if err != nil {
			return nil, err
		}
		command = string(b)
	}
	var draft struct {
		Tool     map[string]any `json:"tool"`
		Warnings []string       `json:"warnings"`
	}
	if err := t.api.SendJSON(ctx, http.MethodPost, "/v1/tools/draft", map[string]string{"curl": command}, &draft); err != nil {
		return nil, err
	}
	for _, w := range draft.Warnings {
		fmt.Fprintf(t.app.stderr, "warning: %s\n", plain.Line(w))
	}
	for field, value := range map[string]string{"name": name, "description": t.adds.description, "effect": t.adds.effect, "method": t.adds.method} {
		if value != "" {
			draft.Tool[field] = value
		}
	}
	return json.Marshal(draft.Tool)
}

var inURL = regexp.MustCompile(`\{([A-Za-z0-9_.-]+)\}`)

// declare makes a declaration of the flags.
func (t *toolbox) declare(name string) ([]byte, error) {
	f := t.adds
	if name == "" {
		return nil, usagef("tools add --url needs a name, such as get_order")
	}
	e := tools.Endpoint{
		Name: name, Description: cmp.Or(f.description, fmt.Sprintf("Calls %s %s", cmp.Or(strings.ToUpper(f.method), "GET"), f.url)), Effect: tools.Effect(f.effect),
		Request: tools.Request{Method: strings.ToUpper(f.method), URL: f.url, BodyType: f.body},
	}
	var err error
	if e.Headers, err = pairs("header", t.imports.headers, ":"); err != nil {
		return nil, err
	}
	if e.SecretQuery, err = pairs("secret-query", f.secretQuery, "="); err != nil {
		return nil, err
	}
	if e.Parameters, err = f.schema(); err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

// schema makes the parameters' schema of the flags, and of the placeholders in
// the URL that no flag declares.
func (f *addFlags) schema() (json.RawMessage, error) {
	properties, required := map[string]any{}, []string{}
	for _, text := range f.params {
		name, p, must, err := parameter(text)
		if err != nil {
			return nil, err
		}
		if properties[name] = p; must {
			required = append(required, name)
		}
	}
	for _, m := range inURL.FindAllStringSubmatch(f.url, -1) {
		if properties[m[1]] == nil {
			properties[m[1]] = map[string]any{"type": "string"}
		}
		if !slices.Contains(required, m[1]) {
			required = append(required, m[1])
		}
	}
	return json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

// parameter reads name:type!=text.
func parameter(text string) (name string, schema map[string]any, required bool, err error) {
	left, about, _ := strings.Cut(text, "=")
	left, required = strings.CutSuffix(left, "!")
	name, typ, _ := strings.Cut(left, ":")
	typ = cmp.Or(typ, "string")
	if name == "" || !slices.Contains([]string{"string", "integer", "number", "boolean", "array", "object"}, typ) {
		return "", nil, false, usagef("--param: %q is not name:type, with a type of string, integer, number, boolean, array or object", plain.Cut(text, 60))
	}
	schema = map[string]any{"type": typ}
	if about != "" {
		schema["description"] = about
	}
	return name, schema, required, nil
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
