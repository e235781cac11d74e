package main

import (
	"context"
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
func serveOps(ctx context.Context, ln net.Listener, server *gateway.Server, runner *run.Runner, log *slog.Logger) error {
	srv := &http.Server{Handler: opsMux(server, runner), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	log.Info("metrics and profiles", "url", "http://"+ln.Addr().String())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("PARLEY_OPS_ADDR: %w", err)
	}
	return nil
}

func opsMux(server *gateway.Server, runner *run.Runner) *http.ServeMux {
	reg := prometheus.NewRegistry()
	gauge := func(name, help string, f func() int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge("parley_connections", "Open WebSockets and event streams.", server.Connections)
	gauge("parley_conversations_written", "Conversations that this replica writes.", runner.Running)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
