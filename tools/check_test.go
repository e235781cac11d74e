package tools_test

import (
	"encoding/json"
	"errors"
	"testing"

	"parley/tools"
)

func TestCheckNamesThePlace(t *testing.T) {
	const schema = `{"type":"object","required":["sum"],"additionalProperties":false,"properties":{
		"sum":{"type":"number"},"to":{"type":"object","properties":{"name":{"type":"string"}}},"list":{"type":"array","items":{"type":"integer"}}}}`
	for _, c := range []struct{ name, value, field string }{
		{"fits", `{"sum":1,"to":{"name":"x"},"list":[1]}`, "fits"},
		{"no JSON", `{`, ""},
		{"no object", `[1]`, ""},
		{"null", `null`, ""},
		{"lacks a member", `{}`, ""},
		{"has one too many", `{"sum":1,"x":1}`, ""},
		{"a member of another type", `{"sum":"1"}`, "/sum"},
		{"deeper", `{"sum":1,"to":{"name":1}}`, "/to/name"},
		{"in a list", `{"sum":1,"list":[1,"2"]}`, "/list/1"},
	} {
		err := tools.Check(json.RawMessage(schema), json.RawMessage(c.value))
		var field *tools.FieldError
		switch {
		case err == nil && c.field != "fits":
			t.Errorf("%s: nothing is wrong", c.name)
		case err != nil && (!errors.As(err, &field) || field.Field != c.field || field.Reason == ""):
			t.Errorf("%s: %v, want the field %q", c.name, err, c.field)
		}
	}
	if err := tools.Check(json.RawMessage(`{"type":"object","properties":{"a":{"type":"nonsense"}}}`), json.RawMessage(`{"a":1}`)); err != nil {
		t.Errorf("a schema that is none: %v", err)
	}
}

func TestImportKeepsTheApproval(t *testing.T) {
	e := tools.Renew(tools.Endpoint{Approval: tools.ApprovalAuto}, tools.Endpoint{}).Endpoint
	if e.Approval != tools.ApprovalAuto {
		t.Errorf("it is %q", e.Approval)
	}
}
