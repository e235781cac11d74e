package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"parley/tools"
)

// Changes says in words what is different in a tool made anew, as far as the
// document declares it.
func Changes(old, next tools.Endpoint) (changes []string) {
	say := func(changed bool, format string, args ...any) {
		if changed {
			changes = append(changes, fmt.Sprintf(format, args...))
		}
	}
	say(old.Method != next.Method, "method: %s, was %s", next.Method, old.Method)
	say(old.URL != next.URL, "address: %s, was %s", line(next.URL, 200), line(old.URL, 200))
	say(old.Description != next.Description, "description")
	was, is := schemaParts(old.Parameters), schemaParts(next.Parameters)
	for _, name := range slices.Sorted(maps.Keys(is)) {
		had, ok := was[name]
		say(!ok, "new parameter %s%s", line(name, 80), needed(next.Parameters, name))
		say(ok && !bytes.Equal(had, is[name]), "parameter %s", line(name, 80))
		say(ok && needed(old.Parameters, name) != needed(next.Parameters, name), "parameter %s is now%s", line(name, 80), needs(next.Parameters, name))
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		_, ok := is[name]
		say(!ok, "parameter %s is gone", line(name, 80))
	}
	say(old.BodyType != next.BodyType, "body: %s, was %s", orJSON(next.BodyType), orJSON(old.BodyType))
	say(!reflect.DeepEqual(old.In, next.In) || !reflect.DeepEqual(old.Style, next.Style) || !reflect.DeepEqual(old.Parts, next.Parts), "how arguments are sent")
	if len(changes) == 0 && !bytes.Equal(old.Parameters, next.Parameters) {
		changes = []string{"schema of the parameters"}
	}
	return changes[:min(len(changes), maxNotes)]
}

func orJSON(bodyType string) string { return cmpText(bodyType, "json") }

// schemaParts returns the schemas of a tool's parameters, without definitions.
func schemaParts(parameters json.RawMessage) map[string]json.RawMessage {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	_ = json.Unmarshal(parameters, &s)
	return s.Properties
}

func needed(parameters json.RawMessage, name string) string {
	var s struct {
		Required []string `json:"required"`
	}
	_ = json.Unmarshal(parameters, &s)
	if slices.Contains(s.Required, name) {
		return ", required"
	}
	return ""
}

func needs(parameters json.RawMessage, name string) string {
	if needed(parameters, name) != "" {
		return " required"
	}
	return " optional"
}
