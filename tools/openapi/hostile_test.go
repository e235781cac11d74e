package openapi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"parley/tools"
	"parley/tools/openapi"
)

// maxMemory is what a small document may allocate in all.
const maxMemory = 200 << 20

// Documents that mean harm end soon and cost little, by themselves and when
// they are imported.
func TestHostileDocuments(t *testing.T) {
	post := func(schema string) string {
		return `{"openapi":"3.0.0","servers":[{"url":"https://a.example"}],"paths":{"/x":{"post":{"requestBody":{"content":{"application/json":{"schema":` + schema + `}}}}}}}`
	}
	nested := func(n int) string { return strings.Repeat(`{"not":`, n) + `{}` + strings.Repeat(`}`, n) }
	var aliases, doubling, branches, operations strings.Builder
	aliases.WriteString("openapi: 3.0.0\nservers: [{url: https://a.example}]\na0: &a0 {type: string}\n")
	for i := range 40 {
		fmt.Fprintf(&aliases, "a%d: &a%d {allOf: [*a%d, *a%d, *a%d], enum: [*a%d, *a%d]}\n", i+1, i+1, i, i, i, i, i)
	}
	aliases.WriteString("paths: {/x: {post: {requestBody: {content: {application/json: {schema: *a40}}}}}}\n")
	for i := range 60 {
		fmt.Fprintf(&doubling, `"D%d":{"allOf":[{"$ref":"#/components/schemas/D%d"},{"$ref":"#/components/schemas/D%d"}],"oneOf":[{"$ref":"#/components/schemas/D%d"}]},`, i, i+1, i+1, i)
	}
	for range 3000 {
		branches.WriteString(`{"type":"object","required":["t"],"properties":{"t":{"enum":["a"]}}},`)
	}
	for i := range 100_000 {
		fmt.Fprintf(&operations, `"/p%d":{"get":{}},`, i)
	}
	for name, tt := range map[string]struct {
		doc     string
		refused bool
		most    int    // operations that are read
		largest uint64 // bytes allocated, zero for maxMemory
	}{
		"a JSON tower":                     {doc: strings.Repeat(`{"a":`, 100_000), refused: true},
		"a JSON tower that is whole":       {doc: post(nested(100_000)), refused: true},
		"a YAML tower":                     {doc: "openapi: 3.0.0\npaths: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000), refused: true},
		"a YAML tower of blocks":           {doc: "openapi: 3.0.0\n" + tower(300), refused: true},
		"a YAML tower of lists":            {doc: strings.Repeat("- ", 9000) + "x", refused: true},
		"schemas as deep as may be":        {doc: post(nested(180))},
		"aliases of aliases":               {doc: aliases.String()},
		"an alias of itself":               {doc: "openapi: 3.0.0\nservers: [{url: https://a.example}]\npaths: &p {/x: {post: {requestBody: {content: {application/json: {schema: &s {allOf: [*s]}}}}, x: *p}}}"},
		"merge keys upon merge keys":       {doc: "openapi: 3.0.0\npaths: {}\n" + merges(3000), refused: true},
		"a definition of itself":           {doc: post(`{"$ref":"#/paths/~1x/post/requestBody/content/application~1json/schema"}`)},
		"definitions that double":          {doc: strings.TrimSuffix(post(`{"$ref":"#/components/schemas/D0"}`), "}") + `,"components":{"schemas":{` + doubling.String() + `"D60":{"type":"string"}}}}`},
		"thousands of branches":            {doc: post(`{"oneOf":[` + branches.String() + `{}],"discriminator":{"propertyName":"t"}}`)},
		"a huge enum":                      {doc: post(`{"enum":[` + strings.Repeat(`"aaaaaaaaaaaaaaaa",`, 500_000) + `"b"]}`), largest: 400 << 20},
		"a huge description":               {doc: post(`{"description":"` + strings.Repeat("word ", 1_000_000) + `"}`)},
		"a huge name":                      {doc: post(`{"properties":{"` + strings.Repeat("n", 1_000_000) + `":{}},"required":["` + strings.Repeat("n", 1_000_000) + `"]}`)},
		"a hundred thousand operations":    {most: 2000, doc: `{"openapi":"3.0.0","servers":[{"url":"https://a.example"}],"paths":{` + operations.String() + `"/":{}}}`, largest: 1 << 30},
		"patterns that take long":          {doc: post(`{"pattern":"` + strings.Repeat("(a{0,1000}){0,1000}", 50) + `"}`)},
		"numbers that take long":           {doc: post(`{"minimum":1e999999999,"enum":[1e999999999],"default":9` + strings.Repeat("9", 100_000) + `}`)},
		"no text":                          {doc: "\x00\xff\xfe", refused: true},
		"a picture":                        {doc: "\x89PNG\r\n\x1a\n", refused: true},
		"nothing":                          {doc: " \n ", refused: true},
		"a list":                           {doc: "[1]", refused: true},
		"a sentence":                       {doc: "Not found", refused: true},
		"half a document":                  {doc: `{"openapi":"3.0.0","paths":{"/x":`, refused: true},
		"members of the wrong kind":        {doc: `{"openapi":3,"info":[],"servers":{},"paths":{"/x":[],"/y":{"get":7,"put":{"parameters":{},"requestBody":[],"tags":"a","security":{},"servers":7}}},"components":[]}`},
		"members of the wrong kind in 2.0": {doc: `{"swagger":2.0,"host":7,"schemes":"https","paths":{"/x":{"get":{"parameters":[7,{"in":7,"name":7},{"in":"query","name":"a","type":7,"items":7}]}}}}`},
		"null everywhere":                  {doc: `{"openapi":"3.1.0","info":null,"servers":null,"paths":{"/x":{"post":{"parameters":null,"requestBody":{"content":{"application/json":null}}}},"/y":null},"components":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			r, err := openapi.Import(ctx, []byte(tt.doc), openapi.Options{MaxOperations: tt.most})
			runtime.ReadMemStats(&after)
			var fault *tools.FieldError
			if tt.refused != (err != nil) || err != nil && !errors.As(err, &fault) {
				t.Errorf("refused: %v", err)
			}
			if most := max(tt.largest, maxMemory); after.TotalAlloc-before.TotalAlloc > most {
				t.Errorf("%d bytes of document took %d MB", len(tt.doc), (after.TotalAlloc-before.TotalAlloc)>>20)
			}
			if r != nil {
				for _, op := range r.Operations[:min(len(r.Operations), 10)] {
					if len(op.Tool.Parameters) > 17<<10 {
						t.Errorf("%s has %d bytes of schema", op.Operation, len(op.Tool.Parameters))
					}
				}
			}
		})
	}
}

func tower(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func merges(n int) string {
	var b strings.Builder
	b.WriteString("m0: &m0 {a: 1}\n")
	for i := range n {
		fmt.Fprintf(&b, "m%d: &m%d {<<: *m%d, k%d: 1}\n", i+1, i+1, i, i)
	}
	return b.String()
}

func TestImportEndsInTime(t *testing.T) {
	doc := []byte("openapi: 3.0.0\npaths:\n" + strings.Repeat("  /x: {get: {}}\n", 200_000))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := openapi.Import(ctx, doc, openapi.Options{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it went on for %s", took)
	}
	if _, err := openapi.Import(context.Background(), doc, openapi.Options{MaxBytes: 1000}); err == nil {
		t.Error("a document that is too large was read")
	}
}

// Whatever the document, what is made of it is a tool that can be stored,
// shown and called.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/*.[jy]*")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds: ", err)
	}
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Add([]byte(with("parameters: [{name: a, in: query, schema: {$ref: '#/x'}}]")))
	f.Add([]byte(`{"swagger":"2.0","basePath":"//","paths":{"/{a}{a}?b={c}#d":{"delete":{"parameters":[{"in":"formData","name":"","type":"file"}]}}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r, err := openapi.Import(ctx, doc, openapi.Options{From: "https://docs.example/a/openapi.json"})
		if err != nil {
			var fault *tools.FieldError
			if !errors.As(err, &fault) {
				t.Fatal(err)
			}
			return
		}
		names := map[string]bool{}
		for _, op := range r.Operations {
			if names[op.Name] {
				t.Errorf("two operations are named %s", op.Name)
			}
			names[op.Name] = true
			if op.Skipped != "" || op.NeedsBase {
				continue
			}
			if _, err := op.Tool.Tool(nil); err != nil {
				t.Errorf("%s is no tool: %v", op.Operation, err)
			}
		}
	})
}
