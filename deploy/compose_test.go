package deploy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// compose is docker-compose.yml, with the keys that it uses and no others, so
// that a key that is misspelt is an error here and not ignored there.
type compose struct {
	Name     string
	Services map[string]service
	Volumes  map[string]struct{}
}

type service struct {
	Build *struct {
		Context    string
		Dockerfile string
		Args       map[string]string
	}
	Image    string
	Profiles []string
	Command  []string
	User     string
	EnvFile  []struct {
		Path     string
		Required bool
	} `yaml:"env_file"`
	Environment     map[string]*string
	Ports           []string
	Volumes         []string
	Tmpfs           []string
	DependsOn       map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck     *healthcheck
	Restart         string
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
			if other, ok := c.Services[on]; !ok || how.Condition == "service_healthy" && other.Healthcheck == nil {
				t.Errorf("%s waits for %s to be healthy, and nothing says when it is", name, on)
			}
		}
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[volume]; !ok {
				t.Errorf("%s mounts the volume %s, which is not declared", name, volume)
			}
		}
	}
}

// Only the gateway is published, and only to this machine.
func TestComposePublishesOneDoor(t *testing.T) {
	for name, s := range load(t).Services {
		if name != "gateway" && len(s.Ports) > 0 {
			t.Errorf("%s publishes %v", name, s.Ports)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond this machine", name, p)
			}
		}
	}
}

func TestComposeGatewayFitsTheImage(t *testing.T) {
	g, image := load(t).Services["gateway"], parseDockerfile(t)
	if dir := image.env()["PARLEY_DATA"]; !slices.Contains(g.Volumes, "data:"+dir) {
		t.Errorf("the image keeps its data in %s; mounted: %v", dir, g.Volumes)
	}
	_, port, _ := strings.Cut(image.env()["PARLEY_ADDR"], ":")
	if len(g.Ports) != 1 || !strings.HasSuffix(g.Ports[0], ":"+port) {
		t.Errorf("the image listens on port %s; published: %v", port, g.Ports)
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

func TestComposeConfinesWhatFacesPeople(t *testing.T) {
	services := load(t).Services
	for _, name := range []string{"gateway", "redis"} {
		s := services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not confined: read_only %v, cap_drop %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
	}
}

// Redis carries what is being said: it must not forget it, neither on a
// restart nor for want of memory.
func TestComposeRedisKeepsWhatItIsTold(t *testing.T) {
	c := load(t)
	command := strings.Join(c.Services["redis"].Command, " ")
	for _, want := range []string{"--appendonly yes", "--maxmemory-policy noeviction"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis runs as %q, without %s", command, want)
		}
	}
	if len(c.Services["redis"].Volumes) == 0 {
		t.Error("redis has no volume")
	}
	if address := c.Services["gateway"].Environment["PARLEY_REDIS"]; address == nil || !strings.HasPrefix(*address, "redis://redis:") {
		t.Error("the gateway does not use that Redis")
	}
}
