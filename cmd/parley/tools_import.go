package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/plain"
)

// importFlags are what `parley tools import` takes besides a document.
type importFlags struct {
	selection struct {
		All        bool   `json:"all,omitempty"`
		Tags       values `json:"tags,omitempty"`
		Paths      values `json:"paths,omitempty"`
		Operations values `json:"operations,omitempty"`
		Registered bool   `json:"registered,omitempty"`
		Deprecated bool   `json:"deprecated,omitempty"`
	}
	base, prefix, auth   string
	headers, vars        values
	dryRun, replace, raw bool
}

// values is a flag that may stand several times.
type values []string

func (v *values) String() string { return strings.Join(*v, ",") }

func (v *values) Set(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	*v = append(*v, s)
	return nil
}

func (f *importFlags) register(fs *flagSet) {
	s := &f.selection
	fs.Var(&s.Tags, "tag", "import: the operations of this `tag`; like the others, it may stand several times.")
	fs.Var(&s.Paths, "path", "import: the operations of this `path`; /pets/* means all that begin so.")
	fs.Var(&s.Operations, "operation", "import: the operation with this `id`, name or \"GET /pets\".")
	fs.BoolVar(&s.All, "all", false, "import: all operations that are not deprecated.")
	fs.BoolVar(&s.Registered, "registered", false, "import: the operations that were imported before.")
	fs.BoolVar(&s.Deprecated, "deprecated", false, "import: deprecated operations too.")
	fs.StringVar(&f.base, "base", "", "import: the service's address, if it is not the one that the document names; a `url`.")
	fs.StringVar(&f.prefix, "prefix", "", "import: what the tools' names begin with, a `text`.")
	fs.Var(&f.vars, "var", "import: value of a variable of the server's address, `name=value`.")
	fs.Var(&f.headers, "header", "add, import: a header that every tool sends, such as `name: value` of an API key.")
	fs.StringVar(&f.auth, "auth", "", "import: the `credential` that every tool sends, by its name at /v1/credentials.")
	fs.BoolVar(&f.dryRun, "dry-run", false, "add, import: only say what would be done.")
	fs.BoolVar(&f.replace, "replace", false, "import: replace tools of the same name that are not of this document.")
	fs.BoolVar(&f.raw, "json", false, "print the server's whole answer, for scripts.")
}

// pairs splits each of vs at sep.
func pairs(flag string, vs values, sep string) (map[string]string, error) {
	m := map[string]string{}
	for _, v := range vs {
		name, value, ok := strings.Cut(v, sep)
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, usagef("--%s must be name%svalue", flag, sep)
		}
		m[name] = strings.TrimSpace(value)
	}
	return m, nil
}

// importReport is what is shown of the server's answer.
type importReport struct {
	Title, Version, OpenAPI, Base string
	DryRun                        bool
	Auth                          []struct{ Scheme, Needs string }
	Warnings                      []string
	Counts                        map[string]int
	Operations                    []importLine
	LeftOut                       int
}

type importLine struct {
	Operation, Name, Summary, Status, Reason, Needs string
	Deprecated, Selected                            bool
	Tags, Warnings, Changes, Kept                   []string
}

// maxImport is how large a file may be that is sent to be imported; the server
// has a limit of its own.
const maxImport = 64 << 20

// importTools sends a document, or where it is, and shows what came of it.
func (t *toolbox) importTools(ctx context.Context, from string, f importFlags) error {
	body := map[string]any{"select": f.selection, "dryRun": f.dryRun, "replace": f.replace, "base": f.base, "prefix": f.prefix, "auth": f.auth}
	var err error
	if body["headers"], err = pairs("header", f.headers, ":"); err != nil {
		return err
	}
	if body["variables"], err = pairs("var", f.vars, "="); err != nil {
		return err
	}
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		body["url"] = from
	} else {
		doc, err := t.readDocument(from)
		if err != nil {
			return fmt.Errorf("%s: %w", from, reason(err))
		}
		body["document"] = string(doc)
	}
	raw, err := t.startImport(ctx, body)
	if err != nil {
		return err
	}
	if f.raw {
		return t.print(raw)
	}
	var r importReport
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	if f.selects() { // then what is not meant is of no interest
		r.Operations = slices.DeleteFunc(r.Operations, func(l importLine) bool { return l.Status == "available" && !l.Selected })
	}
	return t.showImport(r)
}

func (f *importFlags) selects() bool {
	s := f.selection
	return s.All || s.Registered || len(s.Tags)+len(s.Paths)+len(s.Operations) > 0
}

func (t *toolbox) readDocument(file string) ([]byte, error) {
	if file != "-" {
		return readSmall(file, maxImport)
	}
	b, err := io.ReadAll(io.LimitReader(t.app.stdin, maxImport+1))
	if err == nil && len(b) > maxImport {
		err = fmt.Errorf("it is larger than %d bytes", maxImport)
	}
	return b, err
}

func (t *toolbox) showImport(r importReport) error {
	out := t.app.stdout
	fmt.Fprintf(out, "%s %s (OpenAPI %s) at %s\n", cmp.Or(plain.Line(r.Title), "untitled"), plain.Line(r.Version), plain.Line(r.OpenAPI), cmp.Or(plain.Line(r.Base), "no address: give --base"))
	for _, a := range r.Auth {
		fmt.Fprintf(out, "auth %s: %s\n", plain.Line(a.Scheme), plain.Line(a.Needs))
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(out, "warning: %s\n", plain.Line(w))
	}
	fmt.Fprintln(out)
	rows, err := r.rows()
	if err != nil {
		return err
	}
	for i, row := range rows {
		fmt.Fprintln(out, strings.TrimRight(row, " "))
		if i == 0 {
			continue
		}
		for _, note := range r.Operations[i-1].notes() {
			fmt.Fprintf(out, "    %s\n", plain.Line(note))
		}
	}
	_, err = fmt.Fprintf(out, "\n%s\n", r.sum())
	return err
}

// rows returns the lines of the table of operations, its heading first.
func (r importReport) rows() ([]string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "STATUS\tNAME\tOPERATION\tTAGS\tSUMMARY")
	for _, l := range r.Operations {
		summary := plain.Cut(plain.Line(l.Summary), 50)
		if l.Deprecated {
			summary = "(deprecated) " + summary
		}
		tags := plain.Cut(plain.Line(strings.Join(l.Tags, ", ")), 30)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Status, plain.Line(l.Name), plain.Cut(plain.Line(l.Operation), 60), tags, summary)
	}
	err := w.Flush()
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), err
}

func (l importLine) notes() (notes []string) {
	for _, c := range l.Changes {
		notes = append(notes, "changed: "+c)
	}
	for _, k := range l.Kept {
		notes = append(notes, "kept: "+k)
	}
	for _, w := range l.Warnings {
		notes = append(notes, "warning: "+w)
	}
	if l.Reason != "" {
		notes = append(notes, l.Reason)
	}
	if l.Needs != "" {
		notes = append(notes, l.Needs)
	}
	return notes
}

// sum counts the operations by what came of them.
func (r importReport) sum() string {
	var parts []string
	for _, status := range []string{"imported", "changed", "unchanged", "available", "skipped", "gone"} {
		if n := r.Counts[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, status))
		}
	}
	text := cmp.Or(strings.Join(parts, ", "), "no operations")
	if r.LeftOut > 0 {
		text += fmt.Sprintf(" (%d of them too many to be listed)", r.LeftOut)
	}
	if r.DryRun {
		text += "; nothing was registered (select with --tag, --path, --operation or --all, without --dry-run)"
	}
	return text
}
