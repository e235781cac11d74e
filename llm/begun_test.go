package llm

import (
	"strings"
	"testing"
)

func TestSeam(t *testing.T) {
	long := "The quick brown fox jumps over the lazy dog. "
	for name, c := range map[string]struct{ begun, pieces, want string }{
		"the space comes again":         {"Hello ", "| world", "world"},
		"the space does not come again": {"Hello ", "|world", "world"},
		"no space was there":            {"Hello", "| world", " world"},
		"less space than there was":     {"Hello\n\n", "|\n|- a", "- a"},
		"other space":                   {"Hello ", "|\n|- a", "\n- a"},
		"its last words are meant":      {long, "jumps over |the lazy dog. And", "jumps over the lazy dog. And"},
		"numbers are meant":             {`{"rows":[[0,0,0,0,0,0,0,0,0,0,`, "0,0,0,0,0,0,0,0,|0,0]]}", "0,0,0,0,0,0,0,0,0,0]]}"},
		"all of it comes again":         {long, long + "|And", "And"},
		"a word is meant twice":         {"ha ha ", "ha ha", "ha ha"},
		"an echo that is none":          {long, "The quick |brown bear", "The quick brown bear"},
		"nothing more":                  {"Done. ", "", ""},
		"an echo to the end":            {long, "The quick brown fox", "The quick brown fox"},
	} {
		t.Run(name, func(t *testing.T) {
			s, got := newSeam(&Begun{Text: c.begun}, false), ""
			for _, p := range strings.Split(c.pieces, "|") {
				got += s.take(p)
			}
			if got += s.rest(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Who says any beginning again is known, and JSON that begins again is, too.
func TestSeamOfAShortEcho(t *testing.T) {
	s := newSeam(&Begun{Text: `{"ci`}, true)
	if got := s.take(`{"c`) + s.take(`ity":`) + s.rest(); got != `ty":` {
		t.Errorf("%q", got)
	}
}

// However a text is cut and sent, nothing is lost of it but an echo, and what
// comes does not depend on the pieces.
func FuzzSeam(f *testing.F) {
	f.Add("Hello ", " world", 3)
	f.Add("The quick brown fox jumps over it ", "jumps over it again", 5)
	f.Fuzz(func(t *testing.T, begun, text string, n int) {
		whole := newSeam(&Begun{Text: begun}, n%2 == 0)
		want := whole.take(text)
		want += whole.rest()
		s, got := newSeam(&Begun{Text: begun}, n%2 == 0), ""
		n = max(1, min(n, 64))
		for rest := text; rest != ""; {
			i := min(n, len(rest))
			got += s.take(rest[:i])
			rest = rest[i:]
		}
		if got += s.rest(); got != want {
			t.Errorf("in pieces of %d: %q, whole: %q", n, got, want)
		}
		if !strings.HasSuffix(text, want) {
			t.Errorf("%q is not what %q ends with", want, text)
		}
	})
}
