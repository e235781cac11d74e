package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/llm"
)

// modelsPath is where a server tells operators how its models do, on the
// address of metrics.
const modelsPath = "/models"

// modelMetrics are what a chain says of itself.
type modelMetrics struct{ chain *llm.Chain }

// Describe implements [prometheus.Collector]: what comes is told by collecting.
func (m modelMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (m modelMetrics) Collect(out chan<- prometheus.Metric) {
	for i, s := range m.chain.Status() {
		send := func(name, help string, kind prometheus.ValueType, v float64) {
			d := prometheus.NewDesc(name, help, []string{"place", "model", "provider"}, nil)
			out <- prometheus.MustNewConstMetric(d, kind, v, strconv.Itoa(i+1), s.Model, s.Provider)
		}
		send("parley_model_resting", "1 while a model is passed over, because it failed again and again.", prometheus.GaugeValue, float64(oneIf(s.State == "resting")))
		send("parley_model_requests_total", "Requests to a model, retries among them.", prometheus.CounterValue, float64(s.Asked))
		send("parley_model_failures_total", "Requests that failed by the model's own fault.", prometheus.CounterValue, float64(s.Failed))
		send("parley_model_retries_total", "Requests that were made once more.", prometheus.CounterValue, float64(s.Retried))
		m.spent(out, strconv.Itoa(i+1), s)
		send("parley_model_stood_in_total", "Turns of a model in the place of those before it.", prometheus.CounterValue, float64(s.StoodIn))
	}
}

// spent says what was spent at a model, by this replica since it started.
func (m modelMetrics) spent(out chan<- prometheus.Metric, place string, s llm.LinkStatus) {
	tokens := prometheus.NewDesc("parley_tokens_total", "Tokens that a model has read and written; cached ones are of the input, too, as the provider counts them.", []string{"place", "model", "provider", "kind"}, nil)
	for kind, n := range map[string]int{"input": s.Spent.Input, "cached": s.Spent.CachedInput, "written": s.Spent.CacheWritten, "output": s.Spent.Output, "estimated": s.Spent.Estimated} {
		out <- prometheus.MustNewConstMetric(tokens, prometheus.CounterValue, float64(n), place, s.Model, s.Provider, kind)
	}
	cost := prometheus.NewDesc("parley_cost_usd_total", "What a model has cost, in US dollars, as far as its price is known.", []string{"place", "model", "provider"}, nil)
	out <- prometheus.MustNewConstMetric(cost, prometheus.CounterValue, float64(s.Spent.Cost)/1e6, place, s.Model, s.Provider)
}

// askServer asks a running server how its models do.
func askServer(ctx context.Context, ops string) ([]llm.LinkStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+modelsPath, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy: it is this machine
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", res.Status)
	}
	var all []llm.LinkStatus
	err = json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&all)
	return all, err
}
