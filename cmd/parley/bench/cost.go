package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/cmd/parley/client"
)

// A cost is what processes have used so far.
type cost struct {
	at                    time.Time
	cpu, redis            float64 // seconds
	rss                   float64 // bytes
	hasReplicas, hasRedis bool
	generator             time.Duration // CPU of this process
}

// cost reads what is used by the replicas, whose operators' addresses are
// known, by Redis and by bench.
func (l *load) cost(ctx context.Context) cost {
	c := cost{at: time.Now(), generator: ownCPU(), hasReplicas: len(l.ops) > 0}
	for _, addr := range l.ops {
		m, err := readMetrics(ctx, addr)
		if err != nil {
			l.note("%v", err)
			c.hasReplicas = false
			continue
		}
		c.cpu += m["process_cpu_seconds_total"]
		c.rss += m["process_resident_memory_bytes"]
	}
	if l.redis != nil {
		cpu, err := redisCPU(ctx, l.redis)
		if err != nil {
			l.note("--redis: %v", err)
		}
		c.redis, c.hasRedis = cpu, err == nil
	}
	return c
}

const opsTimeout = 10 * time.Second

// opsGet sends a request to an operators' address.
func opsGet(ctx context.Context, addr, path string) (*http.Response, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("--ops %s: %w", addr, err)
	}
	over := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := over.Do(req)
	if err == nil && res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		err = fmt.Errorf("%s answered %s", path, res.Status)
	}
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("--ops %s: %w", addr, client.UnwrapURL(err))
	}
	return res, cancel, nil
}

// readMetrics returns the process's own figures.
func readMetrics(ctx context.Context, addr string) (map[string]float64, error) {
	res, cancel, err := opsGet(ctx, addr, "/metrics")
	if err != nil {
		return nil, err
	}
	defer cancel()
	defer res.Body.Close()
	m := map[string]float64{}
	lines := bufio.NewScanner(io.LimitReader(res.Body, 16<<20))
	for lines.Scan() {
		name, v, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(name, "process_") {
			continue
		}
		if m[name], err = strconv.ParseFloat(v, 64); err != nil {
			return nil, fmt.Errorf("--ops %s: %s: %w", addr, name, err)
		}
	}
	if _, ok := m["process_cpu_seconds_total"]; !ok {
		return nil, fmt.Errorf("--ops %s: its metrics have no process_cpu_seconds_total", addr)
	}
	return m, lines.Err()
}

// collect has the replicas free what they do not use. Each time lets stacks
// shrink by half.
func (l *load) collect(ctx context.Context) {
	for _, addr := range l.ops {
		for range 3 {
			res, cancel, err := opsGet(ctx, addr, "/debug/pprof/heap?gc=1")
			if err != nil {
				break // what is not freed is measured with the rest
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			cancel()
		}
	}
}

// redisCPU returns the seconds that a redis-server has used.
func redisCPU(ctx context.Context, rdb *redis.Client) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	info, err := rdb.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(info) {
		name, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// machineLoad is how many processes were running or waiting to, on average of
// the last minute; negative where the system does not say.
func machineLoad() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(b), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return v
}

// ownRSS is the resident memory of this process in bytes, 0 if the system
// does not say.
func ownRSS() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
