package tools

import "encoding/json"

// A Checker checks calls' arguments against a tool's parameters. All methods
// may be called concurrently.
type Checker struct{ s *schema }

// NewChecker compiles parameters, a JSON Schema of type object whose
// references stay inside it; empty means that there are none.
func NewChecker(parameters json.RawMessage) (*Checker, error) {
	s, err := compileSchema(parameters)
	if err != nil {
		return nil, faultf("parameters", "%v", err)
	}
	return &Checker{s}, nil
}

// Check returns what is wrong with arguments, written for the model that is
// to repair it.
func (c *Checker) Check(arguments json.RawMessage) error {
	_, err := c.s.check(arguments)
	return err
}
