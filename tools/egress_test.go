package tools_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayDial are the files that reach the network without [tools.Client], and
// why they may: what they call is no address that somebody else gave.
var mayDial = map[string]string{
	"tools/client.go":                "is the guarded way out",
	"llm/provider/options.go":        "calls the model's server, which the operator names",
	"cmd/parley/client/client.go":    "is a client of Parley's own, on a person's machine",
	"cmd/parley/chat_cmd.go":         "is a client of Parley's own, on a person's machine",
	"cmd/parley/client/link.go":      "is a client of Parley's own, on a person's machine",
	"cmd/parley/chaos/person.go":     "tries a Parley that the operator names",
	"cmd/parley/commands.go":         "asks the Parley on this machine how it is",
	"cmd/parley/serve_models.go":     "asks the Parley on this machine how its models are",
	"cmd/parley/chaos/ways.go":       "tries a Parley that the operator names",
	"cmd/parley/bench/bench.go":      "loads a Parley that the operator names",
	"cmd/parley/bench/dial.go":       "loads a Parley that the operator names",
	"cmd/parley/bench/cost.go":       "loads a Parley that the operator names",
	"gateway/gatewaytest/network.go": "is a network inside a test",
	"llm/llmtest/server.go":          "is a server inside a test",
	"tools/feed/session.go":          "dials with the client that it is handed, which is the guarded one",
	"tools/toolstest/pipe.go":        "is a network inside a test",
}

// waysOut are what opens a connection or a client, by package.
var waysOut = map[string][]string{
	"net/http":                   {"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"net":                        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
	"crypto/tls":                 {"Dial", "DialWithDialer", "Dialer"},
	"golang.org/x/net/websocket": {"Dial", "DialConfig"},
	"github.com/coder/websocket": {"Dial"},
}

// Whatever leaves Parley on somebody's behalf goes through the guarded client:
// no other file makes a way out of its own.
func TestOnlyTheGuardedClientLeavesParley(t *testing.T) {
	used := map[string]bool{}
	for file, ways := range waysOutOf(t, "..") {
		if mayDial[file] == "" {
			t.Errorf("%s uses %s: let it go through tools.Client, or its HTTP()", file, strings.Join(ways, ", "))
		}
		used[file] = true
	}
	for file := range mayDial {
		if !used[file] {
			t.Errorf("%s makes no way out any more: take it off the list", file)
		}
	}
}

func TestTheSearchForWaysOutFindsThem(t *testing.T) {
	src := `package p
import ( "net"; web "net/http" )
type holds struct { c *web.Client }
func made() any { return &web.Client{} }
func fetched() { _, _ = web.Get(""); _, _ = net.Dial("", "") }
func fresh() any { return new(net.Dialer) }
var d net.Dialer
func named(web string) { web.Client() }`
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(waysIn(f)))
	if want := []string{"net.Dial", "net.Dialer", "net/http.Client", "net/http.Get"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// waysOutOf returns the ways out that the Go files below root make, tests left
// out.
func waysOutOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if ways := waysIn(f); len(ways) > 0 {
			rel, _ := filepath.Rel(root, path)
			found[filepath.ToSlash(rel)] = slices.Sorted(maps.Keys(ways))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// waysIn returns the ways out that f makes. A pointer to a client that it is
// given, or hands on, is none: somebody else made it.
func waysIn(f *ast.File) map[string]bool {
	imported := map[string]string{}
	for _, spec := range f.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if waysOut[path] != nil {
			imported[name] = path
		}
	}
	given := map[ast.Expr]bool{}
	ways := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StarExpr:
			given[n.X] = true
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok || given[n] || pkg.Obj != nil {
				break
			}
			if path := imported[pkg.Name]; path != "" && slices.Contains(waysOut[path], n.Sel.Name) {
				ways[path+"."+n.Sel.Name] = true
			}
		}
		return true
	})
	return ways
}
