package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// A dialect is what the databases do not have in common.
type dialect struct {
	goose  goose.Dialect
	folder string // of its migrations

	snapshot *sql.TxOptions // of a transaction whose statements all see one state
	bulk     []string       // what a transaction begins with that takes long

	scrub   []string // has what is overwritten from then on leave nothing behind
	unscrub []string // ends that
	settle  string   // clears away what was there before, "" for nothing

	insertMost int // rows that one statement inserts, a power of two

	lastSegment  string   // returns the highest id that a segment ever had, or 0
	skipSegments []string // no id up to $1 is given to a segment from then on
}

// migrate brings the tables up to date. Each migration is one transaction.
func (d dialect) migrate(ctx context.Context, pool *sql.DB, o ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, "migrations/"+d.folder)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(d.goose, pool, files, o...)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
