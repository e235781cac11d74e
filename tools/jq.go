package tools

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// Bounds of one run of a [shaper].
const (
	maxShape      = 8 << 10 // bytes of an expression
	shapeTime     = 2 * time.Second
	shapeSteps    = 8 << 20   // instructions
	shapeValues   = 10_000    // that come out
	shapeNodes    = 1 << 20   // of one value
	shapeBytes    = 16 << 20  // of one value
	shapeMade     = 128 << 20 // bytes of all values that are made on the way
	shapeNodeSize = 16        // bytes that a member is counted as
	maxBits       = 8192      // of a whole number: some arithmetic takes the square of that
)

// A shaper is a compiled jq expression that makes of an answer what a model
// is to read. It sees nothing but the answer. All methods may be called
// concurrently.
type shaper struct{ code *gojq.Code }

// parseShape compiles an expression. Every place in which it makes a value is
// rewritten to weigh what was made, so that no expression takes more memory
// than the bounds say; steps and time are bounded by [steps].
func parseShape(s string) (*shaper, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxShape {
		return nil, fmt.Errorf("must not be longer than %d bytes", maxShape)
	}
	q, err := gojq.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("is no jq expression: %s", oneLine(err.Error(), 200))
	}
	if err := tame(q); err != nil {
		return nil, err
	}
	code, err := gojq.Compile(q, gojq.WithVariables([]string{scaleVariable}),
		gojq.WithFunction(weighFunc, 1, 1, func(v any, args []any) any { return args[0].(*scale).weigh(v) }),
		gojq.WithFunction(pairFunc, 3, 3, func(_ any, args []any) any { return args[0].(*scale).pair(args[1], args[2]) }))
	if err != nil {
		return nil, fmt.Errorf("is no jq expression: %s", oneLine(err.Error(), 200))
	}
	return &shaper{code}, nil
}

// run returns the values that doc becomes.
func (s *shaper) run(ctx context.Context, doc any) (vs []any, err error) {
	defer func() {
		if p := recover(); p != nil { // others' code, fed with what a service sent
			err = errors.New("it broke down")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, shapeTime)
	defer cancel()
	sc := &scale{}
	iter := s.code.RunWithContext(&steps{Context: ctx, left: shapeSteps}, doc, sc)
	for {
		v, ok := iter.Next()
		if !ok {
			return vs, nil
		}
		if failed, isErr := v.(error); isErr {
			return nil, shapeError(failed)
		}
		if heavy, isErr := sc.weigh(v).(error); isErr {
			return nil, heavy
		}
		if vs = append(vs, v); len(vs) > shapeValues {
			return nil, fmt.Errorf("it gives more than %d values", shapeValues)
		}
	}
}

func shapeError(err error) error {
	var halt *gojq.HaltError
	switch {
	case errors.Is(err, errSteps), errors.Is(err, context.DeadlineExceeded):
		return errSteps
	case errors.Is(err, context.Canceled):
		return errors.New("it was stopped")
	case errors.As(err, &halt):
		return errors.New("it stopped by itself")
	}
	return errors.New(oneLine(err.Error(), 200))
}

var (
	errSteps = errors.New("it takes too long")
	errHeavy = errors.New("what it makes is too large")
)

// steps is a context that ends when it was looked at too often: gojq looks
// once for each instruction. It is used by one goroutine.
type steps struct {
	context.Context
	left int
	err  error
}

// Done implements [context.Context].
func (s *steps) Done() <-chan struct{} {
	if s.left--; s.left < 0 {
		s.err = errSteps
		over := make(chan struct{})
		close(over)
		return over
	}
	return s.Context.Done()
}

// Err implements [context.Context].
func (s *steps) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.Context.Err()
}

// A scale weighs what one run makes. It is used by one goroutine.
type scale struct{ made int }

// weigh returns v, or an error if v is too large, or too much has been made.
func (s *scale) weigh(v any) any {
	switch v := v.(type) {
	case string:
		s.made += len(v)
	case []any:
		s.made += shapeNodeSize * len(v)
	case map[string]any:
		s.made += 4 * shapeNodeSize * len(v)
	}
	nodes, bytes := shapeNodes, shapeBytes
	if s.made > shapeMade || !fits(v, &nodes, &bytes) {
		return errHeavy
	}
	return v
}

// pair returns what is to be multiplied, if that will be of bearable size.
func (s *scale) pair(l, r any) any {
	for _, p := range [2][2]any{{l, r}, {r, l}} {
		text, ok := p[0].(string)
		if n, isNumber := gojq.ToFloat64(p[1]); ok && isNumber && float64(len(text))*n > shapeBytes {
			return errHeavy
		}
	}
	return []any{l, r}
}

// fits takes v off what is left and reports whether that was enough. Values
// share their parts: what is small in memory may be without end as text.
func fits(v any, nodes, bytes *int) bool {
	*nodes--
	switch v := v.(type) {
	case string:
		*bytes -= len(v)
	case *big.Int:
		if v.BitLen() > maxBits {
			return false
		}
	case []any:
		for _, e := range v {
			if !fits(e, nodes, bytes) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if *bytes -= len(k); !fits(e, nodes, bytes) {
				return false
			}
		}
	}
	return *nodes >= 0 && *bytes >= 0
}

// shaped returns the answer as the endpoint's expression has it: a text as it
// is, another value as JSON, several each in a line.
func (x *exchange) shaped(a *answer) Result {
	doc, ok := a.json()
	if !ok {
		return *x.noJSON(a)
	}
	v, err := decodeJSON(doc)
	if err != nil {
		return *x.noJSON(a)
	}
	vs, err := x.plan.shape.run(x.ctx, v)
	if err != nil {
		return fail("the answer could not be shaped by the tool's jq expression: "+x.redactor.text(err.Error(), true),
			"The service answers otherwise than the tool's owner declared, or with too much.")
	}
	if len(vs) == 0 {
		return Result{Content: "(nothing of the answer matters here)"}
	}
	out := make([]string, len(vs))
	for i, v := range vs {
		if s, ok := v.(string); ok {
			out[i] = s
		} else if b, err := gojq.Marshal(v); err == nil {
			out[i] = string(b)
		}
	}
	return Result{Content: strings.Join(out, "\n")}
}
