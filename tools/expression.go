package tools

import "context"

// An Expression is a jq expression that was compiled. It sees nothing but
// what it is given, and its time and memory are bounded, whatever it says. All
// methods may be called concurrently.
type Expression struct{ shape *shaper }

// ParseExpression compiles an expression. The empty one leaves values as they
// are.
func ParseExpression(s string) (Expression, error) {
	shape, err := parseShape(s)
	return Expression{shape}, err
}

// Values returns what a JSON value becomes. Numbers may be [json.Number]s.
func (e Expression) Values(ctx context.Context, v any) ([]any, error) {
	if e.shape == nil {
		return []any{v}, nil
	}
	return e.shape.run(ctx, v)
}
