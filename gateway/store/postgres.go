package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// leastPostgres is the oldest major version of PostgreSQL that will do: older
// ones get no corrections any more.
const leastPostgres = 13

// What a connection to PostgreSQL has unless the URL says otherwise.
const (
	poolMaxConns   = 10 // of the 100 that a server has for all its clients
	connectTimeout = 5 * time.Second
)

// sessionDefaults are the run-time parameters of a session unless the URL
// sets them. The timeouts bound what a client costs that hangs, or that is
// gone without a word; none of our statements takes a second.
func sessionDefaults() map[string]string {
	return map[string]string{
		"application_name":                    "parley",
		"statement_timeout":                   "30s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "60s",
	}
}

func postgresDialect() dialect {
	return dialect{
		goose: goose.DialectPostgres, folder: "postgres",
		insertMost:   128, // a round trip for each row would take longer than all else
		snapshot:     &sql.TxOptions{Isolation: sql.LevelRepeatableRead},
		bulk:         []string{`SET LOCAL statement_timeout = 0`},
		lastSegment:  `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM rag_segments_id`,
		skipSegments: []string{`SELECT setval('rag_segments_id', $1)`},
	}
}

func openPostgres(ctx context.Context, url string) (*DB, error) {
	cfg, err := postgresConfig(url)
	if err != nil {
		return nil, fmt.Errorf("store: PARLEY_STORE: %w", err)
	}
	op := "open PostgreSQL database " + cfg.ConnConfig.Database + " at " + cfg.ConnConfig.Host
	if err := migratePostgres(ctx, cfg.ConnConfig); err != nil {
		return nil, wrap(op, err)
	}
	pool := sql.OpenDB(connect(cfg.ConnConfig))
	pool.SetMaxOpenConns(int(cfg.MaxConns))
	pool.SetMaxIdleConns(int(cfg.MaxConns)) // until their time is up
	pool.SetConnMaxIdleTime(cfg.MaxConnIdleTime)
	pool.SetConnMaxLifetime(cfg.MaxConnLifetime)
	return &DB{write: pool, read: pool, dialect: postgresDialect()}, nil
}

// migratePostgres brings the tables up to date, one process at a time. It has
// a connection of its own, since a migration may take long and the lock
// belongs to the connection.
func migratePostgres(ctx context.Context, cfg *pgx.ConnConfig) error {
	cfg = cfg.Copy()
	cfg.RuntimeParams["statement_timeout"] = "0"
	cfg.RuntimeParams["lock_timeout"] = "0"
	pool := sql.OpenDB(connect(cfg))
	defer pool.Close()
	if err := pool.PingContext(ctx); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // tries each second for 5 minutes
	if err != nil {
		return err
	}
	err = postgresDialect().migrate(ctx, pool, goose.WithSessionLocker(locker))
	if sqlState(err) == stateNotAllowed {
		return fmt.Errorf("the user %q may not make tables there: let it own the database (%w)", cfg.User, err)
	}
	return err
}

// postgresConfig reads a URL. No error shows any of it.
func postgresConfig(url string) (*pgxpool.Config, error) {
	if ambiguous(url) {
		return nil, errors.New(`not a URL such as postgres://user:password@host:5432/parley; ` +
			`in a name or password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25`)
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, parseError(err)
	}
	c := cfg.ConnConfig
	if !strings.Contains(url, "pool_max_conns=") {
		cfg.MaxConns = poolMaxConns
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if c.ValidateConnect == nil { // of several hosts the one that takes writes; none is a standby
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	c.RuntimeParams["client_encoding"] = "UTF8"
	c.RuntimeParams["default_transaction_isolation"] = "read committed" // what the statements are written for
	for name, value := range sessionDefaults() {
		if _, ok := c.RuntimeParams[name]; !ok {
			c.RuntimeParams[name] = value
		}
	}
	return cfg, nil
}

// ambiguous tells whether a part of a password may have come to stand
// elsewhere in the URL, where an error would show it: an @ is left over.
func ambiguous(url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(rest, "@/"); i < 0 || rest[i] != '@' {
		return strings.Contains(rest, "@")
	} else {
		rest, _, _ = strings.Cut(rest[i+1:], "?")
	}
	return strings.Contains(rest, "@") || strings.Contains(rest, "#")
}

// parseError returns what is wrong with a URL without the URL.
func parseError(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		text = text[i+3:]
	}
	return fmt.Errorf("a parameter of the postgres:// URL is wrong: %s", text)
}

// connect returns what makes connections.
func connect(cfg *pgx.ConnConfig) driver.Connector {
	var l loss
	return connector{stdlib.GetConnector(*cfg, stdlib.OptionShouldPing(l.doubts)), cfg, &l}
}

type connector struct {
	driver.Connector
	cfg  *pgx.ConnConfig
	loss *loss
}

// A loss is when a connection was last found to be broken. Those that were
// used before are asked whether they live before they are used again: when the
// server restarts all break, and each would cost somebody an error. All
// methods may be called concurrently.
type loss struct{ at atomic.Pointer[time.Time] }

func (l *loss) noticed() {
	now := time.Now()
	l.at.Store(&now)
}

// doubts reports whether a connection is to be asked whether it lives.
func (l *loss) doubts(_ context.Context, p stdlib.ShouldPingParams) bool {
	at := l.at.Load()
	return p.IdleDuration > time.Second || at != nil && p.IdleDuration >= time.Since(*at)
}

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, refusal(c.cfg, err)
	}
	conn, ok := opened.(*stdlib.Conn)
	if !ok {
		return nil, fmt.Errorf("the driver's connection is a %T", opened)
	}
	if err := usable(conn.Conn().PgConn()); err != nil {
		conn.Close()
		return nil, err
	}
	return postgresConn{conn, c.loss}, nil
}

// usable checks what the server has said about itself.
func usable(conn *pgconn.PgConn) error {
	version, _, _ := strings.Cut(conn.ParameterStatus("server_version"), " ") // 15.4 (Debian 15.4-1), 18beta1
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(version)
	}
	if major, err := strconv.Atoi(version[:digits]); err == nil && major < leastPostgres {
		return fmt.Errorf("the server is PostgreSQL %s: version %d or later is needed", version, leastPostgres)
	}
	if e := conn.ParameterStatus("server_encoding"); e != "UTF8" && e != "" {
		return fmt.Errorf("the database's encoding is %s: make one with `createdb --encoding=UTF8 --template=template0`", e)
	}
	return nil
}

// refusal says what to do where no connection was made.
func refusal(cfg *pgx.ConnConfig, err error) error {
	says := func(format string, args ...any) error {
		return fmt.Errorf(format+" (%w)", append(args, oneLine{err})...)
	}
	switch state := sqlState(err); {
	case state == stateNoDatabase:
		return says("there is no database %q: create it, such as with `createdb --owner=%s %s`", cfg.Database, cfg.User, cfg.Database)
	case state == stateNotAuthorised || state == stateWrongPassword:
		return says("the server refuses the user %q: look at the user and the password in PARLEY_STORE", cfg.User)
	case state == stateTooMany:
		return says("the server has no connection left: raise its max_connections, or lower pool_max_conns in PARLEY_STORE")
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return says("the server takes no changes: name the primary in PARLEY_STORE")
	case state == "" && !errors.Is(err, context.Canceled):
		return says("the server cannot be reached: see that it runs, and that PARLEY_STORE has its address")
	}
	return oneLine{err}
}

// oneLine is an error whose text is one line, also where several addresses
// were tried.
type oneLine struct{ error }

func (e oneLine) Error() string {
	return strings.ReplaceAll(strings.ReplaceAll(e.error.Error(), ":\n\t", ": "), "\n\t", "; ")
}

func (e oneLine) Unwrap() error { return e.error }

// A postgresConn is a connection that can be given any text.
type postgresConn struct {
	*stdlib.Conn
	loss *loss
}

// IsValid implements [driver.Validator], which is asked after each use.
func (c postgresConn) IsValid() bool {
	if c.Conn.Conn().IsClosed() {
		c.loss.noticed()
		return false
	}
	return true
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (postgresConn) CheckNamedValue(v *driver.NamedValue) (err error) {
	v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
	if s, ok := v.Value.(string); ok {
		v.Value = holdable(s)
	}
	return err
}

// holdable returns a text that PostgreSQL can hold: with U+FFFD in the place
// of NUL and of what is not UTF-8.
func holdable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}
