package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"parley/gateway"
	"parley/gateway/run"
	"parley/llm"
)

// listenOps returns nil if no address is set.
func listenOps(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("PARLEY_OPS_ADDR: %w", err)
	}
	return ln, nil
}

// serveOps serves metrics and profiles, on an address of their own: they are
// for operators alone.
func serveOps(ctx context.Context, ln net.Listener, server *gateway.Server, runner *run.Runner, models *llm.Chain, log *slog.Logger) error {
	srv := &http.Server{Handler: opsMux(server, runner, models), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	log.Info("metrics and profiles", "url", "http://"+ln.Addr().String())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("PARLEY_OPS_ADDR: %w", err)
	}
	return nil
}

func opsMux(server *gateway.Server, runner *run.Runner, models *llm.Chain) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics(server, runner, models), promhttp.HandlerOpts{}))
	mux.HandleFunc(modelsPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(models.Status())
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// metrics returns what a replica says of itself. What deploy's alerts and
// dashboard ask for is tested against it.
func metrics(server *gateway.Server, runner *run.Runner, models *llm.Chain) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	gauge := func(name, help string, f func() int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	reg.MustRegister(modelMetrics{models}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "parley_build_info", Help: "1; the version is in its label.", ConstLabels: prometheus.Labels{"version": shortVersion()},
	})
	build.Set(1)
	reg.MustRegister(build)
	gauge("parley_connections", "Open WebSockets and event streams.", server.Connections)
	gauge("parley_connections_limit", "How many of them this replica takes.", func() int { return server.Limits.Connections })
	gauge("parley_conversations_written", "Conversations that this replica writes.", runner.Running)
	gauge("parley_conversations_waiting", "Conversations that wait for their turn, of the whole fleet, as this replica sees them.", runner.Waiting)
	gauge("parley_memory_short", "1 while this replica refuses what needs more memory.", func() int { return oneIf(server.Short()) })
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "parley_connections_refused_total", Help: "New connections that were told to come again later, because too many came at once.",
	}, func() float64 { return float64(server.Refused()) }))
	gauge("parley_redis_up", "Whether Redis can be used, asked at this moment.", func() int { return answers(server.Ready) })
	gauge("parley_store_up", "Whether the store answers, asked at this moment.", func() int { return answers(server.Store.Ping) })
	return reg
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// answers returns 1 if what is asked answers in time.
func answers(ask func(context.Context) error) int {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if ask(ctx) != nil {
		return 0
	}
	return 1
}
