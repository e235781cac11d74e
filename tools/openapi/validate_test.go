package openapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/oasdiff/yaml"

	"parley/tools"
	"parley/tools/openapi"
)

// A checker sends the tools' requests to a server of its own and asks an
// OpenAPI validator, which has read the document by itself, what it thinks of
// them.
type checker struct {
	doc    *openapi3.T
	server *httptest.Server
	client *tools.Client
	auth   []openapi.Auth
	seen   chan *http.Request // with their bodies read
	got    *http.Request      // the latest, nil for none
}

func newChecker(t *testing.T, doc []byte) (*checker, error) {
	c := &checker{seen: make(chan *http.Request, 1)}
	var err error
	if c.doc, err = load(doc); err != nil {
		return nil, err
	}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := r.Clone(context.Background()) // the server goes on using its own
		got.Body = io.NopCloser(bytes.NewReader(body))
		c.seen <- got
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(c.server.Close)
	c.client = tools.NewClient(tools.ClientOptions{Allow: []string{strings.TrimPrefix(c.server.URL, "http://")}})
	t.Cleanup(c.client.CloseIdle)
	return c, nil
}

func load(doc []byte) (*openapi3.T, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(doc), []byte("{")) {
		var err error
		if doc, err = yaml.YAMLToJSON(doc); err != nil {
			return nil, err
		}
	}
	var version struct{ Swagger any }
	if err := json.Unmarshal(doc, &version); err != nil {
		return nil, err
	}
	if version.Swagger == nil {
		return openapi3.NewLoader().LoadFromData(doc)
	}
	return loadV2(doc)
}

var dangling = regexp.MustCompile(`map key "([^"]+)" not found`)

// loadV2 gives schemas that are missing the meaning that anything goes.
func loadV2(doc []byte) (*openapi3.T, error) {
	var v2 openapi2.T
	if err := json.Unmarshal(doc, &v2); err != nil {
		return nil, err
	}
	for {
		v3, err := openapi2conv.ToV3(&v2)
		if err == nil {
			return v3, nil
		}
		missing := dangling.FindStringSubmatch(err.Error())
		if missing == nil || v2.Definitions[missing[1]] != nil {
			return nil, err
		}
		v2.Definitions[missing[1]] = &openapi2.SchemaRef{Value: &openapi2.Schema{}}
	}
}

// send calls the operation's tool with the arguments.
func (c *checker) send(op openapi.Operation, args json.RawMessage) (tools.Result, error) {
	t := op.Tool
	if t.URL[0] != '/' {
		_, rest, _ := strings.Cut(t.URL, "://")
		_, path, _ := strings.Cut(rest, "/")
		t.URL = "/" + path
	}
	t.URL = c.server.URL + t.URL
	t.Headers, t.SecretQuery = map[string]string{"Authorization": "Bearer owner's"}, map[string]string{}
	for _, a := range c.auth { // as the tool's owner would set them
		switch a.In {
		case "headers":
			t.Headers[a.Name] = "owner's"
		case "secretQuery":
			t.SecretQuery[a.Name] = "owner's"
		}
	}
	tool, err := t.Tool(c.client)
	if err != nil {
		return tools.Result{}, err
	}
	res, err := tool.Call(context.Background(), tools.Call{ID: "1", Name: t.Name, Arguments: args})
	select {
	case c.got = <-c.seen:
	default:
		c.got = nil
	}
	return res, err
}

// valid asks the validator about the latest request.
func (c *checker) valid(op openapi.Operation) error {
	method, path, _ := strings.Cut(op.Operation, " ")
	item := c.doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		return fmt.Errorf("the validator knows no %s", op.Operation)
	}
	r := c.got
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: pathParams(path, r.URL),
		Route:   &routers.Route{Spec: c.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true},
	}
	return openapi3filter.ValidateRequest(context.Background(), in)
}

var pathParam = regexp.MustCompile(`\{[^{}/]*\}`)

// pathParams reads the path's parameters out of the end of u's path.
func pathParams(template string, u *url.URL) map[string]string {
	template, _, _ = strings.Cut(template, "?")
	template, _, _ = strings.Cut(template, "#")
	var names []string
	var pattern strings.Builder
	rest := template
	for {
		at := pathParam.FindStringIndex(rest)
		if at == nil {
			pattern.WriteString(regexp.QuoteMeta(rest) + "$")
			break
		}
		pattern.WriteString(regexp.QuoteMeta(rest[:at[0]]) + "([^/]*)")
		names = append(names, rest[at[0]+1:at[1]-1])
		rest = rest[at[1]:]
	}
	params := map[string]string{}
	if m := regexp.MustCompile(pattern.String()).FindStringSubmatch(u.EscapedPath()); m != nil {
		for i, name := range names {
			params[name], _ = url.PathUnescape(m[i+1])
		}
	}
	return params
}
