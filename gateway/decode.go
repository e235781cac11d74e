package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// readBody reads at most limit bytes of a request's body.
func readBody(c echo.Context, limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, limit))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return nil, problem(http.StatusRequestEntityTooLarge, codeTooLong, "The body is longer than the %d bytes that are allowed.", limit)
	}
	if err != nil {
		return nil, problem(http.StatusBadRequest, codeBadRequest, "The body could not be read to its end.")
	}
	return b, nil
}

// decodeBody reads a JSON body strictly: one value, with known fields only.
func decodeBody(c echo.Context, limit int64, into any) error {
	b, err := readBody(c, limit)
	if err != nil {
		return err
	}
	return decodeStrict(b, into)
}

func decodeStrict(b []byte, into any) error {
	if !utf8.Valid(b) {
		return problem(http.StatusBadRequest, codeBadRequest, "The body is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return jsonProblem(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return problem(http.StatusBadRequest, codeBadRequest, "There is more behind the JSON value. Send one object.")
	}
	return nil
}

// jsonProblem says what is wrong with JSON in terms of the request.
func jsonProblem(err error) *Problem {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType):
		return problem(http.StatusBadRequest, codeBadRequest, "%s has the wrong type: it is a %s.", fieldOr(wrongType.Field), wrongType.Value).in(wrongType.Field)
	case errors.As(err, &syntax):
		return problem(http.StatusBadRequest, codeBadRequest, "This is not valid JSON, from byte %d on.", syntax.Offset)
	case errors.Is(err, io.EOF):
		return problem(http.StatusBadRequest, codeBadRequest, "The body is empty. Send a JSON object.")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return problem(http.StatusBadRequest, codeBadRequest, "There is no field %s.", name).in(strings.Trim(name, `"`))
	}
	return problem(http.StatusBadRequest, codeBadRequest, "This is not valid JSON.")
}

func fieldOr(name string) string {
	if name == "" {
		return "The body"
	}
	return name
}

// decodeLoose reads one JSON value and ignores fields that it does not know,
// as frames do: their senders may be of a later version.
func decodeLoose(b []byte, into any) error {
	if !utf8.Valid(b) {
		return problem(http.StatusBadRequest, codeBadRequest, "The body is not UTF-8.")
	}
	if err := json.Unmarshal(b, into); err != nil {
		return jsonProblem(err)
	}
	return nil
}
