package pdf

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func report(t testing.TB) []byte {
	b, err := os.ReadFile("testdata/report.pdf")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWordsStandOnTheirPages(t *testing.T) {
	text, err := Text(t.Context(), report(t), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(text.Text, "[page 2]\n")
	for _, w := range []string{"[page 1]\n", "right column", "Zürich 1,234", "Größe, façade, naïve", "мир", "Γειά σου"} {
		if !strings.Contains(first, w) {
			t.Errorf("page 1 lacks %q: %s", w, first)
		}
	}
	if !strings.Contains(second, "the password is swordfish.") {
		t.Errorf("page 2 is %q", second)
	}
	var lines []string
	for _, at := range text.Pages {
		line, _, _ := strings.Cut(text.Text[at:], "\n")
		lines = append(lines, line)
	}
	if !slices.Equal(lines, []string{"[page 1]", "[page 2]"}) {
		t.Errorf("pages begin with %q", lines)
	}
}

func TestWhatIsTooLongIsCutAndSaid(t *testing.T) {
	for name, l := range map[string]Limits{"pages": {Pages: 1}, "words": {Text: 60}, "steps": {Steps: 150}} {
		text, err := Text(t.Context(), report(t), l)
		if err != nil || !text.Cut || strings.Contains(text.Text, "swordfish") || !strings.Contains(text.Text, "[cut: there is more") {
			t.Errorf("%s: %+v, %v", name, text, err)
		}
	}
}

func TestWhyThereAreNoWords(t *testing.T) {
	whole := report(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		data []byte
		l    Limits
		want error
	}{
		"empty":     {t.Context(), nil, Limits{}, ErrBroken},
		"no PDF":    {t.Context(), []byte("%PDF-1.7 x"), Limits{}, ErrBroken},
		"half":      {t.Context(), whole[:len(whole)/2], Limits{}, ErrBroken},
		"too large": {t.Context(), whole, Limits{Bytes: 100}, ErrTooLarge},
		"no text":   {t.Context(), bytes.ReplaceAll(whole, []byte("/Contents"), []byte("/Kontents")), Limits{}, ErrNoText},
		"ended":     {ended, whole, Limits{}, context.Canceled},
	} {
		if _, err := Text(c.ctx, c.data, c.l); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add(report(f))
	f.Add([]byte("%PDF-1.7\n%%EOF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := Text(t.Context(), data, Limits{Text: 1000})
		if err == nil && len(text.Text) > 1100 {
			t.Errorf("%d bytes", len(text.Text))
		}
	})
}
