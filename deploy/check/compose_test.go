// Package check_test reads what starts a fleet as Docker and Kubernetes do:
// docker-compose.yml with Docker's own loader, the chart with Helm's engine and
// Kubernetes' own types. It is a module apart, so that their several hundred
// packages are none of the product's: go test -count=1 in this folder. Without
// -count the go command may not see that a file outside it has changed.
package check_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// project loads docker-compose.yml with a set of environment variables.
func project(t *testing.T, profiles []string, env ...string) (*types.Project, error) {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithEnv(env), cli.WithProfiles(profiles), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(context.Background())
}

func TestComposeLoads(t *testing.T) {
	for _, tt := range []struct {
		profiles []string
		services []string
	}{
		{nil, []string{"gateway", "nginx", "postgres", "redis"}},
		{[]string{"ollama"}, []string{"gateway", "nginx", "ollama", "postgres", "redis"}},
		{[]string{"*"}, []string{"gateway", "grafana", "nginx", "ollama", "postgres", "prometheus", "redis"}},
	} {
		t.Run(fmt.Sprint(tt.profiles), func(t *testing.T) {
			p, err := project(t, tt.profiles)
			if err != nil {
				t.Fatal(err)
			}
			names := p.ServiceNames()
			slices.Sort(names)
			if !slices.Equal(names, tt.services) {
				t.Errorf("services %v", names)
			}
			for name, s := range p.Services {
				for _, v := range s.Volumes {
					if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				if !slices.Contains(s.CapDrop, "ALL") || s.Restart == "" {
					t.Errorf("%s did not inherit what confines it", name)
				}
			}
		})
	}
}

// What .env sets reaches both ends.
func TestComposeTakesTheEnvironment(t *testing.T) {
	p, err := project(t, nil, "PORT=9999", "SUBNET=10.99.0.0/24", "POSTGRES_PASSWORD=other", "PARLEY_MODEL=m")
	if err != nil {
		t.Fatal(err)
	}
	g := p.Services["gateway"].Environment
	for name, want := range map[string]string{
		"PARLEY_STORE": "postgres://parley:other@postgres:5432/parley", "PARLEY_TRUSTED_PROXIES": "10.99.0.0/24", "PARLEY_MODEL": "m",
	} {
		if g[name] == nil || *g[name] != want {
			t.Errorf("%s is not %s", name, want)
		}
	}
	if v := p.Services["postgres"].Environment["POSTGRES_PASSWORD"]; v == nil || *v != "other" {
		t.Error("PostgreSQL has another password")
	}
	if s := p.Networks["front"].Ipam.Config[0].Subnet; s != "10.99.0.0/24" {
		t.Errorf("the network is %s", s)
	}
	if at := p.Services["nginx"].Ports[0]; at.Published != "9999" || at.HostIP != "127.0.0.1" {
		t.Errorf("published as %+v", at)
	}
	if n := p.Services["gateway"].Deploy.Replicas; n == nil || *n != 3 {
		t.Error("not three replicas")
	}
}
