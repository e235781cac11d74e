package tools_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/tools"
)

func TestDecodeEndpointNamesTheFault(t *testing.T) {
	const ok = `"name":"t","description":"d","url":"https://api.example/x"`
	params := func(s string) string { return `{` + ok + `,"parameters":` + s + `}` }
	url := func(s string) string {
		return `{"name":"t","description":"d","parameters":{"type":"object","properties":{"a":{},"b":{}}},"url":"` + s + `"}`
	}
	in := func(s string) string {
		return `{"name":"t","description":"d","method":"POST","url":"https://api.example/{p}","headers":{"x-key":"v"},"parameters":{"type":"object","properties":{"a":{},"b":{},"p":{}}},"in":` + s + `}`
	}
	steps := func(s string) string {
		return `{"name":"t","description":"d","parameters":{"type":"object","properties":{"a":{}}},"steps":` + s + `}`
	}
	deep := strings.Repeat(`{"not":`, 200) + `{}` + strings.Repeat(`}`, 200)
	tests := map[string]struct{ js, field string }{
		"nothing":                     {``, "endpoint"},
		"no object":                   {`[]`, "endpoint"},
		"two values":                  {`{` + ok + `}{}`, "endpoint"},
		"too large":                   {`{"description":"` + strings.Repeat("x", tools.MaxEndpoint) + `"}`, "endpoint"},
		"unknown field":               {`{` + ok + `,"owner":"me"}`, "owner"},
		"wrong type":                  {`{` + ok + `,"timeoutMs":"soon"}`, "timeoutMs"},
		"no name":                     {`{"description":"d","url":"https://api.example/"}`, "name"},
		"name with a space":           {`{"name":"a b","description":"d","url":"https://api.example/"}`, "name"},
		"no description":              {`{"name":"t","description":" ","url":"https://api.example/"}`, "description"},
		"method unknown":              {`{` + ok + `,"method":"TRACE"}`, "method"},
		"method in small letters":     {`{` + ok + `,"method":"get"}`, "method"},
		"effect unknown":              {`{` + ok + `,"effect":"maybe"}`, "effect"},
		"timeout negative":            {`{` + ok + `,"timeoutMs":-1}`, "timeoutMs"},
		"timeout too long":            {`{` + ok + `,"timeoutMs":99999999}`, "timeoutMs"},
		"attempt too long":            {`{` + ok + `,"attemptMs":99999999}`, "attemptMs"},
		"too many at once":            {`{` + ok + `,"concurrency":9999}`, "concurrency"},
		"kept too long":               {`{` + ok + `,"cache":{"maxAgeMs":99999999}}`, "cache.maxAgeMs"},
		"bytes too many":              {`{` + ok + `,"maxBytes":999999999}`, "maxBytes"},
		"select no pointer":           {`{` + ok + `,"select":"a.b"}`, "select"},
		"select with a stray tilde":   {`{` + ok + `,"select":"/a~2"}`, "select"},
		"select and sources":          {`{` + ok + `,"select":"/a","sources":"/b"}`, "select"},
		"header not a name":           {`{` + ok + `,"headers":{"a b":"x"}}`, "headers.a b"},
		"header with CR LF":           {`{` + ok + `,"headers":{"X-A":"x\r\nX-B: y"}}`, "headers.X-A"},
		"header of our own":           {`{` + ok + `,"headers":{"idempotency-key":"x"}}`, "headers.idempotency-key"},
		"header Host":                 {`{` + ok + `,"headers":{"host":"x"}}`, "headers.host"},
		"header twice":                {`{` + ok + `,"headers":{"X-A":"1","x-a":"2"}}`, "headers.x-a"},
		"header masked":               {`{` + ok + `,"headers":{"X-Key":"•••"}}`, "headers.X-Key"},
		"body with GET":               {`{` + ok + `,"body":{}}`, "body"},
		"body type unknown":           {`{` + ok + `,"bodyType":"xml"}`, "bodyType"},
		"form that is no object":      {`{` + ok + `,"method":"POST","bodyType":"form","body":[]}`, "body"},
		"result without steps":        {`{` + ok + `,"result":{}}`, "result"},
		"query template broken":       {`{` + ok + `,"query":{"a":"{"}}`, "query.a"},
		"parameters no object":        {params(`[]`), "parameters"},
		"parameters of another type":  {params(`{"type":"string"}`), "parameters"},
		"parameters without type":     {params(`{"properties":{}}`), "parameters"},
		"parameters no schema":        {params(`{"type":"object","properties":{"a":{"type":"nonsense"}}}`), "parameters"},
		"a reference to a file":       {params(`{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`), "parameters"},
		"a reference to a host":       {params(`{"type":"object","properties":{"a":{"$ref":"http://169.254.169.254/x"}}}`), "parameters"},
		"a foreign metaschema":        {params(`{"$schema":"file:///etc/passwd","type":"object"}`), "parameters"},
		"a reference to nowhere":      {params(`{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}}}`), "parameters"},
		"a pattern that is none":      {params(`{"type":"object","properties":{"a":{"pattern":"("}}}`), "parameters"},
		"a schema too deep":           {params(`{"type":"object","not":` + deep + `}`), "parameters"},
		"no URL":                      {`{"name":"t","description":"d"}`, "url"},
		"URL without host":            {url("https:///x"), "url"},
		"URL of a file":               {url("file:///etc/passwd"), "url"},
		"URL with a user":             {url("https://user:pw@api.example/"), "url"},
		"URL with a fragment":         {url("https://api.example/#x"), "url"},
		"host templated":              {url("https://{a}.example/"), "url"},
		"port templated":              {url("https://api.example:{a}/"), "url"},
		"scheme templated":            {url("{a}://api.example/"), "url"},
		"host in Unicode":             {url("http://①②⑦.0.0.1/"), "url"},
		"backslash for a slash":       {url(`https://api.example\\@evil.example/`), "url"},
		"path with a space":           {url("https://api.example/a b"), "url"},
		"path with dots":              {url("https://api.example/a/../b"), "url"},
		"path with escaped dots":      {url("https://api.example/a/%2e%2E/b"), "url"},
		"path template broken":        {url("https://api.example/{a"), "url"},
		"path template unknown":       {url("https://api.example/{c}"), "url"},
		"port no number":              {url("https://api.example:http/"), "url"},
		"in: unknown parameter":       {in(`{"z":"query"}`), "in.z"},
		"in: unknown place":           {in(`{"a":"trailer"}`), "in.a"},
		"in: path without template":   {in(`{"a":"path"}`), "in.a"},
		"in: a secret's header":       {in(`{"a":"header:X-Key"}`), "in.a"},
		"in: Authorization":           {in(`{"a":"header:authorization"}`), "in.a"},
		"in: header no name":          {in(`{"a":"header:a b"}`), "in.a"},
		"in: two whole bodies":        {in(`{"a":"body","b":"body"}`), "in.b"},
		"steps and url":               {`{` + ok + `,"steps":[{"id":"a","url":"https://api.example/"}]}`, "steps"},
		"step without id":             {steps(`[{"url":"https://api.example/"}]`), "steps[0].id"},
		"two steps of one id":         {steps(`[{"id":"a","url":"https://api.example/"},{"id":"a","url":"https://api.example/"}]`), "steps[1].id"},
		"step without url":            {steps(`[{"id":"a"}]`), "steps[0].url"},
		"step uses a later pick":      {steps(`[{"id":"a","url":"https://api.example/{x}"},{"id":"b","url":"https://api.example/","pick":{"x":"/x"}}]`), "steps[0].url"},
		"pick no pointer":             {steps(`[{"id":"a","url":"https://api.example/","pick":{"x":"x"}}]`), "steps[0].pick.x"},
		"pick with unknown member":    {steps(`[{"id":"a","url":"https://api.example/","pick":{"x":{"from":"/x"}}}]`), "from"},
		"pick of two kinds":           {steps(`[{"id":"a","url":"https://api.example/","pick":{"x":{"at":"/x","value":"{a}"}}}]`), "steps[0].pick.x"},
		"pick as something":           {steps(`[{"id":"a","url":"https://api.example/","pick":{"x":{"at":"/x","as":"int"}}}]`), "steps[0].pick.x"},
		"missing without pick":        {steps(`[{"id":"a","url":"https://api.example/","missing":{"x":"no"}}]`), "steps[0].missing.x"},
		"result of unknown":           {steps(`[{"id":"a","url":"https://api.example/"}],"result":"{z}"`), "result"},
		"too many steps":              {steps(`[` + strings.Repeat(`{"id":"a","url":"https://api.example/"},`, 20) + `{"id":"a"}]`), "steps"},
		"secret query that is masked": {`{` + ok + `,"secretQuery":{"key":"•••"}}`, "secretQuery.key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tools.DecodeEndpoint([]byte(test.js))
			var fault *tools.FieldError
			if !errors.As(err, &fault) {
				t.Fatalf("err %v", err)
			}
			if fault.Field != test.field || fault.Reason == "" {
				t.Errorf("fault %q at %q, want it at %q", fault.Reason, fault.Field, test.field)
			}
		})
	}
}

func TestEndpointNamesEveryFault(t *testing.T) {
	err := tools.Endpoint{Name: "a b", TimeoutMs: -1}.Validate()
	mustContain(t, "the error", err.Error(), "name: ", "description: ", "timeoutMs: ", "url: ")
}

func TestEndpointKeepsItsJSON(t *testing.T) {
	e := tools.Weather("", "")
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	again, err := tools.DecodeEndpoint(b)
	if err != nil {
		t.Fatal(err)
	}
	b2, _ := json.Marshal(again)
	if d := cmp.Diff(string(b), string(b2)); d != "" {
		t.Error(d)
	}
}
