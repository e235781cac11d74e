package llm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"parley/tools"
)

// A Format is what an answer must look like: JSON, of a schema if there is
// one. It is made by [ReadFormat] or [NewFormat] and not changed. All methods
// may be called concurrently.
type Format struct {
	Name        string
	Description string
	Schema      json.RawMessage // nil for any JSON object
	Strict      bool            // the model is to be held to the schema, if its provider can

	document func() (*tools.Document, error)
}

// NewFormat returns a format; an empty schema stands for any JSON object. A
// schema that is not one is found when the first answer is checked.
func NewFormat(name string, schema json.RawMessage, strict bool) *Format {
	f := &Format{Name: name, Schema: schema, Strict: strict}
	f.document = sync.OnceValues(func() (*tools.Document, error) { return tools.NewDocument(f.schema()) })
	return f
}

func (f *Format) schema() json.RawMessage {
	if len(f.Schema) == 0 {
		return json.RawMessage(`{"type":"object"}`)
	}
	return f.Schema
}

// formatJSON is OpenAI's response_format
// (https://platform.openai.com/docs/api-reference/chat/create#chat-create-response_format).
type formatJSON struct {
	Type   string `json:"type"`
	Schema *struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Schema      json.RawMessage `json:"schema,omitempty"`
		Strict      *bool           `json:"strict,omitempty"`
	} `json:"json_schema,omitempty"`
}

// MaxFormat is how long the JSON of a format may be.
const MaxFormat = tools.MaxDocumentSchema + 4<<10

var formatName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// ReadFormat reads OpenAI's response_format: type text, which is nil,
// json_object or json_schema. Errors are of type [*tools.FieldError], whose
// field names what is wrong, a JSON Pointer into the schema behind it.
func ReadFormat(raw json.RawMessage) (*Format, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if len(raw) > MaxFormat {
		return nil, wrongFormat("", "It has %d bytes; %d are allowed.", len(raw), MaxFormat)
	}
	var in formatJSON
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, wrongFormat("", `It is not of the form {"type":"json_schema","json_schema":{"name":"…","schema":{…}}}: %v.`, strings.TrimPrefix(err.Error(), "json: "))
	}
	switch {
	case in.Type == "text" && in.Schema == nil:
		return nil, nil
	case in.Type == "json_object" && in.Schema == nil:
		return NewFormat("json_object", nil, false), nil
	case in.Type != "json_schema":
		return nil, wrongFormat(".type", "The type is json_schema, beside a json_schema; or json_object or text, without one.")
	case in.Schema == nil:
		return nil, wrongFormat(".json_schema", "The type json_schema needs a json_schema with a name and a schema.")
	case !formatName.MatchString(in.Schema.Name):
		return nil, wrongFormat(".json_schema.name", "The name needs 1 to 64 letters, digits, _ and -.")
	case len(in.Schema.Description) > 1024:
		return nil, wrongFormat(".json_schema.description", "The description has more than 1024 bytes.")
	case len(in.Schema.Schema) == 0:
		return nil, wrongFormat(".json_schema.schema", "There is no schema. For any JSON object, use the type json_object.")
	}
	f := NewFormat(in.Schema.Name, in.Schema.Schema, in.Schema.Strict != nil && *in.Schema.Strict)
	f.Description = in.Schema.Description
	if _, err := f.document(); err != nil {
		var field *tools.FieldError
		if errors.As(err, &field) {
			return nil, wrongFormat(".json_schema.schema"+field.Field, "%s", field.Reason)
		}
		return nil, err
	}
	return f, nil
}

func wrongFormat(field, format string, args ...any) error {
	return &tools.FieldError{Field: "response_format" + field, Reason: fmt.Sprintf(format, args...)}
}

// MarshalJSON returns what [ReadFormat] reads.
func (f *Format) MarshalJSON() ([]byte, error) {
	if len(f.Schema) == 0 {
		return []byte(`{"type":"json_object"}`), nil
	}
	schema := map[string]any{"name": f.Name, "schema": f.Schema, "strict": f.Strict}
	if f.Description != "" {
		schema["description"] = f.Description
	}
	return json.Marshal(map[string]any{"type": "json_schema", "json_schema": schema})
}

// UnmarshalJSON is [ReadFormat]; text is no format.
func (f *Format) UnmarshalJSON(raw []byte) error {
	read, err := ReadFormat(raw)
	if err != nil {
		return err
	}
	if read == nil {
		return errors.New("llm: text is no format")
	}
	*f = *read
	return nil
}

// Words tell a model of the format that is not held to it by its provider.
func (f *Format) Words() string {
	s := "Answer with one JSON value and nothing else: no words around it, no code fence."
	if f.Description != "" {
		s += " It is: " + f.Description
	}
	if len(f.Schema) == 0 {
		return s + " It must be an object."
	}
	return s + " It must be valid by this JSON Schema:\n" + string(f.Schema)
}

// A Formatted says of a message whether it has the format that was asked for.
type Formatted struct {
	Name  string `json:"name"`
	Valid bool   `json:"valid"`
}

// A FormatError is an answer that has not the format that was asked for.
type FormatError struct {
	Name    string
	Pointer string // JSON Pointer of what is wrong, empty for the whole
	Reason  string
	Finish  Finish // why it broke off, if it did
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("llm: the answer is not of the format %s: at %q: %s", e.Name, e.Pointer, e.Reason)
}

// advice says to people what happened and what to do.
func (e *FormatError) advice() string {
	switch e.Finish {
	case FinishLength:
		return fmt.Sprintf("The answer became too long and broke off before its JSON (%s) was whole. Ask for less, or have the operator allow longer answers.", e.Name)
	case FinishRefused:
		return fmt.Sprintf("The model or its provider refused to answer, so there is no JSON (%s). Ask differently.", e.Name)
	}
	return fmt.Sprintf("The model's answer is not of the format %s, also after it was told so: at %q: %s. What it said is kept. Ask again, or loosen the schema.", e.Name, cmp.Or(e.Pointer, "/"), e.Reason)
}

// Check returns a [*FormatError] unless a whole answer, one that ended with
// finish, has the format.
func (f *Format) Check(text string, finish Finish) error {
	e := &FormatError{Name: f.Name}
	if finish == FinishLength || finish == FinishRefused {
		e.Finish, e.Reason = finish, "it broke off"
		return e
	}
	d, err := f.document()
	if err == nil {
		err = d.Check([]byte(text))
	}
	if err == nil {
		return nil
	}
	e.Reason = err.Error()
	var field *tools.FieldError
	if errors.As(err, &field) {
		e.Pointer, e.Reason = field.Field, field.Reason
	}
	return e
}

var fenced = regexp.MustCompile("(?s)```(?:json|JSON)?[ \t]*\r?\n(.*?)```")

// unfenced returns what stands in the only code fence of a text, which is
// where models put JSON; the text itself if it has none or several.
func unfenced(text string) string {
	if found := fenced.FindAllStringSubmatch(text, 2); len(found) == 1 {
		return strings.TrimSpace(found[0][1])
	}
	return text
}

// A Former is a [Model] whose provider can hold answers to a format.
type Former interface {
	Forms(req Request) bool
}

// Forms reports whether the answer to a request is held to its format by the
// model's provider: not, unless the model says so.
func Forms(m Model, req Request) bool {
	f, ok := Bare(m).(Former)
	return ok && req.Format != nil && f.Forms(req)
}

// Forms reports whether all models of the chain do: any of them may answer.
func (c *Chain) Forms(req Request) bool {
	for _, l := range c.links {
		if !Forms(l.model, req) {
			return false
		}
	}
	return true
}
