package store

import (
	"context"
	"slices"
)

// ownersMost is how many conversations are asked for with one statement.
const ownersMost = 256

// Owners returns whose conversations are. Those that are not there are left
// out.
func (db *DB) Owners(ctx context.Context, convs []string) (map[string]string, error) {
	owners := make(map[string]string, len(convs))
	for part := range slices.Chunk(convs, ownersMost) {
		if err := db.ownersOf(ctx, part, owners); err != nil {
			return nil, wrap("owners", err)
		}
	}
	return owners, nil
}

func (db *DB) ownersOf(ctx context.Context, convs []string, into map[string]string) error {
	args := make([]any, len(convs))
	for i, c := range convs {
		args[i] = c
	}
	rows, err := db.read.QueryContext(ctx, `SELECT id, owner FROM conversations WHERE id IN (`+params(1, len(args))+`)`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, owner string
		if err := rows.Scan(&id, &owner); err != nil {
			return err
		}
		into[id] = owner
	}
	return rows.Err()
}
