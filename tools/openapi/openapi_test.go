package openapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/tools"
	"parley/tools/openapi"
)

// read imports a document.
func read(t *testing.T, doc string, o openapi.Options) *openapi.Report {
	t.Helper()
	r, err := openapi.Import(context.Background(), []byte(doc), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// only is read for a document with one operation.
func only(t *testing.T, doc string, o openapi.Options) openapi.Operation {
	t.Helper()
	r := read(t, doc, o)
	if len(r.Operations) != 1 {
		t.Fatalf("%d operations, warnings %q", len(r.Operations), r.Warnings)
	}
	return r.Operations[0]
}

// with puts an operation, in YAML's flow style, into a document of 3.0.
func with(operation string) string {
	return "openapi: 3.0.3\ninfo: {title: T}\nservers: [{url: https://api.example}]\npaths:\n  /x: {post: {" + operation + "}}\n"
}

func holds(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}

func TestEveryNameIsOneThatModelsTake(t *testing.T) {
	long := strings.Repeat("averylongname", 10)
	var b strings.Builder
	b.WriteString("openapi: 3.0.0\ninfo: {}\nservers: [{url: https://a.example}]\npaths:\n")
	for i, id := range []string{"", "", "get_pets", "Pets.list all/ü", long + "1", long + "2", "same", "same", "...", "ünïcödé"} {
		fmt.Fprintf(&b, "  /pets/{id}/%d: {get: {operationId: %q, parameters: []}}\n", i, id)
	}
	doc := b.String() + "  /pets: {get: {}}\n  /: {get: {}}\n  /" + long + "/a: {get: {}}\n  /" + long + "/b: {get: {}}\n"
	r, again := read(t, doc, openapi.Options{}), read(t, doc, openapi.Options{})
	if !holds(r.Warnings, "operationId same is used more than once") {
		t.Errorf("warnings %q", r.Warnings)
	}
	good := regexp.MustCompile(tools.NamePattern)
	seen := map[string]bool{}
	for i, op := range r.Operations {
		if !good.MatchString(op.Name) || seen[op.Name] || op.Name != again.Operations[i].Name || op.Skipped != "" {
			t.Errorf("%s %q is named %q, %s", op.Operation, op.ID, op.Name, op.Skipped)
		}
		seen[op.Name] = true
	}
	for _, name := range []string{"get_pets_id_0", "get_pets", "Pets_list_all", "same", "get"} {
		if !seen[name] {
			t.Errorf("nothing is named %s: %v", name, seen)
		}
	}
	if op := read(t, doc, openapi.Options{Prefix: "my shop"}).Operations[0]; op.Name != "my_shop_get" {
		t.Errorf("with a prefix: %q", op.Name)
	}
}

func TestServers(t *testing.T) {
	const variables = `[{url: 'https://{name}.example:{port}/{base}', variables: {name: {default: demo}, port: {enum: ['443', '8443']}, base: {default: v1}}}]`
	for _, tt := range []struct {
		name, head, path, base, from string
		variables                    map[string]string
		want                         string // URL; a path where a base is needed
	}{
		{name: "absolute", head: "servers: [{url: 'https://a.example/v1/'}, {url: 'https://b.example'}]", want: "https://a.example/v1/x"},
		{name: "none", want: "/x"},
		{name: "none, with a base", base: "http://b.example:8080/api/", want: "http://b.example:8080/api/x"},
		{name: "relative", head: "servers: [{url: /v2}]", want: "/x"},
		{name: "relative to the document", head: "servers: [{url: /v2}]", from: "https://a.example/docs/openapi.json?key=1", want: "https://a.example/v2/x"},
		{name: "relative to the document's folder", head: "servers: [{url: ../v2}]", from: "https://a.example/docs/new/openapi.json", want: "https://a.example/docs/v2/x"},
		{name: "relative, with a base without path", head: "servers: [{url: /v2}]", base: "http://b.example", want: "http://b.example/v2/x"},
		{name: "absolute, with a base without path", head: "servers: [{url: 'https://a.example/v2'}]", base: "http://b.example", want: "http://b.example/v2/x"},
		{name: "absolute, with a base with a path", head: "servers: [{url: 'https://a.example/v2'}]", base: "http://b.example/", want: "http://b.example/x"},
		{name: "without a scheme", head: "servers: [{url: //a.example/v2}]", want: "https://a.example/v2/x"},
		{name: "variables by default", head: "servers: " + variables, want: "https://demo.example:443/v1/x"},
		{name: "variables chosen", head: "servers: " + variables, variables: map[string]string{"name": "mine", "port": "8443"}, want: "https://mine.example:8443/v1/x"},
		{name: "of the path", head: "servers: [{url: 'https://a.example'}]", path: "servers: [{url: 'https://p.example/p'}], ", want: "https://p.example/p/x"},
		{name: "of the operation", path: "get: {servers: [{url: 'https://o.example'}]}, ", want: "https://o.example/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(tt.path, "get:") {
				tt.path += "get: {}"
			}
			doc := "openapi: 3.0.0\ninfo: {}\n" + tt.head + "\npaths: {/x: {" + strings.TrimSuffix(tt.path, ", ") + "}}"
			op := only(t, doc, openapi.Options{Base: tt.base, From: tt.from, Variables: tt.variables})
			if op.Tool.URL != tt.want || op.Skipped != "" || op.NeedsBase != (tt.want[0] == '/') {
				t.Errorf("%q, skipped %q, needs a base %v, want %q", op.Tool.URL, op.Skipped, op.NeedsBase, tt.want)
			}
		})
	}
	for _, base := range []string{"b.example", "ftp://b.example", "https://b.example/?x=1", "https://u:p@b.example", "https://{x}.example", "https://"} {
		_, err := openapi.Import(context.Background(), []byte("openapi: 3.0.0\npaths: {}"), openapi.Options{Base: base})
		var fault *tools.FieldError
		if !errors.As(err, &fault) || fault.Field != "base" {
			t.Errorf("base %q: %v", base, err)
		}
	}
	op := only(t, "openapi: 3.0.0\nservers: [{url: 'https://{tenant}.example'}]\npaths: {/x: {get: {}}}", openapi.Options{})
	if op.Skipped == "" {
		t.Errorf("a variable without a value: %q", op.Tool.URL)
	}
}

// Whatever a schema is written as, the model gets JSON Schema 2020-12.
func TestSchemas(t *testing.T) {
	components := "components: {schemas: {Name: {type: string, maxLength: 5}, Node: {type: object, properties: {next: {$ref: '#/components/schemas/Node'}}}, Cat: {type: object, required: [t], properties: {t: {type: string, enum: [cat]}}}, Dog: {type: object, properties: {t: {type: string}}}}}\n"
	for _, tt := range []struct{ name, version, schema, want string }{
		{"nullable", "3.0.0", "{type: string, nullable: true, example: x, xml: {}, x-y: 1}", `{"type":["string","null"]}`},
		{"nullable enum", "3.0.0", "{type: string, nullable: true, enum: [a]}", `{"enum":["a",null],"type":["string","null"]}`},
		{"nullable reference", "3.0.0", "{nullable: true, allOf: [{$ref: '#/components/schemas/Name'}]}", `{"anyOf":[{"maxLength":5,"type":"string"},{"type":"null"}]}`},
		{"exclusive limits of 3.0", "3.0.0", "{type: number, minimum: 1, exclusiveMinimum: true, maximum: 2, exclusiveMaximum: false}", `{"exclusiveMinimum":1,"maximum":2,"type":"number"}`},
		{"exclusive limits of 3.1", "3.1.0", "{type: number, exclusiveMinimum: 1}", `{"exclusiveMinimum":1,"type":"number"}`},
		{"beside a reference in 3.0", "3.0.0", "{$ref: '#/components/schemas/Name', minLength: 2, description: D}", `{"description":"D","maxLength":5,"type":"string"}`},
		{"beside a reference in 3.1", "3.1.0", "{$ref: '#/components/schemas/Name', minLength: 2}", `{"$ref":"#/$defs/Name","minLength":2}`},
		{"a cycle", "3.0.0", "{$ref: '#/components/schemas/Node'}", `{"$ref":"#/$defs/Node"}`},
		{"a reference outside", "3.0.0", "{$ref: 'https://evil.example/x.json#/a', description: D}", `{"description":"D"}`},
		{"a reference to a file", "3.1.0", "{$ref: '/etc/passwd'}", `{}`},
		{"a reference to nowhere", "3.1.0", "{$ref: '#/components/schemas/None'}", `{}`},
		{"only words", "3.0.0", "{title: The name, externalDocs: {url: x}}", `{"description":"The name"}`},
		{"types that are none", "3.0.0", "{type: [int, string], required: true, enum: [], minLength: '3', maxLength: -1, items: 7}", `{"type":"string"}`},
		{"numbers that were meant as text", "3.0.0", "{type: string, enum: [1, on, true, 2020-01-02]}", `{"enum":["1","on","true","2020-01-02"],"type":"string"}`},
		{"a pattern that Go has not", "3.0.0", "{type: string, pattern: '^(?!a)b$'}", `{"type":"string"}`},
		{"read-only members", "3.0.0", "{type: object, required: [id, n], properties: {id: {type: string, readOnly: true}, n: {type: string}}}", `{"properties":{"n":{"type":"string"}},"required":["n"],"type":"object"}`},
		{"tuples of old drafts", "3.0.0", "{type: array, items: [{type: string}]}", `{"prefixItems":[{"type":"string"}],"type":"array"}`},
		{"words of 3.1", "3.1.0", "{const: 1, if: {type: integer}, then: false, dependentSchemas: {a: true}, contentEncoding: base64}", `{"const":1,"contentEncoding":"base64","dependentSchemas":{"a":true},"if":{"type":"integer"},"then":false}`},
		{"not what is not known", "3.1.0", "{not: {$ref: '#/none'}}", `{}`},
		{
			"a discriminator", "3.0.0", "{oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}], discriminator: {propertyName: t, mapping: {dog: Dog}}}",
			`{"oneOf":[{"properties":{"t":{"enum":["cat"],"type":"string"}},"required":["t"],"type":"object"},{"allOf":[{"properties":{"t":{"type":"string"}},"type":"object"},{"properties":{"t":{"const":"dog"}},"required":["t"]}]}]}`,
		},
		{"a schema that is true", "3.1.0", "true", `true`},
		{"numbers out of reach", "3.1.0", "{minimum: 1e999999999, maximum: .5, multipleOf: 0}", `{"maximum":0.5}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := "openapi: " + tt.version + "\nservers: [{url: https://a.example}]\n" + components +
				"paths: {/x: {post: {requestBody: {content: {application/json: {schema: " + tt.schema + "}}}}}}"
			op := only(t, doc, openapi.Options{})
			if op.Skipped != "" {
				t.Fatal(op.Skipped)
			}
			var got struct{ Properties map[string]json.RawMessage }
			if err := json.Unmarshal(op.Tool.Parameters, &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got.Properties["body"])); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParametersOfOneNameAreToldApart(t *testing.T) {
	op := only(t, `openapi: 3.0.0
servers: [{url: https://a.example}]
paths:
  /{id}/{other}:
    put:
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: id, in: query, schema: {type: string}}
        - {name: id, in: header, schema: {type: string}}
        - {name: 'filter[name]', in: query, schema: {type: string}}
        - {name: body, in: query, schema: {type: string}}
      requestBody: {content: {application/json: {schema: {type: object}}}}`, openapi.Options{})
	want := map[string]string{
		"id": "path", "query_id": "query:id", "header_id": "header:id", "filter_name": "query:filter[name]",
		"body": "query", "request_body": "body", "other": "path",
	}
	if d := cmp.Diff(want, op.Tool.In); d != "" || !holds(op.Warnings, "other is not declared") {
		t.Errorf("%s%q", d, op.Warnings)
	}
}

func TestWhatIsSkippedAndWhy(t *testing.T) {
	for _, tt := range []struct{ name, operation, want string }{
		{"a body that no model can write", "requestBody: {required: true, content: {image/png: {}}}", "image/png"},
		{"a parameter outside the document", "parameters: [{$ref: 'other.yaml#/p'}]", "not fetched"},
		{"a body outside the document", "requestBody: {$ref: 'http://169.254.169.254/'}", "not fetched"},
		{"a body that refers to itself", "requestBody: {$ref: '#/paths/~1x/post/requestBody'}", "itself"},
		{"too many parameters", "parameters: [" + manyParameters(300) + "]", "300 parameters"},
		{"a server that is none", "servers: [{url: 'gopher://a.example'}]", "gopher"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if op := only(t, with(tt.operation), openapi.Options{}); !strings.Contains(op.Skipped, tt.want) {
				t.Errorf("skipped %q, warnings %q", op.Skipped, op.Warnings)
			}
		})
	}
	r := read(t, "openapi: 3.0.0\npaths: {/a: {options: {}, trace: {}}, /b: {$ref: 'x.yaml'}, x-c: {get: {}}, d: 7}", openapi.Options{})
	if len(r.Operations) != 2 || r.Operations[0].Skipped == "" || !holds(r.Warnings, "/b is outside") {
		t.Errorf("%+v, %q", r.Operations, r.Warnings)
	}
}

func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{name: p%d, in: query, schema: {type: string}},", i)
	}
	return b.String()
}

func TestHeadersThatAreNotTheModels(t *testing.T) {
	op := only(t, with(`parameters: [{name: Accept, in: header}, {name: content-type, in: header}, {name: Authorization, in: header, required: true},
		{name: idempotency-key, in: header}, {name: Host, in: header}, {name: X-Ok, in: header, schema: {type: string}}, {name: "bad name", in: header}, {name: where, in: matrix}]`), openapi.Options{})
	if d := cmp.Diff(map[string]string{"X-Ok": "header"}, op.Tool.In); d != "" {
		t.Error(d)
	}
	for _, part := range []string{"Authorization is left out", "idempotency-key is left out", "Host is left out", "bad name is left out", "where is left out"} {
		if !holds(op.Warnings, part) {
			t.Errorf("no warning says that %s: %q", part, op.Warnings)
		}
	}
}

func TestAuthenticationIsTheOwners(t *testing.T) {
	r := read(t, `openapi: 3.0.0
servers: [{url: https://a.example}]
security: [{key: [], second: []}, {token: []}]
paths:
  /a:
    get: {parameters: [{name: x-key, in: header, required: true, schema: {type: string}}, {name: q, in: query, schema: {type: string}}]}
    put: {security: []}
    post: {security: [{token: []}, {}]}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
    second: {type: apiKey, in: query, name: key2}
    session: {type: apiKey, in: cookie, name: sid}
    token: {type: http, scheme: Bearer}
    user: {type: http, scheme: basic}
    oauth: {type: oauth2, flows: {}}
    cert: {type: mutualTLS}`, openapi.Options{})
	got := map[string]string{}
	for _, a := range r.Auth {
		got[a.Scheme] = a.In + " " + a.Name
	}
	want := map[string]string{
		"key": "headers X-Key", "second": "secretQuery key2", "session": "headers Cookie", "token": "headers Authorization",
		"user": "headers Authorization", "oauth": "headers Authorization", "cert": " ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	op := r.Operations[0]
	if d := cmp.Diff([]string{"key and second", "token"}, op.Auth); d != "" {
		t.Error(d)
	}
	if _, ok := op.Tool.In["x-key"]; ok {
		t.Error("the model is asked for the key")
	}
	for _, tt := range []struct {
		name   string
		set    tools.Request
		needed string
	}{
		{"nothing", tools.Request{}, "X-Key"},
		{"half of it", tools.Request{Headers: map[string]string{"x-key": "k"}}, "key2"},
		{"both", tools.Request{Headers: map[string]string{"x-key": "k"}, SecretQuery: map[string]string{"key2": "k"}}, ""},
		{"the other way", tools.Request{Headers: map[string]string{"Authorization": "Bearer t"}}, ""},
	} {
		needs := r.Missing(op, tools.Endpoint{Request: tt.set})
		if (needs == "") != (tt.needed == "") || !strings.Contains(needs, tt.needed) {
			t.Errorf("with %s it needs %q", tt.name, needs)
		}
	}
	for _, op := range r.Operations[1:] {
		if needs := r.Missing(op, tools.Endpoint{}); needs != "" {
			t.Errorf("%s needs %q", op.Operation, needs)
		}
	}
}

func TestLargeSchemasAreCutDownToFit(t *testing.T) {
	var b strings.Builder
	b.WriteString("openapi: 3.0.0\nservers: [{url: https://a.example}]\npaths: {/x: {post: {requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/L0'}}}}}}}\ncomponents:\n  schemas:\n")
	words := strings.Repeat("Many words about it. ", 60)
	for level := range 6 {
		fmt.Fprintf(&b, "    L%d:\n      type: object\n      required: [must]\n      properties:\n        must: {type: string, description: %q}\n", level, words)
		for i := range 12 {
			fmt.Fprintf(&b, "        p%d: {description: %q, allOf: [{$ref: '#/components/schemas/L%d'}], enum: []}\n", i, words, min(level+1, 5))
		}
	}
	for _, most := range []int{16 << 10, 4 << 10, 1 << 10, 200} {
		op := only(t, b.String(), openapi.Options{MaxSchema: most})
		if len(op.Tool.Parameters) > most || op.Skipped != "" {
			t.Errorf("with %d bytes it has %d, skipped %q", most, len(op.Tool.Parameters), op.Skipped)
		}
		if !holds(op.Warnings, fmt.Sprintf("below %d bytes", most)) {
			t.Errorf("with %d bytes it says %q", most, op.Warnings)
		}
		if most > 200 && !strings.Contains(string(op.Tool.Parameters), `"required":["must"]`) {
			t.Errorf("with %d bytes it lost what is required: %s", most, op.Tool.Parameters)
		}
	}
}

func TestSelection(t *testing.T) {
	r := read(t, `openapi: 3.0.0
servers: [{url: https://a.example}]
paths:
  /pets: {get: {operationId: list, tags: [pets]}, post: {operationId: create, tags: [pets, write], deprecated: true}}
  /pets/{id}: {get: {operationId: show, tags: [pets]}}
  /shops: {get: {}}`, openapi.Options{})
	for _, tt := range []struct {
		name string
		s    openapi.Selection
		want []string
	}{
		{"nothing", openapi.Selection{}, nil},
		{"all", openapi.Selection{All: true}, []string{"list", "show", "get_shops"}},
		{"all with the deprecated", openapi.Selection{All: true, Deprecated: true}, []string{"list", "create", "show", "get_shops"}},
		{"a tag", openapi.Selection{Tags: []string{"pets"}}, []string{"list", "show"}},
		{"a path", openapi.Selection{Paths: []string{"/pets"}}, []string{"list"}},
		{"paths by their beginning", openapi.Selection{Paths: []string{"/pets/*"}}, []string{"show"}},
		{"by id, method and name", openapi.Selection{Operations: []string{"create", "GET /pets/{id}", "get_shops"}}, []string{"create", "show", "get_shops"}},
		{"those from before", openapi.Selection{Registered: true}, []string{"show"}},
	} {
		var got []string
		for _, op := range r.Operations {
			if tt.s.Has(op, op.ID == "show") {
				got = append(got, op.Name)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
		if tt.s.Empty() != (tt.name == "nothing") {
			t.Errorf("%s: empty is %v", tt.name, tt.s.Empty())
		}
	}
	s := openapi.Selection{Tags: []string{"pets", "cats"}, Paths: []string{"/none/*"}, Operations: []string{"list", "x"}}
	if d := cmp.Diff([]string{"tag cats", "path /none/*", "operation x"}, s.Unmatched(r.Operations)); d != "" {
		t.Error(d)
	}
}

func TestChanges(t *testing.T) {
	before := only(t, with("summary: A, parameters: [{name: a, in: query, schema: {type: string}}, {name: gone, in: query, schema: {type: string}}, {name: same, in: query, schema: {type: string}}]"), openapi.Options{})
	after := only(t, with("summary: B, parameters: [{name: a, in: query, required: true, schema: {type: integer}}, {name: new, in: query, required: true, schema: {type: string}}, {name: same, in: query, schema: {type: string}}]"), openapi.Options{Base: "https://b.example/v2"})
	want := []string{
		"address: https://b.example/v2/x, was https://api.example/x", "description", "parameter a", "parameter a is now required",
		"new parameter new, required", "parameter gone is gone", "how arguments are sent",
	}
	if d := cmp.Diff(want, openapi.Changes(before.Tool, after.Tool)); d != "" {
		t.Error(d)
	}
	if before.Tool.Import.Revision == after.Tool.Import.Revision {
		t.Error("the revision is the same")
	}
	again := only(t, with("summary: A, operationId: other, x-z: 1, parameters: [{name: a, in: query, schema: {type: string}}, {name: gone, in: query, schema: {type: string}}, {name: same, in: query, schema: {type: string}}]"), openapi.Options{})
	if before.Tool.Import.Revision != again.Tool.Import.Revision || openapi.Changes(before.Tool, again.Tool) != nil {
		t.Error("another name makes another revision")
	}
}
