package gatewaytest

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/redis/go-redis/v9"

	"parley/gateway"
	"parley/gateway/access"
	"parley/gateway/fleet"
	"parley/tools"
	"parley/tools/mcp"
	"parley/tools/rag"
)

// The secrets of every [Gateway]. None may ever be seen in an answer or a
// log.
const (
	AdminToken     = "canary-admin-token"
	RetrievalToken = "canary-retrieval-token"
	CookieKey      = "canary-cookie-key-of-32-bytes..."
	VaultKey       = "canary-vault-key-of-32-bytes...."
)

// GatewayOptions are what a test may want of a [Gateway].
type GatewayOptions struct {
	Limits         gateway.Limits
	Hosts, Origins []string
	PublicURL      string
	Files          gateway.FileOptions
	Short          func() bool // there is no memory for more; nil: never
	PDFs           rag.PDFs    // for documents; nil: they may not be PDFs
}

// A Gateway is a replica's front door, open on a [Network].
type Gateway struct {
	*gateway.Server
	Host    string // on the network
	Replica *Replica

	rdb    *redis.Client
	stop   context.CancelFunc
	done   chan struct{}
	unplug func()
	once   sync.Once
}

// Gateway opens the replica's front door at a host of the network: the
// replica's name up to its first hyphen. [Gateway.Stop] closes it.
func (r *Replica) Gateway(n *Network, o GatewayOptions) *Gateway {
	documents, err := rag.New(r.Store.Documents(), rag.Options{MaxBytes: o.Limits.Document, PDFs: o.PDFs})
	if err != nil {
		r.cluster.TB.Fatal(err)
	}
	if r.Tools == nil {
		r.Tools = &tools.Registry{Endpoints: r.Store, Log: r.cluster.Log}
	}
	client := r.Tools.Client
	if client == nil {
		client = tools.NewClient(tools.ClientOptions{})
	}
	servers := mcp.New(mcp.Options{Store: r.Store, HTTP: client.HTTP(), Log: r.cluster.Log})
	r.Tools.Suppliers = append(r.Tools.Suppliers, servers)
	if r.Tools.Credentials == nil {
		r.Tools.Credentials = &tools.Credentials{Store: r.Store, Tokens: r.Store, Departures: r.Store, Client: r.Tools.Client, Log: r.cluster.Log}
	}
	rdb := r.Link.Client()
	g := &Gateway{Host: r.Name[:len("replica?")], Replica: r, rdb: rdb, done: make(chan struct{})}
	g.Server = gateway.New(gateway.Config{
		Store: r.Store, Hub: r.Hub, Runner: r.Runner, Tools: r.Tools, Use: r.Use, MCP: servers, Feeds: r.Book, Agents: r.Agents, Documents: documents,
		Identity: &gateway.Identity{AdminToken: AdminToken, RetrievalToken: RetrievalToken, CookieKey: []byte(CookieKey), Keys: access.NewRing(r.Store)},
		Keys:     r.Store,
		Limiter:  fleet.NewLimiter(rdb), Board: fleet.NewBoard(rdb), Log: r.cluster.Log.With("replica", r.Name),
		Page:      http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html>the page") }),
		Ready:     func(ctx context.Context) error { return rdb.Ping(ctx).Err() },
		Info:      gateway.Info{Name: "Parley", Build: "test", Model: r.cluster.Agent.Model.Name()},
		PublicURL: o.PublicURL, Hosts: o.Hosts, Origins: o.Origins, Limits: o.Limits, Short: o.Short,
		Files: gateway.NewFiles(r.Store, o.Files),
	})
	var ctx context.Context
	ctx, g.stop = context.WithCancel(context.Background())
	go func() {
		defer close(g.done)
		var running sync.WaitGroup
		running.Go(func() { _ = servers.Run(ctx) })
		_ = g.Server.Run(ctx)
		running.Wait()
	}()
	g.unplug = n.Serve(g.Host, g.Server)
	return g
}

// SendAway ends the server as a drain does: every client is told to dial
// again, and streams end. Requests are still answered.
func (g *Gateway) SendAway() {
	g.stop()
	<-g.done
}

// Stop is SendAway, and then the host is gone from the network.
func (g *Gateway) Stop() {
	g.once.Do(func() {
		g.SendAway()
		g.unplug()
		_ = g.rdb.Close()
	})
}
