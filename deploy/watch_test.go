package deploy_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A dashboard is as much of Grafana's as these tests ask.
type dashboard struct {
	UID    string
	Title  string
	Panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
}

func parseDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/dashboards/parley.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// alerts is deploy/prometheus/alerts.yml.
type alerts struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

func parseAlerts(t *testing.T) (a alerts) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, "deploy/prometheus/alerts.yml")))
	d.KnownFields(true)
	if err := d.Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

// queries returns everything that the alerts, the dashboard and the chart's
// autoscaler ask Prometheus.
func queries(t *testing.T) (all []string) {
	t.Helper()
	for _, g := range parseAlerts(t).Groups {
		for _, r := range g.Rules {
			all = append(all, r.Expr)
		}
	}
	for _, p := range parseDashboard(t).Panels {
		for _, q := range p.Targets {
			all = append(all, q.Expr)
		}
	}
	scaling := regexp.MustCompile(`(?m)^ +metric: (\S+)$`).FindStringSubmatch(read(t, "deploy/helm/parley/values.yaml"))
	if scaling == nil {
		t.Fatal("the chart scales by no metric")
	}
	return append(all, scaling[1])
}

var (
	notMetrics = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]|"[^"]*"|\b(?:by|on|without|ignoring) *\([^)]*\)|\b[0-9][\w.]*`)
	identifier = regexp.MustCompile(`[a-zA-Z_:][\w:]*(?: *\()?`)
)

// metricsOf returns the metrics that a query names.
func metricsOf(query string) (names []string) {
	for _, name := range identifier.FindAllString(notMetrics.ReplaceAllString(query, ""), -1) {
		if !strings.HasSuffix(name, "(") && !slices.Contains([]string{"and", "or", "unless", "bool"}, name) {
			names = append(names, name)
		}
	}
	return names
}

func TestMetricsAreFoundInQueries(t *testing.T) {
	got := metricsOf(`count by (version) (rate(a_total{job=~".*b.*"}[1m])) > 1e9 and on (x) c == 0.5 * d_bytes or absent(e{f="g{"}) < 2`)
	if want := []string{"a_total", "c", "d_bytes", "e"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	tests := read(t, "deploy/prometheus/alerts_test.yml")
	for _, g := range parseAlerts(t).Groups {
		for _, r := range g.Rules {
			if r.Annotations["summary"] == "" || r.Annotations["action"] == "" || !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
				t.Errorf("%s: %v %v", r.Alert, r.Labels, r.Annotations)
			}
			if fires := regexp.MustCompile(r.Alert + `\n +exp_alerts:`); !fires.MatchString(tests) || !strings.Contains(tests, "alertname: "+r.Alert+"}") {
				t.Errorf("alerts_test.yml does not show when %s fires and when it does not", r.Alert)
			}
		}
	}
}

func TestDashboardIsWhole(t *testing.T) {
	d := parseDashboard(t)
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if p.Title == "" || len(p.Targets) == 0 || ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := taken[at]; other != "" {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
	}
	source := read(t, "deploy/grafana/provisioning/datasources/prometheus.yml")
	if !strings.Contains(source, "uid: prometheus\n") || !strings.Contains(read(t, "deploy/grafana/dashboards/parley.json"), `"value": "prometheus"`) {
		t.Error("the dashboard and the data source do not know each other")
	}
}
