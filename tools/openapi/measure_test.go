package openapi_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/tools/openapi"
)

// A tally counts what became of a document's operations.
type tally struct {
	file                     string
	bytes                    int
	operations, skipped      int
	least, full, noArguments int // valid with required arguments, with all; none found
	largest, cut             int // bytes of a tool's parameters; tools whose schema was cut down
	took                     time.Duration
	heap                     uint64 // allocated while importing, bytes
	faults                   []string
}

func (a tally) String() string {
	return fmt.Sprintf("%-30s %8d B %5d operations %4d skipped %5d valid %5d valid in full %4d without arguments, %4d cut, largest schema %6d B, %8.1f ms %7.1f MB allocated",
		a.file, a.bytes, a.operations, a.skipped, a.least, a.full, a.noArguments, a.cut, a.largest, float64(a.took.Microseconds())/1000, float64(a.heap)/1e6)
}

// measure imports a document, calls every tool and has the requests validated.
func measure(t *testing.T, file string) tally {
	t.Helper()
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := tally{file: filepath.Base(file), bytes: len(doc)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	r, err := openapi.Import(context.Background(), doc, openapi.Options{})
	a.took = time.Since(began)
	runtime.ReadMemStats(&after)
	a.heap = after.TotalAlloc - before.TotalAlloc
	if err != nil {
		t.Errorf("%s: %v", a.file, err)
		return a
	}
	c, err := newChecker(t, doc)
	if err != nil {
		a.faults = append(a.faults, "the validator cannot read the document: "+err.Error())
	}
	if c != nil {
		c.auth = r.Auth
	}
	a.operations = len(r.Operations)
	for _, op := range r.Operations {
		if op.Skipped != "" {
			a.skipped++
			a.faults = append(a.faults, op.Operation+": skipped: "+op.Skipped)
			continue
		}
		a.largest = max(a.largest, len(op.Tool.Parameters))
		if holds(op.Warnings, "to keep the schema below") {
			a.cut++
		}
		if c != nil {
			a.try(c, op)
		}
	}
	return a
}

func (a *tally) try(c *checker, op openapi.Operation) {
	least, err := c.tryOne(op, false)
	full, errFull := c.tryOne(op, true)
	if least {
		a.least++
	}
	if full {
		a.full++
	}
	if err = cmp.Or(err, errFull); err != nil {
		if strings.HasPrefix(err.Error(), "no arguments") {
			a.noArguments++
		}
		a.faults = append(a.faults, fmt.Sprintf("%s: least %v, full %v: %s", op.Operation, least, full, strings.Join(strings.Fields(err.Error()), " ")))
	}
}

// tryOne calls a tool with the first instance of its schema that the schema
// itself takes.
func (c *checker) tryOne(op openapi.Operation, full bool) (bool, error) {
	var refused string
	for pick := range 24 {
		args, err := makeArguments(op.Tool.Parameters, full, pick)
		if err != nil {
			return false, err
		}
		res, err := c.send(op, args)
		if err != nil {
			return false, err
		}
		if c.got == nil {
			refused = cmp.Or(refused, res.Content)
			continue
		}
		if err := c.valid(op); err != nil {
			short, _ := json.Marshal(json.RawMessage(args))
			return false, fmt.Errorf("%.400s || with %.300s as %s", err, short, c.got.URL.RequestURI())
		}
		return true, nil
	}
	return false, fmt.Errorf("no arguments were found: %.300s", refused)
}

// With OPENAPI_DOCS a folder of documents is measured; what is wrong
// with single operations is listed with -v.
func TestDocuments(t *testing.T) {
	folder := cmp.Or(os.Getenv("OPENAPI_DOCS"), "testdata")
	files, err := filepath.Glob(filepath.Join(folder, "*.[jy]*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in %s: %v", folder, err)
	}
	var sum tally
	for _, file := range files {
		a := measure(t, file)
		t.Log(a)
		for _, f := range a.faults[:min(len(a.faults), 40)] {
			t.Log("    ", f)
		}
		sum.operations += a.operations
		sum.skipped += a.skipped
		sum.least += a.least
		sum.full += a.full
		sum.noArguments += a.noArguments
		sum.cut += a.cut
		sum.faults = slices.Concat(sum.faults, a.faults)
	}
	sum.file = "all"
	t.Log(sum)
	if share := float64(min(sum.least, sum.full)) / float64(sum.operations); share < 0.95 {
		t.Errorf("only %.1f %% of the operations make requests that their documents allow", 100*share)
	}
}
