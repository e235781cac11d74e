package tools

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// What an expression is rewritten with. No expression can name them.
const (
	scaleVariable = "$__parley"
	weighFunc     = "parley_weigh"
	pairFunc      = "parley_pair"
)

// Functions that a shape may use besides its own. They see nothing but their
// input, and what they make is at most about as large as that, a few times.
var (
	pathFuncs = strings.Fields(`select recurse empty error not values nulls strings numbers booleans arrays objects iterables
		scalars first last limit skip nth until while repeat getpath range paths any all isempty true false null`)
	otherFuncs = strings.Fields(`map map_values length utf8bytelength keys keys_unsorted has in inside contains startswith endswith
		ltrimstr rtrimstr trimstr trim ltrim rtrim ascii_downcase ascii_upcase split splits join test match capture scan sub gsub
		tostring tonumber toboolean tojson fromjson type to_entries from_entries with_entries sort sort_by group_by unique unique_by
		min min_by max max_by reverse flatten add floor ceil round sqrt fabs abs pow log log10 log2 exp exp10 exp2 trunc todate
		fromdate fromdateiso8601 todateiso8601 date dateadd datesub strftime strptime strflocaltime mktime gmtime localtime now
		del delpaths pick walk index rindex indices IN INDEX infinite nan isinfinite isnan isnormal isvalid transpose explode
		implode ascii tostream leaf_paths bsearch have_decnum abs toarray getpath ltrimstr splits`)
)

// maxLiteralIndex is the highest index that an expression may set.
const maxLiteralIndex = 10_000

// A tamer checks and rewrites one expression.
type tamer struct {
	own map[string]bool // functions and parameters that the expression defines
	err error
}

// tame rewrites q so that whatever it makes is weighed, or says what it must
// not use.
func tame(q *gojq.Query) error {
	t := &tamer{own: map[string]bool{}}
	t.walk(reflect.ValueOf(q), t.define)
	t.walk(reflect.ValueOf(q), t.node)
	return t.err
}

// walk calls visit for every node below v, the deepest first.
func (t *tamer) walk(v reflect.Value, visit func(any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || t.err != nil {
			return
		}
		t.walk(v.Elem(), visit)
		visit(v.Interface())
	case reflect.Struct:
		for i := range v.NumField() {
			t.walk(v.Field(i), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			t.walk(v.Index(i), visit)
		}
	}
}

func (t *tamer) define(node any) {
	if def, ok := node.(*gojq.FuncDef); ok {
		t.own[def.Name] = true
		for _, arg := range def.Args {
			t.own[arg] = true
		}
	}
}

func (t *tamer) refuse(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

func (t *tamer) node(node any) {
	switch n := node.(type) {
	case *gojq.Import:
		t.refuse("cannot use modules")
	case *gojq.FuncDef:
		if n.Name == weighFunc || n.Name == pairFunc {
			t.refuse("cannot define %s", n.Name)
		}
	case *gojq.Func:
		t.call(n)
	case *gojq.Query:
		t.query(n)
	case *gojq.Term:
		t.term(n)
	}
}

// call checks that a function is one of those that an expression may use.
func (t *tamer) call(f *gojq.Func) {
	switch variable := strings.HasPrefix(f.Name, "$"); {
	case variable && (f.Name == "$ENV" || strings.HasPrefix(f.Name, "$__")):
		t.refuse("cannot use %s: an expression sees nothing but the answer", f.Name)
	case variable, t.own[f.Name]:
	case !slices.Contains(pathFuncs, f.Name) && !slices.Contains(otherFuncs, f.Name):
		t.refuse("cannot use %s: it is not among the functions that shape an answer", oneLine(f.Name, 80))
	case f.Name == "add" && len(f.Args) > 0:
		t.refuse("cannot use add(f): write [f] | add")
	case f.Name == "join" && !isLiteral(f.Args[0]), (f.Name == "sub" || f.Name == "gsub") && !isLiteral(f.Args[1]):
		t.refuse("must put a text in quotes, of at most 256 bytes and without \\(…), between or in place of parts: see %s", f.Name)
	}
}

func isLiteral(q *gojq.Query) bool {
	return q.Term != nil && q.Term.Str != nil && len(q.Term.Str.Queries) == 0 && len(q.Term.Str.Str) <= 256 && len(q.Term.SuffixList) == 0
}

func (t *tamer) query(q *gojq.Query) {
	switch q.Op {
	case gojq.OpAdd:
		*q = *weighed(&gojq.Query{Left: q.Left, Op: gojq.OpAdd, Right: q.Right})
	case gojq.OpMul:
		*q = *weighed(times(q.Left, q.Right))
	case gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv, gojq.OpUpdateMod, gojq.OpUpdateAlt:
		t.refuse("cannot use %s: write a |= b", q.Op)
	case gojq.OpAssign, gojq.OpModify:
		t.walk(reflect.ValueOf(q.Left), t.target)
		*q = *weighed(&gojq.Query{Left: q.Left, Op: q.Op, Right: q.Right})
	}
}

// target looks at what is assigned to: a list that is set far behind its end
// is filled up to there.
func (t *tamer) target(node any) {
	switch n := node.(type) {
	case *gojq.Index:
		for _, q := range []*gojq.Query{n.Start, n.End} {
			if q == nil || isLiteral(q) {
				continue
			}
			if i, err := strconv.Atoi(q.String()); err != nil || i > maxLiteralIndex {
				t.refuse("can only assign to members that it names")
			}
		}
	case *gojq.Func:
		if n.Name == "getpath" {
			t.refuse("can only assign to members that it names")
		}
	}
}

func (t *tamer) term(n *gojq.Term) {
	bare := *n
	bare.SuffixList = nil
	var q *gojq.Query
	switch n.Type {
	case gojq.TermTypeArray, gojq.TermTypeObject:
		q = weighed(&gojq.Query{Term: &bare})
	case gojq.TermTypeFormat:
		if n.Str != nil && len(n.Str.Queries) > 0 {
			t.refuse("cannot use %s with a text: write (… | %s) within it", n.Format, n.Format)
		}
		q = weighed(&gojq.Query{Term: &bare})
	case gojq.TermTypeString:
		if len(n.Str.Queries) == 0 {
			return
		}
		q = joined(n.Str.Queries)
	case gojq.TermTypeFunc:
		if strings.HasPrefix(n.Func.Name, "$") || t.own[n.Func.Name] || slices.Contains(pathFuncs, n.Func.Name) {
			return
		}
		q = weighed(&gojq.Query{Term: &bare})
	default:
		return
	}
	*n = gojq.Term{Type: gojq.TermTypeQuery, Query: q, SuffixList: n.SuffixList}
}

// weighed returns q | parley_weigh($__parley).
func weighed(q *gojq.Query) *gojq.Query {
	return &gojq.Query{Left: q, Op: gojq.OpPipe, Right: call(weighFunc, call(scaleVariable))}
}

func call(name string, args ...*gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: args}}}
}

// times returns parley_pair($__parley; l; r) | .[0] * .[1].
func times(l, r *gojq.Query) *gojq.Query {
	at := func(i string) *gojq.Query {
		return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIndex, Index: &gojq.Index{Start: number(i)}}}
	}
	product := &gojq.Query{Left: at("0"), Op: gojq.OpMul, Right: at("1")}
	return &gojq.Query{Left: call(pairFunc, call(scaleVariable), l, r), Op: gojq.OpPipe, Right: product}
}

func number(s string) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeNumber, Number: s}}
}

// joined returns a text with expressions in it as a sum of its parts.
func joined(parts []*gojq.Query) *gojq.Query {
	sum := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeString, Str: &gojq.String{}}}
	for _, p := range parts {
		if p.Term == nil || p.Term.Type != gojq.TermTypeString {
			p = weighed(&gojq.Query{Left: inBrackets(p), Op: gojq.OpPipe, Right: call("tostring")})
		}
		sum = inBrackets(weighed(&gojq.Query{Left: sum, Op: gojq.OpAdd, Right: inBrackets(p)}))
	}
	return sum
}

func inBrackets(q *gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeQuery, Query: q}}
}
