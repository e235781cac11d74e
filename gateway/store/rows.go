package store

import (
	"context"
	"database/sql"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oneRow returns none if a statement changed no row.
func oneRow(res sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); n > 0 || err != nil {
		return err
	}
	return none
}

// collect reads all rows of a query.
func collect[T any](rows *sql.Rows, err error, scan func(interface{ Scan(...any) error }) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// insertRows inserts rows of a table, many with one statement. Statements come
// in few lengths, so that PostgreSQL knows them already.
func (d dialect) insertRows(ctx context.Context, tx *sql.Tx, table string, columns []string, rows [][]any) error {
	statement := func(n int) string {
		return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + tuples(n, len(columns))
	}
	if len(rows) >= 2*d.insertMost {
		insert, err := tx.PrepareContext(ctx, statement(d.insertMost))
		if err != nil {
			return err
		}
		defer insert.Close()
		for ; len(rows) >= d.insertMost; rows = rows[d.insertMost:] {
			if _, err := insert.ExecContext(ctx, slices.Concat(rows[:d.insertMost]...)...); err != nil {
				return err
			}
		}
	}
	for len(rows) > 0 {
		n := 1 << (bits.Len(uint(min(len(rows), d.insertMost))) - 1)
		if _, err := tx.ExecContext(ctx, statement(n), slices.Concat(rows[:n]...)...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// tuples returns n tuples of numbered parameters.
func tuples(n, width int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = "(" + params(i*width+1, width) + ")"
	}
	return strings.Join(all, ", ")
}

// params returns n numbered parameters, the first of them number first.
func params(first, n int) string {
	b := make([]byte, 0, 6*n)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, '$'), int64(first+i), 10)
	}
	return string(b)
}

func page(limit int) int {
	if limit <= 0 {
		return pageDefault
	}
	return min(limit, pageMost)
}

// millis and fromMillis are how times are stored: ms since 1970, 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func millisOrNow(t time.Time) int64 {
	if t.IsZero() {
		return time.Now().UnixMilli()
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
