package tools

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// The guard sees addresses in whatever form a resolver or kernel gives them.
func TestGuardKnowsEveryForm(t *testing.T) {
	g := newGuard([]string{"rag:80", "10.0.0.5:80", "[fd00::5]:80"})
	tests := map[string]struct {
		asked, dialled string
		want           bool
	}{
		"public":                             {"a.example:80", "93.184.216.34:80", true},
		"public IPv6":                        {"a.example:80", "[2606:2800:220:1::1]:80", true},
		"shared space, mapped into IPv6":     {"a.example:80", "[::ffff:100.64.0.1]:80", false},
		"test space, mapped into IPv6":       {"a.example:80", "[::ffff:198.18.0.1]:80", false},
		"public, mapped into IPv6":           {"a.example:80", "[::ffff:93.184.216.34]:80", true},
		"with a zone":                        {"a.example:80", "[64:ff9b::1%eth0]:80", false},
		"allowed":                            {"10.0.0.5:80", "10.0.0.5:80", true},
		"allowed, mapped into IPv6":          {"[::ffff:10.0.0.5]:80", "[::ffff:10.0.0.5]:80", true},
		"allowed IPv6":                       {"[fd00::5]:80", "[fd00::5]:80", true},
		"allowed, another port":              {"10.0.0.5:81", "10.0.0.5:81", false},
		"allowed address, foreign name":      {"a.example:80", "10.0.0.5:80", false},
		"allowed name":                       {"rag:80", "10.9.9.9:80", true},
		"allowed name, another port":         {"rag:81", "10.9.9.9:81", false},
		"allowed name to a metadata service": {"rag:80", "169.254.169.254:80", false},
		"allowed name to Azure's":            {"rag:80", "168.63.129.16:80", false},
		"allowed name to AWS's over IPv6":    {"rag:80", "[fd00:ec2::254]:80", false},
		"no address":                         {"a.example:80", "/var/run/docker.sock", false},
		"an address that is not valid":       {"a.example:80", ":80", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := g.check(test.asked, test.dialled); (err == nil) != test.want {
				t.Errorf("err %v", err)
			}
		})
	}
	if g.permits("a.example:80", netip.AddrPort{}) {
		t.Error("the zero address is permitted")
	}
}

// A schema in a file would compile if it were opened.
func TestSchemaOpensNoFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(file, []byte(`{"type":"string"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, schema := range []string{
		`{"type":"object","properties":{"a":{"$ref":"file://` + file + `"}}}`,
		`{"type":"object","$schema":"file://` + file + `"}`,
		`{"type":"object","$id":"file://` + filepath.Dir(file) + `/x.json","properties":{"a":{"$ref":"schema.json"}}}`,
	} {
		if _, err := compileSchema([]byte(schema)); err == nil {
			t.Errorf("%s was compiled", schema)
		}
	}
}
