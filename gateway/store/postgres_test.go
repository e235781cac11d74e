//go:build integration

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"parley/gateway/chat"
	"parley/gateway/store/storetest"
	"parley/tools/rag"
	"parley/tools/rag/ragtest"
)

// TestPostgres starts one server for everything that needs one.
func TestPostgres(t *testing.T) {
	c := storetest.StartCluster(t)
	t.Run("store", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, c.URL(t)) })
	})
	t.Run("documents", func(t *testing.T) {
		ragtest.Run(t, func(t *testing.T) rag.Tables { return open(t, c.URL(t)).Documents() })
	})
	for name, test := range map[string]func(*testing.T, *storetest.Cluster){
		"sessions have timeouts and a name":        testSessions,
		"stores opened at once make tables once":   testOpenAtOnce,
		"refusals say what to do":                  testRefusals,
		"replicas race":                            testReplicas,
		"what is undone is done again":             testUndone,
		"deadlocks are untied":                     testDeadlock,
		"serialisable transactions all succeed":    testSerialisable,
		"a full disk":                              testPostgresFull,
		"a deletion that was waited for":           testDeletedMeanwhile,
		"kill -9 loses nothing acknowledged":       func(t *testing.T, c *storetest.Cluster) { testOutage(t, c, func() { c.Kill(t); c.Start(t) }) },
		"broken connections cost one error":        testBroken,
		"a restart costs errors and nothing else":  func(t *testing.T, c *storetest.Cluster) { testOutage(t, c, func() { c.Restart(t) }) },
		"a copy from a file and back is the same":  testCopyThere,
		"a copy that fails leaves nothing":         testCopyFails,
		"a copy is of one moment, though it lasts": testCopyMoment,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

func testSessions(t *testing.T, c *storetest.Cluster) {
	for _, tt := range []struct{ query, timeouts, name string }{
		{"", "30s 10s 1min", "parley"},
		{"&statement_timeout=5s&lock_timeout=70&application_name=mine", "5s 70ms 1min", "mine"},
	} {
		db := open(t, c.URL(t)+tt.query)
		var timeouts, name string
		err := db.read.QueryRow(`SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' ||
			current_setting('idle_in_transaction_session_timeout'), current_setting('application_name')`).Scan(&timeouts, &name)
		if err != nil || timeouts != tt.timeouts || name != tt.name {
			t.Errorf("%s: timeouts %s, name %s, %v", tt.query, timeouts, name, err)
		}
	}
	for query, want := range map[string]int{"": 10, "&pool_max_conns=3": 3} {
		if n := open(t, c.URL(t)+query).write.Stats().MaxOpenConnections; n != want {
			t.Errorf("%s: %d connections", query, n)
		}
	}
}

func testOpenAtOnce(t *testing.T, c *storetest.Cluster) {
	address := c.URL(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			db, err := Open(t.Context(), address, testVault(t))
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if _, _, err := db.Accept(t.Context(), question("c1", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustPend(t, open(t, address), "c1", 4)
}

func testRefusals(t *testing.T, c *storetest.Cluster) {
	c.Exec(t, "CREATE ROLE poor LOGIN; CREATE ROLE hidden NOLOGIN")
	latin := c.Database(t, "latin", "TEMPLATE template0 ENCODING LATIN1 LOCALE_PROVIDER libc LOCALE 'C'")
	standby := c.Database(t, "standby", "")
	c.Exec(t, "ALTER DATABASE standby SET default_transaction_read_only = on")
	base := c.Database(t, "plain", "")
	for name, tt := range map[string]struct{ url, want string }{
		"no such database":      {strings.Replace(base, "/plain", "/nowhere", 1), `there is no database "nowhere": create it, such as with ` + "`createdb --owner=postgres nowhere`"},
		"no such user":          {strings.Replace(base, "postgres@", "eve:hunter2@", 1), `refuses the user "eve": look at the user and the password in PARLEY_STORE`},
		"user without a login":  {strings.Replace(base, "postgres@", "hidden:hunter2@", 1), `refuses the user "hidden"`},
		"user without rights":   {strings.Replace(base, "postgres@", "poor:hunter2@", 1), `the user "poor" may not make tables there: let it own the database`},
		"another encoding":      {latin, "the database's encoding is LATIN1: make one with"},
		"takes no changes":      {standby, "the server takes no changes: name the primary in PARLEY_STORE"},
		"nobody listens":        {"postgres://ann:hunter2@127.0.0.1:1/parley", "the server cannot be reached: see that it runs"},
		"no socket":             {"postgres://ann:hunter2@/parley?host=/nowhere", "the server cannot be reached"},
		"old server":            {oldServer(t), "the server is PostgreSQL 12.22: version 13 or later is needed"},
		"a setting that is not": {base + "&statement_timout=5", "statement_timout"},
	} {
		db, err := Open(t.Context(), tt.url, testVault(t))
		if err == nil {
			db.Close()
			t.Errorf("%s: it is opened", name)
			continue
		}
		t.Log(err)
		if !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\n\t") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// oldServer returns the address of a server that says that it is of version
// 12.22, and that it takes writes.
func oldServer(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			oldSession(pgproto3.NewBackend(conn, conn))
			conn.Close()
		}
	}()
	return "postgres://ann:hunter2@" + ln.Addr().String() + "/parley?sslmode=disable"
}

func oldSession(b *pgproto3.Backend) {
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "12.22 (Debian 12.22-1)"})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for b.Flush() == nil {
		m, err := b.Receive()
		if _, ok := m.(*pgproto3.Query); err != nil || !ok {
			return
		}
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("transaction_read_only"), DataTypeOID: 25}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("off")}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SHOW")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}

// testReplicas has two replicas want the same things at the same time.
func testReplicas(t *testing.T, c *storetest.Cluster) {
	address := c.URL(t)
	dbs := []*DB{open(t, address), open(t, address)}
	mustAccept(t, dbs[0], question("c1", 0))
	for i := range 40 {
		var claims, guards, fresh atomic.Int32
		var wg sync.WaitGroup
		for j := range 4 {
			wg.Go(func() {
				db := dbs[j%2]
				err := db.Claimed(t.Context(), "c1", uint64(i+1), fmt.Sprint("nonce", j))
				count(t, &claims, err == nil, err, chat.ErrFenced)
				first, err := db.Guard(t.Context(), "c1-r000000", fmt.Sprint("call", i), "me")
				count(t, &guards, first, err, nil)
				q := question("c2", i)
				q.Run, q.Message.ID = fmt.Sprint(q.Run, "-", j), fmt.Sprint(q.Message.ID, "-", j)
				_, isFresh, err := db.Accept(t.Context(), q)
				count(t, &fresh, isFresh, err, nil)
			})
		}
		wg.Wait()
		if claims.Load() != 1 || guards.Load() != 1 || fresh.Load() != 1 {
			t.Fatalf("round %d: %d claims, %d guards, %d questions", i, claims.Load(), guards.Load(), fresh.Load())
		}
	}
}

func count(t *testing.T, n *atomic.Int32, won bool, err, lost error) {
	if err != nil && !errors.Is(err, lost) {
		t.Error(err)
	}
	if won {
		n.Add(1)
	}
}

// inTable has each insertion into a table run a function that may raise an
// error.
func inTable(t *testing.T, db *DB, table, body string) {
	t.Helper()
	for _, s := range []string{
		`CREATE SEQUENCE tries`, `CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ` + body + ` RETURN NEW; END $$`,
		`CREATE TRIGGER fault BEFORE INSERT ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION fault()`,
	} {
		if _, err := db.write.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

func tries(t *testing.T, db *DB) (n int) {
	t.Helper()
	if err := db.read.QueryRow(`SELECT last_value FROM tries`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func testUndone(t *testing.T, c *storetest.Cluster) {
	for _, state := range []string{stateSerialisation, stateDeadlock} {
		db := open(t, c.URL(t))
		inTable(t, db, "runs", `IF nextval('tries') <= 3 THEN RAISE 'not now' USING ERRCODE = '`+state+`'; END IF;`)
		_, fresh, err := db.Accept(t.Context(), question("c1", 1))
		if err != nil || !fresh || tries(t, db) != 4 {
			t.Errorf("%s: %v, fresh %v, %d tries", state, err, fresh, tries(t, db))
		}
		mustPend(t, db, "c1", 1)
	}
	db := open(t, c.URL(t))
	inTable(t, db, "endpoints", `PERFORM nextval('tries'); RAISE 'never' USING ERRCODE = '40001';`)
	_, err := db.exec(t.Context(), `INSERT INTO endpoints (name, body) VALUES ('a', '')`)
	if sqlState(err) != stateSerialisation || tries(t, db) != undoneTries {
		t.Errorf("%v after %d tries", err, tries(t, db))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := again(ctx, func() error { return err }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// testDeadlock has two transactions each wait for the other's row.
func testDeadlock(t *testing.T, c *storetest.Cluster) {
	db := open(t, c.URL(t)+"&deadlock_timeout=10ms")
	for _, id := range []string{"c1", "c2"} {
		if err := db.CreateConversation(t.Context(), chat.Conversation{ID: id, Owner: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	var both, wg sync.WaitGroup
	both.Add(2)
	var begun atomic.Int32
	for _, order := range [][]string{{"c1", "c2"}, {"c2", "c1"}} {
		wg.Go(func() {
			first := true
			err := db.tx(t.Context(), func(tx *sql.Tx) error {
				begun.Add(1)
				for _, id := range order {
					if _, err := tx.Exec(`UPDATE conversations SET title = title || 'x' WHERE id = $1`, id); err != nil {
						return err
					}
					if first {
						both.Done()
						both.Wait()
					}
					first = false
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if begun.Load() != 3 {
		t.Errorf("%d transactions were begun, not 3", begun.Load())
	}
	if got, err := db.Conversation(t.Context(), "c1"); err != nil || got.Title != "xx" {
		t.Errorf("the title is %q, %v", got.Title, err)
	}
}

// testSerialisable has transactions undo each other that read before they
// write.
func testSerialisable(t *testing.T, c *storetest.Cluster) {
	address := c.URL(t)
	db := open(t, address)
	cfg, err := postgresConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	strict := &DB{write: sql.OpenDB(connect(cfg.ConnConfig))}
	defer strict.write.Close()
	if _, err := db.write.Exec(`INSERT INTO deleted_conversations (id, deleted) VALUES ('n', 0)`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var begun atomic.Int32
	for range 3 {
		wg.Go(func() {
			for range 10 {
				err := strict.tx(t.Context(), func(tx *sql.Tx) error {
					begun.Add(1)
					var n int
					if err := tx.QueryRow(`SELECT deleted FROM deleted_conversations`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(`UPDATE deleted_conversations SET deleted = $1`, n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d transactions for 30", begun.Load())
	var n int
	if err := db.read.QueryRow(`SELECT deleted FROM deleted_conversations`).Scan(&n); err != nil || n != 30 {
		t.Errorf("%v, %v", n, err)
	}
}

func testPostgresFull(t *testing.T, c *storetest.Cluster) {
	db := open(t, c.URL(t))
	inTable(t, db, "runs", `IF nextval('tries') <= 1 THEN
		RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END IF;`)
	_, _, err := db.Accept(t.Context(), question("c1", 1))
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "free some space") {
		t.Error(err)
	}
	if _, err := db.Conversation(t.Context(), "c1"); !errors.Is(err, chat.ErrNotFound) {
		t.Error("something was stored:", err)
	}
	mustAccept(t, db, question("c1", 1))
}

// testDeletedMeanwhile has an insertion wait for a deletion that is under way:
// when it goes on, its own look at what was deleted is too old.
func testDeletedMeanwhile(t *testing.T, c *storetest.Cluster) {
	for name, tt := range map[string]struct {
		want error
		do   func(db *DB) error
	}{
		"Accept": {chat.ErrNotFound, func(db *DB) error {
			_, _, err := db.Accept(t.Context(), question("c1", 1))
			return err
		}},
		"CreateConversation": {fs.ErrExist, func(db *DB) error {
			return db.CreateConversation(t.Context(), chat.Conversation{ID: "c1", Owner: "ann"})
		}},
		"Guard": {chat.ErrNotFound, func(db *DB) error {
			_, err := db.Guard(t.Context(), "c1-r000000", "call", "me")
			return err
		}},
	} {
		db := open(t, c.URL(t))
		mustAccept(t, db, question("c1", 0))
		tx, err := db.write.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{`DELETE FROM conversations`, `INSERT INTO deleted_conversations VALUES ('c1', 1)`} {
			if _, err := tx.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() { done <- tt.do(db) }()
		waitForLock(t, db)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := db.Conversation(t.Context(), "c1"); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("%s: the conversation is back: %v", name, err)
		}
	}
}

// waitForLock returns when a session waits for another.
func waitForLock(t *testing.T, db *DB) {
	t.Helper()
	for range 100_000 {
		var waiting int
		err := db.read.QueryRow(`SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if waiting > 0 {
			return
		}
	}
	t.Fatal("nobody waits")
}

// testOutage has writers at work while the server goes away and comes back.
// What was acknowledged is there, and the same store works on.
func testOutage(t *testing.T, c *storetest.Cluster, outage func()) {
	db := open(t, c.URL(t))
	const writers, rounds = 4, 3
	var next [writers]int // the question that each asks next; those before it are acknowledged
	for range rounds {
		var wg sync.WaitGroup
		var failed atomic.Int32
		busy := make(chan struct{}, writers*20)
		for w := range writers {
			wg.Go(func() {
				conv := fmt.Sprint("c", w)
				for {
					if _, _, err := db.Accept(t.Context(), question(conv, next[w])); err != nil {
						failed.Add(1)
						return
					}
					next[w]++
					select {
					case busy <- struct{}{}:
					default:
					}
				}
			})
		}
		for range cap(busy) {
			<-busy
		}
		outage()
		wg.Wait()
		if failed.Load() != writers {
			t.Errorf("%d writers were told", failed.Load())
		}
		for w := range writers {
			conv := fmt.Sprint("c", w)
			qs, err := db.Pending(t.Context(), conv)
			if err != nil {
				t.Fatalf("after the outage: %v", err)
			}
			if n := len(qs); n != next[w] && n != next[w]+1 { // the last may have been stored, and the word of it lost
				t.Errorf("%s has %d questions, %d were acknowledged", conv, n, next[w])
			}
			mustAcceptAgain(t, db, question(conv, next[w]))
			next[w]++
			mustPend(t, db, conv, next[w])
		}
	}
	t.Logf("acknowledged: %v", next)
}

// testBroken has all connections broken at once, just after they were used:
// who uses the first is told, and nobody else.
func testBroken(t *testing.T, c *storetest.Cluster) {
	db := open(t, c.URL(t)+"&application_name=broken")
	for range 2 { // one that was used only once is asked whether it lives, however young it is
		lookAtOnce(t, db, 8)
	}
	c.Exec(t, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'broken'")
	failed := 0
	for range 10 {
		if look(db.read) != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d of 10 were told", failed)
	}
}

// lookAtOnce uses so many connections.
func lookAtOnce(t *testing.T, db *DB, n int) {
	t.Helper()
	for range n {
		tx, err := db.read.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if err := look(tx); err != nil {
			t.Fatal(err)
		}
	}
}

func look(db interface{ QueryRow(string, ...any) *sql.Row }) error {
	var n int
	return db.QueryRow(`SELECT COUNT(*) FROM runs`).Scan(&n)
}

func mustAcceptAgain(t *testing.T, db *DB, q chat.Question) {
	t.Helper()
	stored, _, err := db.Accept(t.Context(), q)
	if err != nil || stored.Run != q.Run {
		t.Fatal(stored.Run, err)
	}
}
