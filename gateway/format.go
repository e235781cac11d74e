package gateway

import (
	"encoding/json"
	"errors"
	"net/http"

	"parley/llm"
	"parley/tools"
)

// formatProblem says what is wrong with a response_format, and where.
func formatProblem(err error) error {
	var field *tools.FieldError
	if !errors.As(err, &field) {
		return err
	}
	return problem(http.StatusBadRequest, codeBadRequest, "%s", field.Reason).in("msg." + field.Field)
}

// outputOf returns the JSON of an answer that has the format that was asked
// for, nil of others.
func outputOf(m llm.Message) json.RawMessage {
	if f := m.Metadata.Parley.Format; f == nil || !f.Valid || !json.Valid([]byte(m.Content)) {
		return nil
	}
	return json.RawMessage(m.Content)
}
