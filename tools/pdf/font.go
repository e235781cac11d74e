package pdf

import (
	"strings"
	"unicode/utf16"

	"github.com/ledongthuc/pdf"
)

// A font says what the codes of a string stand for and how wide they are.
type font struct {
	bytes  int               // of a code: 1, or 2 of a composite font
	said   map[string]string // what codes stand for, by the font's own word
	enc    pdf.TextEncoding  // asked of codes that said lacks
	widths map[int]float64   // in text space at size 1
	other  float64           // the width of all others
	rough  bool              // the widths are a guess
}

// maxCodes bounds what is kept of a font: a code has two bytes at most.
const maxCodes = 1 << 16

func newFont(v pdf.Value) *font {
	f := &font{bytes: 1, widths: map[int]float64{}, said: readCodes(v.Key("ToUnicode"))}
	switch v.Key("Subtype").Name() {
	case "Type0":
		f.bytes = 2
		f.composite(v.Key("DescendantFonts").Index(0))
	case "Type3":
		f.simple(v, v.Key("FontMatrix").Index(0).Float64())
	default:
		f.simple(v, .001)
	}
	if whole := (pdf.Font{V: v}); f.bytes == 1 || f.said == nil {
		f.enc = whole.Encoder()
	}
	return f
}

func (f *font) simple(v pdf.Value, unit float64) {
	first, widths := int(v.Key("FirstChar").Int64()), v.Key("Widths")
	f.other = v.Key("FontDescriptor").Key("MissingWidth").Float64() * unit
	for i := range min(widths.Len(), 256) {
		f.widths[first+i] = widths.Index(i).Float64() * unit
	}
	if f.rough = len(f.widths) == 0; f.rough {
		f.other = .5
	}
}

// composite reads widths that are given as "code [w w …]" and "from to w".
func (f *font) composite(v pdf.Value) {
	f.other = 1
	if dw := v.Key("DW"); !dw.IsNull() {
		f.other = dw.Float64() / 1000
	}
	w := v.Key("W")
	for i := 0; i+1 < w.Len() && len(f.widths) < maxCodes; {
		code, next := int(w.Index(i).Int64()), w.Index(i+1)
		if next.Kind() == pdf.Array {
			for j := range min(next.Len(), maxCodes) {
				f.widths[code+j] = next.Index(j).Float64() / 1000
			}
			i += 2
			continue
		}
		for c, wide := max(code, 0), w.Index(i+2).Float64()/1000; c <= min(int(next.Int64()), maxCodes); c++ {
			f.widths[c] = wide
		}
		i += 3
	}
}

func (f *font) width(code string) float64 {
	n := 0
	for i := range len(code) {
		n = n<<8 | int(code[i])
	}
	if w, ok := f.widths[n]; ok {
		return w
	}
	return f.other
}

func (f *font) text(code string) string {
	s, ok := f.said[code]
	if !ok && f.enc != nil {
		s = f.enc.Decode(code)
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}

// readCodes reads what a font's ToUnicode stream says, nil if it has none.
func readCodes(stream pdf.Value) map[string]string {
	if stream.Kind() != pdf.Stream {
		return nil
	}
	said := map[string]string{}
	defer func() { _ = recover() }() // damaged: what was read counts
	pdf.Interpret(stream, func(stk *pdf.Stack, op string) {
		switch op {
		case "endbfchar":
			for stk.Len() >= 2 && len(said) < maxCodes {
				to, code := stk.Pop().RawString(), stk.Pop().RawString()
				said[code] = fromUTF16(to)
			}
		case "endbfrange":
			for stk.Len() >= 3 && len(said) < maxCodes {
				to, last, first := stk.Pop(), stk.Pop().RawString(), stk.Pop().RawString()
				readRange(said, first, last, to)
			}
		case "begincodespacerange", "endcodespacerange", "beginbfchar", "beginbfrange":
			for stk.Len() > 0 {
				stk.Pop()
			}
		case "findresource", "begincmap":
			stk.Pop()
			stk.Pop()
			stk.Push(pdf.Value{})
		}
	})
	return said
}

// readRange reads the codes from first to last, which differ in their last
// byte alone.
func readRange(said map[string]string, first, last string, to pdf.Value) {
	n := len(first)
	if n == 0 || n != len(last) {
		return
	}
	low, high := int(first[n-1]), int(last[n-1])
	for i := low; i <= high; i++ {
		code := first[:n-1] + string([]byte{byte(i)})
		if to.Kind() == pdf.Array {
			said[code] = fromUTF16(to.Index(i - low).RawString())
			continue
		}
		b := []byte(to.RawString())
		if len(b) < 2 {
			return
		}
		units := int(b[len(b)-2])<<8 + int(b[len(b)-1]) + i - low
		b[len(b)-2], b[len(b)-1] = byte(units>>8), byte(units)
		said[code] = fromUTF16(string(b))
	}
}

func fromUTF16(s string) string {
	units := make([]uint16, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		units = append(units, uint16(s[i])<<8|uint16(s[i+1]))
	}
	return string(utf16.Decode(units))
}
