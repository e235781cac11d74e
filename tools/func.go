package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Func returns a tool of a Go function. The arguments are checked against
// spec.Parameters and decoded into In; what fn returns as an error is, as with
// every [Tool], that the call could not be tried. It panics if spec has an
// invalid name or schema, which is a mistake in the program.
func Func[In any](spec Spec, fn func(ctx context.Context, in In) (Result, error)) Tool {
	if len(spec.Parameters) == 0 {
		spec.Parameters = json.RawMessage(noParameters)
	}
	if spec.Effect == "" {
		spec.Effect = Unsafe
	}
	params, err := compileSchema(spec.Parameters)
	if err != nil || !goodName.MatchString(spec.Name) {
		panic(fmt.Sprintf("tools: Func %q: bad name or parameters: %v", spec.Name, err))
	}
	return &funcTool[In]{spec, params, fn}
}

type funcTool[In any] struct {
	spec   Spec
	params *schema
	fn     func(context.Context, In) (Result, error)
}

func (t *funcTool[In]) Spec() Spec { return t.spec }

func (t *funcTool[In]) Call(ctx context.Context, call Call) (Result, error) {
	args, err := t.params.check(call.Arguments)
	if err != nil {
		return fail(err.Error(), "Call again with corrected arguments."), nil
	}
	var in In
	if err := json.Unmarshal(compactJSON(args), &in); err != nil {
		return fail("the arguments do not fit: "+err.Error(), "Call again with corrected arguments."), nil
	}
	began := time.Now()
	res, err := t.fn(ctx, in)
	res.Outcome.LatencyMs = time.Since(began).Milliseconds()
	return res, err
}
