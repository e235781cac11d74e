package pdf

import (
	"context"
	"strings"

	"github.com/ledongthuc/pdf"
)

// A walker reads the content of pages in the order in which it is drawn, and
// follows where on the page each glyph goes: that alone says where words end.
type walker struct {
	ctx   context.Context
	out   strings.Builder
	fonts map[string]*font // by the page's or form's own name
	g     state
	kept  []state
	text  matrix // of text, and of the beginning of its line
	line  matrix
	last  spot // where the last glyph ended
	moved bool // by an operator since then
	left  int  // operators and glyphs
	most  int  // bytes of out
}

type halt struct{} // panicked with where the walk ends early

// Bounds of what a page may nest.
const (
	maxKept  = 256 // states kept by q
	maxForms = 4
	maxArgs  = 64 // of an operator
)

func (w *walker) full() bool { return w.left <= 0 || w.out.Len() >= w.most || w.ctx.Err() != nil }

func (w *walker) step() {
	if w.left--; w.full() {
		panic(halt{})
	}
}

// page adds what can be read of a page: one that is damaged ends early.
func (w *walker) page(r *pdf.Reader, n int) {
	defer func() { _ = recover() }()
	w.g, w.kept, w.last = state{ctm: unit(), h: 1}, nil, spot{}
	p := r.Page(n)
	w.walk(p.V.Key("Contents"), p.Resources(), 0)
}

func (w *walker) walk(content, resources pdf.Value, depth int) {
	outer, g, kept := w.fonts, w.g, len(w.kept)
	w.fonts = map[string]*font{}
	defer func() { w.fonts, w.g, w.kept = outer, g, w.kept[:min(kept, len(w.kept))] }()
	pdf.Interpret(content, func(stk *pdf.Stack, op string) {
		w.step()
		args := make([]pdf.Value, min(stk.Len(), maxArgs))
		for i := len(args) - 1; i >= 0; i-- {
			args[i] = stk.Pop()
		}
		if op == "Do" && len(args) == 1 && depth < maxForms {
			w.form(resources.Key("XObject").Key(args[0].Name()), depth)
			return
		}
		w.do(op, args, resources)
	})
}

func (w *walker) form(x pdf.Value, depth int) {
	if x.Key("Subtype").Name() != "Form" {
		return
	}
	g := w.g
	if m := x.Key("Matrix"); m.Len() == 6 {
		w.g.ctm = matrixOf(elements(m)).then(w.g.ctm)
	}
	w.walk(x, x.Key("Resources"), depth+1)
	w.g = g
}

func elements(v pdf.Value) (out []pdf.Value) {
	for i := range v.Len() {
		out = append(out, v.Index(i))
	}
	return out
}

func matrixOf(v []pdf.Value) matrix {
	return matrix{v[0].Float64(), v[1].Float64(), v[2].Float64(), v[3].Float64(), v[4].Float64(), v[5].Float64()}
}

func (w *walker) do(op string, args []pdf.Value, resources pdf.Value) {
	switch {
	case op == "Tf" && len(args) == 2:
		w.g.font, w.g.size = w.font(args[0].Name(), resources), args[1].Float64()
	case op == "Tj" && len(args) == 1:
		w.show(args[0].RawString())
	case (op == "'" || op == `"`) && len(args) > 0:
		w.down(0, -w.g.leading)
		w.show(args[len(args)-1].RawString())
	case op == "TJ" && len(args) == 1:
		w.kerned(args[0])
	case len(args) == 0:
		w.bare(op)
	case len(args) == 1:
		w.set(op, args[0].Float64())
	default:
		w.place(op, args)
	}
}

// bare does what is done without operands.
func (w *walker) bare(op string) {
	switch op {
	case "BT":
		w.text, w.line, w.moved = unit(), unit(), true
	case "T*":
		w.down(0, -w.g.leading)
	case "q":
		if len(w.kept) < maxKept {
			w.kept = append(w.kept, w.g)
		}
	case "Q":
		if n := len(w.kept) - 1; n >= 0 {
			w.g, w.kept = w.kept[n], w.kept[:n]
		}
	}
}

// set sets one number of the state.
func (w *walker) set(op string, n float64) {
	switch op {
	case "TL":
		w.g.leading = n
	case "Tc":
		w.g.perGlyph = n
	case "Tw":
		w.g.perSpace = n
	case "Tz":
		w.g.h = n / 100
	}
}

// place moves the text or the page.
func (w *walker) place(op string, args []pdf.Value) {
	switch {
	case op == "TD" && len(args) == 2:
		w.g.leading = -args[1].Float64()
		fallthrough
	case op == "Td" && len(args) == 2:
		w.down(args[0].Float64(), args[1].Float64())
	case op == "Tm" && len(args) == 6:
		w.text = matrixOf(args)
		w.line, w.moved = w.text, true
	case op == "cm" && len(args) == 6:
		w.g.ctm = matrixOf(args).then(w.g.ctm)
	}
}

func (w *walker) down(dx, dy float64) {
	w.line = shift(dx, dy).then(w.line)
	w.text, w.moved = w.line, true
}

func (w *walker) font(name string, resources pdf.Value) *font {
	f := w.fonts[name]
	if f == nil {
		f = newFont(resources.Key("Font").Key(name))
		w.fonts[name] = f
	}
	return f
}

// kerned shows pieces with shifts between them, in thousandths of the size.
func (w *walker) kerned(pieces pdf.Value) {
	for i := range pieces.Len() {
		switch v := pieces.Index(i); v.Kind() {
		case pdf.String:
			w.show(v.RawString())
		case pdf.Integer, pdf.Real:
			w.text = shift(-v.Float64()/1000*w.g.size*w.g.h, 0).then(w.text)
		}
	}
}

func (w *walker) show(raw string) {
	f := w.g.font
	if f == nil {
		return
	}
	for n := f.bytes; len(raw) >= n; raw = raw[n:] {
		w.step()
		w.glyph(f, raw[:n])
	}
}

func (w *walker) glyph(f *font, code string) {
	if s := f.text(code); strings.TrimSpace(s) != "" {
		w.part(w.here())
		w.write(s)
	} else if s != "" {
		w.space()
	}
	wide := f.width(code)*w.g.size + w.g.perGlyph
	if code == " " {
		wide += w.g.perSpace
	}
	w.text = shift(wide*w.g.h, 0).then(w.text)
	w.last, w.moved = w.here(), false
	w.last.hasWritten = true
}

func (w *walker) write(s string) { w.out.WriteString(s[:min(len(s), max(0, w.most-w.out.Len()))]) }
func (w *walker) newline()       { w.gap("\n", "\n") }
func (w *walker) space()         { w.gap(" ", " \n") }

// gap adds a gap, unless one of those that stand for it is there.
func (w *walker) gap(with, unless string) {
	s := w.out.String()
	if s != "" && !strings.ContainsRune(unless, rune(s[len(s)-1])) {
		w.write(with)
	}
}
