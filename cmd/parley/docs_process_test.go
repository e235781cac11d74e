//go:build integration && unix

package main

import (
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

// procHostile is a PDF whose table claims to have two thousand million
// entries: whoever makes room for them has no memory left.
func procHostile() []byte {
	s := "%PDF-1.5\n"
	obj := "1 0 obj\n<</Type/XRef/Size 2000000000/W[1 1 1]/Length 0/Root 1 0 R>>\nstream\n\nendstream\nendobj\n"
	return []byte(s + obj + fmt.Sprintf("startxref\n%d\n%%%%EOF\n", len(s)))
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
	for name, data := range map[string][]byte{"hostile.pdf": procHostile(), "report.pdf": report} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := procServe(t)
	r := procRun(t, append(s.env, "PARLEY_SERVER="+s.url), "", "docs", "add", folder)
	if r.code != exitFailed || !strings.Contains(r.out, "1 document taken in, 2 passages") || !strings.Contains(r.errOut, "hostile.pdf: Unprocessable Entity: the PDF is damaged") {
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
