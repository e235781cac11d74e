package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the module's directory, seen from this one.
const root = ".."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// command is what cmd/parley's source says about the program.
type command struct {
	strings   []string // string literals
	variables []string // package-level variables
	settings  []string // names of environment variables
}

func parseCommand(t *testing.T) command {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "cmd/parley/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	var c command
	rows := rowMakers(parsed)
	for _, f := range parsed {
		c.addVariables(f)
		ast.Inspect(f, func(n ast.Node) bool {
			c.add(n, rows)
			return true
		})
	}
	return c
}

func (c *command) addVariables(f *ast.File) {
	for _, d := range f.Decls {
		if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.VAR {
			for _, s := range d.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					c.variables = append(c.variables, name.Name)
				}
			}
		}
	}
}

// rowMakers returns the functions that make a row of the table of settings
// from its name: func f(name string, …) setting.
func rowMakers(files []*ast.File) map[string]bool {
	makers := map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || fn.Type.Results == nil || len(fn.Type.Params.List) == 0 {
				continue
			}
			first, result := fn.Type.Params.List[0].Names, fn.Type.Results.List[0].Type
			if id, ok := result.(*ast.Ident); ok && id.Name == "setting" && len(first) > 0 && first[0].Name == "name" {
				makers[fn.Name.Name] = true
			}
		}
	}
	return makers
}

func (c *command) add(n ast.Node, rows map[string]bool) {
	switch n := n.(type) {
	case *ast.BasicLit:
		if s, ok := literal(n); ok {
			c.strings = append(c.strings, s)
		}
	case *ast.CallExpr:
		if fn, ok := n.Fun.(*ast.Ident); ok && rows[fn.Name] {
			c.addSetting(n.Args[0])
			if fn.Name == "secretRow" { // fileRow names the file after it
				c.settings = append(c.settings, c.settings[len(c.settings)-1]+"_FILE")
			}
		}
	case *ast.CompositeLit:
		if of, ok := n.Type.(*ast.Ident); ok && of.Name == "setting" {
			c.addFields(n)
		}
	}
}

// addFields adds the row setting{name: "…"}.
func (c *command) addFields(row *ast.CompositeLit) {
	for _, e := range row.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "name" {
				c.addSetting(kv.Value)
			}
		}
	}
}

func (c *command) addSetting(name ast.Expr) {
	if s, ok := literal(name); ok {
		c.settings = append(c.settings, "PARLEY_"+strings.ToUpper(strings.ReplaceAll(s, "-", "_")))
	}
}

func literal(n ast.Node) (string, bool) {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// A setting's name, not followed by what would make it a prefix.
var setting = regexp.MustCompile(`\bPARLEY_[A-Z0-9]+(?:_[A-Z0-9]+)*\b`)

// Whoever follows a document, a container file or an error message sets what
// the program reads.
func TestSettingsThatAreMentionedExist(t *testing.T) {
	known := parseCommand(t).settings
	mentioned := 0
	for _, name := range texts(t) {
		for i, line := range strings.Split(read(t, name), "\n") {
			for _, s := range setting.FindAllString(line, -1) {
				mentioned++
				if !slices.Contains(known, s) {
					t.Errorf("%s:%d mentions %s, which cmd/parley does not read", name, i+1, s)
				}
			}
		}
	}
	if mentioned == 0 {
		t.Error("no setting is mentioned anywhere: the search is wrong")
	}
}

// texts returns the files that tell people about settings: documents, what
// builds and starts the image, and Go source with its messages. The change
// log may speak of settings that are no more.
func texts(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skip(name):
			return fs.SkipDir
		case d.Type().IsRegular() && speaks(name):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func skip(dir string) bool {
	hidden := len(dir) > 1 && dir[0] == '.'
	return hidden || slices.Contains([]string{"web/app", "web/dist", "cmd/parley", "artifacts"}, dir)
}

func speaks(name string) bool {
	if name == "CHANGELOG.md" || strings.HasSuffix(name, "_test.go") {
		return false
	}
	base := filepath.Base(name)
	return base == "Dockerfile" || base == "Makefile" ||
		slices.Contains([]string{".md", ".yml", ".yaml", ".env", ".go", ".conf", ".cfg"}, filepath.Ext(name))
}
