package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"modernc.org/sqlite"
)

// preparedMost is how many statements a connection keeps prepared: more than
// an answer takes from its question to its end.
const preparedMost = 64

// A sqliteConnector makes connections that keep what they have prepared. To
// read the text of a statement costs SQLite more than to carry out most of
// ours. PostgreSQL's driver does the same by itself.
type sqliteConnector struct{ driver.Connector }

func newSQLiteConnector(dsn string) (driver.Connector, error) {
	c, err := sqlite.NewConnector(dsn)
	return sqliteConnector{c}, err
}

// Connect implements [driver.Connector].
func (c sqliteConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(sqliteDriverConn)
	if !ok {
		return nil, fmt.Errorf("the driver's connection is a %T", opened)
	}
	return &sqliteConn{sqliteDriverConn: conn, kept: map[string]*keptStmt{}}, nil
}

// A sqliteDriverConn is what the driver's connections can do.
type sqliteDriverConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// A sqliteConn is a connection with the statements that it has prepared. Like
// every connection of database/sql it is used by one goroutine at a time.
type sqliteConn struct {
	sqliteDriverConn
	kept map[string]*keptStmt // by text
}

// A keptStmt is a statement that stays prepared.
type keptStmt struct {
	sqliteDriverStmt
	busy bool // rows of it are being read
}

// A sqliteDriverStmt is what the driver's statements can do.
type sqliteDriverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// ExecContext implements [driver.ExecerContext].
func (c *sqliteConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteDriverConn.ExecContext(ctx, query, args)
	}
	return s.ExecContext(ctx, args)
}

// QueryContext implements [driver.QueryerContext].
func (c *sqliteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteDriverConn.QueryContext(ctx, query, args)
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return keptRows{rows, s}, nil
}

// keptRows are the rows of a kept statement.
type keptRows struct {
	driver.Rows
	stmt *keptStmt
}

// Close implements [driver.Rows].
func (r keptRows) Close() error {
	r.stmt.busy = false
	return r.Rows.Close()
}

// prepared returns a statement, or nil for one that is not kept, or whose rows
// are being read.
func (c *sqliteConn) prepared(ctx context.Context, query string) (*keptStmt, error) {
	if s := c.kept[query]; s != nil {
		if s.busy {
			return nil, nil
		}
		return s, nil
	}
	if !keepable(query) {
		return nil, nil
	}
	if len(c.kept) >= preparedMost && !c.drop() {
		return nil, nil
	}
	opened, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := opened.(sqliteDriverStmt)
	if !ok {
		return nil, fmt.Errorf("the driver's statement is a %T", opened)
	}
	s := &keptStmt{sqliteDriverStmt: stmt}
	c.kept[query] = s
	return s, nil
}

// longest is the length of the longest text whose statement is kept: longer
// ones are lists, each of a length of its own.
const longest = 4 << 10

// keepable leaves out what SQLite does while it reads the text, such as
// PRAGMA, and what changes tables.
func keepable(query string) bool {
	if len(query) > longest {
		return false
	}
	verb, _, _ := strings.Cut(strings.TrimSpace(query), " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE":
		return true
	}
	return false
}

// drop ends any one statement that nobody uses. It reports false if there is
// none.
func (c *sqliteConn) drop() bool {
	for query, s := range c.kept {
		if s.busy {
			continue
		}
		delete(c.kept, query)
		_ = s.Close() // says what its last use has said
		return true
	}
	return false
}

// Close implements [driver.Conn].
func (c *sqliteConn) Close() error {
	for _, s := range c.kept {
		_ = s.Close()
	}
	clear(c.kept)
	return c.sqliteDriverConn.Close()
}
