package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/tools"
)

// Limits of what a server may ask in the middle of a call.
const (
	maxQuestions = 8
	maxMessage   = 4000
	maxState     = 64 << 10 // bytes of what is kept until the answer
)

// A question is what a server asks a person.
type question struct {
	Key     string          `json:"k,omitempty"` // the server's
	URL     string          `json:"u,omitempty"` // an address to go to; a form otherwise
	Message string          `json:"m"`
	Schema  json.RawMessage `json:"s,omitempty"` // of a form's content
}

// A pending call is one that waits for a person. It is an Ask's State, and
// all that any replica needs to make the call again.
type pending struct {
	Server string     `json:"server"` // the connection that asked: no other is given the answer
	Tool   string     `json:"tool"`
	State  string     `json:"state,omitempty"` // the server's requestState, as it came
	Asked  []question `json:"asked"`

	// Legacy says that the server speaks a protocol in which it waits for the
	// answer inside the call. It was told cancel, and Given has the answers
	// to give it when the call is made anew.
	Legacy bool                         `json:"legacy,omitempty"`
	Given  map[string]*sdk.ElicitResult `json:"given,omitempty"` // by digest of the question
}

// questionOf reads an elicitation.
func questionOf(key string, p *sdk.ElicitParams) (q question, err error) {
	q = question{Key: key, Message: paragraph(p.Message, maxMessage)}
	if p.Mode == "url" || p.URL != "" {
		u, err := url.Parse(p.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(p.URL) > 2000 || strings.ContainsFunc(p.URL, unprintable) {
			return q, errors.New("asks for an address to be opened that cannot be")
		}
		q.URL = p.URL
		return q, nil
	}
	if p.RequestedSchema == nil {
		return q, nil
	}
	if q.Schema, err = json.Marshal(p.RequestedSchema); err == nil {
		_, err = tools.NewChecker(q.Schema)
	}
	if err != nil || len(q.Schema) > maxSchema {
		return q, errors.New("asks something in a form that cannot be shown")
	}
	return q, nil
}

func unprintable(r rune) bool { return r <= ' ' || r >= 0x7f }

func (q question) digest() string { return digest(q.URL, q.Message, string(q.Schema)) }

// pendingOf reads what a server asks in place of a result.
func pendingOf(server, tool string, res *sdk.CallToolResult) (*pending, error) {
	p := &pending{Server: server, Tool: tool, State: res.RequestState}
	if len(res.InputRequests) > maxQuestions {
		return nil, fmt.Errorf("asks more than %d things at once", maxQuestions)
	}
	for _, key := range slices.Sorted(maps.Keys(res.InputRequests)) {
		params, ok := res.InputRequests[key].(*sdk.ElicitParams)
		if !ok {
			return nil, errors.New("asks for what it was not offered")
		}
		q, err := questionOf(key, params)
		if err != nil {
			return nil, err
		}
		p.Asked = append(p.Asked, q)
	}
	return p, nil
}

// ask is the Result that has the person asked. Wrong says what was wrong with
// an earlier answer, if there was one.
func (p *pending) ask(server, wrong string) tools.Result {
	state, err := json.Marshal(p)
	if err != nil || len(state) > maxState {
		return tools.Failure("the MCP server %s asks something that is larger than %d bytes", server, maxState)
	}
	var b strings.Builder
	if wrong != "" {
		fmt.Fprintf(&b, "The answer did not fit: %s\n\n", line(wrong, 500))
	}
	fmt.Fprintf(&b, "The MCP server %s asks:", server)
	for _, q := range p.Asked {
		fmt.Fprintf(&b, "\n\n%s", q.Message)
		if q.URL != "" {
			fmt.Fprintf(&b, "\n\nIt wants you to open this address, which may not be its own, and to say when you are done:\n%s", q.URL)
		}
	}
	return tools.Result{Content: "(waits for an answer)", Ask: &tools.Ask{
		Reason: tools.AskInput, Message: b.String(), Schema: p.schema(), State: string(state),
	}}
}

// schema is that of the answer: the form's, or one member for each of several
// forms.
func (p *pending) schema() json.RawMessage {
	if len(p.Asked) == 1 {
		return p.Asked[0].Schema
	}
	props := map[string]json.RawMessage{}
	for _, q := range p.Asked {
		if q.Schema != nil {
			props[q.Key] = q.Schema
		}
	}
	if len(props) == 0 {
		return nil
	}
	b, _ := json.Marshal(map[string]any{
		"type": "object", "properties": props, "required": slices.Sorted(maps.Keys(props)), "additionalProperties": false,
	})
	return b
}

// resume reads the State that comes back with an answer; nil without one.
func resume(a *tools.Answer, server, tool string) (*pending, error) {
	if a == nil || a.State == "" { // what was answered was not asked here
		return nil, nil
	}
	var p pending
	if err := json.Unmarshal([]byte(a.State), &p); err != nil || p.Tool == "" {
		return nil, nil
	}
	if p.Server != server || p.Tool != tool {
		return nil, errors.New("the MCP server was changed after it had asked something, and does not get the answer: call again to be asked anew")
	}
	return &p, nil
}

// replies makes an answer what each question gets, by key and by digest;
// wrong says why it fits none.
func (p *pending) replies(a *tools.Answer) (given map[string]*sdk.ElicitResult, wrong string) {
	given = map[string]*sdk.ElicitResult{}
	contents := map[string]json.RawMessage{}
	several := len(p.Asked) > 1
	if several {
		_ = json.Unmarshal(a.Payload, &contents)
	}
	for _, q := range p.Asked {
		payload := a.Payload
		if several && !declined(payload) {
			payload = contents[q.Key]
		}
		r, wrong := q.reply(a.Status, payload)
		if wrong != "" {
			return nil, wrong
		}
		given[q.Key] = r
		if p.Legacy {
			given[q.digest()] = r
		}
	}
	return given, ""
}

func (q question) reply(status tools.AnswerStatus, payload json.RawMessage) (*sdk.ElicitResult, string) {
	if status != tools.AnswerResolved {
		return &sdk.ElicitResult{Action: "cancel"}, ""
	}
	r := &sdk.ElicitResult{Action: "accept"}
	err := q.check(payload)
	if err == nil && q.Schema != nil {
		err = json.Unmarshal(payload, &r.Content)
	}
	switch {
	case (err != nil || q.Schema == nil) && declined(payload): // what fits the form is no refusal, whatever it says
		return &sdk.ElicitResult{Action: "decline"}, ""
	case err != nil:
		return nil, err.Error()
	}
	return r, ""
}

func (q question) check(payload json.RawMessage) error {
	if q.Schema == nil {
		return nil
	}
	checker, err := tools.NewChecker(q.Schema)
	if err != nil {
		return err
	}
	return checker.Check(payload)
}

// declined reports whether a payload is a no: false, {"approved": false} or
// {"action": "decline"}.
func declined(payload json.RawMessage) bool {
	var no struct {
		Action   string `json:"action"`
		Approved *bool  `json:"approved"`
	}
	payload = bytes.TrimSpace(payload)
	if string(payload) == "false" {
		return true
	}
	return json.Unmarshal(payload, &no) == nil && (no.Action == "decline" || no.Approved != nil && !*no.Approved)
}

func responses(given map[string]*sdk.ElicitResult) sdk.InputResponseMap {
	m := sdk.InputResponseMap{}
	for key, r := range given {
		m[key] = r
	}
	return m
}

// An asker answers what a server of an old protocol asks inside a call: with
// what a person has said to it before, or with cancel, remembering what was
// asked. All methods may be called concurrently; asked is read once the call
// has ended.
type asker struct {
	mu    sync.Mutex
	given map[string]*sdk.ElicitResult // by digest of the question
	asked []question
}

// newAsker returns one that knows what was answered to p, and before.
func newAsker(p *pending, given map[string]*sdk.ElicitResult) *asker {
	a := &asker{given: map[string]*sdk.ElicitResult{}}
	if p != nil && p.Legacy {
		maps.Copy(a.given, p.Given)
		for _, q := range p.Asked {
			a.given[q.digest()] = given[q.digest()]
		}
	}
	return a
}

func (a *asker) answer(params *sdk.ElicitParams) *sdk.ElicitResult {
	q, err := questionOf("", params)
	if err != nil {
		return &sdk.ElicitResult{Action: "decline"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.given[q.digest()]; r != nil {
		return r
	}
	if len(a.asked) == 0 { // one at a time: what follows follows from the refusal
		a.asked = append(a.asked, q)
	}
	return &sdk.ElicitResult{Action: "cancel"}
}

// pending is what the call waits for.
func (a *asker) pending(server, tool string) *pending {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &pending{Server: server, Tool: tool, Asked: a.asked, Legacy: true, Given: a.given}
}
