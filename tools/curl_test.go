package tools_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/tools"
)

// drafted writes a draft as a few lines.
func drafted(e tools.Endpoint) string {
	var schema struct {
		Properties map[string]struct {
			Type     string
			Examples []json.RawMessage
		}
		Required []string
	}
	_ = json.Unmarshal(e.Parameters, &schema)
	lines := []string{e.Name + ": " + e.Method + " " + e.URL}
	for name, p := range schema.Properties {
		line := name + " " + p.Type
		if slices.Contains(schema.Required, name) {
			line += " required"
		}
		if e.In[name] != "" {
			line += " in " + e.In[name]
		}
		if len(p.Examples) > 0 {
			line += " such as " + string(p.Examples[0])
		}
		lines = append(lines, line)
	}
	for name, v := range e.Headers {
		lines = append(lines, "header "+name+"="+v)
	}
	for name, v := range e.SecretQuery {
		lines = append(lines, "secret query "+name+"="+v)
	}
	if e.BodyType != "" {
		lines = append(lines, "body "+e.BodyType)
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

func TestDraftOfACurlCommand(t *testing.T) {
	for _, tt := range []struct {
		name, command, want, warnings string
	}{
		{
			"a read with an id and a query", `curl 'https://api.shop.example/v1/orders/7?fields=total&limit=10' -H 'X-Api-Key: k1' --compressed -sS`,
			"get_order: GET https://api.shop.example/v1/orders/{order_id}\nfields string in query such as \"total\"\nheader X-Api-Key=k1\nlimit integer in query such as 10\norder_id integer required such as 7", "",
		},
		{
			"a list", `$ curl https://api.shop.example/v2/customers`,
			"list_customers: GET https://api.shop.example/v2/customers", "",
		},
		{
			"JSON over several lines", "curl -X POST https://api.shop.example/orders \\\n  -H \"Content-Type: application/json\" \\\r\n  -H 'Authorization: Bearer t' \\\n  -d '{\"item\": \"tea\", \"count\": 2, \"gift\": true, \"to\": {\"city\": \"Köln\"}, \"tags\": [\"a\"]}'",
			"create_order: POST https://api.shop.example/orders\ncount integer required in property such as 2\ngift boolean required in property such as true\nheader Authorization=Bearer t\nitem string required in property such as \"tea\"\ntags array required in property\nto object required in property", "",
		},
		{
			"an action on one", `curl -XPOST https://api.shop.example/v1/orders/cus_9x81/cancel -u sk_test:`,
			"cancel_order: POST https://api.shop.example/v1/orders/{order_id}/cancel\nheader Authorization=Basic c2tfdGVzdDo=\norder_id string required such as \"cus_9x81\"", "",
		},
		{
			"a form", `curl https://api.pay.example/v1/refunds -u "sk:pw" -d charge=ch_1 -d "amount=500" --data-urlencode "reason=it's late"`,
			"create_refund: POST https://api.pay.example/v1/refunds\namount integer required in property such as 500\nbody form\ncharge string required in property such as \"ch_1\"\nheader Authorization=Basic c2s6cHc=\nreason string required in property such as \"it's late\"", "",
		},
		{
			"parts", `curl -F note=hello -F 'file=@photo.png;type=image/png' https://up.example/files`,
			"create_file: POST https://up.example/files\nbody multipart\nfile string required in property\nnote string required in property such as \"hello\"", "the part file is a file: the tool sends the text that it is given",
		},
		{
			"data in the query", `curl -G https://w.example/search --data-urlencode 'q=two words' -d page=2 -d api_key=s3cret`,
			"get_search: GET https://w.example/search\npage integer in query such as 2\nq string in query such as \"two words\"\nsecret query api_key=s3cret", "",
		},
		{
			"--json", `curl --json '{"a":1}' https://j.example/things`,
			"create_thing: POST https://j.example/things\na integer required in property such as 1\nheader Accept=application/json", "",
		},
		{
			"JSON that would be sent as a form", `curl -d '{"a":"b"}' https://j.example/things`,
			"create_thing: POST https://j.example/things\na string required in property such as \"b\"", "curl would send this JSON as a form: it is sent as JSON",
		},
		{
			"a list as the body", `curl -d '[1,2]' -H content-type:application/json https://j.example/batch`,
			"create_batch: POST https://j.example/batch\nbody array required in body", "",
		},
		{
			"text", `curl --data-binary 'a,b' -H 'Content-Type: text/csv; charset=utf-8' https://j.example/imports`,
			"create_import: POST https://j.example/imports\nbody string required in body such as \"a,b\"\nbody text/csv", "",
		},
		{
			"a body in a file", `curl -d @order.json https://j.example/orders`,
			"create_order: POST https://j.example/orders\nbody object required in body", "the body is in a file, which was not read: the tool takes the whole body as a parameter",
		},
		{
			"the shell's variables", `curl "https://j.example/users/$USER_ID/posts?since=${SINCE}" -H "Authorization: Bearer $TOKEN"`,
			"list_user_posts: GET https://j.example/users/{user_id}/posts\nheader Authorization=•••\nsince string in query\nuser_id string required", "the header Authorization holds the shell's variable TOKEN: give the value|headers.Authorization: is masked and nothing is stored for it: give the value",
		},
		{
			"placeholders", `curl https://j.example/repos/{owner}/:repo/issues/<number>`,
			"get_repo_issue: GET https://j.example/repos/{owner}/{repo}/issues/{number}\nnumber string required\nowner string required\nrepo string required", "",
		},
		{
			"a browser's noise", `curl 'https://j.example/me' -H 'accept: */*' -H 'sec-ch-ua: "x"' -b 'session=abc' -A 'Mozilla/5.0'`,
			"get_me: GET https://j.example/me\nheader Accept=*/*\nheader Cookie=session=abc\nheader User-Agent=Mozilla/5.0", "the header Sec-Ch-Ua was left out: it is set by itself, or says nothing",
		},
		{
			"quotes", `curl $'https://j.example/notes' --data-raw $'{"text":"it\'s\\nhere \u00e9"}' -H Content-Type:\ application/json`,
			"create_note: POST https://j.example/notes\ntext string required in property such as \"it's\\nhere é\"", "",
		},
		{
			"what is not for tools", `curl -k -T f.bin --frob --max-time 2.5 https://j.example/x https://k.example/y | jq .`,
			"get_x: GET https://j.example/x", "what follows the command was left out|-k was left out: certificates are always checked|--upload-file was left out: tools cannot do that|the flag --frob is not known and was left out|only one address is called: https://k.example/y was left out",
		},
		{
			"an address without a scheme", `curl -I example.com`,
			"check_example: HEAD https://example.com/", "the address does not say how it is called: https was taken",
		},
		{
			"a user in the address", `curl -X DELETE https://ann:pw@j.example/sessions/0b9b7f3e-3c1f-4a52-9a52-7f3e3c1f4a52#x`,
			"delete_session: DELETE https://j.example/sessions/{session_id}\nheader Authorization=Basic YW5uOnB3\nsession_id string required such as \"0b9b7f3e-3c1f-4a52-9a52-7f3e3c1f4a52\"", "",
		},
		{
			"a password in the body", `curl --json '{"user":"ann","password":"pw"}' https://j.example/logins`,
			"create_login: POST https://j.example/logins\nheader Accept=application/json\npassword string required in property\nuser string required in property such as \"ann\"", "the member password of the body looks like a secret: its value was left out, since bodies are shown to everybody",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, warnings, err := tools.DraftCurl(tt.command)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(drafted(e), "\n")); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.warnings, strings.Join(warnings, "|")); d != "" {
				t.Error(d)
			}
			if err := e.Validate(); err != nil && !strings.Contains(tt.warnings, err.Error()) {
				t.Errorf("the draft is not valid, and nothing says so: %v", err)
			}
		})
	}
}

func TestWhatIsNoCurlCommand(t *testing.T) {
	for name, tt := range map[string]struct{ command, says string }{
		"nothing":          {"", "begins with curl"},
		"another command":  {"wget https://x.example/", "begins with curl"},
		"no address":       {"curl -s -H 'a: b'", "has no address"},
		"an open quote":    {"curl 'https://x.example/", "a quote is not closed"},
		"a file":           {"curl file:///etc/passwd", "http or https"},
		"a variable host":  {"curl https://$HOST/x", "it calls https://$HOST/x"},
		"not text":         {"curl \xff", "must be text"},
		"more than enough": {"curl " + strings.Repeat("x", tools.MaxCurl), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := tools.DraftCurl(tt.command); err == nil || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), "curl: ") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A recorder notes the requests that it gets.
type recorder struct {
	mu   sync.Mutex
	seen []string
}

func (r *recorder) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		var v any
		_ = json.Unmarshal(body, &v)
		body, _ = json.Marshal(v)
	}
	media, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, fmt.Sprintf("%s %s?%s %s %q %s", req.Method, req.URL.EscapedPath(), req.URL.Query().Encode(), media, req.Header.Get("Authorization")+req.Header.Get("X-Api-Key"), body))
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// What a draft sends with the command's own values is what curl sends.
func TestADraftSendsWhatCurlSends(t *testing.T) {
	program, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl on this machine to compare with")
	}
	var r recorder
	base, client := serve(t, &r)
	for _, args := range [][]string{
		{"/v1/orders/7?fields=total&limit=10&q=a%20b", "-H", "X-Api-Key: k1"},
		{"/orders", "--json", `{"item":"tea","count":2,"gift":true,"to":{"city":"Köln"},"tags":["a","b"]}`},
		{"/refunds", "-u", "sk:pw", "-d", "amount=500", "-d", "charge=ch_1", "--data-urlencode", "reason=it's late"},
		{"/search", "-G", "-d", "page=2", "--data-urlencode", "q=two words & more"},
		{"/orders/a%2Fb_1/cancel", "-X", "POST"},
		{"/batch", "-H", "Content-Type: application/json", "-d", `[{"a":1}]`},
		{"/imports", "-H", "Content-Type: text/csv", "--data-binary", "a,b\nc,d"},
		{"/things/0b9b7f3e-3c1f-4a52-9a52-7f3e3c1f4a52", "-X", "DELETE", "--oauth2-bearer", "t"},
	} {
		args[0] = base + args[0]
		if out, err := exec.CommandContext(t.Context(), program, append([]string{"-sS"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		e, warnings, err := tools.DraftCurl("curl " + quoted(args))
		if err != nil {
			t.Fatal(err)
		}
		tool, err := e.Tool(client)
		if err != nil {
			t.Fatalf("%v %v", err, warnings)
		}
		if res, err := tool.Call(t.Context(), tools.Call{ID: "1", Name: e.Name, Arguments: examples(t, e, args)}); err != nil || res.Failed {
			t.Fatalf("%v %+v", err, res)
		}
		seen := r.all()
		if d := cmp.Diff(seen[len(seen)-2], seen[len(seen)-1]); d != "" {
			t.Errorf("%v: curl and the draft send\n%s", args, d)
		}
	}
}

func quoted(args []string) string {
	var out []string
	for _, a := range args {
		out = append(out, "'"+strings.ReplaceAll(a, "'", `'\''`)+"'")
	}
	return strings.Join(out, " ")
}

// examples are the arguments that a command had: scalars stand in the draft,
// the rest in its JSON.
func examples(t *testing.T, e tools.Endpoint, args []string) json.RawMessage {
	t.Helper()
	var schema struct {
		Properties map[string]struct{ Examples []json.RawMessage }
	}
	if err := json.Unmarshal(e.Parameters, &schema); err != nil {
		t.Fatal(err)
	}
	with := map[string]json.RawMessage{}
	body := map[string]json.RawMessage{}
	for _, a := range args {
		if json.Unmarshal([]byte(a), &body) != nil && json.Valid([]byte(a)) {
			body["body"] = json.RawMessage(a)
		}
	}
	for name, p := range schema.Properties {
		if len(p.Examples) > 0 {
			with[name] = p.Examples[0]
		} else {
			with[name] = body[name]
		}
	}
	b, _ := json.Marshal(with)
	return b
}

func FuzzDraftCurl(f *testing.F) {
	for _, s := range []string{
		`curl https://x.example/a/1?b=2 -H 'k: v' -d '{"a":[1,{"b":null}]}'`, "curl $'\\x41\\u0042' \\\n -F a=@b --json '[1]' x.example", `curl -u $A:$B "x/${C}/{d}" -G --data-urlencode a@b`,
		`curl --url-query a=b -XPUT 'http://[::1]:80/%2e%2e/x;y' -b 'a=b' -m 1e9`, "curl ^\n x --next -H @f", `curl "a\"b$` + "`c`", "curl https://x/$A$B/{}/<>/:/ -d a&b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, command string) {
		e, warnings, err := tools.DraftCurl(command)
		if err != nil {
			return
		}
		if err := e.Validate(); err != nil && len(warnings) == 0 {
			t.Errorf("not valid, and nothing says so: %v", err)
		}
		if b, err := json.Marshal(e); err != nil || strings.ContainsAny(string(b), "\ue000\ue001") {
			t.Errorf("%v %s", err, b)
		}
	})
}
