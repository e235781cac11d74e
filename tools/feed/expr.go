package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/itchyny/gojq"

	"parley/tools"
)

// Bounds of what an expression makes of one message.
const (
	exprTime = 200 * time.Millisecond
	exprMost = 100 // values that come out
)

// values returns the JSON of what a message becomes. A message that is no
// JSON is a text; null is no value.
func values(ctx context.Context, e tools.Expression, raw []byte) (vs []json.RawMessage, err error) {
	ctx, cancel := context.WithTimeout(ctx, exprTime)
	defer cancel()
	all, err := e.Values(ctx, decode(raw))
	if err != nil {
		return nil, fmt.Errorf("the expression fails: %w", err)
	}
	for _, v := range all {
		if v == nil { // of a message that is about something else
			continue
		}
		if len(vs) == exprMost {
			return vs, fmt.Errorf("the expression gives more than %d values of one message", exprMost)
		}
		b, err := gojq.Marshal(v)
		if err != nil {
			return vs, errors.New("a value is no JSON")
		}
		vs = append(vs, b)
	}
	return vs, nil
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
