package gatewaytest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"parley/gateway"
	"parley/gateway/agents"
	"parley/gateway/chat"
	"parley/gateway/chat/inprocess"
	"parley/gateway/fleet"
	"parley/gateway/run"
	"parley/gateway/store"
	"parley/gateway/store/vault"
	"parley/llm"
	"parley/tools"
	"parley/tools/feed"
)

// A Cluster is several replicas on one Redis and one store.
type Cluster struct {
	TB    testing.TB
	Redis *inprocess.Redis
	Agent *llm.Agent
	Tools run.Toolbox // nil: none
	Run   run.Options
	Queue chat.QueueOptions
	Log   *slog.Logger // nil: none

	// Registry, if set, makes the tools of a replica, which then registers
	// endpoints in the store; Tools is not used.
	Registry func(db *store.DB) *tools.Registry

	// Outside, if set, is what replicas connect to feeds through. Without it
	// they have none.
	Outside *tools.Client

	file string
	n    int
	dead sync.WaitGroup
}

// NewCluster returns a cluster without replicas.
func NewCluster(t testing.TB, agent *llm.Agent) *Cluster {
	c := &Cluster{TB: t, Redis: inprocess.New(), Agent: agent, Log: slog.New(slog.DiscardHandler), file: StoreFile(t)}
	t.Cleanup(c.Redis.Close)
	return c
}

// File is the path of the cluster's store.
func (c *Cluster) File() string { return c.file }

// Store opens the cluster's store. The test closes it.
func (c *Cluster) Store() *store.DB {
	c.TB.Helper()
	v, err := vault.New([]byte(VaultKey))
	if err != nil {
		c.TB.Fatal(err)
	}
	db, err := store.Open(context.Background(), c.file, v)
	if err != nil {
		c.TB.Fatal(err)
	}
	return db
}

// A Replica is one process of a cluster, as far as conversations go.
type Replica struct {
	Name   string
	Link   *Link
	Store  *store.DB
	Hub    *chat.Hub
	Queue  *chat.Queue
	Runner *run.Runner
	Tools  *tools.Registry // of Cluster.Registry
	Use    *fleet.Stats    // of Tools
	Ledger *fleet.Ledger
	Feeds  *fleet.Feeds
	Book   *feed.Book
	Agents *agents.Book

	cluster *Cluster

	drain context.CancelFunc
	stop  context.CancelFunc
	wg    sync.WaitGroup // all but the runner
	done  chan struct{}  // the runner has ended
	close func()
	once  sync.Once
}

type noTools struct{}

func (noTools) Set(context.Context) (*tools.Set, error) { return tools.NewSet(), nil }

// Start adds a replica.
func (c *Cluster) Start() *Replica {
	c.n++
	name := "replica" + string(rune('a'+c.n-1)) + "-" + chat.NewID("")
	link := NewLink(c.Redis)
	rdb := link.Client()
	db := c.Store()
	bus := chat.NewBus(rdb, name)
	box := c.Tools
	if box == nil {
		box = noTools{}
	}
	r := &Replica{cluster: c, Name: name, Link: link, Store: db, done: make(chan struct{}), Use: fleet.NewStats(rdb)}
	if c.Registry != nil {
		r.Tools = c.Registry(db)
		r.Tools.Versions, r.Tools.Observer = fleet.NewNotice(rdb, "tools"), r.Use
		box = r.Tools
	}
	r.Hub = chat.NewHub(rdb, bus, chat.HubOptions{Cold: Cold(db), Frame: gateway.EventFrame})
	r.Queue = chat.NewQueue(rdb, bus, db, c.Queue)
	seats := fleet.NewSeats(rdb)
	outside := c.Outside
	if outside == nil {
		outside = tools.NewClient(tools.ClientOptions{})
	}
	r.Feeds = fleet.NewFeeds(rdb, name, db, outside.HTTP(), fleet.FeedOptions{Log: c.Log})
	r.Book = &feed.Book{Store: db, Windows: r.Feeds}
	if r.Tools != nil {
		r.Tools.Suppliers = append(r.Tools.Suppliers, r.Book)
	}
	r.Agents = &agents.Book{Builtin: c.Agent, Store: db, Versions: fleet.NewNotice(rdb, "agents"), Log: c.Log}
	r.Agents.Chain, _ = c.Agent.Model.(*llm.Chain)
	o := c.Run
	o.Seats, o.Files = seats, gateway.NewFiles(db, gateway.FileOptions{})
	o.Pins, o.Live = db, r.Book
	r.Ledger = fleet.NewLedger(rdb, db.DaySpent, fleet.LedgerOptions{})
	o.Budgets.Spent, o.Budgets.Ledger = db, r.Ledger
	r.Runner = run.New(r.Queue, chat.NewInbox(rdb), db, db, r.Agents, box, c.Log.With("replica", name), o)
	var ctx, work context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	work, r.drain = context.WithCancel(ctx)
	r.wg.Go(func() { _ = bus.Run(ctx) })
	r.wg.Go(func() { _ = r.Queue.Run(ctx) })
	r.wg.Go(func() { _ = r.Hub.Run(ctx) })
	r.wg.Go(func() { _ = seats.Run(ctx) })
	r.wg.Go(func() { _ = r.Use.Run(ctx) })
	if c.Outside != nil {
		r.wg.Go(func() { _ = r.Feeds.Run(ctx) })
	}
	go func() { defer close(r.done); _ = r.Runner.Serve(work) }()
	r.close = func() { _ = db.Close(); _ = rdb.Close() }
	return r
}

// Cold reads conversations from the store, for a hub.
func Cold(db *store.DB) func(context.Context, string) (chat.State, chat.Position, error) {
	return func(ctx context.Context, conv string) (chat.State, chat.Position, error) {
		return chat.FromArchive(ctx, db, conv)
	}
}

// Drain shuts the replica down as SIGTERM does.
func (r *Replica) Drain() {
	r.drain()
	<-r.done
	r.end()
}

// Kill cuts the replica off from everything at once, as kill -9 does. What is
// left of it is cleared away in the background, until [Cluster.Wait].
func (r *Replica) Kill() {
	r.Link.Cut()
	_ = r.Store.Close()
	r.stop()
	r.cluster.dead.Go(func() {
		<-r.done
		r.end()
	})
}

// Wait returns when nothing is left of the replicas that were killed. It is
// called last, inside the bubble.
func (c *Cluster) Wait() {
	c.dead.Wait()
	time.Sleep(2 * time.Second) // go-redis tries a pool's address again each second, and only then sees that it is closed
}

func (r *Replica) end() {
	r.once.Do(func() {
		r.stop()
		r.wg.Wait()
		r.close()
	})
}

// Eventually waits until ok reports true, in the bubble's time.
func Eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("after %v still not: %s", within, what)
}
