package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"parley/tools"
)

// maxDepth is how many levels of objects and lists a document may have; real
// ones have at most 22.
const maxDepth = 200

// parse returns the document as JSON values, whatever it is written in.
func parse(ctx context.Context, doc []byte) (root map[string]any, warnings []string, err error) {
	doc = bytes.TrimSpace(bytes.TrimPrefix(doc, []byte("\uFEFF")))
	switch {
	case len(doc) == 0:
		return nil, nil, fault("document", "it is empty")
	case !utf8.Valid(doc):
		return nil, nil, fault("document", "it is not UTF-8 text")
	case doc[0] == '<':
		return nil, nil, fault("document", "it is a web page or XML, not an OpenAPI document: give the address of the openapi.json or openapi.yaml that the page shows")
	}
	var v any
	if doc[0] == '{' {
		v, err = parseJSON(ctx, doc)
	}
	if doc[0] != '{' || err != nil && !errors.Is(err, errDeep) {
		jsonErr := err
		if v, warnings, err = parseYAML(ctx, doc); err != nil && jsonErr != nil {
			err = jsonErr
		}
	}
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("openapi: read document: %w", ctx.Err())
	}
	if err != nil {
		return nil, nil, fault("document", "it is neither JSON nor YAML: %s", line(strings.TrimPrefix(err.Error(), "yaml: "), 300))
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, nil, fault("document", "it is not an object with openapi, info and paths")
	}
	return root, warnings, nil
}

var errDeep = fmt.Errorf("it is nested deeper than %d levels", maxDepth)

func parseJSON(ctx context.Context, doc []byte) (v any, err error) {
	if tools.Depth(doc) > maxDepth {
		return nil, errDeep
	}
	dec := json.NewDecoder(&contextReader{ctx, bytes.NewReader(doc)})
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more after the JSON value")
	}
	return v, nil
}

// A contextReader ends a parser that knows no context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
