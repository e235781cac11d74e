package tools

import (
	"bytes"
	"encoding/json"
)

// A Step is one request of an endpoint that needs several. What it picks from
// its answer can be used, as {name}, by the templates of later steps and of
// [Endpoint.Result]; without a Result the last answer is the tool's.
//
//	"steps": [
//	  {"id": "user", "url": "https://hr.example/users", "query": {"mail": "{mail}"},
//	   "pick": {"id": "/items/0/id", "team": {"at": "/items/0/team", "map": {"7": "Research"}}},
//	   "missing": {"id": "Nobody has the address {mail}."}},
//	  {"id": "leave", "url": "https://hr.example/users/{id}/leave",
//	   "pick": {"days": {"at": "/days", "default": 0}}}],
//	"result": {"team": "{team}", "days left": "{days}"}
//
// Here 0 is used where the answer has no /days, and a call for an unknown
// address fails with the message of missing.
type Step struct {
	ID string `json:"id"` // unique in the endpoint; see [NamePattern]
	Request
	Pick    map[string]Pick   `json:"pick,omitempty"`    // by the name that templates use
	Missing map[string]string `json:"missing,omitempty"` // by pick: why the call fails if it has no value; a template
}

// A Pick is a value taken from a step's answer or made from other values. In
// JSON a text stands for {"at": text}. A null or absent value becomes the
// Default, if there is one, and has no value otherwise. At most one of At and
// Value is set; picks with a Value are made after those with an At.
type Pick struct {
	At      string            `json:"at,omitempty"`      // JSON Pointer into the answer
	Value   string            `json:"value,omitempty"`   // a template
	Default json.RawMessage   `json:"default,omitempty"` // a JSON value
	Map     map[string]string `json:"map,omitempty"`     // replaces the value, as text, if it is listed

	// As "date" reads today, tomorrow, yesterday, the name of a weekday (the
	// next such day, today included) or YYYY-MM-DD, and gives YYYY-MM-DD.
	// Zone is a template of the time zone that today is meant in, by its
	// IANA name; empty or unknown means UTC.
	As   string `json:"as,omitempty"`
	Zone string `json:"zone,omitempty"`
}

// UnmarshalJSON decodes a text or an object.
func (p *Pick) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte(`"`)) {
		*p = Pick{}
		return json.Unmarshal(b, &p.At)
	}
	type object Pick // without this method
	return decodeStrict(b, (*object)(p))
}

// MarshalJSON is the reverse of UnmarshalJSON.
func (p Pick) MarshalJSON() ([]byte, error) {
	type object Pick
	if p.Value == "" && p.Default == nil && p.Map == nil && p.As == "" && p.Zone == "" {
		return json.Marshal(p.At)
	}
	return json.Marshal(object(p))
}
