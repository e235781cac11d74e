package check_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const given = `
redis: {url: "redis://redis:6379/0"}
store: {url: "postgres://parley:secret@db:5432/parley"}
secretKey: a key that nobody knows
`

// everything switches on what is off by default.
const everything = given + `
adminToken: pa_0123456789abcdef
model: {name: gpt-4.1-mini, url: "https://api.openai.com/v1", key: sk-secret}
env: {PARLEY_EGRESS_ALLOW: "crm.internal:443", PARLEY_ANSWERS: 100, PARLEY_LOG: debug}
hosts: [chat.internal]
trustedProxies: [10.42.0.0/16]
image: {repository: registry.example/parley, tag: v1.2.3, pullSecrets: [{name: registry}]}
ingress: {enabled: true, className: nginx, host: chat.example.com, tlsSecret: chat-tls}
autoscaling: {enabled: true}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
networkPolicy:
  redisPeers: [{podSelector: {matchLabels: {app: redis}}}]
  storePeers: [{ipBlock: {cidr: 10.1.2.3/32}}]
  egress: [{to: [{ipBlock: {cidr: 10.9.9.9/32}}], ports: [{port: 8443}]}]
podAnnotations: {a: b}
podLabels: {c: d}
nodeSelector: {disk: ssd}
tolerations: [{key: chat, operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: high
`

// render renders the chart as helm does, values' schema included.
func render(values string) (map[string]string, error) {
	c, err := loader.LoadDir(filepath.Join(root, "deploy/helm/parley"))
	if err != nil {
		return nil, err
	}
	v, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		return nil, err
	}
	all, err := chartutil.ToRenderValues(c, v, chartutil.ReleaseOptions{Name: "chat", Namespace: "talk", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(c, all)
}

// A release is what the chart makes, by kind and name.
type release map[string]runtime.Object

// install renders and decodes strictly: a field that Kubernetes does not know
// is an error.
func install(t *testing.T, values string) (release, string) {
	t.Helper()
	files, err := render(values)
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	r, notes := release{}, ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, "NOTES.txt") {
			notes = files[name]
			continue
		}
		for doc := range strings.SplitSeq(files[name], "\n---\n") {
			var head struct {
				Kind     string
				Metadata struct{ Name string }
			}
			if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, doc)
			}
			switch head.Kind {
			case "":
				continue
			case "ServiceMonitor": // not Kubernetes' own
				r[head.Kind+"/"+head.Metadata.Name] = nil
				continue
			}
			o, _, err := decoder.Decode([]byte(doc), nil, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, doc)
			}
			r[head.Kind+"/"+head.Metadata.Name] = o
		}
	}
	return r, notes
}

func get[T runtime.Object](t *testing.T, r release, name string) T {
	t.Helper()
	o, ok := r[name].(T)
	if !ok {
		t.Fatalf("no %s among %v", name, slices.Sorted(maps.Keys(r)))
	}
	return o
}

func TestChartMakes(t *testing.T) {
	least := []string{"Deployment/chat-parley", "NetworkPolicy/chat-parley", "PodDisruptionBudget/chat-parley", "Secret/chat-parley", "Service/chat-parley", "Service/chat-parley-ops"}
	most := append(slices.Clone(least), "HorizontalPodAutoscaler/chat-parley", "Ingress/chat-parley", "ServiceMonitor/chat-parley")
	slices.Sort(most)
	for values, want := range map[string][]string{given: least, everything: most} {
		r, _ := install(t, values)
		if got := slices.Sorted(maps.Keys(r)); !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
	}
}

// environment returns the container's, from the pod and from the Secret.
func environment(t *testing.T, r release) map[string]string {
	t.Helper()
	env := map[string]string{}
	pod := get[*appsv1.Deployment](t, r, "Deployment/chat-parley").Spec.Template.Spec
	for _, e := range pod.Containers[0].Env {
		if _, twice := env[e.Name]; twice {
			t.Errorf("%s is set twice", e.Name)
		}
		env[e.Name] = e.Value
	}
	if s, ok := r["Secret/"+pod.Containers[0].EnvFrom[0].SecretRef.Name].(*corev1.Secret); ok {
		maps.Copy(env, s.StringData)
	}
	return env
}

func TestChartSetsParley(t *testing.T) {
	r, _ := install(t, everything)
	env := environment(t, r)
	want := map[string]string{
		"GOMEMLIMIT": "966367641", "PARLEY_ADDR": ":8080", "PARLEY_OPS_ADDR": ":9091", "PARLEY_DATA": "/data", "PARLEY_LOG": "debug",
		"PARLEY_WAIT_MAX": "55s", "PARLEY_DRAIN": "40s", "PARLEY_TRUSTED_PROXIES": "10.42.0.0/16", "PARLEY_HOSTS": "chat.internal,chat.example.com",
		"PARLEY_MODEL": "gpt-4.1-mini", "PARLEY_MODEL_URL": "https://api.openai.com/v1", "PARLEY_MODEL_KEY": "sk-secret",
		"PARLEY_EGRESS_ALLOW": "crm.internal:443", "PARLEY_ANSWERS": "100", "PARLEY_ADMIN_TOKEN": "pa_0123456789abcdef",
		"PARLEY_REDIS": "redis://redis:6379/0", "PARLEY_STORE": "postgres://parley:secret@db:5432/parley", "PARLEY_SECRET_KEY": "a key that nobody knows",
	}
	if !maps.Equal(env, want) {
		t.Errorf("%v", env)
	}
	settings, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range env {
		if strings.HasPrefix(name, "PARLEY_") && !strings.Contains(string(settings), "`"+name+"`") {
			t.Errorf("the README knows no setting %s", name)
		}
	}
	// No secret is anywhere else.
	b, err := json.Marshal(r["Deployment/chat-parley"])
	if err != nil || regexp.MustCompile(`sk-secret|:secret@|pa_0123`).Match(b) {
		t.Errorf("a secret is in the Deployment, %v", err)
	}
}

func TestChartTakesASecretOfYours(t *testing.T) {
	r, _ := install(t, "existingSecret: mine")
	if r["Secret/chat-parley"] != nil || get[*appsv1.Deployment](t, r, "Deployment/chat-parley").Spec.Template.Spec.Containers[0].EnvFrom[0].SecretRef.Name != "mine" {
		t.Error("the Secret is not the operator's")
	}
}

// A replica that leaves has the time that it needs.
func TestChartLetsReplicasLeave(t *testing.T) {
	for _, values := range []string{given, given + "termination: {preStopSeconds: 10, drainSeconds: 120}"} {
		r, _ := install(t, values)
		d := get[*appsv1.Deployment](t, r, "Deployment/chat-parley")
		pod := d.Spec.Template.Spec
		drain, err := time.ParseDuration(environment(t, r)["PARLEY_DRAIN"])
		if err != nil {
			t.Fatal(err)
		}
		stop := pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds
		if *pod.TerminationGracePeriodSeconds <= stop+int64(drain.Seconds()) {
			t.Errorf("%d s for %d s and %v", *pod.TerminationGracePeriodSeconds, stop, drain)
		}
		u := d.Spec.Strategy.RollingUpdate
		if u.MaxSurge.IntValue() != 1 || u.MaxUnavailable.IntValue() != 0 {
			t.Errorf("%+v", u)
		}
	}
}

func TestChartAsksReplicas(t *testing.T) {
	r, _ := install(t, given)
	c := get[*appsv1.Deployment](t, r, "Deployment/chat-parley").Spec.Template.Spec.Containers[0]
	for name, p := range map[string]*corev1.Probe{"/readyz": c.StartupProbe, "/readyz ": c.ReadinessProbe, "/healthz": c.LivenessProbe} {
		h := p.HTTPGet
		if h.Path != strings.TrimSpace(name) || h.Port.StrVal != "http" || len(h.HTTPHeaders) != 1 || h.HTTPHeaders[0].Value != "localhost" {
			t.Errorf("%s: %+v", name, h)
		}
	}
	// The address that a balancer is told and the one that Parley has.
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for service, port := range map[string]string{"Service/chat-parley": "http", "Service/chat-parley-ops": "ops"} {
		s := get[*corev1.Service](t, r, service)
		if s.Spec.Ports[0].TargetPort.StrVal != port || ports[port] == 0 || !selects(s.Spec.Selector, r, t) {
			t.Errorf("%s: %+v", service, s.Spec)
		}
	}
}

func selects(selector map[string]string, r release, t *testing.T) bool {
	labels := get[*appsv1.Deployment](t, r, "Deployment/chat-parley").Spec.Template.Labels
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

func TestChartConfines(t *testing.T) {
	r, _ := install(t, given)
	pod := get[*appsv1.Deployment](t, r, "Deployment/chat-parley").Spec.Template.Spec
	c := pod.Containers[0]
	switch s := c.SecurityContext; {
	case *pod.AutomountServiceAccountToken, !*pod.SecurityContext.RunAsNonRoot, *pod.SecurityContext.RunAsUser != 65532,
		pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault,
		*s.AllowPrivilegeEscalation, !*s.ReadOnlyRootFilesystem, !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}):
		t.Errorf("%+v\n%+v", pod.SecurityContext, s)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Limits.StorageEphemeral().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%+v", c.Resources)
	}
}

func TestChartFollowsTheMemoryLimit(t *testing.T) {
	for limit, want := range map[string]string{"512Mi": "483183820", "2Gi": "1932735283", "1G": "900000000", "1000000": "900000", `"2000000"`: "1800000"} {
		r, _ := install(t, given+"resources: {limits: {memory: "+limit+"}}")
		if got := environment(t, r)["GOMEMLIMIT"]; got != want {
			t.Errorf("%s: GOMEMLIMIT=%s, not %s", limit, got, want)
		}
	}
}

func TestChartScalesByConnections(t *testing.T) {
	r, _ := install(t, everything)
	h := get[*autoscalingv2.HorizontalPodAutoscaler](t, r, "HorizontalPodAutoscaler/chat-parley")
	m, down := h.Spec.Metrics[0].Pods, h.Spec.Behavior.ScaleDown
	if m.Metric.Name != "parley_connections" || m.Target.AverageValue.Value() != 10000 || h.Spec.ScaleTargetRef.Name != "chat-parley" {
		t.Errorf("%+v", m)
	}
	if *down.StabilizationWindowSeconds < 600 || down.Policies[0].Value != 1 || down.Policies[0].PeriodSeconds < 60 {
		t.Errorf("scales down too fast: %+v", down)
	}
	if get[*appsv1.Deployment](t, r, "Deployment/chat-parley").Spec.Replicas != nil {
		t.Error("the Deployment would undo what the autoscaler does")
	}
	if b := get[*policyv1.PodDisruptionBudget](t, r, "PodDisruptionBudget/chat-parley"); b.Spec.MaxUnavailable.IntValue() != 1 || !selects(b.Spec.Selector.MatchLabels, r, t) {
		t.Errorf("%+v", b.Spec)
	}
}

func TestChartLetsOutOnlyWhatIsNeeded(t *testing.T) {
	r, _ := install(t, everything)
	n := get[*networkingv1.NetworkPolicy](t, r, "NetworkPolicy/chat-parley")
	ports := map[int32][]networkingv1.NetworkPolicyPeer{}
	for _, e := range n.Spec.Egress {
		for _, p := range e.Ports {
			ports[p.Port.IntVal] = e.To
		}
	}
	if got := slices.Sorted(maps.Keys(ports)); !slices.Equal(got, []int32{53, 443, 5432, 6379, 8443}) {
		t.Errorf("ports %v", got)
	}
	for _, private := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"} {
		if !slices.Contains(ports[443][0].IPBlock.Except, private) {
			t.Errorf("443 reaches %s", private)
		}
	}
	if ports[6379][0].PodSelector.MatchLabels["app"] != "redis" || ports[5432][0].IPBlock.CIDR != "10.1.2.3/32" || !selects(n.Spec.PodSelector.MatchLabels, r, t) {
		t.Errorf("%+v", ports)
	}
}

func TestChartPublishesOnlyTheDoor(t *testing.T) {
	r, notes := install(t, everything)
	i := get[*networkingv1.Ingress](t, r, "Ingress/chat-parley")
	b := i.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if i.Spec.Rules[0].Host != "chat.example.com" || i.Spec.TLS[0].SecretName != "chat-tls" || b.Name != "chat-parley" || b.Port.Name != "http" {
		t.Errorf("%+v", i.Spec)
	}
	if !strings.Contains(notes, "https://chat.example.com") || strings.Contains(notes, "trustedProxies") || strings.Contains(notes, "demo") {
		t.Errorf("notes: %s", notes)
	}
	if _, notes := install(t, given); !strings.Contains(notes, "port-forward service/chat-parley 8080:80") || !strings.Contains(notes, "Admin token") || !strings.Contains(notes, "demo") {
		t.Errorf("notes: %s", notes)
	}
	if _, notes := install(t, given+"ingress: {enabled: true, host: h.example}"); !strings.Contains(notes, "trustedProxies is empty") {
		t.Errorf("notes: %s", notes)
	}
}

// What cannot work is refused before anything is installed.
func TestChartRefuses(t *testing.T) {
	for values, want := range map[string]string{
		"":                                   "redis.url must be given",
		`redis: {url: "redis://redis:6379"}`: "store.url must be given",
		`redis: {url: "redis://redis:6379"}` + "\n" + `store: {url: "postgres://db/parley"}`: "secretKey must be given",
		given + "replica: 5":                           "replica",
		given + "replicas: 0":                          "replicas",
		given + "ingress: {enabled: true}":             "ingress.host must be given",
		given + "resources: {limits: {memory: 1.5Gi}}": "1.5Gi",
		given + "env: {PARLEY_ADDR: ':1'}":             "PARLEY_ADDR",
		given + "adminToken: short":                    "adminToken",
		given + "trustedProxies: [everybody]":          "trustedProxies",
		`redis: {url: "localhost:6379"}`:               "/redis/url",
		`store: {url: "parley.db"}`:                    "/store/url",
	} {
		_, err := render(values)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", values, err)
		}
	}
}
