package tools

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// A pointer is a parsed JSON Pointer (RFC 6901).
type pointer []string

func parsePointer(s string) (pointer, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, errors.New(`must be a JSON Pointer: empty, or beginning with "/" as in /results/0/name`)
	}
	p := strings.Split(s[1:], "/")
	for i, token := range p {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(token), "~") {
			return nil, errors.New(`must write "~" as ~0 and "/" as ~1 in a JSON Pointer`)
		}
		p[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	return p, nil
}

// find returns what p points at within a valid JSON text, as it is written
// there. A null is found.
func (p pointer) find(doc json.RawMessage) (json.RawMessage, bool) {
	for _, token := range p {
		next, ok := member(doc, token)
		if !ok {
			return nil, false
		}
		doc = next
	}
	return doc, true
}

func member(doc json.RawMessage, token string) (json.RawMessage, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(doc, &object) == nil {
		v, ok := object[token]
		return v, ok
	}
	var array []json.RawMessage
	if json.Unmarshal(doc, &array) != nil {
		return nil, false
	}
	i, err := strconv.ParseUint(token, 10, 31)
	if err != nil || int(i) >= len(array) || strconv.FormatUint(i, 10) != token {
		return nil, false
	}
	return array[i], true
}
