package pdf

import "math"

// A matrix maps (x, y) to (a·x+c·y+e, b·x+d·y+f), as PDF 32000-1 8.3.3 has it.
type matrix struct{ a, b, c, d, e, f float64 }

func unit() matrix { return matrix{a: 1, d: 1} }

// then returns the map that is m and then n.
func (m matrix) then(n matrix) matrix {
	return matrix{
		m.a*n.a + m.b*n.c, m.a*n.b + m.b*n.d,
		m.c*n.a + m.d*n.c, m.c*n.b + m.d*n.d,
		m.e*n.a + m.f*n.c + n.e, m.e*n.b + m.f*n.d + n.f,
	}
}

func shift(x, y float64) matrix { return matrix{1, 0, 0, 1, x, y} }

// A state is what q keeps and Q brings back.
type state struct {
	ctm                   matrix
	font                  *font
	size, leading         float64
	perGlyph, perSpace, h float64 // Tc, Tw, Tz
}

// A spot is where a glyph begins or ends on the page, and how large and in
// which direction it is written.
type spot struct {
	x, y       float64
	alongX     float64 // the unit vector of the line of writing
	alongY     float64
	size       float64
	hasWritten bool
}

// Gaps in parts of the size of the letters.
const (
	wordGap = .2 // TeX squeezes its spaces to .22, and kerning is below .15
	lineGap = .5 // a raised note is still on the line
)

// here is where the next glyph goes.
func (w *walker) here() spot {
	m := w.text.then(w.g.ctm)
	up := math.Hypot(m.c, m.d)
	long := math.Hypot(m.a, m.b)
	if long == 0 {
		return spot{x: m.e, y: m.f, alongX: 1}
	}
	return spot{x: m.e, y: m.f, alongX: m.a / long, alongY: m.b / long, size: math.Abs(w.g.size) * up}
}

// part adds the space or the line's end that is between what was written last
// and what comes now.
func (w *walker) part(now spot) {
	last := w.last
	if !last.hasWritten {
		return
	}
	dx, dy := now.x-last.x, now.y-last.y
	along := dx*last.alongX + dy*last.alongY
	across := math.Abs(dy*last.alongX - dx*last.alongY)
	size := min(now.size, last.size)
	switch {
	case across > lineGap*max(now.size, last.size):
		w.newline()
	case along > wordGap*size, along < -size, w.moved && w.g.font.rough:
		w.space()
	}
}
