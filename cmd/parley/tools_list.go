package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/plain"
)

// A toolPage is what a server answers of its tools. What one of another
// version leaves out is empty.
type toolPage struct {
	Tools []toolRow `json:"tools"`
	Total int       `json:"total"`
}

type toolRow struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Method      string          `json:"method"`
	Host        string          `json:"host"`
	URL         string          `json:"url"`
	Effect      string          `json:"effect"`
	Approval    json.RawMessage `json:"approval"`
	Builtin     bool            `json:"builtin"`
	Disabled    bool            `json:"disabled"`
	Fault       string          `json:"fault"`
	Stats       *toolStats      `json:"stats"`
}

// toolStats are what a server counts of a tool's calls.
type toolStats struct {
	Calls  int64   `json:"calls"`
	Failed int64   `json:"failed"`
	Cached int64   `json:"cached"`
	P50    float64 `json:"p50Ms"`
	P95    float64 `json:"p95Ms"`
}

// list prints the tools as a table, all or those that fit words.
func (t *toolbox) list(ctx context.Context, words string) error {
	query := url.Values{}
	if words != "" {
		query.Set("q", words)
	}
	var raw json.RawMessage
	if err := t.api.Get(ctx, "/v1/tools", query, &raw); err != nil {
		return err
	}
	if t.raw {
		return t.print(raw)
	}
	var page toolPage
	if err := json.Unmarshal(raw, &page); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	if len(page.Tools) == 0 && words != "" {
		return fmt.Errorf("no tool has any of these words")
	}
	if err := writeTools(t.app.stdout, page.Tools); err != nil {
		return err
	}
	if page.Total > len(page.Tools) {
		fmt.Fprintf(t.app.stderr, "the best %d of %d; more words find fewer\n", len(page.Tools), page.Total)
	}
	return nil
}

func writeTools(out io.Writer, rows []toolRow) error {
	counted := slices.ContainsFunc(rows, func(r toolRow) bool { return r.Stats != nil })
	heading := []string{"NAME", "METHOD", "HOST", "EFFECT", "POLICY", "STATE"}
	if counted {
		heading = append(heading, "CALLS", "P50", "P95", "FAILED", "CACHED")
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if len(rows) > 0 {
		fmt.Fprintln(w, strings.Join(append(heading, "DESCRIPTION"), "\t"))
	}
	for _, r := range rows {
		cells := []string{r.Name, r.Method, r.host(), r.Effect, r.policy(), r.state()}
		if counted {
			cells = append(cells, r.Stats.cells()...)
		}
		cells = append(cells, plain.Cut(plain.Line(r.Description), 60))
		for i := range cells {
			cells[i] = cmp.Or(plain.Line(cells[i]), "-")
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

func (r toolRow) host() string {
	if u, err := url.Parse(r.URL); err == nil && r.Host == "" {
		return u.Host
	}
	return r.Host
}

// policy is when a person is asked before a call, as the server says it.
func (r toolRow) policy() string {
	var text string
	if json.Unmarshal(r.Approval, &text) == nil {
		return text
	}
	return plain.Cut(string(r.Approval), 20)
}

func (r toolRow) state() string {
	switch {
	case r.Fault != "":
		return "broken"
	case r.Disabled:
		return "disabled"
	case r.Builtin:
		return "built in"
	}
	return "on"
}

func (s *toolStats) cells() []string {
	if s == nil {
		return []string{"-", "-", "-", "-", "-"}
	}
	ms := func(v float64) string {
		if s.Calls == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f ms", v)
	}
	return []string{fmt.Sprint(s.Calls), ms(s.P50), ms(s.P95), fmt.Sprint(s.Failed), fmt.Sprint(s.Cached)}
}
