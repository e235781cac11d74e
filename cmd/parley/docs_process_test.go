//go:build integration && unix

package main

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/llm"
	"parley/tools"
)

// procBomb is a PDF whose one page is some kilobytes that become n megabytes
// of one string.
func procBomb(t testing.TB, n int) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	for range n {
		_, _ = w.Write([]byte("(" + strings.Repeat("x", 1<<20)))
	}
	_ = w.Close()
	objs := []string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>", "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<<>>>>",
		fmt.Sprintf("<</Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", z.Len(), z.String()),
	}
	s, table := "%PDF-1.4\n", "xref\n0 5\n0000000000 65535 f \n"
	for i, o := range objs {
		table += fmt.Sprintf("%010d 00000 n \n", len(s))
		s += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	return []byte(s + table + fmt.Sprintf("trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(s)))
}

// A folder with PDFs is taken in by the program as people get it: a good one
// is cited with its page, and a hostile one ends the process that reads it and
// nothing else.
func TestPDFsAreDocuments(t *testing.T) {
	t.Parallel()
	report, err := os.ReadFile("../../tools/pdf/testdata/report.pdf")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, data := range map[string][]byte{"bomb.pdf": procBomb(t, 600), "report.pdf": report} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := procServe(t, "PARLEY_DOCUMENT_TIME=3s")
	r := procRun(t, append(s.env, "PARLEY_SERVER="+s.url), "", "docs", "add", folder)
	if r.code != exitFailed || !strings.Contains(r.out, "1 document taken in, 2 passages") || !strings.Contains(r.errOut, "bomb.pdf: ") {
		t.Errorf("docs add: %+v", r)
	}
	var a procAnswered
	ask := map[string]string{"clientId": "k", "content": "Search the documents: what is the password of the second page?"}
	person := procGuest(t, s.url)
	status, err := person.do(t.Context(), "POST", s.url+"/v1/conversations/new/messages?wait=20s", ask, &a)
	if err != nil || status != http.StatusOK || a.Answer == nil || !strings.Contains(a.Answer.Content, "swordfish. [report:2]") {
		t.Fatalf("%d, %v: %+v", status, err, a)
	}
	var pages []string
	for _, m := range person.messages(t, s.url, a.Conversation) {
		for _, src := range sourcesOf(m) {
			if src.Ref == "report:2" {
				pages = append(pages, src.Headings...)
			}
		}
	}
	if !slices.Equal(pages, []string{"page 2"}) {
		t.Errorf("the passage that is cited is of %q", pages)
	}
}

func sourcesOf(m llm.Message) []tools.Source {
	if m.Metadata == nil {
		return nil
	}
	return m.Metadata.Parley.Sources
}
