package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// compose is docker-compose.yml, with the keys that it uses and no others, so
// that a key that is misspelt is an error here and not ignored there. The
// module in check reads it as Docker does.
type compose struct {
	Name      string
	XConfined any `yaml:"x-confined"`
	XFiles    any `yaml:"x-files"`
	Services  map[string]service
	Networks  map[string]struct {
		Internal bool
		IPAM     *struct{ Config []struct{ Subnet string } }
	}
	Volumes map[string]struct{}
}

type service struct {
	Build *struct {
		Context    string
		Dockerfile string
		Args       map[string]string
	}
	Deploy     *struct{ Replicas int }
	Image      string
	Profiles   []string
	Entrypoint []string
	Command    []string
	User       string
	EnvFile    []struct {
		Path     string
		Required bool
	} `yaml:"env_file"`
	Environment     map[string]*string
	Ports           []string
	Volumes         []string
	Tmpfs           []string
	ShmSize         string `yaml:"shm_size"`
	Networks        []string
	DependsOn       map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck     *healthcheck
	Restart         string
	StopSignal      string        `yaml:"stop_signal"`
	StopGracePeriod time.Duration `yaml:"stop_grace_period"`
	ReadOnly        bool          `yaml:"read_only"`
	CapDrop         []string      `yaml:"cap_drop"`
	SecurityOpt     []string      `yaml:"security_opt"`
	Ulimits         struct {
		Nofile struct{ Soft, Hard int }
	}
}

type healthcheck struct {
	Test        []string
	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration `yaml:"start_period"`
	Retries     int
}

func load(t *testing.T) compose {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, "docker-compose.yml")))
	d.KnownFields(true)
	var c compose
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComposeStarts(t *testing.T) {
	c := load(t)
	for name, s := range c.Services {
		if s.Image == "" {
			t.Errorf("%s has no image", name)
		}
		if s.Build != nil {
			read(t, s.Build.Dockerfile)
		}
		for on, how := range s.DependsOn {
			other, ok := c.Services[on]
			healthy := other.Healthcheck != nil || other.Build != nil && parseDockerfile(t).last().text("HEALTHCHECK") != ""
			if !ok || how.Condition == "service_healthy" && !healthy {
				t.Errorf("%s waits for %s to be healthy, and nothing says when it is", name, on)
			}
		}
		for _, v := range s.Volumes {
			c.mounts(t, name, v)
		}
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("%s is in the network %s, which is not declared", name, n)
			}
		}
	}
}

// mounts checks that what is mounted is there.
func (c compose) mounts(t *testing.T, name, mount string) {
	t.Helper()
	from, rest, _ := strings.Cut(mount, ":")
	file, ok := strings.CutPrefix(from, "./")
	if !ok {
		if _, ok := c.Volumes[from]; !ok {
			t.Errorf("%s mounts the volume %s, which is not declared", name, from)
		}
		return
	}
	if _, err := os.Stat(filepath.Join(root, file)); err != nil {
		t.Error(err)
	}
	if !strings.HasSuffix(rest, ":ro") {
		t.Errorf("%s may write to %s", name, from)
	}
}

// Only nginx is published, and, to who asks for it, the dashboard: both to
// this machine alone.
func TestComposePublishesOneDoor(t *testing.T) {
	for name, s := range load(t).Services {
		if len(s.Ports) > 0 && name != "nginx" && (name != "grafana" || !slices.Contains(s.Profiles, "observability")) {
			t.Errorf("%s publishes %v", name, s.Ports)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond this machine", name, p)
			}
		}
	}
}

// What keeps data cannot be reached by what faces people, nor go out.
func TestComposeKeepsDataApart(t *testing.T) {
	c := load(t)
	if !c.Networks["back"].Internal {
		t.Error("the network back has a way out")
	}
	for _, name := range []string{"redis", "postgres"} {
		if n := c.Services[name].Networks; !slices.Equal(n, []string{"back"}) {
			t.Errorf("%s is in %v", name, n)
		}
	}
	for _, name := range []string{"nginx", "grafana", "ollama"} {
		if n := c.Services[name].Networks; slices.Contains(n, "back") {
			t.Errorf("%s is in %v", name, n)
		}
	}
}

func TestComposeGatewayFitsTheImage(t *testing.T) {
	c, image := load(t), parseDockerfile(t)
	g := c.Services["gateway"]
	if g.Deploy == nil || g.Deploy.Replicas < 3 {
		t.Errorf("replicas: %+v", g.Deploy)
	}
	dir, uid := image.env()["PARLEY_DATA"], strings.Split(image.last().text("USER"), ":")[0]
	if !slices.ContainsFunc(g.Tmpfs, func(m string) bool { return strings.HasPrefix(m, dir+":") && strings.Contains(m, "uid="+uid+",") }) {
		t.Errorf("the image, as user %s, keeps its data in %s; writable: %v", uid, dir, g.Tmpfs)
	}
	for arg := range g.Build.Args {
		if !strings.Contains(image.text("ARG"), arg) {
			t.Errorf("the Dockerfile takes no argument %s", arg)
		}
	}
	if g.StopGracePeriod < 60*time.Second {
		t.Errorf("a drain is cut off after %s", g.StopGracePeriod)
	}
}

// The addresses by which the parts know each other.
func TestComposePartsFindEachOther(t *testing.T) {
	c := load(t)
	_, port, _ := strings.Cut(parseDockerfile(t).env()["PARLEY_ADDR"], ":")
	if upstream := read(t, "deploy/nginx/compose.conf"); !strings.Contains(upstream, "server gateway:"+port+" ") {
		t.Errorf("the image listens on port %s; nginx asks elsewhere", port)
	}
	if site := read(t, "deploy/nginx/parley.conf"); !strings.Contains(site, "listen 8080 ") || !strings.HasSuffix(c.Services["nginx"].Ports[0], ":8080") {
		t.Errorf("nginx is published as %v", c.Services["nginx"].Ports)
	}
	env := c.Services["gateway"].Environment
	for name, want := range map[string]string{
		"PARLEY_REDIS": "redis://redis:", "PARLEY_STORE": "postgres://parley:${POSTGRES_PASSWORD:-parley}@postgres:",
		"PARLEY_TRUSTED_PROXIES": c.Networks["front"].IPAM.Config[0].Subnet,
	} {
		if v := env[name]; v == nil || !strings.HasPrefix(*v, want) {
			t.Errorf("%s does not begin with %s", name, want)
		}
	}
	if p := c.Services["postgres"].Environment["POSTGRES_PASSWORD"]; p == nil || *p != "${POSTGRES_PASSWORD:-parley}" {
		t.Error("PostgreSQL has another password than the gateway")
	}
	_, ops, _ := strings.Cut(*env["PARLEY_OPS_ADDR"], ":")
	if scrape := read(t, "deploy/prometheus/prometheus.yml"); !strings.Contains(scrape, "port: "+ops+"\n") {
		t.Errorf("metrics are on port %s; Prometheus asks elsewhere", ops)
	}
}

// All but the model, which needs more, may write only where they say so.
func TestComposeConfinesEverything(t *testing.T) {
	for name, s := range load(t).Services {
		if (!s.ReadOnly && name != "ollama") || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not confined: read_only %v, cap_drop %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
	}
}

// Redis carries what is being said: it must not forget it, neither on a
// restart nor for want of memory.
func TestComposeRedisKeepsWhatItIsTold(t *testing.T) {
	s := load(t).Services["redis"]
	command := strings.Join(s.Command, " ")
	for _, want := range []string{"--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis runs as %q, without %s", command, want)
		}
	}
	if len(s.Volumes) == 0 {
		t.Error("redis has no volume")
	}
}
