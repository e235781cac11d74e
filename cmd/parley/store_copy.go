package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"parley/gateway/store"
)

const storeUsage = `Usage: parley store copy FROM TO

Copies everything of one store to another: conversations, messages, runs, tools, documents and
secrets. FROM and TO are what PARLEY_STORE may be, the path of a SQLite file or a postgres:// URL:

    parley store copy ~/.local/share/parley/parley.db postgres://parley:secret@db:5432/parley

Stop all servers of FROM first: what they store while the copy is made is not in it. TO must be
empty, and no server may have run on it. If anything fails, TO stays empty. A postgres:// URL
without its password takes it from PGPASSWORD or ~/.pgpass.`

// storeCommand moves a store from one database to another.
func (a *app) storeCommand(ctx context.Context, args []string) error {
	args, err := parse(a.flags("store", storeUsage), args)
	if err != nil {
		return err
	}
	_, args, err = verbOf("store", args, "copy")
	if err != nil {
		return err
	}
	if len(args) != 2 {
		return usagef("store copy needs two stores, FROM and TO; `parley help store` says more")
	}
	for _, path := range args {
		if _, err := storePath(path); err != nil || path == "" || path == ":memory:" {
			return usagef("%q is not the path of a SQLite file or a postgres:// URL", redactURL(path))
		}
	}
	return a.copyStore(ctx, args[0], args[1])
}

func (a *app) copyStore(ctx context.Context, from, to string) (err error) {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) && !store.IsPostgres(from) {
		return fmt.Errorf("store copy: there is no store at %s", from)
	}
	source, err := store.Open(ctx, from, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := store.Open(ctx, to, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	fmt.Fprintln(a.stderr, "Servers that use the old store must be stopped: what they store from here on is not copied.")
	p := &copyProgress{app: a}
	if err := store.Copy(ctx, source, target, p.show); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s copied and counted. Set PARLEY_STORE to the new store, and start the servers.\n", count(int(p.total), "row"))
	return nil
}

// copyProgress shows how far a copy is: a bar for each table on a terminal,
// a line elsewhere.
type copyProgress struct {
	app   *app
	bar   *progressbar.ProgressBar
	total int64
}

func (p *copyProgress) show(table string, rows, of int64) {
	if p.bar == nil && of > 0 && p.app.isTerminal(p.app.stderr) {
		p.bar = progressbar.NewOptions64(of, progressbar.OptionSetWriter(p.app.stderr), progressbar.OptionSetWidth(30),
			progressbar.OptionSetDescription(fmt.Sprintf("%-21s", table)), progressbar.OptionShowCount(),
			progressbar.OptionThrottle(65*time.Millisecond))
	}
	if p.bar != nil {
		_ = p.bar.Set64(rows)
	}
	if rows < of {
		return
	}
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
		fmt.Fprintln(p.app.stderr)
	} else {
		fmt.Fprintf(p.app.stderr, "%-21s  %d\n", table, rows)
	}
	p.total += rows
}
