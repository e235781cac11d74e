package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/itchyny/gojq"
)

// Bounds of what an expression makes of one message.
const (
	maxExpr   = 8 << 10 // bytes of it
	exprTime  = 200 * time.Millisecond
	exprSteps = 1 << 20 // instructions
	exprMost  = 100     // values that come out
)

// An expr makes values of messages. All methods may be called concurrently.
type expr struct{ code *gojq.Code }

// compile returns nil for an empty expression, which leaves messages as they
// are. Expressions see nothing but the message: neither files nor environment.
func compile(s string) (*expr, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxExpr {
		return nil, fmt.Errorf("must not be longer than %d bytes", maxExpr)
	}
	q, err := gojq.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("is no jq expression: %s", line(err.Error(), 200))
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return nil, fmt.Errorf("is no jq expression: %s", line(err.Error(), 200))
	}
	return &expr{code}, nil
}

// values returns the JSON of what a message becomes. A message that is no
// JSON is a text.
func (e *expr) values(ctx context.Context, raw []byte) (vs []json.RawMessage, err error) {
	doc := decode(raw)
	if e == nil {
		b, err := encode(doc)
		return []json.RawMessage{b}, err
	}
	defer func() {
		if p := recover(); p != nil { // others' code, fed with what a stranger sent
			err = errors.New("the expression broke down")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, exprTime)
	defer cancel()
	iter := e.code.RunWithContext(&steps{Context: ctx, left: exprSteps}, doc)
	for {
		v, ok := iter.Next()
		if !ok {
			return vs, nil
		}
		if failed, isErr := v.(error); isErr {
			return vs, fmt.Errorf("the expression fails: %s", line(failed.Error(), 200))
		}
		if v == nil { // of a message that is about something else
			continue
		}
		if len(vs) == exprMost {
			return vs, fmt.Errorf("the expression gives more than %d values of one message", exprMost)
		}
		b, err := encode(v)
		if err != nil {
			return vs, err
		}
		vs = append(vs, b)
	}
}

func decode(raw []byte) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return string(raw)
	}
	return v
}

func encode(v any) ([]byte, error) {
	b, err := gojq.Marshal(v)
	if err != nil {
		return nil, errors.New("a value is no JSON")
	}
	return b, nil
}

// errSteps says that an expression was stopped.
var errSteps = errors.New("it takes too long")

// steps is a context that ends when it was looked at too often: gojq looks
// once for each instruction. It is used by one goroutine.
type steps struct {
	context.Context
	left int
}

// Done implements [context.Context].
func (s *steps) Done() <-chan struct{} {
	if s.left--; s.left < 0 {
		over := make(chan struct{})
		close(over)
		return over
	}
	return s.Context.Done()
}

// Err implements [context.Context].
func (s *steps) Err() error {
	if s.left < 0 {
		return errSteps
	}
	return s.Context.Err()
}
