package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
	"parley/tools/rag"
)

const docsUsage = `Usage: parley docs add FILE|FOLDER…   take documents in; the same name again replaces one
       parley docs list               list them
       parley docs rm ID…             remove them
       parley docs search QUERY       show the passages that a question finds

Manages the documents that answers can cite. Of a folder, the text, Markdown, HTML and PDF files
are taken in, each under its path within that folder.`

// docsCommand manages documents over REST.
func (a *app) docsCommand(ctx context.Context, args []string) error {
	var c clientFlags
	fs := a.flags("docs", docsUsage)
	c.register(fs, true)
	limit := fs.Int("limit", 5, "passages that search shows, `n`.")
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	verb, args, err := verbOf("docs", args, "add", "list", "rm", "search")
	if err != nil {
		return err
	}
	t, err := a.target(c, true)
	if err != nil {
		return err
	}
	d := &docs{app: a, api: client.New(t)}
	switch verb {
	case "add":
		return d.add(ctx, args)
	case "rm":
		return d.remove(ctx, args)
	case "search":
		return d.search(ctx, strings.Join(args, " "), *limit)
	}
	return d.list(ctx)
}

// verbOf takes the verb off a command's operands.
func verbOf(command string, args []string, verbs ...string) (string, []string, error) {
	if len(args) == 0 {
		return "", nil, usagef("%s needs one of %s; `parley help %s` says more", command, strings.Join(verbs, ", "), command)
	}
	for _, v := range verbs {
		if args[0] == v {
			return v, args[1:], nil
		}
	}
	if n := nearest(args[0], verbs); n != "" {
		return "", nil, usagef("%s has no %q; did you mean %s?", command, args[0], n)
	}
	return "", nil, usagef("%s has no %q; it has %s", command, args[0], strings.Join(verbs, ", "))
}

type docs struct {
	app *app
	api *client.Client
}

func (d *docs) list(ctx context.Context) error {
	w := tabwriter.NewWriter(d.app.stdout, 0, 4, 2, ' ', 0)
	defer w.Flush()
	for after, n := "", 0; ; n++ {
		var page struct {
			Documents []rag.Document `json:"documents"`
			Next      string         `json:"next"`
		}
		if err := d.api.Get(ctx, "/v1/documents", url.Values{"after": {after}}, &page); err != nil {
			return err
		}
		if n == 0 && len(page.Documents) > 0 {
			fmt.Fprintln(w, "ID\tTITLE\tPASSAGES\tCHARACTERS\tADDED")
		}
		for _, doc := range page.Documents {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", plain.Line(doc.ID), plain.Line(doc.Title), doc.Chunks, doc.Runes, doc.AddedAt.Local().Format("2006-01-02 15:04"))
		}
		if page.Next == "" || page.Next == after {
			return nil
		}
		after = page.Next
	}
}

func (d *docs) remove(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return usagef("docs rm needs the id of a document; `parley docs list` shows them")
	}
	failed := false
	for _, id := range ids {
		err := d.api.Do(ctx, client.Request{Method: http.MethodDelete, Path: "/v1/documents/" + url.PathEscape(id)}, nil)
		if err != nil {
			failed = true
			fmt.Fprintf(d.app.stderr, "parley: %s: %v\n", id, err)
			continue
		}
		fmt.Fprintf(d.app.stdout, "removed %s\n", id)
	}
	if failed {
		return exitError(exitFailed)
	}
	return nil
}

func (d *docs) search(ctx context.Context, query string, limit int) error {
	if strings.TrimSpace(query) == "" {
		return usagef("docs search needs words to look for")
	}
	var answer rag.Answer
	if err := d.api.SendJSON(ctx, http.MethodPost, "/v1/retrieval", rag.Query{Query: query, Limit: limit}, &answer); err != nil {
		return err
	}
	if len(answer.Passages) == 0 {
		return errors.New("no passage has any of these words")
	}
	for i, p := range answer.Passages {
		if i > 0 {
			fmt.Fprintln(d.app.stdout)
		}
		d.passage(p)
	}
	return nil
}

func (d *docs) passage(p rag.Passage) {
	where := plain.Line(p.Title)
	for _, h := range p.Headings {
		if h != p.Title {
			where += " › " + plain.Line(h)
		}
	}
	fmt.Fprintf(d.app.stdout, "[%s] %s (%.2f)\n", plain.Line(p.Ref), where, p.Score)
	for line := range strings.SplitSeq(strings.TrimSpace(plain.Text(p.Text)), "\n") {
		fmt.Fprintf(d.app.stdout, "    %s\n", line)
	}
}
