package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"parley/tools"
	"parley/tools/openapi"
)

// importRequest is the body of an import. The document is what URL leads to,
// or Document: a JSON object, or a text that is JSON or YAML.
type importRequest struct {
	URL       string            `json:"url"`
	Document  json.RawMessage   `json:"document"`
	Base      string            `json:"base"`
	Variables map[string]string `json:"variables"`
	Prefix    string            `json:"prefix"`

	Select  openapi.Selection `json:"select"`
	DryRun  bool              `json:"dryRun"`
	Replace bool              `json:"replace"` // tools of the same name that are not of this document

	// Headers, SecretQuery and Auth are put on every tool that is called where the
	// document's own base is.
	Headers     map[string]string `json:"headers"`
	SecretQuery map[string]string `json:"secretQuery"`
	Auth        string            `json:"auth"` // name of a credential
}

// The statuses of an operation in the answer to an import.
const (
	importAvailable = "available" // could be imported
	importImported  = "imported"  // is a new tool, or would be without dryRun
	importChanged   = "changed"   // is a tool that the document now declares otherwise
	importUnchanged = "unchanged"
	importSkipped   = "skipped" // cannot be imported
	importGone      = "gone"    // was imported and is no longer in the document
)

// importLine is what an import says of one operation.
type importLine struct {
	openapi.Operation
	Status   string   `json:"status"`
	Selected bool     `json:"selected,omitempty"`
	Reason   string   `json:"reason,omitempty"` // of a skipped one
	Changes  []string `json:"changes,omitempty"`
	Kept     []string `json:"kept,omitempty"`  // fields of a changed one that its owner has set, and that stay
	Needs    string   `json:"needs,omitempty"` // credentials that the tool does not have yet

	Preview *tools.Endpoint `json:"tool,omitempty"` // of the first that are selected, with dryRun
}

// importAnswer is the answer to an import.
type importAnswer struct {
	*openapi.Report
	DryRun     bool           `json:"dryRun"`
	Counts     map[string]int `json:"counts"` // operations by status
	Operations []importLine   `json:"operations"`
	LeftOut    int            `json:"leftOut,omitempty"` // operations that the answer would be too long with
}

// An importer carries out one import.
type importer struct {
	server *Server
	job    *importJob
	ctx    context.Context
	req    importRequest
	doc    []byte // empty if it is yet to be fetched
	report *openapi.Report
	stored map[string]tools.Endpoint // by name, as they were before
	before map[string]string         // names of tools imported before, by operation
}

// run does what the request says, as j, and returns the answer to it in JSON.
func (im *importer) run(j *importJob) ([]byte, error) {
	im.job, im.ctx = j, j.ctx
	if err := im.fetch(); err != nil {
		return nil, err
	}
	size := len(im.doc)
	b, err := im.answer()
	im.doc, im.report, im.stored = nil, nil, nil // the request lives on
	freeMemory(size)
	return b, err
}

func (im *importer) answer() (b []byte, err error) {
	im.job.at(importReading, 0, 0)
	im.report, err = openapi.Import(im.ctx, im.doc, openapi.Options{
		From: plainAddress(im.req.URL), Base: im.req.Base, Variables: im.req.Variables, Prefix: im.req.Prefix, MaxBytes: im.server.Limits.Import,
		Progress: func(built, of int) { im.job.at(importBuilding, int64(built), int64(of)) },
	})
	if err != nil {
		return nil, err
	}
	if err := im.known(); err != nil {
		return nil, err
	}
	a, err := im.carryOut()
	if err != nil {
		return nil, err
	}
	return a.bounded()
}

// maxReport is how many bytes the answer to an import may have.
const maxReport = 8 << 20

// bounded returns the answer in JSON; what makes it too long is left out.
func (a *importAnswer) bounded() ([]byte, error) {
	b, err := json.Marshal(a)
	if err != nil || len(b) <= maxReport {
		return b, err
	}
	for i := range a.Operations {
		a.Operations[i].Preview = nil
	}
	for all := len(a.Operations); len(b) > maxReport; {
		a.Operations = a.Operations[:len(a.Operations)/2]
		a.LeftOut = all - len(a.Operations)
		if b, err = json.Marshal(a); err != nil || len(a.Operations) == 0 {
			break
		}
	}
	return b, err
}

// source is the field that the document came from.
func (im *importer) source() string {
	if im.req.URL != "" {
		return "url"
	}
	return "document"
}

// plainAddress is a document's address as it is kept: without what may hold a
// secret.
func plainAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// read reads the request, and the document if that is in it.
func (im *importer) read(c echo.Context) error {
	b, err := readBody(c, 2*int64(im.server.Limits.Import)+64<<10) // quoted in JSON it is longer
	if err != nil {
		return err
	}
	if isDocument(c.Request().Header.Get("Content-Type"), b) {
		im.ofQuery(c.QueryParams())
		im.doc = b
		return nil
	}
	if err := decodeStrict(b, &im.req); err != nil {
		return err
	}
	doc := bytes.TrimSpace(im.req.Document)
	im.req.Document = nil
	given := len(doc) > 0 && string(doc) != "null"
	if given == (im.req.URL != "") {
		return problem(http.StatusBadRequest, codeBadRequest, "Give either the address of an OpenAPI document as url, or the document itself as document.").in("url")
	}
	if !given {
		return nil
	}
	if im.doc = doc; doc[0] == '"' {
		var text string
		err = json.Unmarshal(doc, &text)
		im.doc = []byte(text)
	}
	return err
}

// fetch gets the document if it was not in the request.
func (im *importer) fetch() (err error) {
	if im.req.URL != "" {
		im.job.at(importFetching, 0, 0)
		im.doc, err = im.server.Tools.Fetch(im.ctx, im.req.URL, im.server.Limits.Import, func(n, of int64) { im.job.at(importFetching, n, of) })
	}
	return err
}

// isDocument reports whether a body is a document itself and no request that
// has one: programs such as curl name a type that says nothing.
func isDocument(contentType string, body []byte) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	if media != "" && media != "application/json" && media != "application/x-www-form-urlencoded" {
		return true
	}
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] != '{' {
		return len(body) > 0
	}
	var version struct{ OpenAPI, Swagger any }
	return json.Unmarshal(body, &version) == nil && (version.OpenAPI != nil || version.Swagger != nil)
}

// ofQuery takes the options of an import whose body is the document.
func (im *importer) ofQuery(q url.Values) {
	yes := func(name string) bool { v, ok := q[name]; return ok && v[0] != "false" }
	im.req.Base, im.req.Prefix, im.req.DryRun, im.req.Replace, im.req.Auth = q.Get("base"), q.Get("prefix"), yes("dryRun"), yes("replace"), q.Get("auth")
	im.req.Select = openapi.Selection{
		All: yes("all"), Tags: q["tag"], Paths: q["path"], Operations: q["operation"], Registered: yes("registered"), Deprecated: yes("deprecated"),
	}
}

// known reads what is registered already.
func (im *importer) known() error {
	all, err := im.server.Tools.Endpoints.Endpoints(im.ctx)
	if err != nil {
		return err
	}
	im.stored, im.before = make(map[string]tools.Endpoint, len(all)), map[string]string{}
	for _, e := range all {
		im.stored[e.Name] = e
		if e.Import != nil && e.Import.From == im.report.From {
			im.before[e.Import.Operation] = e.Name
		}
	}
	return nil
}

func (im *importer) carryOut() (*importAnswer, error) {
	a := &importAnswer{Report: im.report, DryRun: im.req.DryRun || im.req.Select.Empty(), Counts: map[string]int{}, Operations: []importLine{}}
	lines := make([]importLine, len(im.report.Operations))
	var chosen []*importLine
	for i, op := range im.report.Operations {
		lines[i] = im.line(op)
		if lines[i].Selected {
			chosen = append(chosen, &lines[i])
		}
	}
	if err := im.check(chosen, a); err != nil {
		return nil, err
	}
	for i, l := range chosen {
		if err := im.ctx.Err(); err != nil {
			return nil, err
		}
		if !a.DryRun {
			im.job.at(importRegistering, int64(i), int64(len(chosen)))
		}
		if a.DryRun {
			im.preview(l, i)
		} else if err := im.store(l); err != nil {
			return nil, err
		}
	}
	a.Operations = append(lines, im.gone()...)
	for _, l := range a.Operations {
		a.Counts[l.Status]++
	}
	return a, nil
}

// line says what there is to an operation before anything is stored.
func (im *importer) line(op openapi.Operation) importLine {
	name, registered := im.before[op.Operation]
	if registered { // it keeps the name that it has
		op.Name, op.Tool.Name = name, name
	}
	l := importLine{Operation: op, Status: importAvailable, Selected: im.req.Select.Has(op, registered)}
	old, exists := im.stored[op.Name]
	switch {
	case op.Skipped != "":
		l.skip(op.Skipped)
	case im.server.isBuiltin(op.Name):
		l.skip("a built-in tool has the name " + op.Name + ": give a prefix")
	case exists && !registered && !im.req.Replace:
		l.skip("there is another tool named " + op.Name + ": give a prefix, or replace it")
	case exists && registered && old.Import.Revision == op.Tool.Import.Revision && !im.newSecrets():
		l.Status = importUnchanged
	case exists:
		l.Status, l.Changes = importChanged, openapi.Changes(old, im.complete(&l))
		if len(l.Changes) == 0 {
			l.Changes = []string{"what the owner sets"}
		}
	case l.Selected:
		l.Status = importImported
	}
	if l.Status != importSkipped && (exists && registered || l.Selected) {
		l.Needs = im.report.Missing(op, im.complete(&l))
	}
	if l.Status != importChanged {
		l.Kept = nil
	}
	return l
}

func (l *importLine) skip(reason string) {
	l.Status, l.Selected, l.Reason = importSkipped, false, reason
}

func (im *importer) newSecrets() bool {
	return len(im.req.Headers)+len(im.req.SecretQuery) > 0 || im.req.Auth != ""
}

// check refuses what cannot be carried out as a whole.
func (im *importer) check(chosen []*importLine, a *importAnswer) error {
	if missing := im.req.Select.Unmatched(im.report.Operations); len(missing) > 0 {
		im.report.Warnings = append(im.report.Warnings, "nothing is selected by "+strings.Join(missing[:min(len(missing), 20)], ", "))
	}
	if im.req.Auth != "" {
		if _, err := im.server.credentials().Get(im.ctx, im.req.Auth); err != nil {
			return authProblem(err, im.req.Auth)
		}
	}
	if a.DryRun {
		return nil
	}
	if len(chosen) == 0 {
		return problem(http.StatusUnprocessableEntity, codeBadRequest, "The selection has no operation that can be imported: %s",
			cmp.Or(im.why(), "nothing of the document matches it.")).in("select")
	}
	added := 0
	for _, l := range chosen {
		if l.NeedsBase {
			return problem(http.StatusUnprocessableEntity, codeBadRequest, "The document does not say where %s is called. Give the address of the service as base, such as https://api.example.com.", l.Operation.Operation).in("base")
		}
		if _, exists := im.stored[l.Name]; !exists {
			added++
		}
	}
	most, all := im.server.Tools.Most(), len(im.stored)+added
	if added > 0 && all > most {
		return problem(http.StatusUnprocessableEntity, codeTooMany, "With these there would be %d tools, and at most %d can be used. Select fewer.", all, most).in("select")
	}
	return nil
}

func authProblem(err error, name string) error {
	if p := problemOf(err); p != nil && p.Status == http.StatusNotFound {
		return problem(http.StatusUnprocessableEntity, codeBadRequest, "There is no credential %q: put it to /v1/credentials first.", name).in("auth")
	}
	return err
}

// why tells of the first operation that was selected and is skipped.
func (im *importer) why() string {
	for _, op := range im.report.Operations {
		_, registered := im.before[op.Operation]
		if im.req.Select.Has(op, registered) {
			if l := im.line(op); l.Reason != "" {
				return op.Operation + ": " + l.Reason + "."
			}
		}
	}
	return ""
}

// complete returns the tool with what its owner has set and gives now.
func (im *importer) complete(l *importLine) tools.Endpoint {
	e := l.Tool
	if e.Origin() == originOfBase(im.report.Base) {
		e.Headers, e.SecretQuery, e.Auth = im.req.Headers, im.req.SecretQuery, im.req.Auth
	} else if im.newSecrets() {
		l.warn("the headers and credential given are not set: it is called at another host than the document's own")
	}
	old, exists := im.stored[e.Name]
	if !exists || len(old.Steps) > 0 {
		return e
	}
	r := tools.Renew(old, e)
	l.Kept = r.Kept
	for _, field := range r.Replaced {
		l.warn("the " + field + " that was set by hand is replaced: the document has changed its own")
	}
	for _, name := range r.Lost {
		if name == "auth" {
			l.warn("the credential " + old.Auth + " is to be named again: the host has changed")
			continue
		}
		l.warn("the secret " + name + " is to be given again: the host has changed, and a secret stays with the host that it was given for")
	}
	return r.Endpoint
}

func originOfBase(base string) string {
	return tools.Endpoint{Request: tools.Request{URL: base}}.Origin()
}

func (l *importLine) warn(text string) {
	if !slices.Contains(l.Warnings, text) {
		l.Warnings = append(slices.Clip(l.Warnings), text)
	}
}

// maxPreviews is how many tools a dry run shows as they would be.
const maxPreviews = 50

func (im *importer) preview(l *importLine, i int) {
	if i < maxPreviews {
		e := im.complete(l).Public()
		l.Preview = &e
	}
}

// store registers one tool. What the registry finds wrong with it is said in
// its line; only the store's own failure ends the import.
func (im *importer) store(l *importLine) error {
	if l.Status == importUnchanged {
		return nil
	}
	_, err := im.server.Tools.Put(im.ctx, im.complete(l))
	var wrong *tools.FieldError
	switch {
	case errors.As(err, &wrong):
		l.skip(wrong.Error())
	case errors.Is(err, tools.ErrBuiltin):
		l.skip(err.Error())
	default:
		return err
	}
	return nil
}

// gone lists tools whose operations the document no longer has. They are left
// as they are.
func (im *importer) gone() (lines []importLine) {
	for operation, name := range im.before {
		if !slices.ContainsFunc(im.report.Operations, func(o openapi.Operation) bool { return o.Operation == operation }) {
			lines = append(lines, importLine{
				Operation: openapi.Operation{Operation: operation, Name: name}, Status: importGone,
				Reason: "the document no longer has it; the tool is still registered",
			})
		}
	}
	slices.SortFunc(lines, func(a, b importLine) int { return strings.Compare(a.Name, b.Name) })
	return lines
}
