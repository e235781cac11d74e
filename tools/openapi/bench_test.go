package openapi_test

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"testing"

	"parley/tools/openapi"
)

// With OPENAPI_DOCS each document of that folder is imported.
func BenchmarkImport(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(cmp.Or(os.Getenv("OPENAPI_DOCS"), "testdata"), "*.[jy]*"))
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(file), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := openapi.Import(context.Background(), doc, openapi.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
