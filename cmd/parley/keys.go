package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/gateway/access"
)

const keysUsage = `Usage: parley keys list                     list the API keys
       parley keys add NAME --tenant T [flags]  make one, and print its token, this once
       parley keys rm ID…                   take keys back; their connections end within seconds

Manages the keys with which other systems use this server: as Authorization: Bearer <token>, with
the header Parley-Person: <name> for whichever of their people they speak. What belongs to one of
a tenant's people is as good as absent for everybody else's.`

// keysCommand manages API keys over REST.
func (a *app) keysCommand(ctx context.Context, args []string) error {
	var c clientFlags
	fs := a.flags("keys", keysUsage)
	c.register(fs, true)
	var k keyFlags
	k.register(fs.FlagSet)
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	verb, args, err := verbOf("keys", args, "list", "add", "rm")
	if err != nil {
		return err
	}
	t, err := a.target(c, true)
	if err != nil {
		return err
	}
	ks := &keys{app: a, api: client.New(t)}
	switch verb {
	case "add":
		return ks.add(ctx, args, k)
	case "rm":
		return ks.remove(ctx, args)
	}
	return ks.list(ctx)
}

// keyFlags say what a new key is for.
type keyFlags struct {
	tenant, scopes string
	lasts          time.Duration
}

func (k *keyFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&k.tenant, "tenant", "", "of a new key: the `name` of the tenant whose people it speaks for.")
	fs.StringVar(&k.scopes, "scopes", "chat", "of a new key, a `list`: chat, tools or both.")
	fs.DurationVar(&k.lasts, "for", 0, "of a new key: the `time` after which it expires, such as 2160h; 0 is never.")
}

type keys struct {
	app *app
	api *client.Client
}

func (k *keys) add(ctx context.Context, names []string, f keyFlags) error {
	switch {
	case len(names) != 1:
		return usagef("keys add needs one name for the key; `parley help keys` says more")
	case f.tenant == "":
		return usagef("keys add needs --tenant")
	}
	in := map[string]any{"name": names[0], "tenant": f.tenant, "scopes": strings.Split(f.scopes, ",")}
	if f.lasts != 0 {
		in["expires"] = time.Now().Add(f.lasts).UTC()
	}
	var made struct {
		access.Key
		Token string `json:"token"`
	}
	if err := k.api.SendJSON(ctx, http.MethodPost, "/v1/keys", in, &made); err != nil {
		return err
	}
	fmt.Fprintf(k.app.stderr, "Key %s of %s. Keep its token: it is not shown again.\n", made.ID, made.Tenant)
	_, err := fmt.Fprintln(k.app.stdout, made.Token)
	return err
}

func (k *keys) list(ctx context.Context) error {
	var page struct {
		Keys []access.Key `json:"keys"`
	}
	if err := k.api.Get(ctx, "/v1/keys", nil, &page); err != nil {
		return err
	}
	w := tabwriter.NewWriter(k.app.stdout, 0, 4, 2, ' ', 0)
	if len(page.Keys) > 0 {
		fmt.Fprintln(w, "ID\tNAME\tTENANT\tSCOPES\tCREATED\tEXPIRES")
	}
	for _, one := range page.Keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", plain.Line(one.ID), plain.Line(one.Name), plain.Line(one.Tenant), scopesText(one.Scopes), dayText(one.Created), dayText(one.Expires))
	}
	return w.Flush()
}

func scopesText(all []access.Scope) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, plain.Line(string(s)))
	}
	return strings.Join(texts, ",")
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func (k *keys) remove(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return usagef("keys rm needs the id of a key; `parley keys list` shows them")
	}
	var failed error
	for _, id := range ids {
		err := k.api.Do(ctx, client.Request{Method: http.MethodDelete, Path: "/v1/keys/" + url.PathEscape(id)}, nil)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", id, err))
			continue
		}
		fmt.Fprintf(k.app.stdout, "took back %s\n", id)
	}
	return failed
}
