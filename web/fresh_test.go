package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sources are what a build reads; scripts/srchash.mjs has the same list.
var sources = []string{"index.html", "package-lock.json", "package.json", "public", "scripts", "src", "tsconfig.json", "vite.config.ts"}

func TestDistIsBuiltFromTheseSources(t *testing.T) {
	want, err := dist.ReadFile("dist/.srchash")
	if err != nil {
		t.Fatal(err)
	}
	got, err := sourceHash("app")
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Error("web/dist was built from other sources than web/app has: run make web and commit web/dist")
	}
}

func TestSourceHashNoticesChanges(t *testing.T) {
	dir := t.TempDir()
	for _, s := range sources {
		write(t, filepath.Join(dir, s), "x")
	}
	before, err := sourceHash(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "index.html"), "y")
	after, err := sourceHash(dir)
	if err != nil {
		t.Fatal(err)
	}
	if before == after {
		t.Error("a changed file left the hash as it was")
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sourceHash is the sha256 over "path\0length\0content" of each source file
// in the order of their paths.
func sourceHash(dir string) (string, error) {
	var names []string
	root := os.DirFS(dir)
	for _, s := range sources {
		err := fs.WalkDir(root, s, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		b, err := fs.ReadFile(root, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s\x00%d\x00", name, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
