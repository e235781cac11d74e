package gateway_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools/pdf"
)

// here reads PDFs in the process of the test.
type here struct{}

func (here) Text(ctx context.Context, _ string, read func() ([]byte, error)) (pdf.Words, error) {
	b, err := read()
	if err != nil {
		return pdf.Words{}, err
	}
	return pdf.Text(ctx, b, pdf.Limits{})
}

func printed(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../tools/pdf/testdata/report.pdf")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A model that takes no PDFs reads their words, or is told why there are none.
func TestTheWordsOfAPDFAreRead(t *testing.T) {
	inBubble(t, always(llmtest.Text("read")), func(w *world) {
		w.seeing(llm.Input{})
		w.c.Run.PDFs = here{}
		whole := printed(w.T)
		p := w.guest(w.gate())
		var ids []string
		for _, data := range []string{whole, strings.ReplaceAll(whole, "/Contents", "/Kontents"), whole[:len(whole)/2]} {
			ids = append(ids, p.upload("a.pdf", "application/pdf", data).FileID)
		}
		tb := p.open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "What is it?", "files": ids}})
		tb.sub(q.C, "")
		s := tb.answered(q.C, q.Run)
		want := []llm.Unseen{
			{File: ids[1], Name: "a.pdf", Reason: "the PDF has no text, as a scan has none"},
			{File: ids[2], Name: "a.pdf", Reason: "the PDF is damaged"},
		}
		if d := cmp.Diff(want, s.Messages[1].Metadata.Parley.Unseen); d != "" {
			t.Errorf("unseen (-want +got):\n%s", d)
		}
		if m := w.model.Requests()[0].Last(); m.Parts != nil || !strings.Contains(m.Content, "the password is swordfish.") || !strings.Contains(m.Content, "the PDF is damaged") {
			t.Errorf("the model was told %q", m.Content)
		}
	})
}

func TestOfALongPDFTheBeginningIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		text int64
		want string
		read bool
	}{"cut": {100, "only the beginning of its words is shown", true}, "none": {-1, "texts are not shown", false}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, always(llmtest.Text("read")), func(w *world) {
				w.seeing(llm.Input{})
				w.c.Run.PDFs, w.c.Run.Shown.Text = here{}, c.text
				p := w.guest(w.gate())
				f := p.upload("a.pdf", "application/pdf", printed(w.T))
				tb := p.open()
				q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "What is it?", "files": []string{f.FileID}}})
				tb.sub(q.C, "")
				s := tb.answered(q.C, q.Run)
				if u := s.Messages[1].Metadata.Parley.Unseen; len(u) != 1 || u[0].Reason != c.want {
					t.Errorf("unseen: %+v", u)
				}
				if m := w.model.Requests()[0].Last(); strings.Contains(m.Content, "--- begin") != c.read || strings.Contains(m.Content, "swordfish") {
					t.Errorf("the model was told %q", m.Content)
				}
			})
		})
	}
}

func TestAModelThatTakesPDFsGetsTheFile(t *testing.T) {
	inBubble(t, always(llmtest.Text("read")), func(w *world) {
		w.seeing(llm.Input{PDF: true})
		w.c.Run.PDFs = here{}
		p := w.guest(w.gate())
		f := p.upload("a.pdf", "application/pdf", printed(w.T))
		tb := p.open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "What is it?", "files": []string{f.FileID}}})
		tb.sub(q.C, "")
		tb.answered(q.C, q.Run)
		if ps := w.model.Requests()[0].Last().Parts; len(ps) != 2 || string(ps[1].Data) != printed(w.T) {
			t.Errorf("the model was shown %d parts", len(ps))
		}
	})
}
